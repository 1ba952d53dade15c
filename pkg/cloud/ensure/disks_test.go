package ensure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inCloud runs a test in virtual time on a memory cloud whose operations take work.
func inCloud(t *testing.T, work time.Duration, test func(t *testing.T, m *cloudtest.Memory, d *Disks)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := cloudtest.NewMemory(cloudtest.MemoryOptions{
			Work:      func(cloudtest.Op) time.Duration { return work },
			Latency:   func(cloudtest.Op) time.Duration { return time.Millisecond },
			Instances: []cloud.Instance{{ID: "i1"}, {ID: "i2"}},
		})
		test(t, m, NewDisks(m, "c1"))
	})
}

var spec = cloud.DiskSpec{Name: "pvc-1", SizeGiB: 1, Metadata: map[string]string{"team": "a"}}

// must returns the value of a call that must not fail.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err, kind error, says ...string) {
	t.Helper()
	for _, s := range says {
		if !errors.Is(err, kind) || !strings.Contains(fmt.Sprint(err), s) {
			t.Fatalf("error %v, want %v that says %q", err, kind, s)
		}
	}
}

// counted runs f and asserts how many calls it made besides the polls of a wait, how many polls, and how long the whole
// took. work is how long the cloud works; 0: the cloud has nothing to do.
func counted(t *testing.T, m *cloudtest.Memory, what string, calls int, work time.Duration, f func() error) {
	t.Helper()
	m.ResetCalls()
	start := time.Now()
	ok(t, f())
	budget := calls
	if work > 0 {
		budget += 1 + int(work/(500*time.Millisecond))
	}
	if n := m.Count(); n > budget {
		t.Errorf("T=%v: %s took %d calls, budget %d: %v", work, what, n, budget, m.Calls())
	}
	latency := time.Duration(m.Count()) * time.Millisecond
	if took := time.Since(start); took > work+max(500*time.Millisecond, work/20)+latency {
		t.Errorf("T=%v: %s was seen after %v", work, what, took)
	}
}

