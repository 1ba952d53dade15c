package network

import (
	"net/netip"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// SubnetSpec is a subnet to be made.
type SubnetSpec struct {
	ProjectID, NetworkID, Name, Description string
	CIDR                                    netip.Prefix
	Gateway                                 netip.Addr // zero: the first address, unless NoGateway
	NoGateway                               bool
	Pools                                   []AddressPool // empty: all but the gateway
	NoDHCP                                  bool
	Nameservers                             []string
	HostRoutes                              []Route
}

// CreateSubnet makes a subnet.
func (s *Service) CreateSubnet(tx *engine.Tx, spec SubnetSpec) (Subnet, error) {
	if _, err := s.Network(tx, spec.NetworkID); err != nil {
		return Subnet{}, err
	}
	if err := room("subnet", count(tx, s.subnets, spec.ProjectID), s.Quota(tx, spec.ProjectID).Subnet); err != nil {
		return Subnet{}, err
	}
	if !spec.CIDR.IsValid() {
		return Subnet{}, invalid("BadRequest", "Bad subnets request: a subnetpool must be specified in the absence of a cidr.")
	}
	cidr := spec.CIDR.Masked()
	for _, other := range s.SubnetsOf(tx, spec.NetworkID) {
		if other.CIDR.Overlaps(cidr) {
			return Subnet{}, invalid("InvalidInput", "Invalid input for operation: Requested subnet with cidr: %s for network: %s overlaps with another subnet.", cidr, spec.NetworkID)
		}
	}
	first, _ := hostRange(cidr)
	if !spec.Gateway.IsValid() && !spec.NoGateway {
		spec.Gateway = first
	}
	if len(spec.Pools) == 0 {
		spec.Pools = defaultPools(cidr, spec.Gateway)
	}
	if err := checkGateway(cidr, spec.Gateway, spec.Pools); err != nil {
		return Subnet{}, err
	}
	if err := checkHosts(cidr, spec.Nameservers, spec.HostRoutes); err != nil {
		return Subnet{}, err
	}
	sub := Subnet{
		Standard:  s.born(Standard{ProjectID: spec.ProjectID, Name: spec.Name, Description: spec.Description}),
		NetworkID: spec.NetworkID, CIDR: cidr, Gateway: spec.Gateway, Pools: spec.Pools,
		DHCP: !spec.NoDHCP, Nameservers: spec.Nameservers, HostRoutes: spec.HostRoutes,
	}
	s.subnets.Put(tx, sub)
	return sub, nil
}

// Subnet returns a subnet.
func (s *Service) Subnet(tx *engine.Tx, id string) (Subnet, error) {
	sub, ok := s.subnets.Get(tx, id)
	if !ok {
		return sub, Absent("subnets", id)
	}
	return sub, nil
}

// Subnets are all subnets, oldest first.
func (s *Service) Subnets(tx *engine.Tx) []Subnet { return s.subnets.Where(tx, nil) }

// SubnetsOf are a network's subnets, oldest first.
func (s *Service) SubnetsOf(tx *engine.Tx, networkID string) []Subnet {
	return s.subnets.Where(tx, func(sub Subnet) bool { return sub.NetworkID == networkID })
}

// SubnetChange is what an update of a subnet changes; nil fields stay.
type SubnetChange struct {
	Naming
	Gateway     *netip.Addr // zero: none from now on
	Pools       *[]AddressPool
	DHCP        *bool
	Nameservers *[]string
	HostRoutes  *[]Route
}

// UpdateSubnet changes a subnet. The gateway stays while a router has its address.
func (s *Service) UpdateSubnet(tx *engine.Tx, id string, c SubnetChange) (Subnet, error) {
	sub, err := s.Subnet(tx, id)
	if err != nil {
		return sub, err
	}
	if c.Gateway != nil && *c.Gateway != sub.Gateway {
		for _, p := range s.ports.Where(tx, func(p Port) bool { return p.DeviceOwner == OwnerRouterInterface }) {
			if slices.Contains(p.FixedIPs, FixedIP{SubnetID: id, Address: sub.Gateway}) {
				return sub, conflict("GatewayIpInUse", "Current gateway ip %s already in use by port %s. Unable to update.", sub.Gateway, p.ID)
			}
		}
		sub.Gateway = *c.Gateway
	}
	sub.Pools = deref(c.Pools, sub.Pools)
	sub.DHCP = deref(c.DHCP, sub.DHCP)
	sub.Nameservers = deref(c.Nameservers, sub.Nameservers)
	sub.HostRoutes = deref(c.HostRoutes, sub.HostRoutes)
	if c.Gateway != nil || c.Pools != nil {
		if err := checkGateway(sub.CIDR, sub.Gateway, sub.Pools); err != nil {
			return sub, err
		}
	}
	if err := checkHosts(sub.CIDR, deref(c.Nameservers, nil), deref(c.HostRoutes, nil)); err != nil {
		return sub, err
	}
	sub.Standard = s.changed(c.apply(sub.Standard))
	s.subnets.Put(tx, sub)
	return sub, nil
}

func deref[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

// checkGateway refuses pools outside of the subnet, and a gateway that somebody else could be given.
func checkGateway(cidr netip.Prefix, gateway netip.Addr, pools []AddressPool) error {
	if gateway.IsValid() {
		first, last := hostRange(cidr)
		if gateway.Is4() != cidr.Addr().Is4() || cidr.Contains(gateway) && (gateway.Less(first) || last.Less(gateway)) {
			return invalid("InvalidInput", "Invalid input for operation: Gateway is not valid on subnet.")
		}
	}
	for i, p := range pools {
		switch {
		case slices.ContainsFunc(pools[:i], func(o AddressPool) bool { return !p.End.Less(o.Start) && !o.End.Less(p.Start) }):
			return conflict("OverlappingAllocationPools", "Found overlapping allocation pools: %s-%s for subnet %s.", p.Start, p.End, cidr)
		case !cidr.Contains(p.Start) || !cidr.Contains(p.End):
			return invalid("OutOfBoundsAllocationPool", "The allocation pool %s-%s spans beyond the subnet cidr %s.", p.Start, p.End, cidr)
		case p.End.Less(p.Start):
			return invalid("InvalidAllocationPool", "The allocation pool %s-%s is not valid.", p.Start, p.End)
		case gateway.IsValid() && gateway.Compare(p.Start) >= 0 && gateway.Compare(p.End) <= 0:
			return conflict("GatewayConflictWithAllocationPools", "Gateway ip %s conflicts with allocation pool %s-%s.", gateway, p.Start, p.End)
		}
	}
	return nil
}

// checkHosts refuses what hosts of the subnet could not be told: servers and next hops that are no addresses of its kind.
func checkHosts(cidr netip.Prefix, nameservers []string, routes []Route) error {
	for _, n := range nameservers {
		if a, err := netip.ParseAddr(n); err != nil || a.Is4() != cidr.Addr().Is4() {
			return invalid("InvalidInput", "Invalid input for operation: Error parsing dns address %s.", n)
		}
	}
	for _, r := range routes {
		to, err := netip.ParsePrefix(r.Destination)
		hop, hopErr := netip.ParseAddr(r.NextHop)
		if err != nil || hopErr != nil || to.Addr().Is4() != hop.Is4() || hop.Is4() != cidr.Addr().Is4() {
			return invalid("InvalidInput", "Invalid input for operation: Invalid CIDRs: %s via %s.", r.Destination, r.NextHop)
		}
	}
	return nil
}

// DeleteSubnet removes a subnet that no port has an address of.
func (s *Service) DeleteSubnet(tx *engine.Tx, id string) error {
	if _, err := s.Subnet(tx, id); err != nil {
		return err
	}
	for _, p := range s.ports.Where(tx, nil) {
		for _, ip := range p.FixedIPs {
			if ip.SubnetID == id {
				return conflict("SubnetInUse", "Unable to complete operation on subnet %s: One or more ports have an IP allocation from this subnet.", id)
			}
		}
	}
	s.subnets.Delete(tx, id)
	return nil
}
