package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"k8s.io/klog/v2"
)

// Task is work that goes on after the request was answered.
type Task struct {
	ID   string
	Kind string // "volume.create": chooses the handler and the operation time
	Key  string // tasks of one key run one after the other, in the order they were scheduled
	Due  time.Time
	Args json.RawMessage
	Try  int // failed runs so far; one that the process's end cut short is none
}

// Handler does a task. It is called without the engine's lock and may be called again for the same task if the process
// dies before it returned. When it returns nil the task is done; an error runs it again later.
type Handler func(ctx context.Context, t Task) error

// Again is what a Handler returns to run again after that time, without anything being wrong.
type Again time.Duration

func (a Again) Error() string { return "not yet: again in " + time.Duration(a).String() }

// Times says how long each kind of task takes, from Schedule to its handler's call.
type Times struct {
	Default time.Duration
	ByKind  map[string]time.Duration
}

func (t Times) of(kind string) time.Duration {
	if d, ok := t.ByKind[kind]; ok {
		return d
	}
	return t.Default
}

// SetTimes replaces the operation times; tasks scheduled before keep theirs.
func (e *Engine) SetTimes(t Times) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.times = t
}

// Times returns the operation times in force.
func (e *Engine) Times() Times {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.times
}

// Handle registers the handler of a kind of task.
func (e *Engine) Handle(kind string, h Handler) { e.handlers[kind] = h }

// Handles reports whether there is a handler for that kind of task.
func (e *Engine) Handles(kind string) bool { return e.handlers[kind] != nil }

// Schedule adds a task, due after its kind's operation time. args must marshal to JSON; read it with Task.Decode.
func (e *Engine) Schedule(tx *Tx, kind, key string, args any) error {
	return e.ScheduleIn(tx, e.times.of(kind), kind, key, args)
}

// ScheduleIn is Schedule with a delay of its own instead of the kind's operation time.
func (e *Engine) ScheduleIn(tx *Tx, delay time.Duration, kind, key string, args any) error {
	b, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("task %s %s: %w", kind, key, err)
	}
	e.tasks.Put(tx, Task{ID: uuid.NewString(), Kind: kind, Key: key, Due: e.Now().Add(delay), Args: b})
	return nil
}

// Pending reports whether tasks of that key are waiting or running.
func (e *Engine) Pending(tx *Tx, key string) bool {
	return len(e.tasks.Where(tx, func(t Task) bool { return t.Key == key })) > 0
}

// Decode reads the task's arguments.
func (t Task) Decode(into any) error {
	if err := json.Unmarshal(t.Args, into); err != nil {
		return fmt.Errorf("task %s %s: %w", t.Kind, t.Key, err)
	}
	return nil
}

// runner starts due tasks, at most one per key at a time.
type runner struct {
	e    *Engine
	mu   sync.Mutex
	busy map[string]bool
	wg   sync.WaitGroup
}

func newRunner(e *Engine) *runner { return &runner{e: e, busy: map[string]bool{}} }

func (r *runner) wait() { r.wg.Wait() }

// startDue starts what is due and returns how long until the next task is, or 0 when none waits.
func (r *runner) startDue(ctx context.Context) time.Duration {
	r.mu.Lock() // before the look: a task that ends in between must not be started again
	defer r.mu.Unlock()
	var waiting []Task
	_ = r.e.View(func(tx *Tx) error {
		waiting = r.e.tasks.Where(tx, nil)
		return nil
	})
	now := r.e.Now()
	var next time.Duration
	first := map[string]bool{} // only the oldest task of a key may start
	for _, t := range waiting {
		if first[t.Key] || r.busy[t.Key] {
			continue
		}
		first[t.Key] = true
		if d := t.Due.Sub(now); d > 0 {
			if next == 0 || d < next {
				next = d
			}
			continue
		}
		r.busy[t.Key] = true
		r.wg.Add(1)
		go r.run(ctx, t)
	}
	return next
}

func (r *runner) run(ctx context.Context, t Task) {
	defer r.wg.Done()
	handler, ok := r.e.handlers[t.Kind]
	err := fmt.Errorf("task %s: no handler", t.Kind)
	if ok {
		err = handler(ctx, t)
	}
	if err == nil || ctx.Err() == nil { // else it was cut short and runs again at the next start
		r.record(ctx, t, err)
	}
	r.mu.Lock()
	delete(r.busy, t.Key)
	r.mu.Unlock()
	r.e.kick()
}

// record ends a task or puts it off.
func (r *runner) record(ctx context.Context, t Task, result error) {
	var again Again
	waits := errors.As(result, &again)
	err := r.e.Update(func(tx *Tx) error {
		if result == nil {
			r.e.tasks.Delete(tx, t.ID)
			return nil
		}
		if waits {
			t.Due = r.e.Now().Add(time.Duration(again))
		} else {
			t.Try++
			t.Due = r.e.Now().Add(min(time.Duration(t.Try)*200*time.Millisecond, 5*time.Second))
		}
		r.e.tasks.Put(tx, t)
		return nil
	})
	if result != nil && !waits {
		klog.FromContext(ctx).Error(result, "Task failed and will run again", "kind", t.Kind, "key", t.Key, "try", t.Try)
	}
	if err != nil {
		klog.FromContext(ctx).Error(err, "Task's end was not saved", "kind", t.Kind, "key", t.Key)
	}
}
