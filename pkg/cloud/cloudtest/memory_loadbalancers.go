package cloudtest

import (
	"context"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

func copyBalancer(lb *cloud.LoadBalancer) cloud.LoadBalancer {
	c := *lb
	c.Tags = slices.Clone(lb.Tags)
	c.Listeners = slices.Clone(lb.Listeners)
	for i := range c.Listeners {
		c.Listeners[i].AllowedCIDRs = slices.Clone(c.Listeners[i].AllowedCIDRs)
	}
	c.Pools = slices.Clone(lb.Pools)
	for i := range c.Pools {
		c.Pools[i].Members = slices.Clone(c.Pools[i].Members)
		if mon := c.Pools[i].Monitor; mon != nil {
			copied := *mon
			c.Pools[i].Monitor = &copied
		}
	}
	return c
}

func trunk(lb *cloud.LoadBalancer) cloud.LoadBalancer {
	c := copyBalancer(lb)
	c.Listeners, c.Pools = nil, nil
	return c
}

func setProvisioning(lb *cloud.LoadBalancer, s cloud.ProvisioningState, raw string) {
	lb.Provisioning, lb.RawState = s, raw
	for i := range lb.Listeners {
		lb.Listeners[i].Provisioning = s
	}
	for i := range lb.Pools {
		p := &lb.Pools[i]
		p.Provisioning = s
		for j := range p.Members {
			p.Members[j].Provisioning = s
		}
		if p.Monitor != nil {
			p.Monitor.Provisioning = s
		}
	}
}

// keepUnfinished makes the parts pending again that the cloud left unfinished.
func (m *Memory) keepUnfinished(lb *cloud.LoadBalancer) {
	keep := func(id string, s *cloud.ProvisioningState) {
		if m.unfinished[id] || m.stuck[id] {
			*s = cloud.ProvisioningPending
		}
	}
	for i := range lb.Listeners {
		keep(lb.Listeners[i].ID, &lb.Listeners[i].Provisioning)
	}
	for i := range lb.Pools {
		p := &lb.Pools[i]
		keep(p.ID, &p.Provisioning)
		for j := range p.Members {
			keep(p.Members[j].ID, &p.Members[j].Provisioning)
		}
		if p.Monitor != nil {
			keep(p.Monitor.ID, &p.Monitor.Provisioning)
		}
	}
}

// leaveUnfinished is the defect of MemoryOptions.UnfinishedTrees.
func (m *Memory) leaveUnfinished(lb *cloud.LoadBalancer) {
	for _, l := range lb.Listeners {
		m.unfinished[l.ID] = true
	}
	for _, p := range lb.Pools {
		m.unfinished[p.ID] = true
		for _, member := range p.Members {
			m.unfinished[member.ID] = true
		}
		if p.Monitor != nil {
			m.unfinished[p.Monitor.ID] = true
		}
	}
}

// workOnBalancer makes a balancer pending until the work ends.
func (m *Memory) workOnBalancer(op Op, lb *cloud.LoadBalancer, raw string, done func()) {
	id := lb.ID
	setProvisioning(lb, cloud.ProvisioningPending, raw)
	m.work(op, func(failed bool) {
		lb, ok := m.balancers[id]
		if !ok || lb.RawState != raw {
			return
		}
		if failed {
			setProvisioning(lb, cloud.ProvisioningError, "ERROR")
			return
		}
		done()
	})
}

func (m *Memory) update(op Op, lb *cloud.LoadBalancer) {
	m.workOnBalancer(op, lb, "PENDING_UPDATE", func() { m.activate(lb.ID) })
}

func (m *Memory) activate(id string) {
	if lb, ok := m.balancers[id]; ok {
		setProvisioning(lb, cloud.ProvisioningActive, "ACTIVE")
		m.keepUnfinished(lb)
	}
}

// CreateLoadBalancer implements cloud.LoadBalancers.
func (m *Memory) CreateLoadBalancer(ctx context.Context, spec cloud.LoadBalancer) (created cloud.LoadBalancer, err error) {
	err = m.do(ctx, OpCreateLoadBalancer, spec.Name, func() error {
		lb := copyBalancer(&spec)
		if err := m.checkBalancer(&lb); err != nil {
			return err
		}
		lb.ID, lb.VIPPortID = newID(), newID()
		if lb.VIP == "" {
			lb.VIP = m.address(lb.VIPSubnetID)
		}
		if lb.Provider == "" {
			lb.Provider = "memory"
		}
		if m.opts.UnfinishedTrees {
			m.leaveUnfinished(&lb)
		}
		m.balancers[lb.ID] = &lb
		m.workOnBalancer(OpCreateLoadBalancer, &lb, "PENDING_CREATE", func() { m.activate(lb.ID) })
		created = copyBalancer(&lb)
		return nil
	})
	return created, err
}

// checkBalancer refuses a bad tree, and binds it: ids, and pools to listeners.
func (m *Memory) checkBalancer(lb *cloud.LoadBalancer) error {
	subnet := m.subnetFor(lb.VIPSubnetID, lb.VIPNetworkID)
	if subnet == nil {
		return refuse(cloud.ErrInvalid, "subnet %q not found", lb.VIPSubnetID)
	}
	lb.VIPSubnetID, lb.VIPNetworkID = subnet.ID, subnet.NetworkID
	if q := m.opts.Quota.LoadBalancers; q > 0 && len(m.balancers) >= q {
		return refuse(cloud.ErrExhausted, "quota of %d load balancers", q)
	}
	pools := map[string]string{}
	for i := range lb.Pools {
		p := &lb.Pools[i]
		if _, taken := pools[p.Name]; taken || p.Name == "" {
			return refuse(cloud.ErrInvalid, "pool name %q is empty or not unique", p.Name)
		}
		p.ID = newID()
		pools[p.Name] = p.ID
		bindMembers(p)
		if p.Monitor != nil {
			p.Monitor.ID = newID()
		}
	}
	for i := range lb.Listeners {
		l := &lb.Listeners[i]
		if portTaken(lb.Listeners[:i], *l) {
			return refuse(cloud.ErrConflict, "port %d is taken", l.Port)
		}
		l.ID, l.DefaultPoolID = newID(), pools[l.Pool]
		if l.Pool != "" && l.DefaultPoolID == "" {
			return refuse(cloud.ErrInvalid, "listener %s names an unknown pool %q", l.Name, l.Pool)
		}
		l.Pool = ""
		normalise(l)
	}
	return nil
}

func normalise(l *cloud.Listener) {
	if l.ConnectionMax == 0 {
		l.ConnectionMax = -1
	}
	for field, def := range map[*int32]int32{&l.TimeoutClientData: 50000, &l.TimeoutMemberConnect: 5000, &l.TimeoutMemberData: 50000} {
		if *field == 0 {
			*field = def
		}
	}
}

// bindMembers gives members ids; one that is there keeps its own.
func bindMembers(p *cloud.Pool) {
	for i := range p.Members {
		if p.Members[i].ID == "" {
			p.Members[i].ID = newID()
		}
	}
}

func portTaken(listeners []cloud.Listener, l cloud.Listener) bool {
	return slices.ContainsFunc(listeners, func(o cloud.Listener) bool { return o.Port == l.Port && o.Protocol == l.Protocol })
}

func (m *Memory) readBalancer(ctx context.Context, op Op, id string, form func(*cloud.LoadBalancer) cloud.LoadBalancer) (found cloud.LoadBalancer, err error) {
	err = m.do(ctx, op, id, func() error {
		lb, ok := m.balancers[id]
		if !ok {
			return cloud.ErrNotFound
		}
		found = form(lb)
		return nil
	})
	return found, err
}

// GetLoadBalancer implements cloud.LoadBalancers.
func (m *Memory) GetLoadBalancer(ctx context.Context, id string) (cloud.LoadBalancer, error) {
	return m.readBalancer(ctx, OpGetLoadBalancer, id, copyBalancer)
}

// GetLoadBalancerState implements cloud.LoadBalancers.
func (m *Memory) GetLoadBalancerState(ctx context.Context, id string) (cloud.LoadBalancer, error) {
	return m.readBalancer(ctx, OpGetLoadBalancerState, id, trunk)
}

// GetLoadBalancerParts implements cloud.LoadBalancers.
func (m *Memory) GetLoadBalancerParts(ctx context.Context, id string) (cloud.LoadBalancer, error) {
	return m.readBalancer(ctx, OpGetLoadBalancerParts, id, parts)
}

// parts is what GetLoadBalancerParts tells of a tree.
func parts(lb *cloud.LoadBalancer) cloud.LoadBalancer {
	out := cloud.LoadBalancer{ID: lb.ID, Name: lb.Name, Provisioning: lb.Provisioning, RawState: lb.RawState}
	for _, l := range lb.Listeners {
		out.Listeners = append(out.Listeners, cloud.Listener{ID: l.ID, Name: l.Name, DefaultPoolID: l.DefaultPoolID, Provisioning: l.Provisioning})
	}
	for _, p := range lb.Pools {
		pool := cloud.Pool{ID: p.ID, Name: p.Name, Provisioning: p.Provisioning}
		for _, m := range p.Members {
			pool.Members = append(pool.Members, cloud.Member{ID: m.ID, Name: m.Name, Address: m.Address, Port: m.Port, Provisioning: m.Provisioning})
		}
		if p.Monitor != nil {
			pool.Monitor = &cloud.Monitor{ID: p.Monitor.ID, Name: p.Monitor.Name, Type: p.Monitor.Type, Provisioning: p.Monitor.Provisioning}
		}
		out.Pools = append(out.Pools, pool)
	}
	return out
}

// ListLoadBalancers implements cloud.LoadBalancers.
func (m *Memory) ListLoadBalancers(ctx context.Context, tags ...string) (found []cloud.LoadBalancer, err error) {
	err = m.do(ctx, OpListLoadBalancers, "", func() error {
		for _, id := range sortedKeys(m.balancers) {
			lb := m.balancers[id]
			if !slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(lb.Tags, tag) }) {
				found = append(found, trunk(lb))
			}
		}
		return nil
	})
	return found, err
}

