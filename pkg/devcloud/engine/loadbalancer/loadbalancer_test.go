package loadbalancer

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/balancer"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

func TestPopulatedCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	lb := w.create(w.tree())
	if diff := cmp.Diff(map[string]int{PendingCreate: 11}, w.states(lb.ID)); diff != "" {
		t.Errorf("states after the request (-want +got):\n%s", diff)
	}
	w.do(func(tx *engine.Tx) error {
		p, err := w.n.Port(tx, lb.VIPPortID)
		if p.Name != "octavia-lb-"+lb.ID || p.DeviceID != "lb-"+lb.ID || p.DeviceOwner != "Octavia" || p.ProjectID != project ||
			p.FixedIPs[0].Address != lb.VIPAddress || p.Status() != "DOWN" {
			t.Errorf("VIP port: %+v", p)
		}
		return err
	})
	w.settle(lb.ID)
	if diff := cmp.Diff(map[string]int{Active: 11}, w.states(lb.ID)); diff != "" {
		t.Errorf("states when settled (-want +got):\n%s", diff)
	}
	cfg, _ := w.fake.Config(lb.ID)
	pool := func(port int) *balancer.Pool {
		return &balancer.Pool{
			Algorithm: "ROUND_ROBIN",
			Members:   []balancer.Member{{Address: "10.200.0.11", Port: port, Weight: 1}, {Address: "10.200.0.12", Port: port, Weight: 1}},
			Monitor:   &balancer.Monitor{Type: "TCP", Delay: 5 * time.Second, Timeout: 3 * time.Second, MaxRetries: 2, MaxRetriesDown: 3},
		}
	}
	listener := func(port, target int) balancer.Listener {
		return balancer.Listener{
			Port: port, ConnectionLimit: -1, Pool: pool(target),
			ClientTimeout: 50 * time.Second, MemberTimeout: 50 * time.Second, MemberConnectTimeout: 5 * time.Second,
		}
	}
	want := balancer.Config{
		ID: lb.ID, Addresses: []string{lb.VIPAddress.String()},
		Listeners: []balancer.Listener{listener(80, 30080), listener(443, 30443)},
	}
	ids := cmp.FilterPath(func(p cmp.Path) bool { return len(p) > 2 && p.Last().String() == ".ID" }, cmp.Ignore())
	if diff := cmp.Diff(want, cfg, ids); diff != "" {
		t.Errorf("data plane (-want +got):\n%s", diff)
	}
}

func TestPoolsOfAPopulatedCreate(t *testing.T) {
	t.Parallel()
	pool := func(name string) PoolSpec {
		return PoolSpec{CommonSpec: named(name), Protocol: engine.Some("TCP"), Algorithm: engine.Some("SOURCE_IP")}
	}
	listener := func(port int, p *PoolSpec) ListenerSpec {
		return ListenerSpec{Protocol: engine.Some("TCP"), Port: someNum(port), DefaultPool: p}
	}
	named := func(name string) *PoolSpec { return &PoolSpec{CommonSpec: named(name)} }
	full := func(name string) *PoolSpec { p := pool(name); return &p }
	tests := []struct {
		name      string
		pools     []PoolSpec
		listeners []ListenerSpec
		want      int // pools; 0: refused
	}{
		{"two listeners may name one pool of the load balancer", []PoolSpec{pool("a")}, []ListenerSpec{listener(1, named("a")), listener(2, named("a"))}, 1},
		{"a listener may name a pool that another brings", nil, []ListenerSpec{listener(1, full("a")), listener(2, named("a"))}, 1},
		{"a pool needs no listener", []PoolSpec{pool("a"), pool("b")}, nil, 2},
		{"a pool needs a name", []PoolSpec{pool("")}, nil, 0},
		{"a brought pool needs a name", nil, []ListenerSpec{listener(1, full(""))}, 0},
		{"a name may not be used twice", []PoolSpec{pool("a")}, []ListenerSpec{listener(1, full("a"))}, 0},
		{"a named pool must be there", nil, []ListenerSpec{listener(1, named("a"))}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			spec := LoadBalancerSpec{VIPSubnetID: engine.Some(w.subnet.ID), Pools: tt.pools, Listeners: tt.listeners}
			if tt.want > 0 {
				lb := w.create(spec)
				if got := len(w.trees(lb.ID).Pools[lb.ID]); got != tt.want {
					t.Errorf("%d pools, want %d", got, tt.want)
				}
				return
			}
			w.refused(engine.Invalid, func(tx *engine.Tx) error {
				_, err := w.s.CreateLoadBalancer(tx, project, spec)
				return err
			})
			w.do(func(tx *engine.Tx) error {
				if n := len(w.s.LoadBalancers(tx)); n != 0 || w.n.Usage(tx, project).Port != 1 {
					t.Error("a refused creation left something")
				}
				return nil
			})
		})
	}
}

