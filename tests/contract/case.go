package contract

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Case is one statement about an API, as a sentence, and its proof.
type Case struct {
	Name string
	Run  func(t *T, c *Cloud)
	// Differs is why devcloud does not fulfil the statement and need not; empty: it must. A case that differs and passes
	// on devcloud after all is an error: the reason is out of date.
	Differs string
}

// Area is a group of cases about one service.
type Area struct {
	Name  string
	Cases []Case
}

// T is to a case what testing.T is to a test; it lets the runner look at the outcome.
type T struct {
	ctx      context.Context
	cleanups []func()

	mu        sync.Mutex
	failures  []string
	quiet     int
	exchanges []Exchange
}

// Context ends with the run.
func (t *T) Context() context.Context { return t.ctx }

// Errorf notes a failure; the case goes on.
func (t *T) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

// Fatalf notes a failure and ends the case.
func (t *T) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

// Cleanup is run after the case, the last first, whatever became of it.
func (t *T) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

// Quietly runs f without recording its requests: for waiting, and for what need not happen the same way everywhere.
func (t *T) Quietly(f func()) {
	t.hush(+1)
	defer t.hush(-1)
	f()
}

func (t *T) hush(by int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.quiet += by
}

// record keeps the form of an answer, unless the case is quiet.
func (t *T) record(e Exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.quiet == 0 {
		t.exchanges = append(t.exchanges, e)
	}
}

// Outcome is what became of one case on one cloud.
type Outcome struct {
	Failures  []string // none: it passed
	Exchanges []Exchange
}

// Passed reports whether the case held.
func (o Outcome) Passed() bool { return len(o.Failures) == 0 }

func (o Outcome) String() string { return strings.Join(o.Failures, "\n") }

// run proves a case on a cloud.
func run(ctx context.Context, one Case, cloud *Cloud) Outcome {
	t := &T{ctx: ctx}
	apart(func() { one.Run(t, cloud) })
	t.hush(+1)
	for _, cleanup := range slices.Backward(t.cleanups) {
		apart(cleanup)
	}
	return Outcome{Failures: t.failures, Exchanges: t.exchanges}
}

// apart calls f on a goroutine of its own, so that Fatalf ends f alone, and returns when it has ended.
func apart(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}
