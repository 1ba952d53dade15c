package network

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// RouterSpec is a router to be made.
type RouterSpec struct {
	ProjectID, Name, Description string
	Gateway                      *Gateway
	Down                         bool
}

// Gateway is a router's connection to an external network.
type Gateway struct {
	NetworkID string
	NoSNAT    bool
}

// CreateRouter makes a router.
func (s *Service) CreateRouter(tx *engine.Tx, spec RouterSpec) (Router, error) {
	if err := room("router", count(tx, s.routers, spec.ProjectID), s.Quota(tx, spec.ProjectID).Router); err != nil {
		return Router{}, err
	}
	r := Router{
		Standard: s.born(Standard{ProjectID: spec.ProjectID, Name: spec.Name, Description: spec.Description}),
		Down:     spec.Down,
	}
	if spec.Gateway != nil {
		var err error
		if r, err = s.withGateway(tx, r, *spec.Gateway); err != nil {
			return Router{}, err
		}
	}
	s.routers.Put(tx, r)
	return r, nil
}

func (s *Service) withGateway(tx *engine.Tx, r Router, g Gateway) (Router, error) {
	n, err := s.Network(tx, g.NetworkID)
	if err != nil {
		return r, err
	}
	if !n.External {
		return r, invalid("BadRequest", "Bad router request: Network %s is not an external network.", n.ID)
	}
	r.NoSNAT = g.NoSNAT
	if r.ExternalNetworkID == n.ID {
		return r, nil
	}
	// The gateway port belongs to nobody: it is no project's to count, see or remove.
	p, err := s.putPort(tx, PortSpec{NetworkID: n.ID, DeviceID: r.ID, DeviceOwner: OwnerRouterGateway})
	if err != nil {
		return r, err
	}
	if r, err = s.withoutGateway(tx, r); err != nil {
		return r, err
	}
	r.ExternalNetworkID, r.GatewayPortID, r.NoSNAT = n.ID, p.ID, g.NoSNAT
	return r, nil
}

func (s *Service) withoutGateway(tx *engine.Tx, r Router) (Router, error) {
	if r.GatewayPortID == "" {
		return r, nil
	}
	if used := s.floatingIPs.Where(tx, func(f FloatingIP) bool { return f.RouterID == r.ID }); len(used) > 0 {
		return r, conflict("RouterExternalGatewayInUseByFloatingIp", "Gateway cannot be updated for router %s, since a gateway to external network %s is required by one or more floating IPs.", r.ID, r.ExternalNetworkID)
	}
	s.ports.Delete(tx, r.GatewayPortID)
	r.ExternalNetworkID, r.GatewayPortID, r.NoSNAT = "", "", false
	return r, nil
}

// Router returns a router.
func (s *Service) Router(tx *engine.Tx, id string) (Router, error) {
	r, ok := s.routers.Get(tx, id)
	if !ok {
		return r, Absent("routers", id)
	}
	return r, nil
}

// Routers are all routers, oldest first.
func (s *Service) Routers(tx *engine.Tx) []Router { return s.routers.Where(tx, nil) }

// RouterChange is a change of a router; nil leaves an attribute as it is.
type RouterChange struct {
	Naming
	Up      *bool
	Routes  *[]Route
	Gateway *Gateway // an empty NetworkID removes the gateway
}

// UpdateRouter changes a router.
func (s *Service) UpdateRouter(tx *engine.Tx, id string, c RouterChange) (Router, error) {
	r, err := s.Router(tx, id)
	if err != nil {
		return r, err
	}
	r.Standard = s.changed(c.apply(r.Standard))
	if c.Up != nil {
		r.Down = !*c.Up
	}
	if c.Gateway != nil {
		if c.Gateway.NetworkID == "" {
			r, err = s.withoutGateway(tx, r)
		} else {
			r, err = s.withGateway(tx, r, *c.Gateway)
		}
		if err != nil {
			return r, err
		}
	}
	if c.Routes != nil {
		if r.Routes, err = s.checkedRoutes(tx, r.ID, *c.Routes); err != nil {
			return r, err
		}
	}
	s.routers.Put(tx, r)
	return r, nil
}