// writes are all the ways to change a part of a tree.
func (w *world) writes(lb LoadBalancer) map[string]func(tx *engine.Tx) error {
	t := w.trees(lb.ID)
	l, p := t.Listeners[lb.ID][0].ID, t.Pools[lb.ID][0].ID
	m, hm := t.Members[p][0].ID, t.Monitors[p].ID
	fresh := MemberSpec{Address: engine.Some("10.200.0.50"), Port: someNum(1)}
	return map[string]func(tx *engine.Tx) error{
		"update load balancer": func(tx *engine.Tx) error {
			_, err := w.s.UpdateLoadBalancer(tx, project, lb.ID, LoadBalancerSpec{CommonSpec: named("x")})
			return err
		},
		"create listener": func(tx *engine.Tx) error {
			_, err := w.s.CreateListener(tx, project, ListenerSpec{LoadBalancerID: engine.Some(lb.ID), Protocol: engine.Some("TCP"), Port: someNum(81)})
			return err
		},
		"update listener": func(tx *engine.Tx) error {
			_, err := w.s.UpdateListener(tx, project, l, ListenerSpec{Limit: someNum(5)})
			return err
		},
		"delete listener": func(tx *engine.Tx) error { return w.s.DeleteListener(tx, project, l) },
		"create pool": func(tx *engine.Tx) error {
			_, err := w.s.CreatePool(tx, project, PoolSpec{LoadBalancerID: engine.Some(lb.ID), Protocol: engine.Some("TCP"), Algorithm: engine.Some("ROUND_ROBIN")})
			return err
		},
		"update pool": func(tx *engine.Tx) error {
			_, err := w.s.UpdatePool(tx, project, p, PoolSpec{Algorithm: engine.Some("LEAST_CONNECTIONS")})
			return err
		},
		"delete pool": func(tx *engine.Tx) error { return w.s.DeletePool(tx, project, p) },
		"create member": func(tx *engine.Tx) error {
			_, err := w.s.CreateMember(tx, project, p, fresh)
			return err
		},
		"update member": func(tx *engine.Tx) error {
			_, err := w.s.UpdateMember(tx, project, p, m, MemberSpec{Weight: someNum(0)})
			return err
		},
		"delete member": func(tx *engine.Tx) error { return w.s.DeleteMember(tx, project, p, m) },
		"set members":   func(tx *engine.Tx) error { return w.s.SetMembers(tx, project, p, []MemberSpec{fresh}, false) },
		"update monitor": func(tx *engine.Tx) error {
			_, err := w.s.UpdateMonitor(tx, project, hm, MonitorSpec{Delay: someNum(1)})
			return err
		},
		"delete monitor": func(tx *engine.Tx) error { return w.s.DeleteMonitor(tx, project, hm) },
	}
}

func TestATreeIsImmutableUnlessActive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	lb := w.active()
	for _, state := range []string{PendingCreate, PendingUpdate, PendingDelete, Errored} {
		w.do(func(tx *engine.Tx) error {
			v, _ := w.s.lbs.Get(tx, lb.ID)
			v.Provisioning = state
			w.s.lbs.Put(tx, v)
			return nil
		})
		for name, write := range w.writes(lb) {
			t.Run(name+" while "+state, func(t *testing.T) {
				w := *w
				w.t = t
				w.refused(engine.Conflict, write)
			})
		}
		if state != Errored {
			w.refused(engine.Conflict, func(tx *engine.Tx) error { return w.s.DeleteLoadBalancer(tx, project, lb.ID, true) })
		}
		w.refused(engine.Invalid, func(tx *engine.Tx) error { return w.s.DeleteLoadBalancer(tx, project, lb.ID, false) })
	}
	w.do(func(tx *engine.Tx) error { return w.s.DeleteLoadBalancer(tx, project, lb.ID, true) }) // ERROR can be deleted
}

func TestEveryWriteSettles(t *testing.T) {
	t.Parallel()
	names := []string{}
	for name := range newWorld(t, "").writesOf() {
		names = append(names, name)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			lb := w.active()
			write := w.writes(lb)[name]
			w.do(write)
			if w.states(lb.ID)[PendingUpdate] == 0 {
				t.Errorf("nothing is pending: %v", w.states(lb.ID))
			}
			w.refused(engine.Conflict, write)
			w.settle(lb.ID)
			if s := w.states(lb.ID); len(s) != 1 || s[Active] == 0 {
				t.Errorf("settled as %v", s)
			}
		})
	}
}

func (w *world) writesOf() map[string]func(tx *engine.Tx) error { return w.writes(w.active()) }

