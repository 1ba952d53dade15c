package loadbalancer

import (
	"net/netip"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

const (
	protocols     = "one of: HTTP, HTTPS, PROMETHEUS, SCTP, TCP, TERMINATED_HTTPS, UDP"
	poolProtocols = "one of: HTTP, HTTPS, PROXY, PROXYV2, SCTP, TCP, UDP"
)

// maxTimeout is the longest idle time that Octavia accepts, in milliseconds.
const maxTimeout = 365 * 24 * 60 * 60 * 1000

// Listener returns a listener.
func (s *Service) Listener(tx *engine.Tx, project, id string) (Listener, error) {
	return get(tx, s.listeners, "Listener", project, id)
}

// CreateListener adds a listener to a load balancer.
func (s *Service) CreateListener(tx *engine.Tx, project string, spec ListenerSpec) (Listener, error) {
	lbID := spec.LoadBalancerID.Or("", "")
	if lbID == "" {
		return Listener{}, badInput("loadbalancer_id", "", "UUID format")
	}
	if _, err := listenerOf(Listener{ConnectionLimit: -1}, spec); err != nil {
		return Listener{}, err
	}
	if spec.DefaultPool != nil {
		return Listener{}, nested()
	}
	lb, err := s.claim(tx, project, lbID)
	if err != nil {
		return Listener{}, err
	}
	return s.putListener(tx, lb, spec)
}

// putListener records a listener of a load balancer that is pending already.
func (s *Service) putListener(tx *engine.Tx, lb LoadBalancer, spec ListenerSpec) (Listener, error) {
	if err := room("Listener", owned(tx, s.listeners, lb.ProjectID), s.Quota(tx, lb.ProjectID).Listener); err != nil {
		return Listener{}, err
	}
	l, err := listenerOf(Listener{
		Common:          s.born(lb, spec.CommonSpec, spec.Description),
		ConnectionLimit: -1, ClientData: 50000, MemberConnect: 5000, MemberData: 50000,
	}, spec)
	if err != nil {
		return Listener{}, err
	}
	for _, other := range of(tx, s.listeners, lb.ID) {
		if other.Port == l.Port && other.Provisioning != PendingDelete {
			return Listener{}, engine.Refuse(engine.Conflict, "Another Listener on this Load Balancer is already using protocol %s and protocol_port %d", other.Protocol, l.Port)
		}
	}
	if err := s.checkListener(tx, lb, l); err != nil {
		return Listener{}, err
	}
	s.listeners.Put(tx, l)
	return l, nil
}

// listenerOf is l changed as spec says. Protocol and port are for creations only.
func listenerOf(l Listener, spec ListenerSpec) (Listener, error) {
	l.Protocol = spec.Protocol.Or(l.Protocol, "")
	switch l.Protocol {
	case "TCP":
	case "HTTP", "HTTPS", "PROMETHEUS", "SCTP", "TERMINATED_HTTPS", "UDP":
		return l, unsupported("listeners of protocol %s; this cloud balances TCP.", l.Protocol)
	default:
		return l, badInput("protocol", l.Protocol, protocols)
	}
	l.Port = spec.Port.Or(l.Port, 0)
	if err := between("protocol_port", l.Port, 1, 65535); err != nil {
		return l, err
	}
	l.ConnectionLimit = spec.Limit.Or(l.ConnectionLimit, -1)
	if l.ConnectionLimit < -1 {
		return l, badInput("connection_limit", l.ConnectionLimit, "greater or equal to -1")
	}
	if len(spec.InsertHeaders.Or(nil, nil)) > 0 {
		return l, engine.Refuse(engine.Invalid, "insert-headers is not a valid option for a TCP protocol listener.")
	}
	l.DefaultPoolID = spec.DefaultPoolID.Or(l.DefaultPoolID, "")
	l.AllowedCIDRs = slices.Clone(spec.AllowedCIDRs.Or(l.AllowedCIDRs, nil))
	l.ClientData = spec.ClientData.Or(l.ClientData, 50000)
	l.MemberConnect = spec.MemberConnect.Or(l.MemberConnect, 5000)
	l.MemberData = spec.MemberData.Or(l.MemberData, 50000)
	l.TCPInspect = spec.TCPInspect.Or(l.TCPInspect, 0)
	for field, ms := range map[string]int{
		"timeout_client_data": l.ClientData, "timeout_member_connect": l.MemberConnect,
		"timeout_member_data": l.MemberData, "timeout_tcp_inspect": l.TCPInspect,
	} {
		if err := between(field, ms, 0, maxTimeout); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (s *Service) checkListener(tx *engine.Tx, lb LoadBalancer, l Listener) error {
	for _, c := range l.AllowedCIDRs {
		cidr, err := netip.ParsePrefix(c)
		if err != nil {
			return badInput("allowed_cidrs", "['"+c+"']", "IPv4 or IPv6 CIDR format")
		}
		if cidr.Addr().Is4() != lb.VIPAddress.Is4() {
			return badRequest("CIDR %s IP version incompatible with VIP %s IP version.", c, lb.VIPAddress)
		}
	}
	if l.DefaultPoolID == "" {
		return nil
	}
	p, err := s.Pool(tx, lb.ProjectID, l.DefaultPoolID)
	if err != nil || p.Provisioning == PendingDelete {
		return notFound("Pool", l.DefaultPoolID)
	}
	if p.LB != lb.ID {
		return badRequest("Listener's default pool %s is on another load balancer.", p.ID)
	}
	return nil
}

// UpdateListener changes a listener.
func (s *Service) UpdateListener(tx *engine.Tx, project, id string, spec ListenerSpec) (Listener, error) {
	if spec.Protocol.Set || spec.Port.Set || spec.LoadBalancerID.Set || spec.ProjectID.Set || spec.DefaultPool != nil {
		return Listener{}, badRequest("protocol, protocol_port and loadbalancer_id of a listener cannot be updated.")
	}
	l, err := s.Listener(tx, project, id)
	if err != nil {
		return l, err
	}
	if l, err = listenerOf(l, spec); err != nil {
		return l, err
	}
	lb, err := s.claim(tx, project, l.LB)
	if err != nil {
		return l, err
	}
	if err := s.checkListener(tx, lb, l); err != nil {
		return l, err
	}
	l.apply(spec.CommonSpec, spec.Description)
	return put(s, tx, s.listeners, l, PendingUpdate), nil
}

// DeleteListener removes a listener; its pool stays.
func (s *Service) DeleteListener(tx *engine.Tx, project, id string) error {
	l, err := s.Listener(tx, project, id)
	if err != nil {
		return err
	}
	if _, err := s.claim(tx, project, l.LB); err != nil {
		return err
	}
	put(s, tx, s.listeners, l, PendingDelete)
	return nil
}
