package loadbalancer

import (
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/balancer"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// Pool returns a pool.
func (s *Service) Pool(tx *engine.Tx, project, id string) (Pool, error) {
	return get(tx, s.pools, "Pool", project, id)
}

// CreatePool adds a pool to a load balancer, as the default pool of a listener if it names one.
func (s *Service) CreatePool(tx *engine.Tx, project string, spec PoolSpec) (Pool, error) {
	if _, err := poolOf(Pool{}, spec); err != nil {
		return Pool{}, err
	}
	if spec.Members != nil || spec.Monitor != nil {
		return Pool{}, nested()
	}
	lbID, listenerID := spec.LoadBalancerID.Or("", ""), spec.ListenerID.Or("", "")
	var listener Listener
	if listenerID != "" {
		var err error
		if listener, err = s.Listener(tx, project, listenerID); err != nil {
			return Pool{}, err
		}
		if lbID == "" {
			lbID = listener.LB
		}
		if lbID != listener.LB {
			return Pool{}, badRequest("Listener %s is on another load balancer.", listenerID)
		}
	}
	if lbID == "" {
		return Pool{}, badRequest("Must provide at least one of: loadbalancer_id, listener_id")
	}
	lb, err := s.claim(tx, project, lbID)
	if err != nil {
		return Pool{}, err
	}
	if listener.DefaultPoolID != "" {
		return Pool{}, engine.Refuse(engine.Conflict, "This listener already has a default pool")
	}
	p, err := s.putPool(tx, lb, spec)
	if err != nil {
		return Pool{}, err
	}
	if listenerID != "" {
		listener.DefaultPoolID = p.ID
		put(s, tx, s.listeners, listener, PendingUpdate)
	}
	return p, nil
}

// putPool records a pool of a load balancer that is pending already.
func (s *Service) putPool(tx *engine.Tx, lb LoadBalancer, spec PoolSpec) (Pool, error) {
	if err := room("Pool", owned(tx, s.pools, lb.ProjectID), s.Quota(tx, lb.ProjectID).Pool); err != nil {
		return Pool{}, err
	}
	p, err := poolOf(Pool{Common: s.born(lb, spec.CommonSpec, spec.Description)}, spec)
	if err != nil {
		return Pool{}, err
	}
	s.pools.Put(tx, p)
	return p, nil
}

func poolOf(p Pool, spec PoolSpec) (Pool, error) {
	p.Protocol = spec.Protocol.Or(p.Protocol, "")
	switch p.Protocol {
	case "TCP":
	case "HTTP", "HTTPS", "PROXY", "PROXYV2", "SCTP", "UDP":
		return p, unsupported("pools of protocol %s; this cloud balances TCP.", p.Protocol)
	default:
		return p, badInput("protocol", p.Protocol, poolProtocols)
	}
	p.Algorithm = spec.Algorithm.Or(p.Algorithm, "")
	switch p.Algorithm {
	case balancer.RoundRobin, balancer.LeastConnections, balancer.SourceIP:
	case "SOURCE_IP_PORT":
		return p, unsupported("Amphora provider does not support SOURCE_IP_PORT algorithm.")
	default:
		return p, badInput("lb_algorithm", p.Algorithm, "one of: LEAST_CONNECTIONS, ROUND_ROBIN, SOURCE_IP, SOURCE_IP_PORT")
	}
	if !spec.Persistence.Set {
		return p, nil
	}
	p.Persistence = ""
	if sp := spec.Persistence.Value; sp != nil {
		switch sp.Type {
		case "SOURCE_IP":
		case "APP_COOKIE", "HTTP_COOKIE":
			if sp.Type == "APP_COOKIE" && sp.CookieName == nil {
				return p, badRequest("Field \"cookie_name\" must be specified when using the \"APP_COOKIE\" session persistence type.")
			}
			return p, badRequest("session_persistence of type %s is not supported for TCP protocol pools.", sp.Type)
		default:
			return p, badInput("type", sp.Type, "one of: APP_COOKIE, HTTP_COOKIE, SOURCE_IP")
		}
		if sp.CookieName != nil {
			return p, badRequest("Field \"cookie_name\" can only be specified with session persistence of type \"APP_COOKIE\".")
		}
		if sp.Timeout != nil || sp.Granularity != nil {
			return p, badRequest("session_persistence of type SOURCE_IP on a TCP pool takes no further options.")
		}
		p.Persistence = sp.Type
	}
	return p, nil
}

// UpdatePool changes algorithm, persistence, name, description, tags and admin state.
func (s *Service) UpdatePool(tx *engine.Tx, project, id string, spec PoolSpec) (Pool, error) {
	if spec.Protocol.Set || spec.LoadBalancerID.Set || spec.ListenerID.Set || spec.ProjectID.Set || spec.Members != nil || spec.Monitor != nil {
		return Pool{}, badRequest("protocol, loadbalancer_id, listener_id, members and healthmonitor of a pool cannot be updated.")
	}
	p, err := s.Pool(tx, project, id)
	if err != nil {
		return p, err
	}
	if p, err = poolOf(p, spec); err != nil {
		return p, err
	}
	if _, err := s.claim(tx, project, p.LB); err != nil {
		return p, err
	}
	if p = s.touchPool(tx, p); p.Unfinished {
		s.remember(tx, p.LB)
		p = put(s, tx, s.pools, p, PendingUpdate)
	}
	p.apply(spec.CommonSpec, spec.Description)
	s.pools.Put(tx, p)
	return p, nil
}

// remember finishes the listeners that were forgotten: with any of its pools the load balancer is configured as a whole.
func (s *Service) remember(tx *engine.Tx, lbID string) {
	for _, l := range of(tx, s.listeners, lbID) {
		if l.Unfinished {
			put(s, tx, s.listeners, l, PendingUpdate)
		}
	}
}

// DeletePool removes a pool with its members and monitor; listeners that used it refuse connections from then on.
func (s *Service) DeletePool(tx *engine.Tx, project, id string) error {
	p, err := s.Pool(tx, project, id)
	if err != nil {
		return err
	}
	if _, err := s.claim(tx, project, p.LB); err != nil {
		return err
	}
	for _, l := range of(tx, s.listeners, p.LB) {
		if l.DefaultPoolID == id {
			l.DefaultPoolID = ""
			put(s, tx, s.listeners, l, PendingUpdate)
		}
	}
	for _, m := range s.MembersOf(tx, id) {
		put(s, tx, s.members, m, PendingDelete)
	}
	if m, ok := s.monitorOf(tx, p); ok {
		put(s, tx, s.monitors, m, PendingDelete)
	}
	put(s, tx, s.pools, p, PendingDelete)
	return nil
}
