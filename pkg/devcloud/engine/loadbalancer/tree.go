package loadbalancer

import "github.com/fairlead-io/fairlead/pkg/devcloud/engine"

// Trees are load balancers with their parts, read in one pass over each table.
type Trees struct {
	LoadBalancers []LoadBalancer
	Listeners     map[string][]Listener // by load balancer
	Pools         map[string][]Pool     // by load balancer
	Members       map[string][]Member   // by pool
	Monitors      map[string]Monitor    // by pool
}

// Trees reads one load balancer's tree, or all of them when lbID is empty.
func (s *Service) Trees(tx *engine.Tx, lbID string) Trees {
	t := Trees{
		LoadBalancers: of(tx, s.lbs, lbID),
		Listeners:     map[string][]Listener{}, Pools: map[string][]Pool{},
		Members: map[string][]Member{}, Monitors: map[string]Monitor{},
	}
	for _, l := range of(tx, s.listeners, lbID) {
		t.Listeners[l.LB] = append(t.Listeners[l.LB], l)
	}
	for _, p := range of(tx, s.pools, lbID) {
		t.Pools[p.LB] = append(t.Pools[p.LB], p)
	}
	for _, m := range of(tx, s.members, lbID) {
		t.Members[m.PoolID] = append(t.Members[m.PoolID], m)
	}
	for _, m := range of(tx, s.monitors, lbID) {
		t.Monitors[m.PoolID] = m
	}
	return t
}