func TestBatchMembers(t *testing.T) {
	t.Parallel()
	a, b, c := "10.200.0.11", "10.200.0.12", "10.200.0.13"
	spec := func(address string) MemberSpec {
		return MemberSpec{Address: engine.Some(address), Port: someNum(30080)}
	}
	heavy := spec(a)
	heavy.Weight = someNum(7)
	tests := []struct {
		name     string
		specs    []MemberSpec
		additive bool
		pending  map[string]string // of the members' states before it settles; absent: ACTIVE
		left     []string
	}{
		{"one joins", []MemberSpec{spec(a), spec(b), spec(c)}, false, map[string]string{c: PendingCreate}, []string{a, b, c}},
		{"one leaves", []MemberSpec{spec(b)}, false, map[string]string{a: PendingDelete}, []string{b}},
		{"nobody leaves an additive update", []MemberSpec{spec(c)}, true, map[string]string{c: PendingCreate}, []string{a, b, c}},
		{"one changes its weight", []MemberSpec{heavy, spec(b)}, false, map[string]string{a: PendingUpdate}, []string{a, b}},
		{"nothing changes", []MemberSpec{spec(a), spec(b)}, false, map[string]string{}, []string{a, b}},
		{"all leave", []MemberSpec{}, false, map[string]string{a: PendingDelete, b: PendingDelete}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			lb := w.active()
			pool := w.trees(lb.ID).Pools[lb.ID][0].ID
			w.do(func(tx *engine.Tx) error { return w.s.SetMembers(tx, project, pool, tt.specs, tt.additive) })
			got := map[string]string{}
			for _, m := range w.trees(lb.ID).Members[pool] {
				if m.Provisioning != Active {
					got[m.Address.String()] = m.Provisioning
				}
			}
			if diff := cmp.Diff(tt.pending, got); diff != "" {
				t.Errorf("pending members (-want +got):\n%s", diff)
			}
			if w.states(lb.ID)[PendingUpdate] < 3 { // the load balancer, the listener, the pool
				t.Errorf("even without a change it goes through PENDING_UPDATE: %v", w.states(lb.ID))
			}
			w.settle(lb.ID)
			var left []string
			for _, m := range w.trees(lb.ID).Members[pool] {
				left = append(left, m.Address.String())
			}
			if diff := cmp.Diff(tt.left, left, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			cfg, _ := w.fake.Config(lb.ID)
			if got := len(cfg.Listeners[0].Pool.Members); got != len(tt.left) {
				t.Errorf("the data plane has %d members, want %d", got, len(tt.left))
			}
		})
	}
	w := newWorld(t, "")
	lb := w.active()
	pool := w.trees(lb.ID).Pools[lb.ID][0].ID
	w.refused(engine.Conflict, func(tx *engine.Tx) error {
		return w.s.SetMembers(tx, project, pool, []MemberSpec{spec(a), spec(a)}, false)
	})
}

func TestDeletionLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, vipPortGone := range []bool{false, true} {
		w := newWorld(t, "")
		lb := w.active()
		var f network.FloatingIP
		w.do(func(tx *engine.Tx) (err error) {
			f, err = w.n.CreateFloatingIP(tx, network.FloatingIPSpec{ProjectID: project, NetworkID: w.public, PortID: lb.VIPPortID})
			return err
		})
		if vipPortGone {
			w.do(func(tx *engine.Tx) error { return w.n.DeletePort(tx, lb.VIPPortID) })
		}
		w.do(func(tx *engine.Tx) error { return w.s.DeleteLoadBalancer(tx, project, lb.ID, true) })
		w.settle(lb.ID)
		w.do(func(tx *engine.Tx) error {
			for name, n := range map[string]int{
				"load balancers": w.s.lbs.Len(tx), "listeners": w.s.listeners.Len(tx), "pools": w.s.pools.Len(tx),
				"members": w.s.members.Len(tx), "monitors": w.s.monitors.Len(tx), "ports": len(w.n.PortsOfDevice(tx, "lb-"+lb.ID)),
			} {
				if n != 0 {
					t.Errorf("%d %s are left", n, name)
				}
			}
			f, err := w.n.FloatingIP(tx, f.ID)
			if f.PortID != "" {
				t.Error("the floating IP still points at the VIP port")
			}
			return err
		})
		if _, ok := w.fake.Config(lb.ID); ok {
			t.Error("the data plane still serves")
		}
		w.refused(engine.NotFound, func(tx *engine.Tx) error { return w.s.DeleteLoadBalancer(tx, project, lb.ID, true) })
	}
}