// AddRoutes adds routes; those that are there already stay. RemoveRoutes is its inverse. Neither disturbs the rest.
func (s *Service) AddRoutes(tx *engine.Tx, id string, add []Route) (Router, error) {
	r, err := s.Router(tx, id)
	if err != nil {
		return r, err
	}
	routes := slices.Clone(r.Routes)
	for _, route := range add {
		if !slices.Contains(routes, route) {
			routes = append(routes, route)
		}
	}
	return s.UpdateRouter(tx, id, RouterChange{Routes: &routes})
}

// RemoveRoutes removes routes; absent ones are no error.
func (s *Service) RemoveRoutes(tx *engine.Tx, id string, remove []Route) (Router, error) {
	r, err := s.Router(tx, id)
	if err != nil {
		return r, err
	}
	routes := slices.DeleteFunc(slices.Clone(r.Routes), func(x Route) bool { return slices.Contains(remove, x) })
	return s.UpdateRouter(tx, id, RouterChange{Routes: &routes})
}

// checkedRoutes are routes whose next hops are in a subnet of the router.
func (s *Service) checkedRoutes(tx *engine.Tx, routerID string, routes []Route) ([]Route, error) {
	var connected []netip.Prefix
	var own []netip.Addr
	for _, p := range s.PortsOfDevice(tx, routerID) {
		for _, ip := range p.FixedIPs {
			if sub, ok := s.subnets.Get(tx, ip.SubnetID); ok {
				connected = append(connected, sub.CIDR)
				own = append(own, ip.Address)
			}
		}
	}
	seen := map[Route]bool{}
	for _, route := range routes {
		hop, err := netip.ParseAddr(route.NextHop)
		if _, cidrErr := netip.ParsePrefix(route.Destination); err != nil || cidrErr != nil {
			return nil, invalid("HTTPBadRequest", "Invalid input for routes. Reason: '%s via %s' is not a CIDR and an IP address.", route.Destination, route.NextHop)
		}
		if slices.Contains(own, hop) {
			return nil, invalid("InvalidRoutes", "Invalid format for routes: [{'destination': '%s', 'nexthop': '%s'}], the nexthop is used by router", route.Destination, route.NextHop)
		}
		if !slices.ContainsFunc(connected, func(c netip.Prefix) bool { return c.Contains(hop) }) {
			return nil, invalid("InvalidRoutes", "Invalid format for routes: [{'destination': '%s', 'nexthop': '%s'}], the nexthop is not connected with router", route.Destination, route.NextHop)
		}
		if seen[route] {
			return nil, invalid("HTTPBadRequest", "Invalid input for routes. Reason: Duplicate hostroute '%s'.", route.Destination)
		}
		seen[route] = true
	}
	return slices.Clone(routes), nil
}

// Interfaces are the ports by which subnets are connected to a router.
func (s *Service) Interfaces(tx *engine.Tx, routerID string) []Port {
	return s.ports.Where(tx, func(p Port) bool { return p.DeviceID == routerID && p.DeviceOwner == OwnerRouterInterface })
}

// AddInterface connects a subnet by a new port with the subnet's gateway address.
func (s *Service) AddInterface(tx *engine.Tx, routerID, subnetID string) (Port, error) {
	r, err := s.Router(tx, routerID)
	if err != nil {
		return Port{}, err
	}
	sub, err := s.Subnet(tx, subnetID)
	if err != nil {
		return Port{}, err
	}
	if !sub.Gateway.IsValid() {
		return Port{}, invalid("BadRequest", "Bad router request: Subnet for router interface must have a gateway IP.")
	}
	for _, p := range s.Interfaces(tx, routerID) {
		if p.FixedIPs[0].SubnetID == subnetID {
			return Port{}, invalid("BadRequest", "Bad router request: Router already has a port on subnet %s.", subnetID)
		}
		if other, _ := s.subnets.Get(tx, p.FixedIPs[0].SubnetID); other.CIDR.Overlaps(sub.CIDR) {
			return Port{}, invalid("BadRequest", "Bad router request: Cidr %s of subnet %s overlaps with cidr %s of subnet %s.", sub.CIDR, sub.ID, other.CIDR, other.ID)
		}
	}
	return s.putPort(tx, PortSpec{
		ProjectID: r.ProjectID, NetworkID: sub.NetworkID, DeviceID: routerID, DeviceOwner: OwnerRouterInterface,
		FixedIPs: []FixedIP{{sub.ID, sub.Gateway}},
	})
}

