package loadbalancer

import (
	"cmp"
	"maps"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// parts plans the listeners and pools of a balancer that stays: what is not wanted goes first, since it may occupy a
// port that is.
func (p *planner) parts(have cloud.LoadBalancer) {
	first := len(p.steps)
	p.traits = providers[have.Provider]
	defer func() {
		for i := range p.steps[first:] {
			p.steps[first+i].Of = have.ID
		}
	}()
	listeners := p.keepListeners(have)
	pools := p.keepPools(have, listeners)
	if p.traits.monitorsLast && len(listeners) < len(p.spec.Balancer.Listeners) {
		p.removeMonitors(pools)
	}
	for i, want := range p.spec.Balancer.Listeners {
		had, exists := pools[want.Pool]
		pool := p.wantedPool(want.Pool)
		p.pool(pool, pools)
		if !p.traits.monitorsLast {
			p.monitor(pool, had)
		}
		listener, ok := listeners[want.Name]
		poolID := had.ID // empty when it is only now created
		switch {
		case !ok:
			p.add(Step{Action: CreateListener, Key: want.Name, Listener: p.spec.Balancer.Listeners[i]})
		case !exists || listener.DefaultPoolID != poolID || listenerDiffers(want, listener):
			p.add(Step{Action: UpdateListener, Key: want.Name, Listener: want})
		case listener.Provisioning == cloud.ProvisioningPending && !p.finishesPool():
			p.finish("listener", Step{Action: UpdateListener, Key: want.Name, Listener: want})
		}
	}
	if p.traits.monitorsLast {
		for _, want := range p.spec.Balancer.Listeners {
			p.monitor(p.wantedPool(want.Pool), pools[want.Pool])
		}
	}
}

// removeMonitors makes way for a new listener; monitor plans them again behind it.
func (p *planner) removeMonitors(pools map[string]cloud.Pool) {
	for _, key := range slices.Sorted(maps.Keys(pools)) {
		if pool := pools[key]; pool.Monitor != nil {
			p.add(Step{Action: DeleteMonitor, Key: key, Why: "the provider adds no listener beside it"})
			pool.Monitor = nil
			pools[key] = pool
		}
	}
}

func (p *planner) wantedPool(key string) cloud.Pool {
	i := slices.IndexFunc(p.spec.Balancer.Pools, func(pool cloud.Pool) bool { return pool.Name == key })
	return p.traits.pool(p.spec.Balancer.Pools[i])
}

// finishesPool reports whether a pool is about to be finished, which finishes the listeners too.
func (p *planner) finishesPool() bool {
	return slices.ContainsFunc(p.steps, func(s Step) bool { return s.Action == UpdatePool && s.Finishes != "" })
}

// keepListeners plans the removal of the listeners that cannot stay and returns the others by key.
func (p *planner) keepListeners(have cloud.LoadBalancer) map[string]cloud.Listener {
	keep := map[string]cloud.Listener{}
	for _, l := range have.Listeners {
		wanted := slices.ContainsFunc(p.spec.Balancer.Listeners, func(w cloud.Listener) bool {
			return w.Name == l.Name && w.Protocol == l.Protocol && w.Port == l.Port
		})
		if _, twice := keep[l.Name]; !wanted || twice || l.Provisioning == cloud.ProvisioningError {
			p.add(Step{Action: DeleteListener, Key: l.Name, ID: l.ID})
			continue
		}
		keep[l.Name] = l
	}
	return keep
}

// keepPools does the same for pools. Of two with one key, which a lost answer leaves behind, the one in use stays.
func (p *planner) keepPools(have cloud.LoadBalancer, listeners map[string]cloud.Listener) map[string]cloud.Pool {
	pools := slices.Clone(have.Pools)
	slices.SortStableFunc(pools, func(a, b cloud.Pool) int {
		unused := func(pool cloud.Pool) int {
			if listeners[pool.Name].DefaultPoolID == pool.ID {
				return 0
			}
			return 1
		}
		return cmp.Compare(unused(a), unused(b))
	})
	keep := map[string]cloud.Pool{}
	for _, pool := range pools {
		wanted := slices.ContainsFunc(p.spec.Balancer.Pools, func(w cloud.Pool) bool {
			return w.Name == pool.Name && w.Protocol == pool.Protocol
		})
		lost := p.traits.monitorsLast && unfinishedMonitor(pool)
		if _, twice := keep[pool.Name]; !wanted || twice || lost || pool.Provisioning == cloud.ProvisioningError {
			p.add(Step{Action: DeletePool, Key: pool.Name, ID: pool.ID})
			continue
		}
		keep[pool.Name] = pool
	}
	return keep
}

func (p *planner) pool(want cloud.Pool, pools map[string]cloud.Pool) {
	have, ok := pools[want.Name]
	switch {
	case !ok:
		p.add(Step{Action: CreatePool, Key: want.Name, Pool: want})
	case want.Algorithm != have.Algorithm || want.Persistence != have.Persistence:
		p.add(Step{Action: UpdatePool, Key: want.Name, Pool: want})
	case have.Provisioning == cloud.ProvisioningPending:
		p.finish("pool", Step{Action: UpdatePool, Key: want.Name, Pool: want})
	}
	if slices.Contains(p.stuck, "pool "+want.Name) {
		return // it takes no change of its members
	}
	if membersDiffer(want.Members, have.Members) {
		p.add(Step{Action: SetMembers, Key: want.Name, Members: want.Members})
	} else if unfinishedMembers(have) {
		p.finish("members", Step{Action: SetMembers, Key: want.Name, Members: want.Members})
	}
}

func (p *planner) monitor(want, have cloud.Pool) {
	if slices.Contains(p.stuck, "pool "+want.Name) {
		return
	}
	w, h := want.Monitor, have.Monitor
	if h != nil && (w == nil || w.Type != h.Type) {
		p.add(Step{Action: DeleteMonitor, Key: want.Name})
		h = nil
	}
	switch {
	case w == nil:
	case h == nil:
		p.add(Step{Action: CreateMonitor, Key: want.Name, Monitor: *w})
	case monitorDiffers(*w, *h):
		p.add(Step{Action: UpdateMonitor, Key: want.Name, Monitor: *w})
	case h.Provisioning == cloud.ProvisioningPending:
		p.finish("monitor", Step{Action: UpdateMonitor, Key: want.Name, Monitor: *w})
	}
}

func listenerDiffers(want, have cloud.Listener) bool {
	return want.ConnectionMax != have.ConnectionMax || !sameSet(want.AllowedCIDRs, have.AllowedCIDRs) ||
		timeouts(want) != timeouts(have)
}

// timeouts are those of the listener in effect: where it has none the default holds.
func timeouts(l cloud.Listener) [3]int32 {
	return [3]int32{
		cmp.Or(l.TimeoutClientData, defaultTimeoutClientData),
		cmp.Or(l.TimeoutMemberConnect, defaultTimeoutMemberConnect),
		cmp.Or(l.TimeoutMemberData, defaultTimeoutMemberData),
	}
}

// membersDiffer compares what makes traffic go elsewhere: the order, names and subnets do not, and clouds tell them in
// their own way. A difference that is none would have the cloud reconfigure the balancer at every look.
func membersDiffer(want, have []cloud.Member) bool {
	type essence struct {
		address                   string
		port, weight, monitorPort int32
	}
	distil := func(members []cloud.Member) []essence {
		var out []essence
		for _, m := range members {
			out = append(out, essence{m.Address, m.Port, m.Weight, monitorPort(m)})
		}
		slices.SortFunc(out, func(a, b essence) int { return cmp.Or(cmp.Compare(a.address, b.address), cmp.Compare(a.port, b.port)) })
		return out
	}
	return !slices.Equal(distil(want), distil(have))
}

func monitorPort(m cloud.Member) int32 { return cmp.Or(m.MonitorPort, m.Port) }

func monitorDiffers(want, have cloud.Monitor) bool {
	if want.Delay != have.Delay || want.Timeout != have.Timeout || want.MaxRetries != have.MaxRetries ||
		want.MaxRetriesDown != have.MaxRetriesDown {
		return true
	}
	return want.Path != "" && (want.Path != have.Path || want.HTTPMethod != have.HTTPMethod || want.ExpectedCodes != have.ExpectedCodes)
}
