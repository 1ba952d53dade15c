package ensure

import (
	"fmt"
	"testing"
	"time"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
)

// life is what a cluster does with a disk, repeated like a sidecar does until each step succeeds.
func life(t *testing.T, m *cloudtest.Memory) {
	t.Helper()
	ctx := t.Context()
	d := NewDisks(m, "c1")
	repeat := func(what string, f func() error) {
		t.Helper()
		var err error
		for range 8 {
			if err = f(); err == nil {
				return
			}
			time.Sleep(time.Second)
			d = NewDisks(m, "c1") // as after a crash
		}
		t.Fatalf("%s: %v", what, err)
	}
	var id string
	one := func(state cloud.DiskState, instances ...string) {
		t.Helper()
		disks := m.Disks()
		if len(disks) != 1 || disks[0].State != state || len(disks[0].Attachments) != len(instances) {
			t.Fatalf("want one disk, %s: %+v", state, disks)
		}
	}
	repeat("create", func() error {
		disk, err := d.Created(ctx, spec)
		id = disk.ID
		return err
	})
	one(cloud.DiskAvailable)
	repeat("attach", func() error { return d.Attached(ctx, id, "i1", false) })
	one(cloud.DiskAttached, "i1")
	repeat("extend", func() error { return second(d.Extended(ctx, id, 2)) })
	one(cloud.DiskAttached, "i1")
	repeat("detach", func() error { return d.Detached(ctx, id, "i1") })
	one(cloud.DiskAvailable)
	repeat("delete", func() error { return d.Deleted(ctx, id) })
	if left := m.Disks(); len(left) != 0 {
		t.Fatalf("left behind: %+v", left)
	}
}

func TestWhateverCallFailsNothingIsDoubledOrLeaked(t *testing.T) {
	for _, fault := range []struct {
		name  string
		phase cloudtest.Phase
		err   error
	}{
		{"unavailable", cloudtest.Before, cloud.ErrUnavailable},
		{"lost before its effect", cloudtest.Before, cloud.ErrOutcomeUnknown},
		{"lost after its effect", cloudtest.After, cloud.ErrOutcomeUnknown},
		{"refused as busy", cloudtest.Before, cloud.ErrBusy},
		{"refused as a conflict", cloudtest.Before, cloud.ErrConflict},
	} {
		for _, times := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s %d times", fault.name, times), func(t *testing.T) {
				for n, struck := 1, true; struck; n++ {
					inCloud(t, 1300*time.Millisecond, func(t *testing.T, m *cloudtest.Memory, _ *Disks) {
						struck = false
						m.SetHook(func(c cloudtest.Call, p cloudtest.Phase) error {
							if c.N < n || c.N >= n+times || p != fault.phase {
								return nil
							}
							struck = true
							return fault.err
						})
						life(t, m)
					})
				}
			})
		}
	}
}

func TestWhateverWorkFailsNothingIsDoubledOrLeaked(t *testing.T) {
	for _, op := range []cloudtest.Op{cloudtest.OpCreateDisk, cloudtest.OpAttachDisk, cloudtest.OpDetachDisk, cloudtest.OpDeleteDisk} {
		t.Run(string(op), func(t *testing.T) {
			inCloud(t, 700*time.Millisecond, func(t *testing.T, m *cloudtest.Memory, _ *Disks) {
				m.FailWork(op, 2)
				life(t, m)
			})
		})
	}
}
