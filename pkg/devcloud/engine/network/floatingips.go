package network

import (
	"net/netip"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// FloatingIPSpec is a floating IP to be made.
type FloatingIPSpec struct {
	ProjectID, NetworkID, Description string
	SubnetID                          string     // empty: any
	Address                           netip.Addr // zero: the lowest free one
	PortID                            string     // empty: not associated
	FixedIP                           netip.Addr // zero: the port's first IPv4 address
}

// CreateFloatingIP takes an address of an external network, and points it at a port if one is named.
func (s *Service) CreateFloatingIP(tx *engine.Tx, spec FloatingIPSpec) (FloatingIP, error) {
	n, err := s.Network(tx, spec.NetworkID)
	if err != nil {
		return FloatingIP{}, err
	}
	if !n.External {
		return FloatingIP{}, invalid("BadRequest", "Bad floatingip request: Network %s is not a valid external network.", n.ID)
	}
	if err := room("floatingip", count(tx, s.floatingIPs, spec.ProjectID), s.Quota(tx, spec.ProjectID).FloatingIP); err != nil {
		return FloatingIP{}, err
	}
	ip, err := s.externalAddress(tx, n, spec)
	if err != nil {
		return FloatingIP{}, err
	}
	f := FloatingIP{
		Standard:  s.born(Standard{ProjectID: spec.ProjectID, Description: spec.Description}),
		NetworkID: n.ID, SubnetID: ip.SubnetID, Address: ip.Address,
	}
	if spec.PortID != "" {
		if f, err = s.associated(tx, f, spec.PortID, spec.FixedIP); err != nil {
			return FloatingIP{}, err
		}
	}
	s.floatingIPs.Put(tx, f)
	if f.PortID != "" {
		return f, s.portChanged(tx, f.PortID)
	}
	return f, nil
}

func (s *Service) externalAddress(tx *engine.Tx, n Network, spec FloatingIPSpec) (FixedIP, error) {
	if spec.SubnetID != "" || spec.Address.IsValid() {
		ips, err := s.choose(tx, n, []FixedIP{{spec.SubnetID, spec.Address}})
		if err != nil {
			return FixedIP{}, err
		}
		return ips[0], nil
	}
	used := s.inUse(tx, n.ID)
	for _, sub := range s.SubnetsOf(tx, n.ID) {
		if a, ok := lowestFree(sub.Pools, used); ok && a.Is4() {
			return FixedIP{sub.ID, a}, nil
		}
	}
	return FixedIP{}, conflict("IpAddressGenerationFailure", "No more IP addresses available on network %s.", n.ID)
}

// associated is f pointing at a port, which must be behind a router with a gateway to f's network.
func (s *Service) associated(tx *engine.Tx, f FloatingIP, portID string, fixed netip.Addr) (FloatingIP, error) {
	p, err := s.Port(tx, portID)
	if err != nil {
		return f, err
	}
	if p.ProjectID != f.ProjectID {
		return f, Absent("ports", portID)
	}
	ip, err := fixedOf(p, fixed)
	if err != nil {
		return f, err
	}
	for _, other := range s.FloatingIPsOfPort(tx, portID) {
		if other.ID != f.ID && other.FixedIP == ip.Address && other.NetworkID == f.NetworkID {
			return f, conflict("FloatingIPPortAlreadyAssociated",
				"Cannot associate floating IP %s (%s) with port %s using fixed IP %s, as that fixed IP already has a floating IP on external network %s.",
				f.Address, f.ID, p.ID, ip.Address, f.NetworkID)
		}
	}
	router, ok := s.routerBetween(tx, ip.SubnetID, f.NetworkID)
	if !ok {
		return f, notFound("ExternalGatewayForFloatingIPNotFound",
			"External network %s is not reachable from subnet %s.  Therefore, cannot associate Port %s with a Floating IP.", f.NetworkID, ip.SubnetID, p.ID)
	}
	f.PortID, f.FixedIP, f.RouterID = p.ID, ip.Address, router
	return f, nil
}

func fixedOf(p Port, want netip.Addr) (FixedIP, error) {
	for _, ip := range p.FixedIPs {
		if ip.Address == want || !want.IsValid() && ip.Address.Is4() {
			return ip, nil
		}
	}
	if want.IsValid() {
		return FixedIP{}, invalid("BadRequest", "Bad floatingip request: Port %s does not have fixed ip %s.", p.ID, want)
	}
	return FixedIP{}, invalid("BadRequest", "Bad floatingip request: Cannot add floating IP to port %s that has no fixed IPv4 addresses.", p.ID)
}

func (s *Service) disassociated(f FloatingIP) FloatingIP {
	f.PortID, f.FixedIP, f.RouterID = "", netip.Addr{}, ""
	f.Standard = s.changed(f.Standard)
	return f
}

// FloatingIP returns a floating IP.
func (s *Service) FloatingIP(tx *engine.Tx, id string) (FloatingIP, error) {
	f, ok := s.floatingIPs.Get(tx, id)
	if !ok {
		return f, Absent("floatingips", id)
	}
	return f, nil
}

// FloatingIPs are all floating IPs, oldest first.
func (s *Service) FloatingIPs(tx *engine.Tx) []FloatingIP { return s.floatingIPs.Where(tx, nil) }

// FloatingIPsOfPort are the floating IPs that point at a port.
func (s *Service) FloatingIPsOfPort(tx *engine.Tx, portID string) []FloatingIP {
	return s.floatingIPs.Where(tx, func(f FloatingIP) bool { return f.PortID == portID })
}

// Association is a change of what a floating IP points at; an empty PortID disassociates it.
type Association struct {
	PortID  string
	FixedIP netip.Addr // zero: the port's first IPv4 address
}

// UpdateFloatingIP changes the description, and where the address points to if to is not nil.
func (s *Service) UpdateFloatingIP(tx *engine.Tx, id string, naming Naming, to *Association) (FloatingIP, error) {
	f, err := s.FloatingIP(tx, id)
	if err != nil {
		return f, err
	}
	before := f
	f.Standard = s.changed(naming.apply(f.Standard))
	switch {
	case to == nil:
	case to.PortID == "":
		revised := f.Standard
		f = s.disassociated(f)
		f.Standard = revised // one request, one revision
	default:
		if f, err = s.associated(tx, f, to.PortID, to.FixedIP); err != nil {
			return f, err
		}
	}
	s.floatingIPs.Put(tx, f)
	if before.PortID == f.PortID && before.FixedIP == f.FixedIP {
		return f, nil
	}
	for _, port := range slices.Compact([]string{before.PortID, f.PortID}) {
		if port == "" {
			continue
		}
		if err := s.portChanged(tx, port); err != nil {
			return f, err
		}
	}
	return f, nil
}

// DeleteFloatingIP releases the address.
func (s *Service) DeleteFloatingIP(tx *engine.Tx, id string) error {
	f, err := s.FloatingIP(tx, id)
	if err != nil {
		return err
	}
	s.floatingIPs.Delete(tx, id)
	if f.PortID != "" {
		return s.portChanged(tx, f.PortID)
	}
	return nil
}
