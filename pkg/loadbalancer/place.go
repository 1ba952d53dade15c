package loadbalancer

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// vip says where the virtual address lies: the Service's word, then the operator's, then the nodes' subnet.
func (d *desired) vip() VIP {
	s := d.settings
	var vip VIP
	if s.internal {
		vip.Address = d.Service.Spec.LoadBalancerIP
	}
	switch {
	case s.subnet != "":
		subnet, err := d.Facts.subnet(s.subnet)
		if err != nil {
			d.invalid("annotation %s: %q: %w", annotationSubnet, s.subnet, err)
		}
		vip.SubnetID, vip.NetworkID, vip.Pinned = subnet.ID, subnet.NetworkID, true
	case s.network != "":
		network, err := d.Facts.network(s.network, false)
		if err != nil {
			d.invalid("annotation %s: %q: %w", annotationNetwork, s.network, err)
		}
		vip.NetworkID, vip.Pinned = network.ID, true
	case d.Defaults.Subnet != "":
		subnet, err := d.Facts.subnet(d.Defaults.Subnet)
		if err != nil {
			vip.Problem = fmt.Errorf("configured subnet %q: %w", d.Defaults.Subnet, err)
		}
		vip.SubnetID, vip.NetworkID = subnet.ID, subnet.NetworkID
	case d.Defaults.Network != "":
		network, err := d.Facts.network(d.Defaults.Network, false)
		if err != nil {
			vip.Problem = fmt.Errorf("configured network %q: %w", d.Defaults.Network, err)
		}
		vip.NetworkID = network.ID
	default:
		subnet, err := d.nodesSubnet()
		vip.SubnetID, vip.NetworkID, vip.Problem = subnet.ID, subnet.NetworkID, err
	}
	d.checkAddress(vip)
	return vip
}

// checkAddress refuses an address outside the subnet, before a balancer that serves is given up for it.
func (d *desired) checkAddress(vip VIP) {
	for _, s := range d.Facts.Subnets {
		prefix, err1 := netip.ParsePrefix(s.CIDR)
		addr, err2 := netip.ParseAddr(vip.Address)
		if s.ID == vip.SubnetID && err1 == nil && err2 == nil && !prefix.Contains(addr) {
			d.invalid("spec.loadBalancerIP: %q: not in subnet %s: allowed are addresses of %s", vip.Address, describe(s.Name, s.ID), s.CIDR)
		}
	}
}

// nodesSubnet is the one subnet that holds the most nodes. All nodes count, also those that get no connections.
func (d *desired) nodesSubnet() (cloud.Subnet, error) {
	var best []cloud.Subnet
	most := 1
	for _, s := range d.Facts.tenantSubnets() {
		prefix, err := netip.ParsePrefix(s.CIDR)
		if err != nil {
			continue
		}
		n := 0
		for _, node := range d.Nodes {
			if addr := internalIPv4(node); addr.IsValid() && prefix.Contains(addr) {
				n++
			}
		}
		switch {
		case n > most:
			best, most = []cloud.Subnet{s}, n
		case n == most:
			best = append(best, s)
		}
	}
	switch len(best) {
	case 1:
		return best[0], nil
	case 0:
		return cloud.Subnet{}, fmt.Errorf("no subnet known to hold the nodes: %w: set the annotation %s, or the controller's default subnet",
			cloud.ErrInvalid, annotationSubnet)
	default:
		var names []string
		for _, s := range best {
			names = append(names, describe(s.Name, s.ID))
		}
		return cloud.Subnet{}, fmt.Errorf("more than one subnet may hold the nodes: %w: set the annotation %s to one of %s, or the controller's default subnet",
			cloud.ErrInvalid, annotationSubnet, enumerate(names))
	}
}

// memberSubnet is the subnet in which the load balancer reaches a node; empty when it is not certain, and the way is
// then the virtual address's own subnet.
func (d *desired) memberSubnet(addr netip.Addr, vip VIP) string {
	var holding []string
	for _, s := range d.Facts.tenantSubnets() {
		if prefix, err := netip.ParsePrefix(s.CIDR); err == nil && prefix.Contains(addr) {
			holding = append(holding, s.ID)
		}
	}
	switch {
	case slices.Contains(holding, vip.SubnetID):
		return vip.SubnetID
	case len(holding) == 1:
		return holding[0]
	default:
		return ""
	}
}

// floatingIP says which public address is wanted: the Service's word, then the operator's, then the only external
// network there is.
func (d *desired) floatingIP() *FloatingIP {
	s := d.settings
	if s.internal {
		return nil
	}
	f := &FloatingIP{Address: d.Service.Spec.LoadBalancerIP}
	var network cloud.Network
	var err error
	switch {
	case s.floatingNetwork != "":
		if network, err = d.Facts.network(s.floatingNetwork, true); err != nil {
			d.invalid("annotation %s: %q: %w", annotationFloatingNetwork, s.floatingNetwork, err)
		}
		f.Pinned = true
	case d.Defaults.FloatingNetwork != "":
		if network, err = d.Facts.network(d.Defaults.FloatingNetwork, true); err != nil {
			f.Problem = fmt.Errorf("configured floating network %q: %w", d.Defaults.FloatingNetwork, err)
		}
	default:
		network, f.Problem = d.onlyExternalNetwork()
	}
	f.NetworkID = network.ID
	if s.floatingSubnet != "" {
		d.floatingSubnet(f, network)
	}
	return f
}

func (d *desired) floatingSubnet(f *FloatingIP, network cloud.Network) {
	known := len(network.SubnetIDs) > 0
	if known && !slices.Contains(network.SubnetIDs, d.settings.floatingSubnet) {
		d.invalid("annotation %s: %q: no such subnet of network %s: allowed are %s", annotationFloatingSubnet,
			d.settings.floatingSubnet, describe(network.Name, network.ID), enumerate(slices.Clone(network.SubnetIDs)))
	}
	f.SubnetID, f.Pinned = d.settings.floatingSubnet, true
	for _, s := range d.Facts.Subnets {
		if s.ID == f.SubnetID {
			f.SubnetCIDR = s.CIDR
		}
	}
}

func (d *desired) onlyExternalNetwork() (cloud.Network, error) {
	var external []cloud.Network
	for _, n := range d.Facts.Networks {
		if n.External {
			external = append(external, n)
		}
	}
	if len(external) == 1 {
		return external[0], nil
	}
	why := "there is no external network"
	if len(external) > 1 {
		why = "there is more than one external network: " + d.Facts.networkNames(true)
	}
	return cloud.Network{}, fmt.Errorf("%s: %w: set the annotation %s, or the controller's default floating network, or %s: \"true\"",
		why, cloud.ErrInvalid, annotationFloatingNetwork, annotationInternal)
}
