package blockstorage

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disks fail where they are told to, and remember what they were asked for.
type disks struct {
	mu    sync.Mutex
	fail  map[string]bool
	calls []string
	inUse string
}

func (d *disks) do(what string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, what)
	if d.fail[what] {
		return errors.New("broken")
	}
	return nil
}

func (d *disks) Create(context.Context, string, int64) error  { return d.do("create") }
func (d *disks) Delete(context.Context, string) error         { return d.do("delete") }
func (d *disks) Extend(context.Context, string, int64) error  { return d.do("extend") }
func (d *disks) Attach(context.Context, string, string) error { return d.do("attach") }
func (d *disks) Detach(context.Context, string, string) (string, error) {
	return d.inUse, d.do("detach")
}

type bench struct {
	*testing.T
	engine  *engine.Engine
	service *Service
	disks   *disks
}

const project = "p"

// setup makes a service whose engine runs unless idle.
func setup(t *testing.T, idle bool, fail ...string) bench {
	t.Helper()
	e, err := engine.New(engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := &disks{fail: map[string]bool{}}
	for _, what := range fail {
		d.fail[what] = true
	}
	s, err := New(e, d, Options{Types: []Type{{Name: "standard"}}, Zones: []string{"z"}, Quota: Quota{Volumes: -1, Gigabytes: -1}})
	if err != nil {
		t.Fatal(err)
	}
	if !idle {
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = e.Run(ctx) }()
		t.Cleanup(func() { stop(); <-done })
	}
	return bench{t, e, s, d}
}

func (b bench) do(fn func(tx *engine.Tx) error) {
	b.Helper()
	if err := b.engine.Update(fn); err != nil {
		b.Fatal(err)
	}
}

func (b bench) create() (id string) {
	b.Helper()
	b.do(func(tx *engine.Tx) error {
		v, err := b.service.Create(tx, Spec{ProjectID: project, SizeGiB: 1})
		id = v.ID
		return err
	})
	return id
}

func (b bench) get(id string) (v Volume, err error) {
	err = b.engine.View(func(tx *engine.Tx) error {
		v, err = b.service.Get(tx, project, id)
		return err
	})
	return v, err
}

func (b bench) is(id string, want Status) (v Volume) {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		v, err := b.get(id)
		if err != nil {
			b.Fatal(err)
		}
		if v.Status == want {
			return v
		}
		if time.Now().After(deadline) {
			b.Fatalf("volume is %s, want %s", v.Status, want)
		}
	}
}

func (b bench) attach(id, server string) {
	b.Helper()
	b.do(func(tx *engine.Tx) error {
		_, err := b.service.Attach(tx, project, id, server)
		return err
	})
}

func (b bench) messages(id string) int {
	n := 0
	_ = b.engine.View(func(tx *engine.Tx) error {
		for _, m := range b.service.Messages(tx, project) {
			if m.VolumeID == id {
				n++
			}
		}
		return nil
	})
	return n
}

func TestWhatFailsEndsInItsErrorState(t *testing.T) {
	t.Run("a failed creation is an error with a message, and can be deleted", func(t *testing.T) {
		b := setup(t, false, "create")
		id := b.create()
		b.is(id, Failed)
		if b.messages(id) != 1 {
			t.Error("no message says why")
		}
		b.do(func(tx *engine.Tx) error { return b.service.Delete(tx, project, id) })
		for _, err := b.get(id); err == nil; _, err = b.get(id) {
			time.Sleep(time.Millisecond)
		}
		if b.messages(id) != 0 {
			t.Error("the message outlives its volume")
		}
	})
	t.Run("a failed deletion can be tried again when the administrator has reset the volume", func(t *testing.T) {
		b := setup(t, false, "delete")
		id := b.create()
		b.is(id, Available)
		b.do(func(tx *engine.Tx) error { return b.service.Delete(tx, project, id) })
		b.is(id, ErrorDeleting)
		if err := b.engine.Update(func(tx *engine.Tx) error { return b.service.Delete(tx, project, id) }); err == nil {
			t.Error("a deletion in error_deleting was accepted")
		}
		if err := b.engine.Update(func(tx *engine.Tx) error { return b.service.Reset(tx, project, id, "tidy") }); err == nil {
			t.Error("a reset to no status was accepted")
		}
		b.do(func(tx *engine.Tx) error { return b.service.Reset(tx, project, id, Failed) })
		b.do(func(tx *engine.Tx) error { return b.service.Delete(tx, project, id) })
	})
	t.Run("a failed extension keeps the size and gives the quota back", func(t *testing.T) {
		b := setup(t, false, "extend")
		id := b.create()
		b.is(id, Available)
		b.do(func(tx *engine.Tx) error { return b.service.Extend(tx, project, id, 5, false) })
		if v := b.is(id, ErrorExtending); v.SizeGiB != 1 {
			t.Errorf("size %d", v.SizeGiB)
		}
		_ = b.engine.View(func(tx *engine.Tx) error {
			if used := b.service.Usage(tx, project); used.Gigabytes != 1 {
				t.Errorf("used %+v", used)
			}
			return nil
		})
	})
	t.Run("a failed attach falls back to available", func(t *testing.T) {
		b := setup(t, false, "attach")
		id := b.create()
		b.is(id, Available)
		b.attach(id, "s")
		if v := b.is(id, Available); len(v.Attachments) != 0 {
			t.Errorf("attachments %+v", v.Attachments)
		}
	})
	t.Run("a failed detach falls back to in-use", func(t *testing.T) {
		b := setup(t, false, "detach")
		id := b.create()
		b.is(id, Available)
		b.attach(id, "s")
		b.is(id, InUse)
		b.do(func(tx *engine.Tx) error { return b.service.Detach(tx, project, id, "s") })
		if v := b.is(id, InUse); v.Attachments[0].Status != Attached {
			t.Errorf("attachment %+v", v.Attachments[0])
		}
	})
}

