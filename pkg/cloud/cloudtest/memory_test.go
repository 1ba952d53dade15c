package cloudtest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func state(t *testing.T, m *cloudtest.Memory, id string) cloud.DiskState {
	t.Helper()
	d, err := m.GetDisk(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d.State
}

func TestAnOperationEndsWhenTheClockSaysSo(t *testing.T) {
	clock := testclock.NewFakeClock(start)
	m := cloudtest.NewMemory(cloudtest.MemoryOptions{
		Clock:     clock,
		Work:      func(cloudtest.Op) time.Duration { return 4 * time.Second },
		Instances: []cloud.Instance{{ID: "i1"}},
	})
	d, err := m.CreateDisk(t.Context(), cloud.DiskSpec{Name: "pvc-1", SizeGiB: 1})
	if err != nil || d.State != cloud.DiskCreating {
		t.Fatalf("created %+v, %v", d, err)
	}
	if at, ok := m.Next(); !ok || !at.Equal(start.Add(4*time.Second)) {
		t.Errorf("Next is %v, %v", at, ok)
	}
	clock.Step(4*time.Second - 1)
	if s := state(t, m, d.ID); s != cloud.DiskCreating {
		t.Errorf("just before the end the disk is %s", s)
	}
	clock.Step(1)
	if s := state(t, m, d.ID); s != cloud.DiskAvailable {
		t.Errorf("at the end the disk is %s", s)
	}
	if err := m.AttachDisk(t.Context(), d.ID, "i1"); err != nil {
		t.Fatal(err)
	}
	if s := state(t, m, d.ID); s != cloud.DiskAttaching {
		t.Errorf("after the attach was accepted the disk is %s", s)
	}
	clock.Step(time.Minute)
	if s := state(t, m, d.ID); s != cloud.DiskAttached {
		t.Errorf("a minute later the disk is %s", s)
	}
	if _, ok := m.Next(); ok {
		t.Error("the cloud still has work")
	}
}

func TestFaults(t *testing.T) {
	ctx := t.Context()
	spec := cloud.DiskSpec{Name: "pvc-1", SizeGiB: 1}

	t.Run("a fault before the effect leaves nothing behind", func(t *testing.T) {
		m := cloudtest.NewMemory(cloudtest.MemoryOptions{})
		m.FailNext(cloudtest.OpCreateDisk, 1, cloudtest.Before, cloud.ErrUnavailable)
		_, err := m.CreateDisk(ctx, spec)
		var e *cloud.Error
		if !errors.Is(err, cloud.ErrUnavailable) || !errors.As(err, &e) {
			t.Errorf("got %v", err)
		}
		if n := len(m.Disks()); n != 0 {
			t.Errorf("%d disks", n)
		}
	})
	t.Run("a fault after the effect loses only the answer", func(t *testing.T) {
		m := cloudtest.NewMemory(cloudtest.MemoryOptions{})
		m.FailNext(cloudtest.OpCreateDisk, 1, cloudtest.After, cloud.ErrOutcomeUnknown)
		if _, err := m.CreateDisk(ctx, spec); !errors.Is(err, cloud.ErrOutcomeUnknown) {
			t.Errorf("got %v", err)
		}
		if _, err := m.CreateDisk(ctx, spec); err != nil {
			t.Errorf("the fault struck twice: %v", err)
		}
		if n := len(m.Disks()); n != 2 {
			t.Errorf("%d disks", n)
		}
	})
	t.Run("a failed attach rolls the disk silently back", func(t *testing.T) {
		m := cloudtest.NewMemory(cloudtest.MemoryOptions{Instances: []cloud.Instance{{ID: "i1"}}})
		d, err := m.CreateDisk(ctx, spec)
		if err != nil {
			t.Fatal(err)
		}
		m.FailWork(cloudtest.OpAttachDisk, 1)
		if err := m.AttachDisk(ctx, d.ID, "i1"); err != nil {
			t.Fatal(err)
		}
		if s := state(t, m, d.ID); s != cloud.DiskAvailable {
			t.Errorf("the disk is %s", s)
		}
	})
	t.Run("a failed creation ends in an error state", func(t *testing.T) {
		m := cloudtest.NewMemory(cloudtest.MemoryOptions{})
		m.FailWork(cloudtest.OpCreateDisk, 1)
		d, err := m.CreateDisk(ctx, spec)
		if err != nil {
			t.Fatal(err)
		}
		if s := state(t, m, d.ID); s != cloud.DiskError {
			t.Errorf("the disk is %s", s)
		}
	})
	t.Run("a hook strikes at the call it chooses", func(t *testing.T) {
		m := cloudtest.NewMemory(cloudtest.MemoryOptions{})
		m.SetHook(func(c cloudtest.Call, p cloudtest.Phase) error {
			if c.N == 2 && p == cloudtest.Before {
				return errors.New("boom")
			}
			return nil
		})
		if err := m.Ping(ctx); err != nil {
			t.Error(err)
		}
		if err := m.Ping(ctx); !errors.Is(err, cloud.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		if n := m.Count(cloudtest.OpPing); n != 2 || m.Count() != 2 || len(m.Calls()) != 2 {
			t.Errorf("counted %d pings in %v", n, m.Calls())
		}
		m.ResetCalls()
		if m.Count() != 0 {
			t.Error("calls were not forgotten")
		}
	})
}

func TestACallWhoseContextEndsBeforeTheAnswerHasHadItsEffect(t *testing.T) {
	clock := testclock.NewFakeClock(start)
	m := cloudtest.NewMemory(cloudtest.MemoryOptions{Clock: clock, Latency: func(cloudtest.Op) time.Duration { return time.Hour }})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := m.CreateDisk(ctx, cloud.DiskSpec{Name: "pvc-1", SizeGiB: 1})
		done <- err
	}()
	for !clock.HasWaiters() {
		time.Sleep(time.Millisecond)
	}
	cancel()
	err := <-done
	if !errors.Is(err, cloud.ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := len(m.Disks()); n != 1 {
		t.Errorf("%d disks", n)
	}
}

func TestADeletedInstanceLeavesItsDisksAvailable(t *testing.T) {
	var detached []string
	m := cloudtest.NewMemory(cloudtest.MemoryOptions{
		Instances: []cloud.Instance{{ID: "i1"}},
		OnDetach:  func(diskID, instanceID string) { detached = append(detached, diskID+"@"+instanceID) },
	})
	m.PutDisk(cloud.Disk{ID: "d1", SizeGiB: 1, State: cloud.DiskAttached, Attachments: []cloud.Attachment{{DiskID: "d1", InstanceID: "i1"}}})
	m.DropInstance("i1")
	if s := state(t, m, "d1"); s != cloud.DiskAvailable {
		t.Errorf("the disk is %s", s)
	}
	if len(detached) != 1 || detached[0] != "d1@i1" {
		t.Errorf("OnDetach saw %v", detached)
	}
}