func TestBudgetsWhateverTimeTheCloudTakes(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 40 {
		T := 200*time.Millisecond + time.Duration(random.Float64()*float64(90*time.Second))
		inCloud(t, T, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			ctx := t.Context()
			var id string
			counted(t, m, "create", 2, T, func() error {
				disk, err := d.Created(ctx, spec)
				id = disk.ID
				return err
			})
			counted(t, m, "create again", 1, 0, func() error { return second(d.Created(ctx, spec)) })
			counted(t, m, "attach", 1, T, func() error { return d.Attached(ctx, id, "i1", false) })
			counted(t, m, "attach again", 2, 0, func() error { return d.Attached(ctx, id, "i1", false) })
			counted(t, m, "extend", 2, T, func() error { return second(d.Extended(ctx, id, 2)) })
			counted(t, m, "extend again", 1, 0, func() error { return second(d.Extended(ctx, id, 2)) })
			counted(t, m, "detach", 1, T, func() error { return d.Detached(ctx, id, "i1") })
			counted(t, m, "detach again", 2, 0, func() error { return d.Detached(ctx, id, "i1") })
			counted(t, m, "delete", 2, T, func() error { return d.Deleted(ctx, id) })
			counted(t, m, "delete again", 1, 0, func() error { return d.Deleted(ctx, id) })
			if left := m.Disks(); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestFiftyAtOnceShareTheCalls(t *testing.T) {
	const many = 50
	inCloud(t, 4*time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
		ids := make([]string, many)
		for _, stage := range []struct {
			name string
			run  func(i int) error
		}{
			{"create", func(i int) error {
				disk, err := d.Created(t.Context(), cloud.DiskSpec{Name: fmt.Sprint("pvc-", i), SizeGiB: 1})
				ids[i] = disk.ID
				return err
			}},
			{"attach", func(i int) error { return d.Attached(t.Context(), ids[i], "i1", false) }},
			{"detach", func(i int) error { return d.Detached(t.Context(), ids[i], "i1") }},
		} {
			m.ResetCalls()
			var wg sync.WaitGroup
			for i := range many {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * 10 * time.Millisecond)
					if err := stage.run(i); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n := m.Count(); n > many*3/2 {
				t.Errorf("%d calls to %s %d disks", n, stage.name, many)
			}
		}
		if n := len(m.Disks()); n != many {
			t.Errorf("%d disks", n)
		}
	})
}

func TestCreated(t *testing.T) {
	t.Run("returns a disk that can be attached at once, with its identity", func(t *testing.T) {
		inCloud(t, 4*time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			disk := must[cloud.Disk](t)(d.Created(t.Context(), spec))
			if disk.State != cloud.DiskAvailable || disk.Metadata[MetadataCluster] != "c1" || disk.Metadata[MetadataVolume] != "pvc-1" || disk.Metadata["team"] != "a" {
				t.Errorf("%+v", disk)
			}
		})
	})
	t.Run("waits for a disk that a predecessor left in the making", func(t *testing.T) {
		inCloud(t, 4*time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := d.Created(ctx, spec)
			wantError(t, err, context.DeadlineExceeded, `still "creating"`)
			disk := must[cloud.Disk](t)(NewDisks(m, "c1").Created(t.Context(), spec))
			if disk.State != cloud.DiskAvailable || len(m.Disks()) != 1 {
				t.Errorf("%s, and %d disks", disk.State, len(m.Disks()))
			}
		})
	})
	t.Run("never answers success for a disk in error, and makes room for the next try", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.FailWork(cloudtest.OpCreateDisk, 1)
			_, err := d.Created(t.Context(), spec)
			wantError(t, err, cloud.ErrFailed, "could not make the disk", "(request call-2)")
			if left := m.Disks(); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
			ok(t, second(d.Created(t.Context(), spec)))
		})
	})
	t.Run("clears away what an earlier process left in error", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			left := disk(cloud.DiskError)
			left.Metadata[MetadataVolume] = "pvc-1"
			m.PutDisk(left)
			_, err := d.Created(t.Context(), spec)
			wantError(t, err, cloud.ErrFailed, "d1")
			if n := len(m.Disks()); n != 0 {
				t.Errorf("%d disks", n)
			}
		})
	})
	t.Run("never deletes a disk that failed after it had been made", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			grown := disk(cloud.DiskError)
			grown.RawState, grown.Repair, grown.Metadata[MetadataVolume] = "error_extending", "repair d1", "pvc-1"
			m.PutDisk(grown)
			_, err := d.Created(t.Context(), spec)
			wantError(t, err, cloud.ErrFailed, "error_extending", "run: repair d1")
			if n := len(m.Disks()); n != 1 {
				t.Errorf("%d disks", n)
			}
		})
	})
	t.Run("does not take an unreadable disk for a creation that ended", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.FailNext(cloudtest.OpGetDisk, 1, cloudtest.Before, cloud.ErrUnauthorized)
			_, err := d.Created(t.Context(), spec)
			wantError(t, err, cloud.ErrOutcomeUnknown, "create disk", "unauthorized")
			ok(t, second(d.Created(t.Context(), spec)))
		})
	})
	t.Run("never answers success for a disk that is being deleted", func(t *testing.T) {
		inCloud(t, 4*time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			time.AfterFunc(time.Second, func() {
				made := m.Disks()[0]
				made.State, made.RawState = cloud.DiskDeleting, "deleting"
				m.PutDisk(made)
			})
			_, err := d.Created(t.Context(), spec)
			wantError(t, err, cloud.ErrFailed, `"deleting"`)
		})
	})
	t.Run("of two disks with the same identity keeps the first", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			for i, id := range []string{"late", "first"} {
				twin := disk(cloud.DiskAvailable)
				twin.ID, twin.CreatedAt, twin.Metadata[MetadataVolume] = id, time.Now().Add(-time.Duration(i)*time.Second), "pvc-1"
				m.PutDisk(twin)
			}
			if got := must[cloud.Disk](t)(d.Created(t.Context(), spec)); got.ID != "first" || len(m.Disks()) != 1 {
				t.Errorf("kept %s, and there are %d", got.ID, len(m.Disks()))
			}
		})
	})
	t.Run("does not take another cluster's disk of the same name", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			theirs := must[cloud.Disk](t)(NewDisks(m, "c2").Created(t.Context(), spec))
			ours := must[cloud.Disk](t)(d.Created(t.Context(), spec))
			if theirs.ID == ours.ID {
				t.Error("two clusters have the same disk")
			}
		})
	})
}

