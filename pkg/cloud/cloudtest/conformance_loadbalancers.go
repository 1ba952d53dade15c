package cloudtest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

var loadBalancerCases = map[string]func(*testing.T, *suite){
	"a whole tree is created in one request":        balancerTree,
	"two listeners share a pool":                    balancerSharedPool,
	"a list by tags has exactly the matching ones":  balancerTags,
	"a pending balancer is busy":                    balancerBusy,
	"listeners come, change and go":                 balancerListeners,
	"pools and monitors come, change and go":        balancerPools,
	"members are replaced as a whole":               balancerMembers,
	"bad wishes are invalid and create nothing":     balancerInvalid,
	"what does not exist is not found":              balancerAbsent,
	"a deleted balancer is gone with all its parts": balancerDelete,
}

// tree is a balancer with one listener, a pool of two members, and a monitor.
func (s *suite) tree() cloud.LoadBalancer {
	return cloud.LoadBalancer{
		Name: s.identity, Description: "of the conformance suite", VIPSubnetID: s.SubnetID,
		Tags: []string{"fairlead/cluster=" + s.identity, "fairlead/service=one"},
		Listeners: []cloud.Listener{{
			Name: "80-tcp", Protocol: "TCP", Port: 80, ConnectionMax: 100, AllowedCIDRs: []string{"192.0.2.0/24"}, Pool: "80-tcp",
			TimeoutClientData: 40000, TimeoutMemberConnect: 4000, TimeoutMemberData: 30000,
		}},
		Pools: []cloud.Pool{{
			Name: "80-tcp", Protocol: "TCP", Algorithm: "ROUND_ROBIN", Persistence: "SOURCE_IP",
			Members: []cloud.Member{
				{Name: "n1", Address: s.Members[0], Port: 30080, Weight: 1, SubnetID: s.SubnetID},
				{Name: "n2", Address: s.Members[1], Port: 30080, Weight: 2, SubnetID: s.SubnetID, MonitorPort: 10256},
			},
			Monitor: &cloud.Monitor{Name: "80-tcp", Type: "HTTP", Delay: 5, Timeout: 3, MaxRetries: 2, MaxRetriesDown: 3,
				Path: "/healthz", HTTPMethod: "GET", ExpectedCodes: "200"},
		}},
	}
}