func TestACrashOnlyDelaysTheOutcome(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		before func(w *world) LoadBalancer
		want   map[string]int
	}{
		{"in PENDING_CREATE", func(w *world) LoadBalancer { return w.create(w.tree()) }, map[string]int{Active: 11}},
		{"in PENDING_UPDATE", func(w *world) LoadBalancer {
			lb := w.active()
			w.do(w.writes(lb)["delete member"])
			return lb
		}, map[string]int{Active: 10}},
		{"in PENDING_DELETE", func(w *world) LoadBalancer {
			lb := w.active()
			w.do(func(tx *engine.Tx) error { return w.s.DeleteLoadBalancer(tx, project, lb.ID, true) })
			return lb
		}, map[string]int{}},
		{"while ACTIVE", func(w *world) LoadBalancer { return w.active() }, map[string]int{Active: 11}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "state.db")
			before := newWorld(t, path)
			lb := tt.before(before)
			before.close()
			after := newWorld(t, path)
			after.settle(lb.ID)
			if diff := cmp.Diff(tt.want, after.states(lb.ID)); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
			if _, serves := after.fake.Config(lb.ID); serves != (len(tt.want) > 0) {
				t.Errorf("the data plane serves: %v", serves)
			}
		})
	}
}

func TestALoadBalancerServesAtOnceAfterARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	before := newWorld(t, path)
	lb := before.active()
	before.e.SetTimes(engine.Times{ByKind: map[string]time.Duration{TaskUpdate: time.Hour}})
	before.do(before.writes(lb)["delete listener"])
	before.close()
	after := newWorld(t, path)
	after.settle(lb.ID + "/restore") // while the update waits
	if cfg, _ := after.fake.Config(lb.ID); len(cfg.Listeners) != 1 || len(cfg.Addresses) != 1 {
		t.Errorf("it serves %+v", cfg)
	}
	if s := after.states(lb.ID); s[PendingUpdate] == 0 {
		t.Errorf("the update was settled before its time: %v", s)
	}
}

func TestAFailingDataPlane(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.fake.set(2)
	lb := w.active()
	if diff := cmp.Diff(map[string]int{Active: 11}, w.states(lb.ID)); diff != "" {
		t.Errorf("after two failures it still gets ACTIVE (-want +got):\n%s", diff)
	}
	w.fake.set(maxTries)
	w.do(w.writes(lb)["delete pool"])
	w.settle(lb.ID)
	if s := w.states(lb.ID); s[Errored] == 0 || s[PendingUpdate]+s[PendingDelete] != 0 {
		t.Errorf("after %d failures: %v", maxTries, s)
	}
	w.fake.set(1)
	w.do(func(tx *engine.Tx) error { return w.s.DeleteLoadBalancer(tx, project, lb.ID, true) })
	w.settle(lb.ID)
	if s := w.states(lb.ID); len(s) != 0 {
		t.Errorf("a deletion is tried until it works, left: %v", s)
	}
}

func TestAStopInTheMiddleOfTheLastTryIsNoFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	lb := w.create(LoadBalancerSpec{VIPSubnetID: engine.Some(w.subnet.ID)})
	w.fake.set(maxTries - 1)
	w.fake.hold = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.e.Run(ctx) })
	<-w.fake.hold
	cancel()
	wg.Wait()
	w.fake.hold = nil
	w.settle(lb.ID)
	w.do(func(tx *engine.Tx) error {
		if lb, err := w.s.LoadBalancer(tx, project, lb.ID); err != nil || lb.Provisioning != Active {
			t.Errorf("load balancer %+v, %v", lb, err)
		}
		return nil
	})
}

func TestAddressesFollowTheFloatingIPs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	w := newWorld(t, path)
	lb := w.active()
	addresses := func() []string {
		t.Helper()
		w.settle(lb.ID)
		if s := w.states(lb.ID); s[Active] != 11 {
			t.Errorf("addresses changed the states: %v", s)
		}
		cfg, _ := w.fake.Config(lb.ID)
		return cfg.Addresses
	}
	vip := lb.VIPAddress.String()
	var f network.FloatingIP
	w.do(func(tx *engine.Tx) (err error) {
		f, err = w.n.CreateFloatingIP(tx, network.FloatingIPSpec{ProjectID: project, NetworkID: w.public, PortID: lb.VIPPortID})
		return err
	})
	if diff := cmp.Diff([]string{vip, f.Address.String()}, addresses()); diff != "" {
		t.Errorf("after the association (-want +got):\n%s", diff)
	}
	w.close()
	w = newWorld(t, path)
	if diff := cmp.Diff([]string{vip, f.Address.String()}, addresses()); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	w.do(func(tx *engine.Tx) error {
		_, err := w.n.UpdateFloatingIP(tx, f.ID, network.Naming{}, &network.Association{})
		return err
	})
	if diff := cmp.Diff([]string{vip}, addresses()); diff != "" {
		t.Errorf("after the disassociation (-want +got):\n%s", diff)
	}
	w.do(func(tx *engine.Tx) error { return w.n.DeletePort(tx, lb.VIPPortID) })
	if got := addresses(); len(got) != 0 {
		t.Errorf("without its port the VIP still answers: %v", got)
	}
}