// writeBalancer is a write to a balancer or a part of it; find names the balancer, or nil when the object is gone.
func (m *Memory) writeBalancer(ctx context.Context, op Op, object string, find func() *cloud.LoadBalancer, effect func(lb *cloud.LoadBalancer) error) error {
	return m.do(ctx, op, object, func() error {
		lb := find()
		if lb == nil {
			return cloud.ErrNotFound
		}
		if lb.Provisioning != cloud.ProvisioningActive {
			return refuse(cloud.ErrBusy, "load balancer %s is immutable: %s", lb.ID, lb.RawState)
		}
		if err := effect(lb); err != nil {
			return err
		}
		m.update(op, lb)
		return nil
	})
}

func (m *Memory) balancer(id string) func() *cloud.LoadBalancer {
	return func() *cloud.LoadBalancer { return m.balancers[id] }
}

// SetLoadBalancerTags implements cloud.LoadBalancers.
func (m *Memory) SetLoadBalancerTags(ctx context.Context, id string, tags []string) error {
	return m.writeBalancer(ctx, OpSetLoadBalancerTags, id, m.balancer(id), func(lb *cloud.LoadBalancer) error {
		lb.Tags = slices.Clone(tags)
		return nil
	})
}

// DeleteLoadBalancer implements cloud.LoadBalancers.
func (m *Memory) DeleteLoadBalancer(ctx context.Context, id string) error {
	return m.do(ctx, OpDeleteLoadBalancer, id, func() error {
		lb, ok := m.balancers[id]
		switch {
		case !ok:
			return cloud.ErrNotFound
		case lb.Provisioning == cloud.ProvisioningPending:
			return refuse(cloud.ErrBusy, "load balancer %s is %s", id, lb.RawState)
		}
		m.workOnBalancer(OpDeleteLoadBalancer, lb, "PENDING_DELETE", func() { m.removeBalancer(id) })
		return nil
	})
}

