package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type thing struct {
	ID   string
	Size int
	Tags []string
}

// open makes an engine with one table of things.
func open(t *testing.T, opts Options) (*Engine, *Table[thing]) {
	t.Helper()
	e, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	things, err := NewTable(e, "things", func(v thing) string { return v.ID })
	if err != nil {
		t.Fatal(err)
	}
	return e, things
}

func update(t *testing.T, e *Engine, fn func(tx *Tx) error) {
	t.Helper()
	if err := e.Update(fn); err != nil {
		t.Fatal(err)
	}
}

func ids(e *Engine, things *Table[thing]) (ids []string) {
	_ = e.View(func(tx *Tx) error {
		for _, v := range things.Where(tx, nil) {
			ids = append(ids, fmt.Sprint(v.ID, v.Size))
		}
		return nil
	})
	return ids
}

// running runs the engine until stop is called.
func running(t *testing.T, e *Engine) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func TestAFailedUpdateChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	e, things := open(t, Options{Path: path})
	update(t, e, func(tx *Tx) error {
		things.Put(tx, thing{ID: "a", Size: 1})
		things.Put(tx, thing{ID: "b", Size: 2})
		return nil
	})
	failure := errors.New("no")
	err := e.Update(func(tx *Tx) error {
		things.Put(tx, thing{ID: "a", Size: 9})
		things.Put(tx, thing{ID: "a", Size: 10})
		things.Delete(tx, "b")
		things.Put(tx, thing{ID: "b", Size: 3})
		things.Put(tx, thing{ID: "c", Size: 4})
		things.Delete(tx, "c")
		things.Put(tx, thing{ID: "d", Size: 5})
		if err := e.Schedule(tx, "kind", "key", nil); err != nil {
			t.Error(err)
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Fatalf("got %v", err)
	}
	want := []string{"a1", "b2"}
	if got := ids(e, things); !slices.Equal(got, want) {
		t.Errorf("in memory %v", got)
	}
	_ = e.View(func(tx *Tx) error {
		if e.Pending(tx, "key") {
			t.Error("the task stayed")
		}
		return nil
	})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e, things = open(t, Options{Path: path})
	defer e.Close()
	if got := ids(e, things); !slices.Equal(got, want) {
		t.Errorf("in the file %v", got)
	}
}

func TestAPanicInAnUpdateChangesNothing(t *testing.T) {
	e, things := open(t, Options{})
	update(t, e, func(tx *Tx) error { things.Put(tx, thing{ID: "a", Size: 1}); return nil })
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = e.Update(func(tx *Tx) error {
			things.Put(tx, thing{ID: "a", Size: 2})
			things.Put(tx, thing{ID: "b", Size: 3})
			panic("half way")
		})
	}()
	if got := ids(e, things); !slices.Equal(got, []string{"a1"}) {
		t.Errorf("half a change stayed: %v", got)
	}
	update(t, e, func(tx *Tx) error { things.Delete(tx, "a"); return nil }) // the lock was given back
}