func TestAttached(t *testing.T) {
	t.Run("reports an attach that the cloud silently rolled back", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAvailable))
			m.FailWork(cloudtest.OpAttachDisk, 1)
			wantError(t, d.Attached(t.Context(), "d1", "i1", false), cloud.ErrFailed, "gave it up")
			ok(t, d.Attached(t.Context(), "d1", "i1", false))
		})
	})
	t.Run("says under which request the cloud accepted what it gave up", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAvailable))
			m.FailWork(cloudtest.OpAttachDisk, 1)
			wantError(t, d.Attached(t.Context(), "d1", "i1", false), cloud.ErrFailed, "(request call-1)")
		})
	})
	t.Run("to an instance that is busy for a moment gives it that moment", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAvailable))
			m.FailNext(cloudtest.OpAttachDisk, 1, cloudtest.Before, cloud.ErrConflict)
			start := time.Now()
			ok(t, d.Attached(t.Context(), "d1", "i1", false))
			if took := time.Since(start); took < busyPause {
				t.Errorf("asked again after %v", took)
			}
		})
	})
	t.Run("to an instance that stays busy ends, with the refusal", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAvailable))
			m.FailNext(cloudtest.OpAttachDisk, 9, cloudtest.Before, cloud.ErrBusy)
			wantError(t, d.Attached(t.Context(), "d1", "i1", false), cloud.ErrBusy, "d1")
			if n := m.Count(cloudtest.OpAttachDisk); n != maxRequests {
				t.Errorf("%d requests", n)
			}
		})
	})
	t.Run("of a disk in the making waits instead of trying blindly", func(t *testing.T) {
		inCloud(t, 4*time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			made := must[cloud.Disk](t)(m.CreateDisk(t.Context(), spec))
			ok(t, d.Attached(t.Context(), made.ID, "i1", false))
			if n := m.Count(cloudtest.OpAttachDisk); n > 2 {
				t.Errorf("%d requests", n)
			}
		})
	})
	t.Run("waits until the disk has left another instance", func(t *testing.T) {
		inCloud(t, 4*time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAttached, "i2"))
			ok(t, m.DetachDisk(t.Context(), "d1", "i2"))
			ok(t, d.Attached(t.Context(), "d1", "i1", false))
		})
	})
	t.Run("to a second instance is refused, naming the first", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAttached, "i2"))
			wantError(t, d.Attached(t.Context(), "d1", "i1", false), cloud.ErrConflict, "attached to instance i2")
		})
	})
	t.Run("to a second instance is refused for a multiattach disk too", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			shared := disk(cloud.DiskAttached, "i2")
			shared.Multiattach = true
			m.PutDisk(shared)
			wantError(t, d.Attached(t.Context(), "d1", "i1", true), cloud.ErrConflict, "attached to instance i2")
			if n := m.Count(cloudtest.OpAttachDisk); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
	})
	t.Run("to a second instance, which the cloud allowed because nobody had said multiattach, is no success", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			shared := disk(cloud.DiskAttached, "i2")
			shared.Multiattach = true
			m.PutDisk(shared)
			for range 2 {
				wantError(t, d.Attached(t.Context(), "d1", "i1", false), cloud.ErrConflict, "attached to instance i2;")
			}
			ok(t, d.Detached(t.Context(), "d1", "i2"))
			ok(t, d.Attached(t.Context(), "d1", "i1", false))
		})
	})
	t.Run("stuck in attaching ends with the context and says what to do", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			stuck := disk(cloud.DiskAttaching)
			stuck.RawState, stuck.Repair = "reserved", "repair d1"
			m.PutDisk(stuck)
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			wantError(t, d.Attached(ctx, "d1", "i1", false), context.DeadlineExceeded, `still "reserved"; if it stays so`, "run: repair d1")
			m.PutDisk(disk(cloud.DiskAvailable)) // the operator did it
			ok(t, d.Attached(t.Context(), "d1", "i1", false))
		})
	})
	t.Run("of a missing disk or to a missing instance is not found", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAvailable))
			wantError(t, d.Attached(t.Context(), "nope", "i1", false), cloud.ErrNotFound, "nope")
			wantError(t, d.Attached(t.Context(), "d1", "nope", false), cloud.ErrNotFound, "nope")
		})
	})
}

func TestDetached(t *testing.T) {
	t.Run("reports a detach that the cloud silently rolled back", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAttached, "i1"))
			m.FailWork(cloudtest.OpDetachDisk, 1)
			wantError(t, d.Detached(t.Context(), "d1", "i1"), cloud.ErrFailed, "gave it up")
			ok(t, d.Detached(t.Context(), "d1", "i1"))
		})
	})
	t.Run("during an attach by a predecessor waits for it and then detaches", func(t *testing.T) {
		inCloud(t, 4*time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAvailable))
			ok(t, m.AttachDisk(t.Context(), "d1", "i1"))
			ok(t, d.Detached(t.Context(), "d1", "i1"))
			if got := m.Disks()[0]; got.State != cloud.DiskAvailable {
				t.Errorf("the disk is %s", got.State)
			}
		})
	})
	t.Run("of what is gone succeeds", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAttached, "i2"))
			ok(t, d.Detached(t.Context(), "nope", "i1"))
			ok(t, d.Detached(t.Context(), "d1", "i1"))
			m.DropInstance("i2")
			ok(t, d.Detached(t.Context(), "d1", "i2"))
		})
	})
	t.Run("is not believed while the disk shows the attachment", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAttached, "i1"))
			m.FailNext(cloudtest.OpDetachDisk, 1, cloudtest.Before, cloud.ErrNotFound)
			wantError(t, d.Detached(t.Context(), "d1", "i1"), cloud.ErrBusy, "still shows it")
		})
	})
}

