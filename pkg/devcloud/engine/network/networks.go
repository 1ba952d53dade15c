package network

import (
	"net/netip"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// NetworkSpec is a network to be made.
type NetworkSpec struct { //nolint:revive // one of the specs
	ProjectID, Name, Description string
	External, Shared, Down       bool
	MTU                          int // 0: 1450
}

// CreateNetwork makes a network.
func (s *Service) CreateNetwork(tx *engine.Tx, spec NetworkSpec) (Network, error) {
	if err := room("network", count(tx, s.networks, spec.ProjectID), s.quota.Network); err != nil {
		return Network{}, err
	}
	n := Network{
		Standard: s.born(Standard{ProjectID: spec.ProjectID, Name: spec.Name, Description: spec.Description}),
		External: spec.External, Shared: spec.Shared, Down: spec.Down, MTU: spec.MTU,
	}
	if n.MTU == 0 {
		n.MTU = 1450
	}
	s.networks.Put(tx, n)
	return n, nil
}

// Network returns a network.
func (s *Service) Network(tx *engine.Tx, id string) (Network, error) {
	n, ok := s.networks.Get(tx, id)
	if !ok {
		return n, Absent("networks", id)
	}
	return n, nil
}

// Networks are all networks, oldest first.
func (s *Service) Networks(tx *engine.Tx) []Network { return s.networks.Where(tx, nil) }

// UpdateNetwork changes a network's name, description and admin state.
func (s *Service) UpdateNetwork(tx *engine.Tx, id string, naming Naming, up *bool) (Network, error) {
	n, err := s.Network(tx, id)
	if err != nil {
		return n, err
	}
	n.Standard = s.changed(naming.apply(n.Standard))
	if up != nil {
		n.Down = !*up
	}
	s.networks.Put(tx, n)
	return n, nil
}

// DeleteNetwork removes a network and its subnets, unless a port is on it.
func (s *Service) DeleteNetwork(tx *engine.Tx, id string) error {
	if _, err := s.Network(tx, id); err != nil {
		return err
	}
	var ids []string
	for _, p := range s.ports.Where(tx, func(p Port) bool { return p.NetworkID == id }) {
		ids = append(ids, p.ID)
	}
	if len(ids) > 0 {
		return conflict("NetworkInUse", "Unable to complete operation on network %s. There are one or more ports still in use on the network, id for these ports is: %s.", id, strings.Join(ids, ","))
	}
	if fips := s.floatingIPs.Where(tx, func(f FloatingIP) bool { return f.NetworkID == id }); len(fips) > 0 {
		return conflict("NetworkInUse", "Unable to complete operation on network %s. There are one or more floating IPs still in use on the network.", id)
	}
	for _, sub := range s.SubnetsOf(tx, id) {
		s.subnets.Delete(tx, sub.ID)
	}
	s.networks.Delete(tx, id)
	return nil
}

// SubnetSpec is a subnet to be made.
type SubnetSpec struct {
	ProjectID, NetworkID, Name, Description string
	CIDR                                    netip.Prefix
	Gateway                                 netip.Addr // zero: the first address, unless NoGateway
	NoGateway                               bool
	Pools                                   []AddressPool // empty: all but the gateway
	NoDHCP                                  bool
	Nameservers                             []string
}

// CreateSubnet makes a subnet.
func (s *Service) CreateSubnet(tx *engine.Tx, spec SubnetSpec) (Subnet, error) {
	if _, err := s.Network(tx, spec.NetworkID); err != nil {
		return Subnet{}, err
	}
	if err := room("subnet", count(tx, s.subnets, spec.ProjectID), s.quota.Subnet); err != nil {
		return Subnet{}, err
	}
	if !spec.CIDR.IsValid() {
		return Subnet{}, invalid("BadRequest", "a subnetpool must be specified in the absence of a cidr")
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
	for _, p := range spec.Pools {
		switch {
		case !cidr.Contains(p.Start) || !cidr.Contains(p.End):
			return Subnet{}, invalid("OutOfBoundsAllocationPool", "The allocation pool %s-%s spans beyond the subnet cidr %s.", p.Start, p.End, cidr)
		case p.End.Less(p.Start):
			return Subnet{}, invalid("InvalidAllocationPool", "The allocation pool %s-%s is not valid.", p.Start, p.End)
		case spec.Gateway.IsValid() && spec.Gateway.Compare(p.Start) >= 0 && spec.Gateway.Compare(p.End) <= 0:
			return Subnet{}, conflict("GatewayConflictWithAllocationPools", "Gateway ip %s conflicts with allocation pool %s-%s.", spec.Gateway, p.Start, p.End)
		}
	}
	sub := Subnet{
		Standard:  s.born(Standard{ProjectID: spec.ProjectID, Name: spec.Name, Description: spec.Description}),
		NetworkID: spec.NetworkID, CIDR: cidr, Gateway: spec.Gateway, Pools: spec.Pools,
		DHCP: !spec.NoDHCP, Nameservers: spec.Nameservers,
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

// UpdateSubnet changes a subnet's name and description.
func (s *Service) UpdateSubnet(tx *engine.Tx, id string, naming Naming) (Subnet, error) {
	sub, err := s.Subnet(tx, id)
	if err != nil {
		return sub, err
	}
	sub.Standard = s.changed(naming.apply(sub.Standard))
	s.subnets.Put(tx, sub)
	return sub, nil
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
