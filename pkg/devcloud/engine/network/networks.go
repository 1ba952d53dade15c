package network

import (
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// NetworkSpec is a network to be made.
type NetworkSpec struct { //nolint:revive // one of the specs
	ProjectID, Name, Description string
	External, Shared, Down       bool
	MTU                          int // 0: 1500 for an external network, 1442 (Geneve on 1500) for others
}

// CreateNetwork makes a network.
func (s *Service) CreateNetwork(tx *engine.Tx, spec NetworkSpec) (Network, error) {
	if err := room("network", count(tx, s.networks, spec.ProjectID), s.Quota(tx, spec.ProjectID).Network); err != nil {
		return Network{}, err
	}
	n := Network{
		Standard: s.born(Standard{ProjectID: spec.ProjectID, Name: spec.Name, Description: spec.Description}),
		External: spec.External, Shared: spec.Shared, Down: spec.Down, MTU: spec.MTU,
	}
	switch {
	case n.MTU == 0 && n.External:
		n.MTU = 1500
	case n.MTU == 0:
		n.MTU = 1442
	}
	n.Revision = 1
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

// NetworkChange is a change of a network; nil leaves an attribute as it is.
type NetworkChange struct { //nolint:revive // one of the changes
	Naming
	Up  *bool
	MTU *int
}

// UpdateNetwork changes a network.
func (s *Service) UpdateNetwork(tx *engine.Tx, id string, c NetworkChange) (Network, error) {
	n, err := s.Network(tx, id)
	if err != nil {
		return n, err
	}
	n.Standard = s.changed(c.apply(n.Standard))
	if c.Up != nil {
		n.Down = !*c.Up
	}
	if c.MTU != nil {
		n.MTU = *c.MTU
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
