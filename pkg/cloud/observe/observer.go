package observe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

const (
	// listPause is the least pause between two lists: what lies closer together is answered by one.
	listPause = 200 * time.Millisecond
	// pollTimeout ends a poll that the cloud does not answer; the next one is tried as scheduled.
	pollTimeout = 30 * time.Second
)

// Options say how an Observer reads objects.
type Options[T any] struct {
	// Get reads one object from the cloud itself; cloud.ErrNotFound is proof of absence.
	Get func(ctx context.Context, id string) (T, error)
	// List reads many objects at once. It need not hold all of them: what it lacks is read by Get.
	List func(ctx context.Context) ([]T, error)
	// ID is an object's id, as given to Get.
	ID func(T) string
}

// Done says whether a wait is over, and with which result. It gets the object as the cloud shows it, or an error that
// is cloud.ErrNotFound when the object does not exist. It must be quick and must not call the Observer.
type Done[T any] func(object T, err error) (bool, error)

// Observer tells callers when an object fulfils a predicate. It polls no matter how many wait: a single waiter by
// reading its object, many by one list for all. It learns how long each kind of operation takes and leaves out the
// polls before that. An operation that takes T is seen by T + max(0.5 s, 5 % of T) plus the time of one poll.
//
// It has a goroutine only while somebody waits. Safe for concurrent use.
type Observer[T any] struct {
	opts Options[T]

	mu       sync.Mutex
	waiters  map[*waiter[T]]struct{}
	bands    map[string]band // by kind
	stop     context.CancelFunc
	wake     chan struct{}
	lastList time.Time
	notUntil time.Time // the cloud asked to be left alone until then
}

// waiter is one call of Await.
type waiter[T any] struct {
	kind, id string
	start    time.Time
	last     time.Duration // when the last answered poll was sent, since start; 0: none yet
	due      time.Time
	done     Done[T]
	seen     T
	trouble  error // why the last poll had no answer
	result   chan error
}

// New returns an Observer.
func New[T any](opts Options[T]) *Observer[T] {
	return &Observer[T]{
		opts:    opts,
		waiters: map[*waiter[T]]struct{}{},
		bands:   map[string]band{},
		wake:    make(chan struct{}, 1),
	}
}

// Await waits until done says so of the object id, and returns the object as last seen together with done's error.
// Call it right after the cloud accepted the operation: kind names the operation ("attach"), and its times are learned
// under that name. Pass the empty kind when the operation was begun by somebody else, some time ago.
//
// When ctx ends first, Await returns what was seen last and an error that is ctx.Err() and names the last trouble of
// the cloud, if any. An unavailable cloud does not end the wait; any other failure to read the object does.
func (o *Observer[T]) Await(ctx context.Context, kind, id string, done Done[T]) (T, error) {
	w := &waiter[T]{kind: kind, id: id, start: time.Now(), done: done, result: make(chan error, 1)}
	o.join(ctx, w)
	select {
	case err := <-w.result:
		return w.seen, err
	case <-ctx.Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case err := <-w.result: // it was answered at the same moment
		return w.seen, err
	default:
	}
	o.leave(w)
	err := fmt.Errorf("wait for %s: %w", id, ctx.Err())
	if w.trouble != nil {
		err = fmt.Errorf("%w (the cloud's last answer: %w)", err, w.trouble)
	}
	return w.seen, err
}

// join adds the waiter, and starts the loop with the first one.
func (o *Observer[T]) join(ctx context.Context, w *waiter[T]) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w.due = w.start.Add(o.bands[w.kind].next(0))
	o.waiters[w] = struct{}{}
	if o.stop == nil {
		// The loop keeps the first waiter's values (its logger), but not its end.
		loopCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		o.stop = cancel
		go o.run(loopCtx)
		return
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// leave removes the waiter, and ends the loop with the last one. Called with the lock held.
func (o *Observer[T]) leave(w *waiter[T]) {
	delete(o.waiters, w)
	if len(o.waiters) == 0 && o.stop != nil {
		o.stop()
		o.stop = nil
	}
}

// run polls until its context ends, which is when nobody waits any more.
func (o *Observer[T]) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(time.Until(o.nextPoll()))
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
			continue
		case <-timer.C:
		}
		o.poll(ctx)
		if ctx.Err() != nil {
			return
		}
	}
}