func TestARunCutShortByTheProcesssEndIsNoFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for range 3 {
		e, _ := open(t, Options{Path: path})
		tries := make(chan int, 1)
		e.Handle("kind", func(ctx context.Context, task Task) error {
			tries <- task.Try
			<-ctx.Done()
			return ctx.Err()
		})
		update(t, e, func(tx *Tx) error {
			if e.Pending(tx, "key") {
				return nil
			}
			return e.Schedule(tx, "kind", "key", nil)
		})
		stop := running(t, e)
		if got := <-tries; got != 0 {
			t.Errorf("the task was told of %d failures", got)
		}
		stop()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRowsComeBackInTheirOrderAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	var want []string
	for round := range 3 {
		e, things := open(t, Options{Path: path})
		if got := ids(e, things); !slices.Equal(got, want) {
			t.Fatalf("round %d: %v, want %v", round, got, want)
		}
		update(t, e, func(tx *Tx) error {
			for _, id := range []string{"z", "m", "a"} { // not the order of the keys
				id += fmt.Sprint(round)
				things.Put(tx, thing{ID: id, Size: round, Tags: []string{"x"}})
				want = append(want, fmt.Sprint(id, round))
			}
			if round > 0 { // a change keeps a row's place
				old, _ := things.Get(tx, "z0")
				old.Size = round + 10
				things.Put(tx, old)
				want[0] = fmt.Sprint("z0", old.Size)
			}
			return nil
		})
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAViolationIsKeptThoughTheRequestIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	e, things := open(t, Options{Path: path})
	refusal := Refuse(Invalid, "no")
	err := e.Update(func(tx *Tx) error {
		things.Put(tx, thing{ID: "a"})
		e.Violate(tx, DeleteAttached, "volume", "detail")
		return refusal
	})
	var got *Error
	if !errors.As(err, &got) || got.Message != "no" {
		t.Fatalf("got %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e, things = open(t, Options{Path: path})
	defer e.Close()
	if seen := e.Violations(); len(seen) != 1 || seen[0].Kind != DeleteAttached || seen[0].Object != "volume" {
		t.Errorf("violations %+v", seen)
	}
	if got := ids(e, things); got != nil {
		t.Errorf("the rest of the transaction stayed: %v", got)
	}
}

func TestWritingInAViewPanics(t *testing.T) {
	e, things := open(t, Options{})
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	_ = e.View(func(tx *Tx) error {
		things.Put(tx, thing{ID: "a"})
		return nil
	})
}

func TestTasksOfOneKeyRunInOrderAndOfSeveralAtTheSameTime(t *testing.T) {
	e, _ := open(t, Options{})
	var mu sync.Mutex
	var order []string
	bothRun := make(chan struct{}, 2)
	e.Handle("step", func(_ context.Context, task Task) error {
		var name string
		if err := task.Decode(&name); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		order = append(order, name)
		return nil
	})
	e.Handle("meet", func(ctx context.Context, _ Task) error { // ends only when two run at the same time
		bothRun <- struct{}{}
		for len(bothRun) < 2 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	update(t, e, func(tx *Tx) error {
		return errors.Join(
			e.ScheduleIn(tx, 30*time.Millisecond, "step", "k", "1"), // the later ones wait for it
			e.ScheduleIn(tx, 0, "step", "k", "2"),
			e.ScheduleIn(tx, 0, "step", "k", "3"),
			e.Schedule(tx, "meet", "a", nil),
			e.Schedule(tx, "meet", "b", nil),
		)
	})
	running(t, e)
	eventually(t, "all tasks", func() bool {
		empty := false
		_ = e.View(func(tx *Tx) error { empty = e.tasks.Len(tx) == 0; return nil })
		return empty
	})
	if !slices.Equal(order, []string{"1", "2", "3"}) {
		t.Errorf("order %v", order)
	}
}

func TestATaskThatWasRunningWhenTheProcessEndedRunsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	e, _ := open(t, Options{Path: path})
	started := make(chan struct{})
	e.Handle("kind", func(ctx context.Context, _ Task) error {
		close(started)
		<-ctx.Done()
		return ctx.Err()
	})
	update(t, e, func(tx *Tx) error { return e.Schedule(tx, "kind", "key", "args") })
	stop := running(t, e)
	<-started
	stop()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e, _ = open(t, Options{Path: path})
	defer e.Close()
	ran := make(chan string, 2)
	e.Handle("kind", func(_ context.Context, task Task) error {
		var args string
		err := task.Decode(&args)
		ran <- args
		return err
	})
	defer running(t, e)()
	if got := <-ran; got != "args" {
		t.Errorf("ran with %q", got)
	}
}

func TestAFailedTaskIsTriedAgainAndBlocksItsKeyOnly(t *testing.T) {
	e, _ := open(t, Options{})
	var mu sync.Mutex
	var order []string
	note := func(s string) { mu.Lock(); order = append(order, s); mu.Unlock() }
	e.Handle("fragile", func(_ context.Context, task Task) error {
		note(fmt.Sprint("try", task.Try))
		if task.Try < 2 {
			return errors.New("not yet")
		}
		return nil
	})
	e.Handle("polling", func() Handler {
		polls := 0
		return func(_ context.Context, task Task) error {
			if polls++; polls < 3 {
				return Again(time.Millisecond)
			}
			note(fmt.Sprint("polled, try", task.Try))
			return nil
		}
	}())
	e.Handle("after", func(context.Context, Task) error { note("after"); return nil })
	update(t, e, func(tx *Tx) error {
		return errors.Join(
			e.Schedule(tx, "fragile", "k", nil), e.Schedule(tx, "after", "k", nil), e.Schedule(tx, "polling", "other", nil))
	})
	running(t, e)
	want := []string{"try0", "polled, try0", "try1", "try2", "after"}
	eventually(t, "all tasks", func() bool { mu.Lock(); defer mu.Unlock(); return len(order) == len(want) })
	mu.Lock()
	defer mu.Unlock()
	if i := slices.Index(order, "polled, try0"); i < 0 || slices.Index(order, "after") != len(order)-1 && i != len(order)-1 {
		t.Errorf("order %v", order)
	}
}

func TestTasksFallDueByTheVirtualClock(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Unix(0, 0))
	e, _ := open(t, Options{Clock: clock, Times: Times{Default: time.Minute, ByKind: map[string]time.Duration{"slow": time.Hour}}})
	ran := make(chan string, 2)
	for _, kind := range []string{"slow", "quick"} {
		e.Handle(kind, func(context.Context, Task) error { ran <- kind; return nil })
	}
	update(t, e, func(tx *Tx) error {
		return errors.Join(e.Schedule(tx, "slow", "a", nil), e.Schedule(tx, "quick", "b", nil))
	})
	running(t, e)
	step := func(d time.Duration) {
		eventually(t, "the engine waits", clock.HasWaiters)
		clock.Step(d)
	}
	step(59 * time.Second)
	select {
	case kind := <-ran:
		t.Fatalf("%s ran too early", kind)
	case <-time.After(20 * time.Millisecond):
	}
	step(time.Second)
	if got := <-ran; got != "quick" {
		t.Fatalf("%s ran first", got)
	}
	step(59 * time.Minute)
	if got := <-ran; got != "slow" {
		t.Fatalf("%s ran", got)
	}
}

func TestNoTaskRunsTwiceUnderLoad(t *testing.T) {
	e, things := open(t, Options{})
	var mu sync.Mutex
	runs := map[string]int{}
	e.Handle("once", func(_ context.Context, task Task) error {
		mu.Lock()
		runs[task.ID]++
		mu.Unlock()
		return e.Update(func(tx *Tx) error {
			v, _ := things.Get(tx, task.Key)
			things.Put(tx, thing{ID: task.Key, Size: v.Size + 1})
			return nil
		})
	})
	running(t, e)
	const workers, each = 8, 50
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				if err := e.Update(func(tx *Tx) error { return e.Schedule(tx, "once", fmt.Sprint("key", w%3), nil) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "all tasks", func() bool { mu.Lock(); defer mu.Unlock(); return len(runs) == workers*each })
	mu.Lock()
	defer mu.Unlock()
	for id, n := range runs {
		if n != 1 {
			t.Errorf("task %s ran %d times", id, n)
		}
	}
}