// balancer makes an active balancer that is removed with the test.
func (s *suite) balancer(t *testing.T, change func(*cloud.LoadBalancer)) cloud.LoadBalancer {
	t.Helper()
	spec := s.tree()
	if change != nil {
		change(&spec)
	}
	lb, err := s.Cloud.CreateLoadBalancer(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	s.dropBalancer(t, lb.ID)
	s.settled(t, lb.ID)
	return s.read(t, lb.ID)
}

func (s *suite) dropBalancer(t *testing.T, id string) {
	t.Cleanup(func() {
		s.gone(t, "load balancer "+id, func() error {
			if err := s.Cloud.DeleteLoadBalancer(cleanup(t), id); err != nil {
				return err
			}
			_, err := s.Cloud.GetLoadBalancerState(cleanup(t), id)
			return err
		})
	})
}

// settled waits until a balancer takes writes again.
func (s *suite) settled(t *testing.T, id string) {
	t.Helper()
	s.eventually(t, "load balancer "+id+" to be active", func() bool {
		lb, err := s.Cloud.GetLoadBalancerState(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if lb.Provisioning == cloud.ProvisioningError {
			t.Fatalf("load balancer %s is in %s", id, lb.RawState)
		}
		return lb.Provisioning == cloud.ProvisioningActive
	})
}

func (s *suite) read(t *testing.T, id string) cloud.LoadBalancer {
	t.Helper()
	lb, err := s.Cloud.GetLoadBalancer(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return lb
}

// write makes one change to a balancer: it must be accepted, cost one request, and settle.
func (s *suite) write(t *testing.T, lbID, what string, change func() error) cloud.LoadBalancer {
	t.Helper()
	s.costs(t, what, 1, func() {
		if err := change(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	})
	s.settled(t, lbID)
	return s.read(t, lbID)
}

// bare removes from a tree what only the cloud knows, to compare it with what was asked for.
func bare(lb cloud.LoadBalancer) cloud.LoadBalancer {
	lb = copyBalancer(&lb)
	names := map[string]string{}
	for i := range lb.Pools {
		p := &lb.Pools[i]
		names[p.ID] = p.Name
		p.ID, p.Provisioning = "", ""
		for j := range p.Members {
			p.Members[j].ID, p.Members[j].Provisioning = "", ""
		}
		slices.SortFunc(p.Members, func(a, b cloud.Member) int { return strings.Compare(a.Name, b.Name) })
		if p.Monitor != nil {
			p.Monitor.ID, p.Monitor.Provisioning = "", ""
		}
	}
	for i := range lb.Listeners {
		l := &lb.Listeners[i]
		if l.DefaultPoolID != "" {
			l.Pool = names[l.DefaultPoolID]
		}
		l.ID, l.DefaultPoolID, l.Provisioning = "", "", ""
	}
	slices.SortFunc(lb.Listeners, func(a, b cloud.Listener) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(lb.Pools, func(a, b cloud.Pool) int { return strings.Compare(a.Name, b.Name) })
	lb.ID, lb.Provisioning, lb.RawState, lb.Provider, lb.VIP, lb.VIPPortID, lb.VIPNetworkID = "", "", "", "", "", "", ""
	slices.Sort(lb.Tags)
	return lb
}

func balancerTree(t *testing.T, s *suite) {
	var lb cloud.LoadBalancer
	var err error
	s.costs(t, "create", 1, func() { lb, err = s.Cloud.CreateLoadBalancer(t.Context(), s.tree()) })
	if err != nil {
		t.Fatal(err)
	}
	s.dropBalancer(t, lb.ID)
	if lb.ID == "" || lb.VIP == "" || lb.VIPPortID == "" || lb.Provisioning != cloud.ProvisioningPending && lb.Provisioning != cloud.ProvisioningActive {
		t.Errorf("the answer is %+v", lb)
	}
	s.settled(t, lb.ID)
	s.costs(t, "full read", 3+2, func() { lb = s.read(t, lb.ID) })
	if lb.VIP == "" || lb.VIPPortID == "" || lb.VIPNetworkID == "" || lb.Provider == "" || lb.RawState == "" {
		t.Errorf("incomplete: %+v", lb)
	}
	for _, l := range lb.Listeners {
		if l.ID == "" || l.Provisioning != cloud.ProvisioningActive {
			t.Errorf("listener %+v", l)
		}
	}
	for _, p := range lb.Pools {
		bad := slices.ContainsFunc(p.Members, func(m cloud.Member) bool { return m.ID == "" || m.Provisioning != cloud.ProvisioningActive })
		if bad || p.ID == "" || p.Monitor == nil || p.Monitor.ID == "" || p.Monitor.Provisioning != cloud.ProvisioningActive {
			t.Errorf("pool %+v", p)
		}
	}
	if diff := cmp.Diff(bare(s.tree()), bare(lb)); diff != "" {
		t.Error(diff)
	}
	var state cloud.LoadBalancer
	s.costs(t, "state", 1, func() { state, err = s.Cloud.GetLoadBalancerState(t.Context(), lb.ID) })
	if err != nil || state.ID != lb.ID || state.VIP != lb.VIP || len(state.Listeners)+len(state.Pools) != 0 {
		t.Errorf("the state is %+v, %v", state, err)
	}
	var got cloud.LoadBalancer
	s.costs(t, "states of the parts", 1, func() { got, err = s.Cloud.GetLoadBalancerParts(t.Context(), lb.ID) })
	want := parts(&lb)
	for _, tree := range []cloud.LoadBalancer{want, got} {
		for _, p := range tree.Pools {
			slices.SortFunc(p.Members, func(a, b cloud.Member) int { return strings.Compare(a.ID, b.ID) })
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func balancerSharedPool(t *testing.T, s *suite) {
	lb := s.balancer(t, func(lb *cloud.LoadBalancer) {
		second := lb.Listeners[0]
		second.Name, second.Port = "81-tcp", 81
		lb.Listeners = append(lb.Listeners, second)
		lb.Pools = append(lb.Pools, cloud.Pool{Name: "spare", Protocol: "TCP", Algorithm: "LEAST_CONNECTIONS"})
	})
	if len(lb.Listeners) != 2 || len(lb.Pools) != 2 {
		t.Fatalf("%d listeners, %d pools", len(lb.Listeners), len(lb.Pools))
	}
	if a, b := lb.Listeners[0].DefaultPoolID, lb.Listeners[1].DefaultPoolID; a == "" || a != b {
		t.Errorf("the pools are %q and %q", a, b)
	}
	if i := slices.IndexFunc(lb.Pools, func(p cloud.Pool) bool { return p.Name == "spare" }); i < 0 || len(lb.Pools[i].Members) != 0 || lb.Pools[i].Monitor != nil {
		t.Errorf("the pool without members and listeners: %+v", lb.Pools)
	}
}

func balancerTags(t *testing.T, s *suite) {
	cluster := "fairlead/cluster=" + s.identity
	one := s.balancer(t, nil)
	two := s.balancer(t, func(lb *cloud.LoadBalancer) { lb.Tags = []string{cluster, "fairlead/service=two"} })
	list := func(tags ...string) (ids []string) {
		t.Helper()
		s.costs(t, "list", 1, func() {
			found, err := s.Cloud.ListLoadBalancers(t.Context(), tags...)
			if err != nil {
				t.Fatal(err)
			}
			for _, lb := range found {
				if len(lb.Listeners)+len(lb.Pools) != 0 || lb.Provisioning == "" {
					t.Errorf("the list has %+v", lb)
				}
				if lb.RawState != "PENDING_DELETE" {
					ids = append(ids, lb.ID)
				}
			}
		})
		slices.Sort(ids)
		return ids
	}
	both := []string{one.ID, two.ID}
	slices.Sort(both)
	if got := list(cluster); !slices.Equal(got, both) {
		t.Errorf("by one tag: %v", got)
	}
	if got := list(cluster, "fairlead/service=two"); !slices.Equal(got, []string{two.ID}) {
		t.Errorf("by two tags: %v", got)
	}
	if got := list(cluster, absent); len(got) != 0 {
		t.Errorf("by a tag that nobody has: %v", got)
	}
	after := s.write(t, two.ID, "set tags", func() error {
		return s.Cloud.SetLoadBalancerTags(t.Context(), two.ID, []string{cluster, "fairlead/spec=1"})
	})
	slices.Sort(after.Tags)
	if !slices.Equal(after.Tags, []string{cluster, "fairlead/spec=1"}) || len(after.Listeners) != 1 {
		t.Errorf("after the change: %+v", after)
	}
	if got := list(cluster, "fairlead/service=two"); len(got) != 0 {
		t.Errorf("by the tag that is gone: %v", got)
	}
}

func balancerBusy(t *testing.T, s *suite) {
	ctx := t.Context()
	lb := s.balancer(t, nil)
	l, p := lb.Listeners[0], lb.Pools[0]
	release := func() {}
	if s.Hold != nil {
		release = s.Hold(t)
		t.Cleanup(release)
	}
	if err := s.Cloud.SetLoadBalancerTags(ctx, lb.ID, lb.Tags); err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func() error{
		"tags": func() error { return s.Cloud.SetLoadBalancerTags(ctx, lb.ID, lb.Tags) },
		"create listener": func() error {
			_, err := s.Cloud.CreateListener(ctx, lb.ID, cloud.Listener{Name: "x", Protocol: "TCP", Port: 99})
			return err
		},
		"update listener": func() error { return s.Cloud.UpdateListener(ctx, l) },
		"delete listener": func() error { return s.Cloud.DeleteListener(ctx, l.ID) },
		"create pool": func() error {
			_, err := s.Cloud.CreatePool(ctx, lb.ID, cloud.Pool{Name: "x", Protocol: "TCP", Algorithm: "ROUND_ROBIN"})
			return err
		},
		"update pool":    func() error { return s.Cloud.UpdatePool(ctx, p) },
		"delete pool":    func() error { return s.Cloud.DeletePool(ctx, p.ID) },
		"set members":    func() error { return s.Cloud.SetMembers(ctx, p.ID, p.Members) },
		"update monitor": func() error { return s.Cloud.UpdateMonitor(ctx, *p.Monitor) },
		"delete monitor": func() error { return s.Cloud.DeleteMonitor(ctx, p.Monitor.ID) },
		"delete":         func() error { return s.Cloud.DeleteLoadBalancer(ctx, lb.ID) },
	} {
		if err := write(); err == nil {
			t.Fatalf("%s: accepted while pending", name)
		} else {
			fails(t, name, err, cloud.ErrBusy)
		}
	}
	release()
	s.settled(t, lb.ID)
	if got, err := s.Cloud.GetLoadBalancer(ctx, lb.ID); err != nil || len(got.Listeners) != 1 || len(got.Pools) != 1 {
		t.Errorf("after the refusals: %+v, %v", got, err)
	}
}

func balancerListeners(t *testing.T, s *suite) {
	ctx := t.Context()
	lb := s.balancer(t, nil)
	poolID := lb.Pools[0].ID
	var l cloud.Listener
	after := s.write(t, lb.ID, "create listener", func() (err error) {
		l, err = s.Cloud.CreateListener(ctx, lb.ID, cloud.Listener{Name: "443-tcp", Protocol: "TCP", Port: 443, DefaultPoolID: poolID})
		return err
	})
	find := func(lb cloud.LoadBalancer) *cloud.Listener { return listener(&lb, l.ID) }
	if got := find(after); got == nil || got.Name != "443-tcp" || got.Port != 443 || got.DefaultPoolID != poolID || got.ConnectionMax != -1 || got.TimeoutClientData == 0 {
		t.Fatalf("created %+v in %+v", l, after.Listeners)
	}
	_, err := s.Cloud.CreateListener(ctx, lb.ID, cloud.Listener{Name: "again", Protocol: "TCP", Port: 443})
	fails(t, "a taken port", err, cloud.ErrConflict)
	s.settled(t, lb.ID)

	l.ConnectionMax, l.AllowedCIDRs, l.TimeoutClientData = 7, []string{"198.51.100.0/24"}, 12000
	after = s.write(t, lb.ID, "update listener", func() error { return s.Cloud.UpdateListener(ctx, l) })
	if got := find(after); got.ConnectionMax != 7 || got.TimeoutClientData != 12000 || !slices.Equal(got.AllowedCIDRs, l.AllowedCIDRs) || got.DefaultPoolID != poolID {
		t.Errorf("updated %+v", got)
	}
	l.ConnectionMax, l.AllowedCIDRs, l.DefaultPoolID, l.TimeoutClientData = -1, nil, "", 0
	after = s.write(t, lb.ID, "reset listener", func() error { return s.Cloud.UpdateListener(ctx, l) })
	if got := find(after); got.ConnectionMax != -1 || len(got.AllowedCIDRs) != 0 || got.DefaultPoolID != "" || got.TimeoutClientData == 12000 {
		t.Errorf("reset %+v", got)
	}
	after = s.write(t, lb.ID, "delete listener", func() error { return s.Cloud.DeleteListener(ctx, l.ID) })
	if find(after) != nil || len(after.Listeners) != 1 || len(after.Pools) != 1 {
		t.Errorf("left are %+v and %+v", after.Listeners, after.Pools)
	}
	fails(t, "delete again", s.Cloud.DeleteListener(ctx, l.ID), cloud.ErrNotFound)
}

func balancerPools(t *testing.T, s *suite) {
	ctx := t.Context()
	lb := s.balancer(t, nil)
	var p cloud.Pool
	after := s.write(t, lb.ID, "create pool", func() (err error) {
		p, err = s.Cloud.CreatePool(ctx, lb.ID, cloud.Pool{Name: "443-tcp", Protocol: "TCP", Algorithm: "ROUND_ROBIN"})
		return err
	})
	find := func(lb cloud.LoadBalancer) *cloud.Pool { return pool(&lb, p.ID) }
	if got := find(after); got == nil || got.Name != "443-tcp" || got.Algorithm != "ROUND_ROBIN" || got.Persistence != "" || len(got.Members) != 0 || got.Monitor != nil {
		t.Fatalf("created %+v in %+v", p, after.Pools)
	}
	p.Algorithm, p.Persistence = "LEAST_CONNECTIONS", "SOURCE_IP"
	after = s.write(t, lb.ID, "update pool", func() error { return s.Cloud.UpdatePool(ctx, p) })
	if got := find(after); got.Algorithm != "LEAST_CONNECTIONS" || got.Persistence != "SOURCE_IP" {
		t.Errorf("updated %+v", got)
	}
	p.Persistence = ""
	after = s.write(t, lb.ID, "reset pool", func() error { return s.Cloud.UpdatePool(ctx, p) })
	if got := find(after); got.Persistence != "" {
		t.Errorf("reset %+v", got)
	}

	var m cloud.Monitor
	after = s.write(t, lb.ID, "create monitor", func() (err error) {
		m, err = s.Cloud.CreateMonitor(ctx, p.ID, cloud.Monitor{Name: "443-tcp", Type: "TCP", Delay: 5, Timeout: 3, MaxRetries: 2, MaxRetriesDown: 2})
		return err
	})
	if got := find(after).Monitor; got == nil || got.ID != m.ID || got.Type != "TCP" || got.Delay != 5 || got.Timeout != 3 || got.MaxRetries != 2 || got.MaxRetriesDown != 2 {
		t.Fatalf("created %+v, read %+v", m, got)
	}
	_, err := s.Cloud.CreateMonitor(ctx, p.ID, cloud.Monitor{Type: "TCP", Delay: 5, Timeout: 3, MaxRetries: 2})
	fails(t, "a second monitor", err, cloud.ErrConflict)
	s.settled(t, lb.ID)
	m.Delay, m.Timeout, m.MaxRetries = 9, 4, 3
	after = s.write(t, lb.ID, "update monitor", func() error { return s.Cloud.UpdateMonitor(ctx, m) })
	if got := find(after).Monitor; got == nil || got.Delay != 9 || got.Timeout != 4 || got.MaxRetries != 3 || got.Type != "TCP" {
		t.Errorf("updated %+v", got)
	}
	after = s.write(t, lb.ID, "delete monitor", func() error { return s.Cloud.DeleteMonitor(ctx, m.ID) })
	if got := find(after).Monitor; got != nil {
		t.Errorf("left is %+v", got)
	}
	fails(t, "delete the monitor again", s.Cloud.DeleteMonitor(ctx, m.ID), cloud.ErrNotFound)

	// A pool that is in use goes too, and leaves its listener without.
	after = s.write(t, lb.ID, "delete pool", func() error { return s.Cloud.DeletePool(ctx, lb.Pools[0].ID) })
	if len(after.Pools) != 1 || len(after.Listeners) != 1 || after.Listeners[0].DefaultPoolID != "" {
		t.Errorf("left are %+v and %+v", after.Listeners, after.Pools)
	}
	fails(t, "delete the pool again", s.Cloud.DeletePool(ctx, lb.Pools[0].ID), cloud.ErrNotFound)
}

func balancerMembers(t *testing.T, s *suite) {
	ctx := t.Context()
	lb := s.balancer(t, nil)
	p := lb.Pools[0]
	ids := map[string]string{}
	for _, m := range p.Members {
		ids[m.Address] = m.ID
	}
	after := s.write(t, lb.ID, "set members", func() error {
		return s.Cloud.SetMembers(ctx, p.ID, []cloud.Member{
			{Name: "n2", Address: s.Members[1], Port: 30080, Weight: 5, SubnetID: s.SubnetID},
			{Name: "n1", Address: s.Members[0], Port: 30081, Weight: 1, SubnetID: s.SubnetID},
		})
	})
	got := pool(&after, p.ID).Members
	if len(got) != 2 {
		t.Fatalf("members %+v", got)
	}
	for _, m := range got {
		switch {
		case m.ID == "":
			t.Errorf("member without id: %+v", m)
		case m.Address == s.Members[1] && (m.ID != ids[m.Address] || m.Weight != 5 || m.Port != 30080 || m.MonitorPort != 0):
			t.Errorf("the member that stays is %+v, was %s", m, ids[m.Address])
		case m.Address == s.Members[0] && (m.ID == ids[m.Address] || m.Port != 30081):
			t.Errorf("the member with another port is %+v", m)
		}
	}
	after = s.write(t, lb.ID, "set no members", func() error { return s.Cloud.SetMembers(ctx, p.ID, nil) })
	if got := pool(&after, p.ID).Members; len(got) != 0 {
		t.Errorf("members %+v", got)
	}
}

func balancerInvalid(t *testing.T, s *suite) {
	tag := "fairlead/cluster=" + s.identity + "-invalid"
	for name, change := range map[string]func(*cloud.LoadBalancer){
		"an unknown subnet":       func(lb *cloud.LoadBalancer) { lb.VIPSubnetID = absent },
		"a pool without a name":   func(lb *cloud.LoadBalancer) { lb.Pools[0].Name, lb.Listeners[0].Pool = "", "" },
		"a listener without pool": func(lb *cloud.LoadBalancer) { lb.Listeners[0].Pool = "no-such-pool" },
	} {
		spec := s.tree()
		spec.Tags = []string{tag}
		change(&spec)
		_, err := s.Cloud.CreateLoadBalancer(t.Context(), spec)
		fails(t, name, err, cloud.ErrInvalid)
	}
	list, err := s.Cloud.ListLoadBalancers(t.Context(), tag)
	if err != nil || len(list) != 0 {
		t.Errorf("left over: %+v, %v", list, err)
	}
}

func balancerAbsent(t *testing.T, s *suite) {
	ctx := t.Context()
	_, err := s.Cloud.GetLoadBalancer(ctx, absent)
	fails(t, "get", err, cloud.ErrNotFound)
	_, err = s.Cloud.GetLoadBalancerState(ctx, absent)
	fails(t, "get state", err, cloud.ErrNotFound)
	_, err = s.Cloud.GetLoadBalancerParts(ctx, absent)
	fails(t, "get parts", err, cloud.ErrNotFound)
	_, err = s.Cloud.CreateListener(ctx, absent, cloud.Listener{Name: "x", Protocol: "TCP", Port: 80})
	fails(t, "create listener", err, cloud.ErrNotFound)
	_, err = s.Cloud.CreatePool(ctx, absent, cloud.Pool{Name: "x", Protocol: "TCP", Algorithm: "ROUND_ROBIN"})
	fails(t, "create pool", err, cloud.ErrNotFound)
	_, err = s.Cloud.CreateMonitor(ctx, absent, cloud.Monitor{Type: "TCP", Delay: 5, Timeout: 3, MaxRetries: 2})
	fails(t, "create monitor", err, cloud.ErrNotFound)
	for name, err := range map[string]error{
		"delete":          s.Cloud.DeleteLoadBalancer(ctx, absent),
		"set tags":        s.Cloud.SetLoadBalancerTags(ctx, absent, []string{"x"}),
		"update listener": s.Cloud.UpdateListener(ctx, cloud.Listener{ID: absent, ConnectionMax: 1}),
		"delete listener": s.Cloud.DeleteListener(ctx, absent),
		"update pool":     s.Cloud.UpdatePool(ctx, cloud.Pool{ID: absent, Algorithm: "ROUND_ROBIN"}),
		"delete pool":     s.Cloud.DeletePool(ctx, absent),
		"set members":     s.Cloud.SetMembers(ctx, absent, nil),
		"update monitor":  s.Cloud.UpdateMonitor(ctx, cloud.Monitor{ID: absent, Delay: 5, Timeout: 3, MaxRetries: 2}),
		"delete monitor":  s.Cloud.DeleteMonitor(ctx, absent),
	} {
		fails(t, name, err, cloud.ErrNotFound)
	}
}

func balancerDelete(t *testing.T, s *suite) {
	ctx := t.Context()
	lb := s.balancer(t, nil)
	s.costs(t, "delete", 1, func() {
		if err := s.Cloud.DeleteLoadBalancer(ctx, lb.ID); err != nil {
			t.Fatal(err)
		}
	})
	s.eventually(t, "the balancer to be gone", func() bool {
		_, err := s.Cloud.GetLoadBalancerState(ctx, lb.ID)
		return errors.Is(err, cloud.ErrNotFound)
	})
	fails(t, "delete again", s.Cloud.DeleteLoadBalancer(ctx, lb.ID), cloud.ErrNotFound)
	fails(t, "its listener", s.Cloud.DeleteListener(ctx, lb.Listeners[0].ID), cloud.ErrNotFound)
	fails(t, "its pool", s.Cloud.DeletePool(ctx, lb.Pools[0].ID), cloud.ErrNotFound)
	list, err := s.Cloud.ListLoadBalancers(ctx, lb.Tags...)
	if err != nil || slices.ContainsFunc(list, func(l cloud.LoadBalancer) bool { return l.ID == lb.ID }) {
		t.Errorf("the list still has it: %+v, %v", list, err)
	}
}
