package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// Device owners that Neutron itself sets.
const (
	OwnerRouterGateway   = "network:router_gateway"
	OwnerRouterInterface = "network:router_interface"
)

// PortSpec is a port to be made.
type PortSpec struct {
	ProjectID, NetworkID, Name, Description string
	FixedIPs                                []FixedIP // nil: the lowest free address of each IP version; empty: none
	MAC                                     string    // empty: generated
	DeviceID, DeviceOwner                   string
	SecurityGroups                          []string // nil: the project's default group
	AddressPairs                            []AddressPair
	Down, Insecure                          bool
}

// CreatePort makes a port and takes its addresses.
func (s *Service) CreatePort(tx *engine.Tx, spec PortSpec) (Port, error) {
	if err := room("port", count(tx, s.ports, spec.ProjectID), s.Quota(tx, spec.ProjectID).Port); err != nil {
		return Port{}, err
	}
	return s.putPort(tx, spec)
}

// putPort makes a port regardless of quota.
func (s *Service) putPort(tx *engine.Tx, spec PortSpec) (Port, error) {
	network, err := s.Network(tx, spec.NetworkID)
	if err != nil {
		return Port{}, err
	}
	ips, err := s.choose(tx, network, spec.FixedIPs)
	if err != nil {
		return Port{}, err
	}
	groups, err := s.portGroups(tx, spec)
	if err != nil {
		return Port{}, err
	}
	p := Port{
		Standard:  s.born(Standard{ProjectID: spec.ProjectID, Name: spec.Name, Description: spec.Description}),
		NetworkID: network.ID, MAC: strings.ToLower(spec.MAC), FixedIPs: ips,
		DeviceID: spec.DeviceID, DeviceOwner: spec.DeviceOwner,
		SecurityGroups: groups, Down: spec.Down, Insecure: spec.Insecure,
	}
	if p.MAC == "" {
		p.MAC = fmt.Sprintf("fa:16:3e:%s:%s:%s", p.ID[0:2], p.ID[2:4], p.ID[4:6])
	}
	if users := s.ports.Where(tx, func(o Port) bool { return o.NetworkID == p.NetworkID && o.MAC == p.MAC }); len(users) > 0 {
		return Port{}, conflict("MacAddressInUse", "Unable to complete operation for network %s. The mac address %s is in use.", p.NetworkID, p.MAC)
	}
	if p.AddressPairs, err = pairsFor(p, spec.AddressPairs); err != nil {
		return Port{}, err
	}
	s.ports.Put(tx, p)
	return p, nil
}

func (s *Service) portGroups(tx *engine.Tx, spec PortSpec) ([]string, error) {
	if spec.SecurityGroups == nil && !spec.Insecure && !strings.HasPrefix(spec.DeviceOwner, "network:") {
		return []string{s.EnsureDefaultGroup(tx, spec.ProjectID).ID}, nil
	}
	return s.knownGroups(tx, spec.SecurityGroups)
}

func (s *Service) knownGroups(tx *engine.Tx, ids []string) ([]string, error) {
	groups := slices.Clone(ids)
	for _, id := range groups {
		if _, err := s.Group(tx, id); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

func pairsFor(p Port, pairs []AddressPair) ([]AddressPair, error) {
	out := make([]AddressPair, 0, len(pairs))
	for _, pair := range pairs {
		_, errPrefix := netip.ParsePrefix(pair.Address)
		_, errAddr := netip.ParseAddr(pair.Address)
		if errPrefix != nil && errAddr != nil {
			return nil, invalid("HTTPBadRequest", "Invalid input for allowed_address_pairs. Reason: '%s' is not a valid IP address.", pair.Address)
		}
		if pair.MAC == "" {
			pair.MAC = p.MAC
		}
		out = append(out, pair)
	}
	return out, nil
}

// Port returns a port.
func (s *Service) Port(tx *engine.Tx, id string) (Port, error) {
	p, ok := s.ports.Get(tx, id)
	if !ok {
		return p, Absent("ports", id)
	}
	return p, nil
}

// Ports are all ports, oldest first.
func (s *Service) Ports(tx *engine.Tx) []Port { return s.ports.Where(tx, nil) }

// PortsOfDevice are the ports plugged into a server, router or load balancer, oldest first.
func (s *Service) PortsOfDevice(tx *engine.Tx, deviceID string) []Port {
	return s.ports.Where(tx, func(p Port) bool { return p.DeviceID == deviceID })
}

// PortChange is a change of a port; nil leaves an attribute as it is.
type PortChange struct {
	Naming
	DeviceID, DeviceOwner *string
	SecurityGroups        *[]string
	AddressPairs          *[]AddressPair
	Up                    *bool
	Secure                *bool
	FixedIPs              *[]FixedIP
}

// UpdatePort changes a port.
func (s *Service) UpdatePort(tx *engine.Tx, id string, c PortChange) (Port, error) {
	p, err := s.Port(tx, id)
	if err != nil {
		return p, err
	}
	p.Standard = s.changed(c.apply(p.Standard))
	if c.DeviceID != nil {
		p.DeviceID = *c.DeviceID
	}
	if c.DeviceOwner != nil {
		p.DeviceOwner = *c.DeviceOwner
	}
	if c.Up != nil {
		p.Down = !*c.Up
	}
	if c.Secure != nil {
		p.Insecure = !*c.Secure
	}
	if c.FixedIPs != nil {
		if p, err = s.readdressed(tx, p, *c.FixedIPs); err != nil {
			return p, err
		}
	}
	if c.SecurityGroups != nil {
		if p.SecurityGroups, err = s.knownGroups(tx, *c.SecurityGroups); err != nil {
			return p, err
		}
	}
	if c.AddressPairs != nil {
		if p.AddressPairs, err = pairsFor(p, *c.AddressPairs); err != nil {
			return p, err
		}
	}
	s.ports.Put(tx, p)
	return p, nil
}

// readdressed is a port with other addresses. Those that it has may stay.
func (s *Service) readdressed(tx *engine.Tx, p Port, ips []FixedIP) (Port, error) {
	network, err := s.Network(tx, p.NetworkID)
	if err != nil {
		return p, err
	}
	old := p.FixedIPs
	p.FixedIPs = nil
	s.ports.Put(tx, p) // its own addresses are free to it
	if p.FixedIPs, err = s.choose(tx, network, ips); err != nil {
		p.FixedIPs = old
	}
	return p, err
}

// DeletePort removes a port; floating IPs that pointed at it stay, disassociated. Router ports go with their router
// (409). Like Neutron it lets the owner remove a load balancer's VIP port.
func (s *Service) DeletePort(tx *engine.Tx, id string) error {
	p, err := s.Port(tx, id)
	if err != nil {
		return err
	}
	if p.DeviceOwner == OwnerRouterGateway || p.DeviceOwner == OwnerRouterInterface {
		return conflict("ServicePortInUse", "Port %s cannot be deleted directly via the port API: has device owner %s.", id, p.DeviceOwner)
	}
	return s.dropPort(tx, p)
}

func (s *Service) dropPort(tx *engine.Tx, p Port) error {
	for _, f := range s.FloatingIPsOfPort(tx, p.ID) {
		s.floatingIPs.Put(tx, s.disassociated(f))
	}
	s.ports.Delete(tx, p.ID)
	return s.portChanged(tx, p.ID)
}
