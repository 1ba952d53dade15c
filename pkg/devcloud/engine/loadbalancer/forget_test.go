package loadbalancer

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// The defect of Octavia 11.0.0 and what ends it: see ForgetParts.
func TestForgottenPartsStayPendingAndServeNothingUntilTheyAreWrittenTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.s.ForgetParts(func() bool { return true })
	lb := w.active()
	expect := func(when string, listeners int, states map[string]int) {
		t.Helper()
		if diff := cmp.Diff(states, w.states(lb.ID)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		if cfg, _ := w.fake.Config(lb.ID); len(cfg.Listeners) != listeners {
			t.Errorf("%s: %d listeners serve, want %d", when, len(cfg.Listeners), listeners)
		}
	}
	expect("created", 0, map[string]int{Active: 1, PendingCreate: 10})

	p := w.trees(lb.ID).Pools[lb.ID][0]
	members := []MemberSpec{}
	for _, a := range []string{"10.200.0.11", "10.200.0.12"} {
		members = append(members, MemberSpec{Address: engine.Some(a), Port: someNum(w.trees(lb.ID).Members[p.ID][0].Port)})
	}
	setMembers := func(tx *engine.Tx) error { return w.s.SetMembers(tx, project, p.ID, members, false) }
	w.refused(engine.Conflict, setMembers)
	w.do(func(tx *engine.Tx) error {
		_, err := w.s.UpdateLoadBalancer(tx, project, lb.ID, LoadBalancerSpec{CommonSpec: named("renamed")})
		return err
	})
	w.settle(lb.ID)
	expect("renamed", 0, map[string]int{Active: 1, PendingCreate: 10})

	for _, step := range []struct {
		name   string
		write  func(tx *engine.Tx) error
		active int
	}{
		{"with its pool, all listeners", func(tx *engine.Tx) error {
			_, err := w.s.UpdatePool(tx, project, p.ID, PoolSpec{Algorithm: engine.Some(p.Algorithm)})
			return err
		}, 1 + 2 + 1},
		{"members that are what they were", setMembers, 1 + 2 + 1 + 2},
		{"a monitor that is what it was", func(tx *engine.Tx) error {
			m, _ := w.s.monitorOf(tx, p)
			_, err := w.s.UpdateMonitor(tx, project, m.ID, MonitorSpec{Delay: someNum(5)})
			return err
		}, 1 + 2 + 1 + 2 + 1},
	} {
		w.do(step.write)
		w.settle(lb.ID)
		expect(step.name, 2, map[string]int{Active: step.active, PendingCreate: 11 - step.active})
	}
}
