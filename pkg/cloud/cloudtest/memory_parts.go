package cloudtest

import (
	"context"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

func (m *Memory) withListener(id string) func() *cloud.LoadBalancer {
	return m.holder(func(lb *cloud.LoadBalancer) bool { return listener(lb, id) != nil })
}

func (m *Memory) withPool(id string) func() *cloud.LoadBalancer {
	return m.holder(func(lb *cloud.LoadBalancer) bool { return pool(lb, id) != nil })
}

func (m *Memory) withMonitor(id string) func() *cloud.LoadBalancer {
	return m.holder(func(lb *cloud.LoadBalancer) bool { return monitored(lb, id) != nil })
}

func (m *Memory) holder(has func(*cloud.LoadBalancer) bool) func() *cloud.LoadBalancer {
	return func() *cloud.LoadBalancer {
		for _, lb := range m.balancers {
			if has(lb) {
				return lb
			}
		}
		return nil
	}
}

func listener(lb *cloud.LoadBalancer, id string) *cloud.Listener {
	i := slices.IndexFunc(lb.Listeners, func(l cloud.Listener) bool { return l.ID == id })
	if i < 0 {
		return nil
	}
	return &lb.Listeners[i]
}

func pool(lb *cloud.LoadBalancer, id string) *cloud.Pool {
	i := slices.IndexFunc(lb.Pools, func(p cloud.Pool) bool { return p.ID == id })
	if i < 0 {
		return nil
	}
	return &lb.Pools[i]
}

// monitored is the pool that has the monitor.
func monitored(lb *cloud.LoadBalancer, id string) *cloud.Pool {
	i := slices.IndexFunc(lb.Pools, func(p cloud.Pool) bool { return p.Monitor != nil && p.Monitor.ID == id })
	if i < 0 {
		return nil
	}
	return &lb.Pools[i]
}

// CreateListener implements cloud.LoadBalancers.
func (m *Memory) CreateListener(ctx context.Context, lbID string, l cloud.Listener) (created cloud.Listener, err error) {
	err = m.writeBalancer(ctx, OpCreateListener, l.Name, m.balancer(lbID), func(lb *cloud.LoadBalancer) error {
		switch {
		case portTaken(lb.Listeners, l):
			return refuse(cloud.ErrConflict, "port %d is taken", l.Port)
		case l.DefaultPoolID != "" && pool(lb, l.DefaultPoolID) == nil:
			return refuse(cloud.ErrNotFound, "pool %s not found", l.DefaultPoolID)
		}
		l.ID, l.Pool, l.AllowedCIDRs = newID(), "", slices.Clone(l.AllowedCIDRs)
		normalise(&l)
		lb.Listeners = append(lb.Listeners, l)
		created = l
		return nil
	})
	return created, err
}

// UpdateListener implements cloud.LoadBalancers.
func (m *Memory) UpdateListener(ctx context.Context, l cloud.Listener) error {
	return m.writeBalancer(ctx, OpUpdateListener, l.ID, m.withListener(l.ID), func(lb *cloud.LoadBalancer) error {
		if l.DefaultPoolID != "" && pool(lb, l.DefaultPoolID) == nil {
			return refuse(cloud.ErrNotFound, "pool %s not found", l.DefaultPoolID)
		}
		delete(m.unfinished, l.ID)
		old := listener(lb, l.ID)
		old.ConnectionMax, old.AllowedCIDRs, old.DefaultPoolID = l.ConnectionMax, slices.Clone(l.AllowedCIDRs), l.DefaultPoolID
		old.TimeoutClientData, old.TimeoutMemberConnect, old.TimeoutMemberData = l.TimeoutClientData, l.TimeoutMemberConnect, l.TimeoutMemberData
		normalise(old)
		return nil
	})
}

// DeleteListener implements cloud.LoadBalancers.
func (m *Memory) DeleteListener(ctx context.Context, id string) error {
	return m.writeBalancer(ctx, OpDeleteListener, id, m.withListener(id), func(lb *cloud.LoadBalancer) error {
		lb.Listeners = slices.DeleteFunc(lb.Listeners, func(l cloud.Listener) bool { return l.ID == id })
		return nil
	})
}

// CreatePool implements cloud.LoadBalancers.
func (m *Memory) CreatePool(ctx context.Context, lbID string, p cloud.Pool) (created cloud.Pool, err error) {
	err = m.writeBalancer(ctx, OpCreatePool, p.Name, m.balancer(lbID), func(lb *cloud.LoadBalancer) error {
		p.ID, p.Members, p.Monitor = newID(), nil, nil
		lb.Pools = append(lb.Pools, p)
		created = p
		return nil
	})
	return created, err
}

// UpdatePool implements cloud.LoadBalancers.
func (m *Memory) UpdatePool(ctx context.Context, p cloud.Pool) error {
	return m.writeBalancer(ctx, OpUpdatePool, p.ID, m.withPool(p.ID), func(lb *cloud.LoadBalancer) error {
		delete(m.unfinished, p.ID)
		for _, l := range lb.Listeners { // the cloud configures them all anew
			delete(m.unfinished, l.ID)
		}
		old := pool(lb, p.ID)
		old.Algorithm, old.Persistence = p.Algorithm, p.Persistence
		return nil
	})
}

// DeletePool implements cloud.LoadBalancers.
func (m *Memory) DeletePool(ctx context.Context, id string) error {
	return m.writeBalancer(ctx, OpDeletePool, id, m.withPool(id), func(lb *cloud.LoadBalancer) error {
		lb.Pools = slices.DeleteFunc(lb.Pools, func(p cloud.Pool) bool { return p.ID == id })
		for i := range lb.Listeners {
			if lb.Listeners[i].DefaultPoolID == id {
				lb.Listeners[i].DefaultPoolID = ""
			}
		}
		return nil
	})
}

// SetMembers implements cloud.LoadBalancers.
func (m *Memory) SetMembers(ctx context.Context, poolID string, members []cloud.Member) error {
	return m.writeBalancer(ctx, OpSetMembers, poolID, m.withPool(poolID), func(lb *cloud.LoadBalancer) error {
		p := pool(lb, poolID)
		if m.unfinished[poolID] {
			return refuse(cloud.ErrBusy, "pool %s is immutable", poolID)
		}
		old := p.Members
		for _, o := range old {
			delete(m.unfinished, o.ID)
		}
		p.Members = slices.Clone(members)
		for i := range p.Members {
			p.Members[i].ID = ""
			for _, o := range old {
				if o.Address == p.Members[i].Address && o.Port == p.Members[i].Port {
					p.Members[i].ID = o.ID
				}
			}
		}
		bindMembers(p)
		return nil
	})
}

// CreateMonitor implements cloud.LoadBalancers.
func (m *Memory) CreateMonitor(ctx context.Context, poolID string, mon cloud.Monitor) (created cloud.Monitor, err error) {
	err = m.writeBalancer(ctx, OpCreateMonitor, poolID, m.withPool(poolID), func(lb *cloud.LoadBalancer) error {
		p := pool(lb, poolID)
		if m.unfinished[poolID] {
			return refuse(cloud.ErrBusy, "pool %s is immutable", poolID)
		}
		if p.Monitor != nil {
			return refuse(cloud.ErrConflict, "pool %s has a monitor", poolID)
		}
		mon.ID = newID()
		created = mon
		p.Monitor = &mon
		return nil
	})
	return created, err
}

// UpdateMonitor implements cloud.LoadBalancers.
func (m *Memory) UpdateMonitor(ctx context.Context, mon cloud.Monitor) error {
	return m.writeBalancer(ctx, OpUpdateMonitor, mon.ID, m.withMonitor(mon.ID), func(lb *cloud.LoadBalancer) error {
		p := monitored(lb, mon.ID)
		if m.unfinished[p.ID] {
			return refuse(cloud.ErrBusy, "pool %s is immutable", p.ID)
		}
		delete(m.unfinished, mon.ID)
		mon.Type = p.Monitor.Type
		p.Monitor = &mon
		return nil
	})
}

// DeleteMonitor implements cloud.LoadBalancers.
func (m *Memory) DeleteMonitor(ctx context.Context, id string) error {
	return m.writeBalancer(ctx, OpDeleteMonitor, id, m.withMonitor(id), func(lb *cloud.LoadBalancer) error {
		p := monitored(lb, id)
		if m.unfinished[p.ID] {
			return refuse(cloud.ErrBusy, "pool %s is immutable", p.ID)
		}
		p.Monitor = nil
		return nil
	})
}
