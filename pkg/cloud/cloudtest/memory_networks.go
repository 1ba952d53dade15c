package cloudtest

import (
	"context"
	"net/netip"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// subnetFor finds the subnet by id, or else the first of the network.
func (m *Memory) subnetFor(subnetID, networkID string) *cloud.Subnet {
	for i, s := range m.opts.Subnets {
		if subnetID == s.ID || subnetID == "" && networkID == s.NetworkID {
			return &m.opts.Subnets[i]
		}
	}
	return nil
}

// address gives out the next free address of a subnet, from .100 on.
func (m *Memory) address(subnetID string) string {
	prefix, err := netip.ParsePrefix(m.subnetFor(subnetID, "").CIDR)
	if err != nil {
		return ""
	}
	addr := prefix.Masked().Addr()
	for range 99 + m.addresses[subnetID] {
		addr = addr.Next()
	}
	for {
		m.addresses[subnetID]++
		addr = addr.Next()
		if !m.addressTaken(addr.String()) {
			return addr.String()
		}
	}
}

// ListNetworks implements cloud.Networks.
func (m *Memory) ListNetworks(ctx context.Context, filter cloud.NetworkFilter) (found []cloud.Network, err error) {
	err = m.do(ctx, OpListNetworks, "", func() error {
		for _, n := range m.opts.Networks {
			if filter.ID != "" && n.ID != filter.ID || filter.Name != "" && n.Name != filter.Name || filter.External && !n.External {
				continue
			}
			n.SubnetIDs = slices.Clone(n.SubnetIDs)
			found = append(found, n)
		}
		return nil
	})
	return found, err
}

// ListSubnets implements cloud.Networks.
func (m *Memory) ListSubnets(ctx context.Context, networkID string) (found []cloud.Subnet, err error) {
	err = m.do(ctx, OpListSubnets, networkID, func() error {
		for _, s := range m.opts.Subnets {
			if networkID == "" || s.NetworkID == networkID {
				found = append(found, s)
			}
		}
		return nil
	})
	return found, err
}

// ListFloatingIPs implements cloud.Networks.
func (m *Memory) ListFloatingIPs(ctx context.Context, filter cloud.FloatingIPFilter) (found []cloud.FloatingIP, err error) {
	err = m.do(ctx, OpListFloatingIPs, "", func() error {
		for _, id := range sortedKeys(m.fips) {
			f := m.fips[id]
			if filter.PortID != "" && f.PortID != filter.PortID || filter.Description != "" && f.Description != filter.Description {
				continue
			}
			found = append(found, *f)
		}
		return nil
	})
	return found, err
}

// CreateFloatingIP implements cloud.Networks.
func (m *Memory) CreateFloatingIP(ctx context.Context, spec cloud.FloatingIPSpec) (created cloud.FloatingIP, err error) {
	err = m.do(ctx, OpCreateFloatingIP, spec.PortID, func() error {
		subnet := m.subnetFor(spec.SubnetID, spec.NetworkID)
		switch {
		case !m.external(spec.NetworkID):
			return refuse(cloud.ErrInvalid, "network %q is not an external network", spec.NetworkID)
		case subnet == nil || subnet.NetworkID != spec.NetworkID:
			return refuse(cloud.ErrInvalid, "subnet %q could not be found on network %s", spec.SubnetID, spec.NetworkID)
		case spec.PortID != "" && !m.portExists(spec.PortID):
			return refuse(cloud.ErrInvalid, "port %s could not be found", spec.PortID)
		case m.opts.Quota.FloatingIPs > 0 && len(m.fips) >= m.opts.Quota.FloatingIPs:
			return refuse(cloud.ErrExhausted, "quota of %d floating IPs", m.opts.Quota.FloatingIPs)
		case spec.Address != "" && m.addressTaken(spec.Address):
			return refuse(cloud.ErrConflict, "address %s is taken", spec.Address)
		}
		f := &cloud.FloatingIP{ID: newID(), Address: spec.Address, NetworkID: spec.NetworkID, Description: spec.Description}
		if err := m.associate(f, spec.PortID); err != nil {
			return err
		}
		if f.Address == "" {
			f.Address = m.address(subnet.ID)
		}
		m.fips[f.ID] = f
		created = *f
		return nil
	})
	return created, err
}

func (m *Memory) external(networkID string) bool {
	return slices.ContainsFunc(m.opts.Networks, func(n cloud.Network) bool { return n.ID == networkID && n.External })
}

// portExists knows the ports of virtual addresses only.
func (m *Memory) portExists(id string) bool {
	return m.holder(func(lb *cloud.LoadBalancer) bool { return lb.VIPPortID == id })() != nil
}

func (m *Memory) addressTaken(address string) bool {
	for _, f := range m.fips {
		if f.Address == address {
			return true
		}
	}
	for _, lb := range m.balancers {
		if lb.VIP == address {
			return true
		}
	}
	return false
}

func (m *Memory) associate(f *cloud.FloatingIP, portID string) error {
	for _, other := range m.fips {
		if portID != "" && other.ID != f.ID && other.PortID == portID && other.NetworkID == f.NetworkID {
			return refuse(cloud.ErrConflict, "port %s has floating IP %s", portID, other.ID)
		}
	}
	f.PortID = portID
	return nil
}

// AssociateFloatingIP implements cloud.Networks.
func (m *Memory) AssociateFloatingIP(ctx context.Context, id, portID string) error {
	return m.do(ctx, OpAssociateFloatingIP, id, func() error {
		f, ok := m.fips[id]
		if !ok || portID != "" && !m.portExists(portID) {
			return cloud.ErrNotFound
		}
		return m.associate(f, portID)
	})
}

// DeleteFloatingIP implements cloud.Networks.
func (m *Memory) DeleteFloatingIP(ctx context.Context, id string) error {
	return m.do(ctx, OpDeleteFloatingIP, id, func() error {
		if _, ok := m.fips[id]; !ok {
			return cloud.ErrNotFound
		}
		delete(m.fips, id)
		return nil
	})
}

// PutFloatingIP adds or replaces a floating IP.
func (m *Memory) PutFloatingIP(f cloud.FloatingIP) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fips[f.ID] = &f
}

// FloatingIPs returns all floating IPs as they are now, without a call.
func (m *Memory) FloatingIPs() []cloud.FloatingIP {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	var all []cloud.FloatingIP
	for _, id := range sortedKeys(m.fips) {
		all = append(all, *m.fips[id])
	}
	return all
}
