package observe

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"k8s.io/utils/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a list in the cloud whose reading takes a second and gives the number of the reading.
type source struct {
	reads atomic.Int32
	err   error
}

func (s *source) fetch(ctx context.Context) ([]int32, error) {
	n := s.reads.Add(1)
	select {
	case <-time.After(time.Second):
		return []int32{n}, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func mustGet(t *testing.T, c *ListCache[int32], notOlderThan time.Time) int32 {
	t.Helper()
	items, err := c.Get(t.Context(), notOlderThan)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return items[0]
}

func TestListCacheAsksAgainWhen(t *testing.T) {
	for name, tc := range map[string]struct {
		pause        time.Duration
		notOlderThan func(asked time.Time) time.Time
		want         int32
	}{
		"the answer is within its ttl: no": {
			pause: 2 * time.Second, notOlderThan: func(time.Time) time.Time { return time.Time{} }, want: 1,
		},
		"the answer has outlived its ttl: yes": {
			pause: 10 * time.Second, notOlderThan: func(time.Time) time.Time { return time.Time{} }, want: 2,
		},
		"the reader accepts answers asked for before the last one: no": {
			pause: 2 * time.Second, notOlderThan: func(asked time.Time) time.Time { return asked.Add(-time.Second) }, want: 1,
		},
		"the reader wrote in the instant of the question: yes": {
			pause: 2 * time.Second, notOlderThan: func(asked time.Time) time.Time { return asked }, want: 2,
		},
		"the reader wrote between question and answer: yes": {
			pause: 2 * time.Second, notOlderThan: func(asked time.Time) time.Time { return asked.Add(time.Millisecond) }, want: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{}
				c := NewListCache(src.fetch, 5*time.Second, clock.RealClock{})
				asked := time.Now()
				mustGet(t, c, time.Time{})
				time.Sleep(tc.pause)
				if got := mustGet(t, c, tc.notOlderThan(asked)); got != tc.want {
					t.Errorf("answer %d, want %d", got, tc.want)
				}
			})
		})
	}
}

func TestFiftyReadersShareAtMostTwoFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{}
		c := NewListCache(src.fetch, 0, clock.RealClock{})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				now := time.Now()
				mustGet(t, c, now)
				if i > 0 && time.Since(now) < time.Second {
					t.Errorf("reader %d was answered by a question asked before it came", i)
				}
			})
		}
		wg.Wait()
		if n := src.reads.Load(); n != 2 {
			t.Errorf("%d fetches, want 2: the first reader's, and one for all who came while it was under way", n)
		}
	})
}

func TestAReaderThatLeavesDisturbsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{}
		c := NewListCache(src.fetch, 0, clock.RealClock{})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Get(ctx, time.Time{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first reader got %v, want its deadline", err)
			}
		})
		wg.Go(func() {
			time.Sleep(50 * time.Millisecond)
			if got := mustGet(t, c, time.Time{}); got != 1 {
				t.Errorf("answer %d, want the first fetch's", got)
			}
		})
		wg.Wait()
	})
}

func TestAFetchNobodyWaitsForIsCancelledAndNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{}
		c := NewListCache(src.fetch, time.Minute, clock.RealClock{})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := c.Get(ctx, time.Time{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want the deadline", err)
		}
		if got := mustGet(t, c, time.Time{}); got != 2 {
			t.Errorf("answer %d, want that of a second fetch", got)
		}
	})
}

func TestAFailureIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &source{err: errors.New("no answer")}
		c := NewListCache(src.fetch, time.Minute, clock.RealClock{})
		if _, err := c.Get(t.Context(), time.Time{}); !errors.Is(err, src.err) {
			t.Fatalf("got %v, want the fetch's error", err)
		}
		src.err = nil
		if got := mustGet(t, c, time.Time{}); got != 2 {
			t.Errorf("answer %d, want that of a second fetch", got)
		}
	})
}
