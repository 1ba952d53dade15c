package loadbalancer

import "github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/balancer"

// Status tells how the parts of trees operate, from their configuration and what the monitors found.
type Status struct {
	trees  Trees
	health map[string]map[string]balancer.Health // by load balancer
}

// Status reads the monitors' findings for the trees.
func (s *Service) Status(t Trees) Status {
	st := Status{trees: t, health: map[string]map[string]balancer.Health{}}
	for _, lb := range t.LoadBalancers {
		st.health[lb.ID] = s.balancer.Health(lb.ID)
	}
	return st
}

// idle reports a part that serves nothing yet or shall not.
func idle(c Common) bool { return c.Down || c.Provisioning == PendingCreate }

// Member is a member's operating status.
func (st Status) Member(m Member) string {
	monitor, monitored := st.trees.Monitors[m.PoolID]
	switch {
	case m.Down:
		return Offline
	case !monitored || monitor.Down:
		return NoMonitor
	case idle(m.Common):
		return Offline
	case m.Weight == 0:
		return Draining
	}
	switch h := st.health[m.LB][m.ID]; h {
	case balancer.Online:
		return Online
	case balancer.Error:
		return Failed
	default: // not probed yet, or in a pool that no listener uses
		return Offline
	}
}

// Pool is ERROR when no member works, DEGRADED when some do not.
func (st Status) Pool(p Pool) string {
	if idle(p.Common) {
		return Offline
	}
	members := st.trees.Members[p.ID]
	failed := 0
	for _, m := range members {
		if st.Member(m) == Failed {
			failed++
		}
	}
	switch {
	case failed == 0:
		return Online
	case failed == len(members):
		return Failed
	}
	return Degraded
}

// Listener is ONLINE when it serves.
func (st Status) Listener(l Listener) string {
	if idle(l.Common) {
		return Offline
	}
	return Online
}

// Monitor is ONLINE when it probes.
func (st Status) Monitor(m Monitor) string {
	if idle(m.Common) {
		return Offline
	}
	return Online
}

// LoadBalancer is as good as its worst pool.
func (st Status) LoadBalancer(lb LoadBalancer) string {
	if idle(lb.Common) {
		return Offline
	}
	worst := Online
	for _, p := range st.trees.Pools[lb.ID] {
		switch st.Pool(p) {
		case Failed:
			return Failed
		case Degraded:
			worst = Degraded
		}
	}
	return worst
}