func TestDeleted(t *testing.T) {
	t.Run("leaves alone what is not this cluster's", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(cloud.Disk{ID: "d1", State: cloud.DiskAvailable})
			wantError(t, d.Deleted(t.Context(), "d1"), cloud.ErrConflict, "not this cluster's")
			if m.Count(cloudtest.OpDeleteDisk) != 0 {
				t.Error("a deletion was requested")
			}
		})
	})
	t.Run("reports a deletion that the cloud gave up", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAvailable))
			m.FailWork(cloudtest.OpDeleteDisk, 1)
			wantError(t, d.Deleted(t.Context(), "d1"), cloud.ErrFailed, "error_deleting", "(request call-2)")
			ok(t, d.Deleted(t.Context(), "d1"))
		})
	})
	t.Run("that the cloud refuses for a reason of its own ends soon, with the reason", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAvailable))
			m.FailNext(cloudtest.OpDeleteDisk, 9, cloudtest.Before, &cloud.Error{Kind: cloud.ErrConflict, Op: "delete disk", Object: "d1", Message: "it has snapshots"})
			wantError(t, d.Deleted(t.Context(), "d1"), cloud.ErrConflict, "it has snapshots")
			if n := m.Count(cloudtest.OpDeleteDisk); n != 2 {
				t.Errorf("%d requests", n)
			}
		})
	})
	t.Run("of an attached disk is refused, naming where", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAttached, "i2"))
			wantError(t, d.Deleted(t.Context(), "d1"), cloud.ErrConflict, "i2")
		})
	})
}

// lateExtend is a cloud in which the first request to extend a disk is lost on the way, and arrives before the second.
type lateExtend struct {
	*cloudtest.Memory
	requests int
}

func (l *lateExtend) ExtendDisk(ctx context.Context, id string, sizeGiB int64) error {
	if l.requests++; l.requests == 1 {
		return &cloud.Error{Kind: cloud.ErrOutcomeUnknown, Op: "extend disk", Object: id}
	}
	late := disk(cloud.DiskAvailable)
	late.SizeGiB = sizeGiB
	l.PutDisk(late)
	return l.Memory.ExtendDisk(ctx, id, sizeGiB)
}

func TestExtended(t *testing.T) {
	t.Run("reports an extension that the cloud gave up", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAttached, "i1"))
			m.FailWork(cloudtest.OpExtendDisk, 1)
			wantError(t, second(d.Extended(t.Context(), "d1", 2)), cloud.ErrFailed, "error_extending", "(request call-2)")
		})
	})
	t.Run("succeeds when a request with a lost answer took effect only during the second", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, _ *Disks) {
			m.PutDisk(disk(cloud.DiskAvailable))
			got := must[cloud.Disk](t)(NewDisks(&lateExtend{Memory: m}, "c1").Extended(t.Context(), "d1", 2))
			if got.SizeGiB != 2 {
				t.Errorf("%d GiB", got.SizeGiB)
			}
		})
	})
	t.Run("that the cloud refuses is refused", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			m.PutDisk(disk(cloud.DiskAvailable))
			m.FailNext(cloudtest.OpExtendDisk, 9, cloudtest.Before, cloud.ErrInvalid)
			wantError(t, second(d.Extended(t.Context(), "d1", 2)), cloud.ErrInvalid, "d1")
			if n := m.Count(cloudtest.OpExtendDisk); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	})
	t.Run("of a missing disk is not found, in the cloud's words", func(t *testing.T) {
		inCloud(t, time.Second, func(t *testing.T, m *cloudtest.Memory, d *Disks) {
			wantError(t, second(d.Extended(t.Context(), "nope", 2)), cloud.ErrNotFound, "extend disk nope")
			m.FailNext(cloudtest.OpGetDisk, 1, cloudtest.Before, &cloud.Error{
				Kind: cloud.ErrNotFound, Op: "get disk", Object: "nope", Status: 404, Message: "Volume nope could not be found.", RequestID: "req-7",
			})
			wantError(t, second(d.Extended(t.Context(), "nope", 2)), cloud.ErrNotFound, "extend disk nope", "could not be found.", "request req-7")
		})
	})
}