func (m *Memory) removeBalancer(id string) {
	lb, ok := m.balancers[id]
	if !ok {
		return
	}
	for _, f := range m.fips {
		if f.PortID == lb.VIPPortID {
			f.PortID = ""
		}
	}
	delete(m.balancers, id)
}

// PutLoadBalancer puts a balancer into the cloud as it is, or replaces it: drift, or a state that tests cannot reach by
// calls. Work under way for it goes on only when RawState stays the same.
func (m *Memory) PutLoadBalancer(lb cloud.LoadBalancer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := copyBalancer(&lb)
	m.balancers[lb.ID] = &c
}

// LeaveUnfinished makes a part of a balancer pending whatever is written to it, or lets it go.
func (m *Memory) LeaveUnfinished(id string, leave bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	m.stuck[id] = leave
	for _, lb := range m.balancers {
		if lb.Provisioning == cloud.ProvisioningActive {
			m.activate(lb.ID)
		}
	}
}

// DropLoadBalancer removes a balancer at once, as somebody else would; floating IPs stay, pointing nowhere.
func (m *Memory) DropLoadBalancer(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removeBalancer(id)
}

// LoadBalancers returns all balancers as they are now, without a call.
func (m *Memory) LoadBalancers() []cloud.LoadBalancer {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	var all []cloud.LoadBalancer
	for _, id := range sortedKeys(m.balancers) {
		all = append(all, copyBalancer(m.balancers[id]))
	}
	return all
}
