package loadbalancer

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/balancer"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

func TestWhatIsAdministrativelyDownServesNothing(t *testing.T) {
	t.Parallel()
	down := CommonSpec{AdminStateUp: engine.Some(false)}
	listeners := func(cfg balancer.Config) any { return len(cfg.Listeners) }
	tests := []struct {
		name string
		set  func(w *world, tx *engine.Tx, lb LoadBalancer, t Trees, pool string) error
		see  func(cfg balancer.Config) any
		want any
	}{
		{"a load balancer has no listeners", func(w *world, tx *engine.Tx, lb LoadBalancer, _ Trees, _ string) error {
			_, err := w.s.UpdateLoadBalancer(tx, project, lb.ID, LoadBalancerSpec{CommonSpec: down})
			return err
		}, listeners, 0},
		{"a listener is left out", func(w *world, tx *engine.Tx, lb LoadBalancer, t Trees, _ string) error {
			_, err := w.s.UpdateListener(tx, project, t.Listeners[lb.ID][0].ID, ListenerSpec{CommonSpec: down})
			return err
		}, listeners, 1},
		{"a listener refuses without its pool", func(w *world, tx *engine.Tx, _ LoadBalancer, _ Trees, pool string) error {
			_, err := w.s.UpdatePool(tx, project, pool, PoolSpec{CommonSpec: down})
			return err
		}, func(cfg balancer.Config) any { return cfg.Listeners[0].Pool == nil }, true},
		{"a member is not used", func(w *world, tx *engine.Tx, _ LoadBalancer, t Trees, pool string) error {
			_, err := w.s.UpdateMember(tx, project, pool, t.Members[pool][0].ID, MemberSpec{CommonSpec: down})
			return err
		}, func(cfg balancer.Config) any { return cfg.Listeners[0].Pool.Members[0].AdminDown }, true},
		{"a monitor does not probe", func(w *world, tx *engine.Tx, _ LoadBalancer, t Trees, pool string) error {
			_, err := w.s.UpdateMonitor(tx, project, t.Monitors[pool].ID, MonitorSpec{CommonSpec: down})
			return err
		}, func(cfg balancer.Config) any { return cfg.Listeners[0].Pool.Monitor == nil }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			lb := w.active()
			trees := w.trees(lb.ID)
			w.do(func(tx *engine.Tx) error { return tt.set(w, tx, lb, trees, trees.Pools[lb.ID][0].ID) })
			w.settle(lb.ID)
			cfg, _ := w.fake.Config(lb.ID)
			if got := tt.see(cfg); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestOperatingStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	lb := w.create(w.tree())
	status := func() []string {
		trees := w.trees(lb.ID)
		st := w.s.Status(trees)
		p := trees.Pools[lb.ID][0]
		got := []string{st.LoadBalancer(trees.LoadBalancers[0]), st.Listener(trees.Listeners[lb.ID][0]), st.Pool(p), st.Monitor(trees.Monitors[p.ID])}
		for _, m := range trees.Members[p.ID] {
			got = append(got, st.Member(m))
		}
		return got
	}
	check := func(name string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, status()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	check("while it is created", Offline, Offline, Offline, Offline, Offline, Offline)
	w.settle(lb.ID)
	check("all healthy", Online, Online, Online, Online, Online, Online)
	trees := w.trees(lb.ID)
	pool := trees.Pools[lb.ID][0].ID
	a, b := trees.Members[pool][0].ID, trees.Members[pool][1].ID
	w.fake.health = map[string]balancer.Health{a: balancer.Online, b: balancer.Error}
	check("one of two fails", Degraded, Online, Degraded, Online, Online, Failed)
	w.fake.health = map[string]balancer.Health{a: balancer.Error, b: balancer.Error}
	check("all fail", Failed, Online, Failed, Online, Failed, Failed)
	w.fake.health = map[string]balancer.Health{}
	check("not probed yet", Online, Online, Online, Online, Offline, Offline)
	w.fake.health = nil
	w.do(func(tx *engine.Tx) error {
		_, err := w.s.UpdateMember(tx, project, pool, a, MemberSpec{Weight: someNum(0)})
		return err
	})
	w.settle(lb.ID)
	check("one is drained", Online, Online, Online, Online, Draining, Online)
	w.do(func(tx *engine.Tx) error { return w.s.DeleteMonitor(tx, project, trees.Monitors[pool].ID) })
	w.settle(lb.ID)
	trees = w.trees(lb.ID)
	if got := w.s.Status(trees).Member(trees.Members[pool][1]); got != NoMonitor {
		t.Errorf("a member without a monitor is %s", got)
	}
}
