package loadbalancer

import (
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// forget leaves the parts of a new load balancer unfinished.
func (s *Service) forget(tx *engine.Tx, lbID string) {
	forget(tx, s.listeners, lbID)
	forget(tx, s.pools, lbID)
	forget(tx, s.members, lbID)
	forget(tx, s.monitors, lbID)
}

func forget[T any, P part[T]](tx *engine.Tx, t *engine.Table[T], lbID string) {
	for _, v := range of[T, P](tx, t, lbID) {
		P(&v).meta().Unfinished = true
		t.Put(tx, v)
	}
}

// populate records the tree of a fully populated creation. A listener names its pool, or brings it along.
func (s *Service) populate(tx *engine.Tx, lb LoadBalancer, spec LoadBalancerSpec) error {
	pools := spec.Pools
	for _, l := range spec.Listeners {
		if l.DefaultPool == nil {
			continue
		}
		if l.DefaultPool.Name.Or("", "") == "" {
			return badRequest("Pools must be named when creating a fully populated loadbalancer.")
		}
		if !l.DefaultPool.onlyName() {
			pools = append(pools[:len(pools):len(pools)], *l.DefaultPool)
		}
	}
	ids := map[string]string{}
	for _, p := range pools {
		name := p.Name.Or("", "")
		if name == "" {
			return badRequest("Pools must be named when creating a fully populated loadbalancer.")
		}
		if ids[name] != "" {
			return badRequest("Pool name \"%s\" is used more than once in a fully populated loadbalancer.", name)
		}
		id, err := s.populatePool(tx, lb, p)
		if err != nil {
			return err
		}
		ids[name] = id
	}
	for _, l := range spec.Listeners {
		if l.DefaultPool != nil {
			name := l.DefaultPool.Name.Or("", "")
			if ids[name] == "" {
				return badRequest("Pool \"%s\" is not part of the request.", name)
			}
			l.DefaultPoolID, l.DefaultPool = engine.Some(ids[name]), nil
		}
		if _, err := s.putListener(tx, lb, l); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) populatePool(tx *engine.Tx, lb LoadBalancer, spec PoolSpec) (string, error) {
	members, monitor := spec.Members, spec.Monitor
	spec.Members, spec.Monitor = nil, nil
	p, err := s.putPool(tx, lb, spec)
	if err != nil {
		return "", err
	}
	for _, m := range members {
		if _, err := s.putMember(tx, p, m); err != nil {
			return "", err
		}
	}
	if monitor != nil {
		if _, err := s.putMonitor(tx, p, *monitor); err != nil {
			return "", err
		}
	}
	return p.ID, nil
}
