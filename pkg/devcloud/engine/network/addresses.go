package network

import (
	"net/netip"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// inUse is every address taken on a network.
func (s *Service) inUse(tx *engine.Tx, networkID string) map[netip.Addr]bool {
	used := map[netip.Addr]bool{}
	for _, p := range s.ports.Where(tx, func(p Port) bool { return p.NetworkID == networkID }) {
		for _, ip := range p.FixedIPs {
			used[ip.Address] = true
		}
	}
	for _, f := range s.floatingIPs.Where(tx, func(f FloatingIP) bool { return f.NetworkID == networkID }) {
		used[f.Address] = true
	}
	return used
}

// lowestFree is the first address of the pools that is not used. Deterministic, so that a lab's addresses repeat.
func lowestFree(pools []AddressPool, used map[netip.Addr]bool) (netip.Addr, bool) {
	for _, p := range pools {
		for a := p.Start; a.IsValid() && a.Compare(p.End) <= 0; a = a.Next() {
			if !used[a] {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

// defaultPools is the whole subnet but its first and last address and its gateway.
func defaultPools(cidr netip.Prefix, gateway netip.Addr) []AddressPool {
	first, last := hostRange(cidr)
	if !gateway.IsValid() || gateway.Compare(first) < 0 || gateway.Compare(last) > 0 {
		return []AddressPool{{first, last}}
	}
	var pools []AddressPool
	if gateway.Compare(first) > 0 {
		pools = append(pools, AddressPool{first, gateway.Prev()})
	}
	if gateway.Compare(last) < 0 {
		pools = append(pools, AddressPool{gateway.Next(), last})
	}
	return pools
}

// hostRange is the first and last address a host may have.
func hostRange(cidr netip.Prefix) (first, last netip.Addr) {
	first, last = cidr.Masked().Addr(), lastOf(cidr)
	if cidr.Addr().Is4() && cidr.Bits() >= 31 || cidr.Bits() >= 127 {
		return first, last
	}
	first = first.Next()
	if cidr.Addr().Is4() { // IPv6 has no broadcast address
		last = last.Prev()
	}
	return first, last
}

func lastOf(cidr netip.Prefix) netip.Addr {
	b := cidr.Masked().Addr().AsSlice()
	for bit := cidr.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// choose settles a port's addresses: what was asked for, or else the lowest free one of each IP version.
func (s *Service) choose(tx *engine.Tx, network Network, asked []FixedIP) ([]FixedIP, error) {
	subnets := s.SubnetsOf(tx, network.ID)
	used := s.inUse(tx, network.ID)
	if asked == nil {
		return lowestOfEachVersion(network, subnets, used)
	}
	chosen := make([]FixedIP, 0, len(asked))
	for _, want := range asked {
		ip, err := fulfil(network, subnets, used, want, func(id string) bool {
			_, ok := s.subnets.Get(tx, id)
			return ok
		})
		if err != nil {
			return nil, err
		}
		used[ip.Address] = true
		chosen = append(chosen, ip)
	}
	return chosen, nil
}

func lowestOfEachVersion(network Network, subnets []Subnet, used map[netip.Addr]bool) ([]FixedIP, error) {
	var chosen []FixedIP
	served := map[bool]bool{} // by "is IPv4": has a subnet, and whether it gave an address
	for _, sub := range subnets {
		is4 := sub.CIDR.Addr().Is4()
		if served[is4] {
			continue
		}
		a, ok := lowestFree(sub.Pools, used)
		served[is4] = ok
		if ok {
			chosen = append(chosen, FixedIP{sub.ID, a})
		}
	}
	for _, ok := range served {
		if !ok {
			return nil, conflict("IpAddressGenerationFailure", "No more IP addresses available on network %s.", network.ID)
		}
	}
	return chosen, nil
}

func fulfil(network Network, subnets []Subnet, used map[netip.Addr]bool, want FixedIP, known func(subnetID string) bool) (FixedIP, error) {
	for _, sub := range subnets {
		if want.SubnetID != "" && sub.ID != want.SubnetID {
			continue
		}
		if !want.Address.IsValid() {
			if a, ok := lowestFree(sub.Pools, used); ok {
				return FixedIP{sub.ID, a}, nil
			}
			return FixedIP{}, conflict("IpAddressGenerationFailure",
				"No more IP addresses available on network %s.", network.ID)
		}
		if first, last := hostRange(sub.CIDR); !sub.CIDR.Contains(want.Address) || want.Address.Less(first) || last.Less(want.Address) {
			if want.SubnetID == "" {
				continue
			}
			return FixedIP{}, invalid("InvalidIpForSubnet", "IP address %s is not a valid IP for the specified subnet.", want.Address)
		}
		if used[want.Address] {
			return FixedIP{}, conflict("IpAddressAlreadyAllocated", "IP address %s already allocated in subnet %s", want.Address, sub.ID)
		}
		return FixedIP{sub.ID, want.Address}, nil
	}
	if want.SubnetID != "" && !known(want.SubnetID) {
		return FixedIP{}, Absent("subnets", want.SubnetID)
	}
	if want.SubnetID != "" {
		return FixedIP{}, invalid("InvalidInput", "Invalid input for operation: Failed to create port on network %s, because fixed_ips included invalid subnet %s.", network.ID, want.SubnetID)
	}
	return FixedIP{}, invalid("InvalidIpForNetwork", "IP address %s is not a valid IP for any of the subnets on the specified network.", want.Address)
}