func TestATaskThatRunsAgainAfterItsOutcomeWasRecordedDoesNothing(t *testing.T) {
	b := setup(t, true)
	id := b.create()
	run := func(h engine.Handler, attachment string) {
		t.Helper()
		task := engine.Task{Args: []byte(`{"VolumeID":"` + id + `","AttachmentID":"` + attachment + `"}`)}
		for range 2 {
			if err := h(t.Context(), task); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(b.service.create, "")
	b.is(id, Available)
	b.do(func(tx *engine.Tx) error { return b.service.Extend(tx, project, id, 2, false) })
	run(b.service.extend, "")
	if v := b.is(id, Available); v.SizeGiB != 2 || v.NewSizeGiB != 0 {
		t.Errorf("volume %+v", v)
	}
	b.attach(id, "s")
	first := b.is(id, Reserved).Attachments[0].ID
	run(b.service.reserve, first)
	b.is(id, Attaching)
	run(b.service.attach, first)
	b.is(id, InUse)
	b.do(func(tx *engine.Tx) error { return b.service.Detach(tx, project, id, "s") })
	run(b.service.detach, first)
	b.attach(id, "t") // a new attachment, before the old detach runs once more
	b.is(id, Reserved)
	run(b.service.detach, first)
	b.is(id, Reserved)
	if want := []string{"create", "extend", "attach", "detach"}; !slices.Equal(b.disks.calls, want) {
		t.Errorf("the disks were asked for %v, want %v", b.disks.calls, want)
	}
}

func TestADetachThatFindsTheDeviceInUseIsAViolation(t *testing.T) {
	b := setup(t, false)
	b.disks.inUse = "postgres (4711)"
	id := b.create()
	b.is(id, Available)
	b.attach(id, "s")
	b.is(id, InUse)
	b.do(func(tx *engine.Tx) error { return b.service.Detach(tx, project, id, "s") })
	b.is(id, Available)
	if seen := b.engine.Violations(); len(seen) != 1 || seen[0].Kind != engine.DetachInUse || seen[0].Object != id {
		t.Errorf("violations %+v", seen)
	}
}

func TestEvictedVolumesLeaveInWhateverStateTheyAre(t *testing.T) {
	b := setup(t, true)
	states := map[string]string{} // volume id by where its attachment stood
	for _, state := range []string{"reserved", "attaching", "attached", "detaching", "extending"} {
		id := b.create()
		states[state] = id
		args := func(attachment string) engine.Task {
			return engine.Task{Args: []byte(`{"VolumeID":"` + id + `","AttachmentID":"` + attachment + `"}`)}
		}
		if err := b.service.create(t.Context(), args("")); err != nil {
			t.Fatal(err)
		}
		b.attach(id, "s")
		v, _ := b.get(id)
		a := v.Attachments[0].ID
		steps := map[string][]engine.Handler{
			"attaching": {b.service.reserve},
			"attached":  {b.service.reserve, b.service.attach},
			"detaching": {b.service.reserve, b.service.attach},
			"extending": {b.service.reserve, b.service.attach},
		}[state]
		for _, step := range steps {
			if err := step(t.Context(), args(a)); err != nil {
				t.Fatal(err)
			}
		}
		b.do(func(tx *engine.Tx) error {
			switch state {
			case "detaching":
				return b.service.Detach(tx, project, id, "s")
			case "extending":
				return b.service.Extend(tx, project, id, 2, true)
			}
			return nil
		})
	}
	b.do(func(tx *engine.Tx) error { return b.service.Evict(tx, "s") })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.engine.Run(ctx) }()
	for state, id := range states {
		if v := b.is(id, Available); len(v.Attachments) != 0 || state == "extending" && v.SizeGiB != 2 {
			t.Errorf("%s: %+v", state, v)
		}
	}
	stop()
	<-done
}

func TestDeviceNamesCountLikeTheKernels(t *testing.T) {
	for i, want := range map[int]string{0: "a", 1: "b", 25: "z", 26: "aa", 27: "ab", 51: "az", 52: "ba", 701: "zz", 702: "aaa"} {
		if got := letters(i); got != want {
			t.Errorf("%d: got %s, want %s", i, got, want)
		}
	}
}
