package observe

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// ListCache shares one list of the cloud among all readers of the process. At most one fetch is under way; a failed
// fetch is told to those who wait for it and is not remembered. Safe for concurrent use.
type ListCache[T any] struct {
	fetch func(ctx context.Context) ([]T, error)
	ttl   time.Duration
	clock clock.PassiveClock

	mu     sync.Mutex
	cached bool
	items  []T
	asked  time.Time // when the fetch that gave items began
	flight *flight[T]
}

// flight is one fetch under way.
type flight[T any] struct {
	began   time.Time
	readers int
	cancel  context.CancelFunc
	done    chan struct{} // closed when items and err are set
	items   []T
	err     error
}

// NewListCache returns a cache over fetch whose answers are good for ttl (0: every Get asks the cloud, or joins those
// who are asking).
func NewListCache[T any](fetch func(ctx context.Context) ([]T, error), ttl time.Duration, clk clock.PassiveClock) *ListCache[T] {
	return &ListCache[T]{fetch: fetch, ttl: ttl, clock: clk}
}

// Get returns a list that is younger than the cache's ttl and that was asked for at notOlderThan or later. An answer's
// age counts from when the question was sent. Pass the time before a look-up that must not be stale (before a create,
// after one's own write), or the zero time when any answer within the ttl will do. The slice is shared: do not change it.
//
// A reader that leaves because its ctx ends disturbs no other; a fetch that nobody waits for any more is cancelled.
func (c *ListCache[T]) Get(ctx context.Context, notOlderThan time.Time) ([]T, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("read the shared list: %w", err)
		}
		c.mu.Lock()
		if c.fresh(notOlderThan) {
			items := c.items
			c.mu.Unlock()
			return items, nil
		}
		f := c.flight
		if f != nil && f.began.Before(notOlderThan) {
			// What is under way was asked too early for this reader; the next flight will serve it.
			c.mu.Unlock()
			select {
			case <-f.done:
			case <-ctx.Done():
			}
			continue
		}
		if f == nil {
			f = c.depart(ctx)
		}
		f.readers++
		c.mu.Unlock()
		return c.board(ctx, f)
	}
}

// fresh reports whether the remembered answer serves. An answer asked for in the very instant of notOlderThan may be
// older than what happened in that instant, so it does not.
func (c *ListCache[T]) fresh(notOlderThan time.Time) bool {
	return c.cached && c.clock.Since(c.asked) < c.ttl && (notOlderThan.IsZero() || c.asked.After(notOlderThan))
}

// depart starts a fetch that outlives the reader who caused it. Called with the lock held.
func (c *ListCache[T]) depart(ctx context.Context) *flight[T] {
	fctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight[T]{began: c.clock.Now(), cancel: cancel, done: make(chan struct{})}
	c.flight = f
	go func() {
		defer cancel()
		items, err := c.fetch(fctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		f.items, f.err = items, err
		if c.flight == f {
			c.flight = nil
			if err == nil {
				c.cached, c.items, c.asked = true, items, f.began
			}
		}
		close(f.done)
	}()
	return f
}

// board waits for the flight's answer.
func (c *ListCache[T]) board(ctx context.Context, f *flight[T]) ([]T, error) {
	select {
	case <-f.done:
		return f.items, f.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f.readers--
	if f.readers == 0 {
		f.cancel()
		if c.flight == f {
			c.flight = nil
		}
	}
	return nil, fmt.Errorf("read the shared list: %w", ctx.Err())
}