// nextPoll is when the first waiter is due.
func (o *Observer[T]) nextPoll() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	var first time.Time
	ids := map[string]struct{}{}
	for w := range o.waiters {
		ids[w.id] = struct{}{}
		if first.IsZero() || w.due.Before(first) {
			first = w.due
		}
	}
	if pause := o.lastList.Add(listPause); len(ids) > 1 && first.Before(pause) {
		first = pause
	}
	if first.Before(o.notUntil) {
		first = o.notUntil
	}
	return first
}

// poll asks the cloud once for everybody who waits now. A waiter that comes later is not answered by it: its question
// would be answered from before its operation began.
func (o *Observer[T]) poll(ctx context.Context) {
	o.mu.Lock()
	asked := time.Now()
	present := make([]*waiter[T], 0, len(o.waiters))
	ids := map[string]struct{}{}
	for w := range o.waiters {
		present = append(present, w)
		ids[w.id] = struct{}{}
	}
	if len(ids) > 1 {
		o.lastList = asked
	}
	o.mu.Unlock()

	pollCtx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	answers := o.read(pollCtx, ids)

	o.mu.Lock()
	defer o.mu.Unlock()
	if ctx.Err() != nil {
		return // all who waited have left; whoever waits now has a loop of their own
	}
	for _, w := range present {
		if _, waits := o.waiters[w]; waits {
			o.tell(w, asked, answers[w.id])
		}
	}
}

// answer is an object, or why there is none.
type answer[T any] struct {
	object T
	err    error
}

// read asks the cloud for the objects: one by Get, several by List, and by Get again what the list lacks, because
// absence from a list is no proof.
func (o *Observer[T]) read(ctx context.Context, ids map[string]struct{}) map[string]answer[T] {
	answers := make(map[string]answer[T], len(ids))
	if len(ids) > 1 {
		objects, err := o.opts.List(ctx)
		for _, object := range objects {
			if id := o.opts.ID(object); err == nil {
				answers[id] = answer[T]{object: object}
			}
		}
		if err != nil {
			for id := range ids {
				answers[id] = answer[T]{err: err}
			}
		}
	}
	for id := range ids {
		if _, ok := answers[id]; !ok {
			object, err := o.opts.Get(ctx, id)
			answers[id] = answer[T]{object, err}
		}
	}
	return answers
}

// tell gives an answer to one waiter. Called with the lock held.
func (o *Observer[T]) tell(w *waiter[T], asked time.Time, a answer[T]) {
	elapsed := max(asked.Sub(w.start), 1)
	if a.err != nil && !errors.Is(a.err, cloud.ErrNotFound) {
		if transient(a.err) {
			w.trouble = a.err
			w.due = time.Now().Add(step(elapsed))
			var ce *cloud.Error
			if errors.As(a.err, &ce) && ce.RetryAfter > 0 {
				o.notUntil = time.Now().Add(ce.RetryAfter)
			}
			return
		}
		o.finish(w, fmt.Errorf("wait for %s: %w", w.id, a.err))
		return
	}
	w.trouble = nil
	if a.err == nil {
		w.seen = a.object
	}
	done, err := w.done(a.object, a.err)
	if done {
		if w.kind != "" && err == nil {
			o.bands[w.kind] = o.bands[w.kind].learned(w.last, elapsed)
		}
		o.finish(w, err)
		return
	}
	w.last = elapsed
	w.due = w.start.Add(o.bands[w.kind].next(elapsed))
}

func (o *Observer[T]) finish(w *waiter[T], err error) {
	w.result <- err
	o.leave(w)
}

// transient reports whether a failed poll says nothing about the next one.
func transient(err error) bool {
	return errors.Is(err, cloud.ErrUnavailable) || errors.Is(err, cloud.ErrBusy) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