// AddInterfacePort connects the subnet of an existing port that nothing is plugged into.
func (s *Service) AddInterfacePort(tx *engine.Tx, routerID, portID string) (Port, error) {
	if _, err := s.Router(tx, routerID); err != nil {
		return Port{}, err
	}
	p, err := s.Port(tx, portID)
	if err != nil {
		return p, err
	}
	if p.DeviceID != "" {
		return p, conflict("PortInUse", "Unable to complete operation on port %s for network %s. Port already has an attached device %s.", p.ID, p.NetworkID, p.DeviceID)
	}
	if len(p.FixedIPs) != 1 {
		return p, invalid("BadRequest", "Bad router request: Router port must have one fixed IP.")
	}
	owner := OwnerRouterInterface
	return s.UpdatePort(tx, portID, PortChange{DeviceID: &routerID, DeviceOwner: &owner})
}

// RemoveInterface disconnects a subnet, unless a floating IP needs the connection.
func (s *Service) RemoveInterface(tx *engine.Tx, routerID, subnetID string) (Port, error) {
	if _, err := s.Router(tx, routerID); err != nil {
		return Port{}, err
	}
	for _, p := range s.Interfaces(tx, routerID) {
		if p.FixedIPs[0].SubnetID != subnetID {
			continue
		}
		if s.floatsThrough(tx, routerID, subnetID) {
			return Port{}, conflict("RouterInterfaceInUseByFloatingIP", "Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more floating IPs.", subnetID, routerID)
		}
		if s.routesThrough(tx, routerID, subnetID) {
			return Port{}, conflict("RouterInterfaceInUseByRoute", "Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more routes.", subnetID, routerID)
		}
		s.ports.Delete(tx, p.ID)
		return p, nil
	}
	return Port{}, notFound("RouterInterfaceNotFoundForSubnet", "Router %s has no interface on subnet %s", routerID, subnetID)
}

// routesThrough reports whether a route's next hop is in a subnet.
func (s *Service) routesThrough(tx *engine.Tx, routerID, subnetID string) bool {
	r, _ := s.routers.Get(tx, routerID)
	sub, _ := s.subnets.Get(tx, subnetID)
	return slices.ContainsFunc(r.Routes, func(route Route) bool {
		hop, err := netip.ParseAddr(route.NextHop)
		return err == nil && sub.CIDR.Contains(hop)
	})
}

func (s *Service) floatsThrough(tx *engine.Tx, routerID, subnetID string) bool {
	for _, f := range s.floatingIPs.Where(tx, func(f FloatingIP) bool { return f.RouterID == routerID }) {
		p, _ := s.ports.Get(tx, f.PortID)
		for _, ip := range p.FixedIPs {
			if ip.SubnetID == subnetID && ip.Address == f.FixedIP {
				return true
			}
		}
	}
	return false
}

// routerBetween is the router that connects a subnet with an external network.
func (s *Service) routerBetween(tx *engine.Tx, subnetID, externalID string) (string, bool) {
	for _, r := range s.routers.Where(tx, func(r Router) bool { return r.ExternalNetworkID == externalID }) {
		for _, p := range s.Interfaces(tx, r.ID) {
			if p.FixedIPs[0].SubnetID == subnetID {
				return r.ID, true
			}
		}
	}
	return "", false
}

// DeleteRouter removes a router without interfaces.
func (s *Service) DeleteRouter(tx *engine.Tx, id string) error {
	r, err := s.Router(tx, id)
	if err != nil {
		return err
	}
	var ids []string
	for _, p := range s.Interfaces(tx, id) {
		ids = append(ids, p.ID)
	}
	if len(ids) > 0 {
		return conflict("RouterInUse", "Router %s has ports still attached: %s", id, strings.Join(ids, ", "))
	}
	if _, err := s.withoutGateway(tx, r); err != nil {
		return err
	}
	s.routers.Delete(tx, id)
	return nil
}
