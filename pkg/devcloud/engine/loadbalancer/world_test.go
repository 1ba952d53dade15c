package loadbalancer

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/balancer"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const project = "p"

// fake is a Balancer that can be told to fail and what the members' health is.
type fake struct {
	Null
	mu      sync.Mutex
	fail    int           // so many more calls of Apply and Remove fail
	hold    chan struct{} // not nil: Apply says here that it began, and ends with its context
	applied int
	health  map[string]balancer.Health
}

func (f *fake) stumble() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied++
	if f.fail > 0 {
		f.fail--
		return errors.New("no data plane today")
	}
	return nil
}

func (f *fake) Apply(ctx context.Context, cfg balancer.Config) error {
	if err := f.stumble(); err != nil {
		return err
	}
	if f.hold != nil {
		f.hold <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	return f.Null.Apply(ctx, cfg)
}

func (f *fake) Remove(ctx context.Context, id string) error {
	if err := f.stumble(); err != nil {
		return err
	}
	return f.Null.Remove(ctx, id)
}

func (f *fake) Health(id string) map[string]balancer.Health {
	if f.health != nil {
		return f.health
	}
	return f.Null.Health(id)
}

func (f *fake) set(fail int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.applied = fail, 0
}

// world is a cloud with a tenant subnet behind a router, and load balancing over a fake data plane.
type world struct {
	t      *testing.T
	e      *engine.Engine
	n      *network.Service
	s      *Service
	fake   *fake
	subnet network.Subnet
	public string
}

func newWorld(t *testing.T, path string) *world {
	t.Helper()
	e, err := engine.New(engine.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, e: e, fake: &fake{}}
	t.Cleanup(w.close)
	if w.n, err = network.New(e, network.DefaultQuota()); err != nil {
		t.Fatal(err)
	}
	if w.s, err = New(e, w.n, w.fake, DefaultQuota()); err != nil {
		t.Fatal(err)
	}
	cfg := network.Config{
		Networks: []network.NetworkConfig{
			{Name: "public", External: true, Subnets: []network.SubnetConfig{{Name: "ps", CIDR: netip.MustParsePrefix("172.30.0.0/24")}}},
			{Name: "lab", Subnets: []network.SubnetConfig{{Name: "ls", CIDR: netip.MustParsePrefix("10.200.0.0/24")}}},
		},
		Routers: []network.RouterConfig{{Name: "r", ExternalNetwork: "public", Subnets: []string{"ls"}}},
	}
	w.do(func(tx *engine.Tx) error { return w.n.Seed(tx, cfg, project) })
	w.do(func(tx *engine.Tx) error {
		for _, n := range w.n.Networks(tx) {
			if n.External {
				w.public = n.ID
			} else {
				w.subnet = w.n.SubnetsOf(tx, n.ID)[0]
			}
		}
		return w.s.Restore(tx)
	})
	return w
}

func (w *world) close() {
	if err := w.e.Close(); err != nil {
		w.t.Error(err)
	}
}

// do runs fn in a transaction that must succeed.
func (w *world) do(fn func(tx *engine.Tx) error) {
	w.t.Helper()
	if err := w.e.Update(fn); err != nil {
		w.t.Fatal(err)
	}
}

// refused runs fn in a transaction that must be refused for that reason.
func (w *world) refused(reason engine.Reason, fn func(tx *engine.Tx) error) {
	w.t.Helper()
	err := w.e.Update(fn)
	var refusal *engine.Error
	if !errors.As(err, &refusal) || refusal.Reason != reason {
		w.t.Fatalf("got %v, want %s", err, reason)
	}
}

// settle runs the engine until nothing is pending for a load balancer.
func (w *world) settle(lbID string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.e.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for pending := true; pending; {
		select {
		case <-ctx.Done():
			w.t.Fatalf("load balancer %s did not settle", lbID)
		case <-tick.C:
		}
		_ = w.e.View(func(tx *engine.Tx) error {
			pending = w.e.Pending(tx, lbID)
			return nil
		})
	}
}

// tree is a populated creation: two listeners, of which each has a pool with two members.
func (w *world) tree() LoadBalancerSpec {
	pool := func(name string, port int) *PoolSpec {
		members := []MemberSpec{}
		for _, a := range []string{"10.200.0.11", "10.200.0.12"} {
			members = append(members, MemberSpec{Address: engine.Some(a), Port: someNum(port), SubnetID: engine.Some(w.subnet.ID)})
		}
		return &PoolSpec{
			CommonSpec: named(name), Protocol: engine.Some("TCP"), Algorithm: engine.Some("ROUND_ROBIN"), Members: members,
			Monitor: &MonitorSpec{
				CommonSpec: named(name), Type: engine.Some("TCP"), Delay: someNum(5), Timeout: someNum(3), MaxRetries: someNum(2),
			},
		}
	}
	return LoadBalancerSpec{
		CommonSpec: named("lb"), VIPSubnetID: engine.Some(w.subnet.ID),
		Listeners: []ListenerSpec{
			{CommonSpec: named("l80"), Protocol: engine.Some("TCP"), Port: someNum(80), DefaultPool: pool("p80", 30080)},
			{CommonSpec: named("l443"), Protocol: engine.Some("TCP"), Port: someNum(443), DefaultPool: pool("p443", 30443)},
		},
	}
}

func named(name string) CommonSpec { return CommonSpec{Name: engine.Some(name)} }

// create makes a load balancer that is still pending.
func (w *world) create(spec LoadBalancerSpec) LoadBalancer {
	w.t.Helper()
	var lb LoadBalancer
	w.do(func(tx *engine.Tx) (err error) {
		lb, err = w.s.CreateLoadBalancer(tx, project, spec)
		return err
	})
	return lb
}

// active makes a load balancer with the tree above that is ACTIVE.
func (w *world) active() LoadBalancer {
	w.t.Helper()
	lb := w.create(w.tree())
	w.settle(lb.ID)
	return lb
}

func (w *world) trees(lbID string) (t Trees) {
	_ = w.e.View(func(tx *engine.Tx) error {
		t = w.s.Trees(tx, lbID)
		return nil
	})
	return t
}

// states counts the parts of a tree by provisioning status.
func (w *world) states(lbID string) map[string]int {
	t, states := w.trees(lbID), map[string]int{}
	for _, lb := range t.LoadBalancers {
		states[lb.Provisioning]++
		for _, l := range t.Listeners[lb.ID] {
			states[l.Provisioning]++
		}
		for _, p := range t.Pools[lb.ID] {
			states[p.Provisioning]++
			for _, m := range t.Members[p.ID] {
				states[m.Provisioning]++
			}
			if m, ok := t.Monitors[p.ID]; ok {
				states[m.Provisioning]++
			}
		}
	}
	return states
}

func someNum(n int) num { return num{engine.Some(n)} }
