package cloudtest

import "slices"

// Phase is where in a call a fault strikes.
type Phase int

// The phases of a call.
const (
	Before Phase = iota // the call has no effect
	After               // the call has its effect, and its answer is lost
)

// Call is one call that the cloud received.
type Call struct {
	N      int // counts from 1
	Op     Op
	Object string // the id the call names; empty for lists and creations
}

// rule makes the next few calls of an operation fail.
type rule struct {
	op    Op
	phase Phase
	work  bool // fails the background work, not the call
	err   error
	left  int
}

// FailNext makes the next n calls of op fail with err (a sentinel of package cloud, or any error: ErrUnavailable).
func (m *Memory) FailNext(op Op, n int, phase Phase, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rules = append(m.rules, &rule{op: op, phase: phase, err: err, left: n})
}

// FailWork makes the cloud give up the background work of the next n accepted calls of op, as real clouds do: a
// creation ends in an error state, an attach or a detach silently rolls back, a balancer ends in an error state.
func (m *Memory) FailWork(op Op, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rules = append(m.rules, &rule{op: op, work: true, left: n})
}

// SetHook makes the cloud ask hook before and after the effect of every call; an error is the call's answer. The hook
// runs under the cloud's lock and must not call the cloud. nil removes it.
func (m *Memory) SetHook(hook func(Call, Phase) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = hook
}

func (m *Memory) fault(call Call, phase Phase) error {
	if m.hook != nil {
		if err := m.hook(call, phase); err != nil {
			return err
		}
	}
	for _, r := range m.rules {
		if !r.work && r.op == call.Op && r.phase == phase && r.left > 0 {
			r.left--
			return r.err
		}
	}
	return nil
}

func (m *Memory) workFails(op Op) bool {
	for _, r := range m.rules {
		if r.work && r.op == op && r.left > 0 {
			r.left--
			return true
		}
	}
	return false
}

// Calls are the calls received since the last ResetCalls, in order.
func (m *Memory) Calls() []Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

// Count is how many calls of the operations were received; without operations, of all.
func (m *Memory) Count(ops ...Op) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(ops) == 0 {
		return len(m.calls)
	}
	n := 0
	for _, c := range m.calls {
		if slices.Contains(ops, c.Op) {
			n++
		}
	}
	return n
}

// ResetCalls forgets the calls.
func (m *Memory) ResetCalls() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = nil
}
