package observe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// thing is an object of a cloud that works on it until a time.
type thing struct {
	id    string
	until time.Time
}

func (o thing) ready() bool { return !time.Now().Before(o.until) }

// shop is a cloud of things.
type shop struct {
	mu          sync.Mutex
	things      map[string]thing
	gets, lists int
	hidden      map[string]bool // not in lists
	err         error
	delay       time.Duration
}

func (s *shop) put(id string, work time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.things == nil {
		s.things = map[string]thing{}
	}
	s.things[id] = thing{id, time.Now().Add(work)}
}

func (s *shop) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gets + s.lists
}

func (s *shop) get(ctx context.Context, id string) (view, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	if s.err != nil {
		return view{}, s.err
	}
	o, ok := s.things[id]
	if !ok {
		return view{}, &cloud.Error{Kind: cloud.ErrNotFound, Op: "get", Object: id}
	}
	return view{id, o.ready()}, s.pause(ctx)
}

func (s *shop) list(ctx context.Context) ([]view, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
	var all []view
	for id, o := range s.things {
		if !s.hidden[id] {
			all = append(all, view{id, o.ready()})
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	return all, s.pause(ctx)
}

func (s *shop) pause(ctx context.Context) error {
	if s.delay == 0 {
		return nil
	}
	select {
	case <-time.After(s.delay):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// view is a thing as an answer shows it.
type view struct {
	id    string
	ready bool
}

func ready(v view, err error) (bool, error) { return v.ready || err != nil, err }

func newObserver(s *shop) *Observer[view] {
	return New(Options[view]{Get: s.get, List: s.list, ID: func(v view) string { return v.id }})
}

func TestAnEndIsSeenInTimeWithinTheBudget(t *testing.T) {
	for _, T := range []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, 4 * time.Second, 33 * time.Second, 90 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := &shop{}
			o := newObserver(s)
			for i := range 12 {
				before, start := s.calls(), time.Now()
				s.put("a", T)
				if v, err := o.Await(t.Context(), "attach", "a", ready); err != nil || v.id != "a" || !v.ready {
					t.Fatalf("Await: %v, %v", v, err)
				}
				if took := time.Since(start); took > promise(T) {
					t.Errorf("T=%v, round %d: seen after %v", T, i, took)
				}
				budget := 1 + int(T/(500*time.Millisecond))
				if i >= samplesToKnow {
					budget = 3
				}
				if polls := s.calls() - before; polls > budget {
					t.Errorf("T=%v, round %d: %d polls, budget %d", T, i, polls, budget)
				}
			}
			if s.lists != 0 {
				t.Errorf("%d lists for a single waiter", s.lists)
			}
		})
	}
}

func TestManyWaitersShareThePolls(t *testing.T) {
	const many = 50
	for name, round := range map[string]int{"cold": 1, "learned": 4} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &shop{}
				o := newObserver(s)
				for range round {
					before := s.calls()
					var wg sync.WaitGroup
					for i := range many {
						wg.Go(func() {
							time.Sleep(time.Duration(i) * 20 * time.Millisecond)
							id, start := fmt.Sprint("d", i), time.Now()
							s.put(id, 4*time.Second)
							if _, err := o.Await(t.Context(), "attach", id, ready); err != nil {
								t.Error(err)
							}
							if took := time.Since(start); took > promise(4*time.Second) {
								t.Errorf("waiter %d saw it after %v", i, took)
							}
						})
					}
					wg.Wait()
					if polls := s.calls() - before; polls > many/2 {
						t.Errorf("%d polls for %d waiters", polls, many)
					}
				}
				if s.gets > 4*round {
					t.Errorf("%d objects were read one by one", s.gets)
				}
			})
		})
	}
}

func TestAbsenceFromAListIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{hidden: map[string]bool{"a": true}}
		o := newObserver(s)
		s.put("a", time.Second)
		s.put("b", time.Second)
		var wg sync.WaitGroup
		for _, id := range []string{"a", "b"} {
			wg.Go(func() {
				if v, err := o.Await(t.Context(), "", id, ready); err != nil || !v.ready {
					t.Errorf("%s: %v, %v", id, v, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestThatAnObjectIsGoneIsForThePredicateToJudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserver(&shop{})
		gone := func(_ view, err error) (bool, error) { return errors.Is(err, cloud.ErrNotFound), nil }
		if _, err := o.Await(t.Context(), "delete", "a", gone); err != nil {
			t.Errorf("waiting for the end: %v", err)
		}
		if _, err := o.Await(t.Context(), "attach", "a", ready); !errors.Is(err, cloud.ErrNotFound) {
			t.Errorf("waiting for readiness: %v", err)
		}
	})
}

func TestFailuresOfAPoll(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		ends bool
		in   time.Duration
	}{
		"an unavailable cloud is asked again":          {err: &cloud.Error{Kind: cloud.ErrUnavailable, Op: "get"}, in: 3 * time.Second},
		"a cloud that asks for a pause is given it":    {err: &cloud.Error{Kind: cloud.ErrUnavailable, Op: "get", RetryAfter: 7 * time.Second}, in: 8 * time.Second},
		"a cloud that refuses to answer ends it":       {err: &cloud.Error{Kind: cloud.ErrUnauthorized, Op: "get"}, ends: true, in: time.Second},
		"an answer that never comes is asked for anew": {err: context.DeadlineExceeded, in: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &shop{err: tc.err}
				o := newObserver(s)
				s.put("a", 0)
				start := time.Now()
				go func() {
					time.Sleep(2 * time.Second)
					s.mu.Lock()
					defer s.mu.Unlock()
					s.err = nil
				}()
				_, err := o.Await(t.Context(), "attach", "a", ready)
				if tc.ends != errors.Is(err, tc.err) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(start); took > tc.in {
					t.Errorf("it took %v", took)
				}
				time.Sleep(2 * time.Second)
			})
		})
	}
}

func TestAWaitThatIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{}
		o := newObserver(s)
		s.put("a", time.Hour)
		s.put("b", 4*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			v, err := o.Await(ctx, "attach", "a", ready)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the deadline", err)
			}
			if v.id != "a" || v.ready {
				t.Errorf("got %v, want what was seen last", v)
			}
		})
		wg.Go(func() {
			if _, err := o.Await(t.Context(), "attach", "b", ready); err != nil {
				t.Errorf("the other waiter was disturbed: %v", err)
			}
		})
		wg.Wait()
	})
}

func TestAWaitEndsDuringAPollThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{delay: time.Hour}
		o := newObserver(s)
		s.put("a", 0)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		if _, err := o.Await(ctx, "attach", "a", ready); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestTheErrorNamesTheCloudsLastTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{err: &cloud.Error{Kind: cloud.ErrUnavailable, Op: "get disk", Message: "bad gateway"}}
		o := newObserver(s)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := o.Await(ctx, "attach", "a", ready)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, cloud.ErrUnavailable) || !strings.Contains(err.Error(), "bad gateway") {
			t.Errorf("got %v", err)
		}
	})
}

func TestALoopThatHasEndedTellsThoseWhoCameAfterItNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserver(&shop{things: map[string]thing{"a": {id: "a"}}, delay: time.Second})
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		time.AfterFunc(400*time.Millisecond, func() { o.poll(ended) }) // of the loop of earlier waiters
		ctx, cancel := context.WithTimeout(t.Context(), 450*time.Millisecond)
		defer cancel()
		if _, err := o.Await(ctx, "", "a", ready); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("got %v: the ended loop's failure is taken for the cloud's", err)
		}
	})
}

func TestAPollThatWasSentBeforeAWaitDoesNotAnswerIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{delay: time.Second}
		o := newObserver(s)
		s.put("a", 0)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = o.Await(t.Context(), "", "a", ready) }) // asks at 0.5 s, is answered at 1.5 s
		time.Sleep(time.Second)
		start := time.Now()
		if _, err := o.Await(t.Context(), "", "a", ready); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < time.Second {
			t.Errorf("answered after %v: by a question from before", took)
		}
		wg.Wait()
	})
}
