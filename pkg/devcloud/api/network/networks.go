package network

import (
	"net/netip"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

// naming are the attributes that every update accepts.
type naming struct {
	Name        *string `json:"name"`
	Description *string `json:"description"`
}

func (n naming) change() network.Naming { return network.Naming(n) }

// project is the project that a request is for. Only an admin may act for another one.
func project(r *api.Request, asked ...*string) (string, error) {
	for _, id := range asked {
		if id != nil && *id != "" && *id != r.Caller.ProjectID {
			if admin(r) {
				return *id, nil
			}
			return "", disallowed("create for another project")
		}
	}
	return r.Caller.ProjectID, nil
}

type owner struct {
	ProjectID *string `json:"project_id"`
	TenantID  *string `json:"tenant_id"`
}

func deref[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

func (s *service) networks() resource[network.Network] {
	return resource[network.Network]{
		member: "network", plural: "networks", path: "networks", tagged: true, born: collection.Item{"is_default": false},
		all: s.network.Networks, get: s.network.Network, remove: s.network.DeleteNetwork,
		std:    func(n network.Network) network.Standard { return n.Standard },
		shared: func(_ *engine.Tx, n network.Network) bool { return n.Shared || n.External },
		view:   s.networkView,
		create: func(tx *engine.Tx, r *api.Request) (network.Network, error) {
			var body struct {
				naming
				owner
				Up       *bool `json:"admin_state_up"`
				Shared   bool  `json:"shared"`
				External bool  `json:"router:external"`
				MTU      int   `json:"mtu"`
			}
			if err := decode(r, "network", &body); err != nil {
				return network.Network{}, err
			}
			p, err := project(r, body.ProjectID, body.TenantID)
			if err != nil {
				return network.Network{}, err
			}
			return s.network.CreateNetwork(tx, network.NetworkSpec{
				ProjectID: p, Name: deref(body.Name, ""), Description: deref(body.Description, ""),
				External: body.External, Shared: body.Shared, MTU: body.MTU, Down: !deref(body.Up, true),
			})
		},
		update: func(tx *engine.Tx, r *api.Request, id string) (network.Network, error) {
			var body struct {
				naming
				Up  *bool `json:"admin_state_up"`
				MTU *int  `json:"mtu"`
			}
			if err := decode(r, "network", &body); err != nil {
				return network.Network{}, err
			}
			return s.network.UpdateNetwork(tx, id, network.NetworkChange{Naming: body.change(), Up: body.Up, MTU: body.MTU})
		},
	}
}

func (s *service) networkView(tx *engine.Tx, n network.Network) collection.Item {
	subnets := []string{}
	for _, sub := range s.network.SubnetsOf(tx, n.ID) {
		subnets = append(subnets, sub.ID)
	}
	item := standard(n.Standard, collection.Item{
		"admin_state_up": !n.Down, "mtu": n.MTU, "status": "ACTIVE", "subnets": subnets, "shared": n.Shared,
		"router:external": n.External, "port_security_enabled": true,
		"availability_zone_hints": []string{}, "availability_zones": []string{},
		"ipv4_address_scope": nil, "ipv6_address_scope": nil, "l2_adjacency": true,
	})
	if n.External {
		item["is_default"] = false
	}
	return item
}

// forbiddenOn refuses a part of somebody else's network.
func forbiddenOn(what string, r *api.Request) error {
	return engine.RefuseAs(engine.Forbidden, "HTTPForbidden", "Tenant %s not allowed to create %s on this network", r.Caller.ProjectID, what)
}

func (s *service) subnets() resource[network.Subnet] {
	return resource[network.Subnet]{
		member: "subnet", plural: "subnets", path: "subnets", tagged: true,
		all: s.network.Subnets, get: s.network.Subnet, remove: s.network.DeleteSubnet,
		std: func(sub network.Subnet) network.Standard { return sub.Standard },
		shared: func(tx *engine.Tx, sub network.Subnet) bool {
			n, err := s.network.Network(tx, sub.NetworkID)
			return err == nil && n.Shared // a tenant knows the ids of an external network's subnets, no more
		},
		view: func(_ *engine.Tx, sub network.Subnet) collection.Item { return subnetView(sub) },
		create: func(tx *engine.Tx, r *api.Request) (network.Subnet, error) {
			return s.createSubnet(tx, r)
		},
		update: func(tx *engine.Tx, r *api.Request, id string) (network.Subnet, error) {
			c, err := subnetChange(r)
			if err != nil {
				return network.Subnet{}, err
			}
			return s.network.UpdateSubnet(tx, id, c)
		},
	}
}

func subnetChange(r *api.Request) (network.SubnetChange, error) {
	var body struct {
		naming
		Gateway     engine.Optional[string] `json:"gateway_ip"`
		Pools       *[]network.AddressPool  `json:"allocation_pools"`
		DHCP        *bool                   `json:"enable_dhcp"`
		Nameservers *[]string               `json:"dns_nameservers"`
		HostRoutes  *[]network.Route        `json:"host_routes"`
	}
	if err := decode(r, "subnet", &body); err != nil {
		return network.SubnetChange{}, err
	}
	c := network.SubnetChange{
		Naming: body.change(), Pools: body.Pools, DHCP: body.DHCP, Nameservers: body.Nameservers, HostRoutes: body.HostRoutes,
	}
	if body.Gateway.Set {
		gateway, err := parseGateway(body.Gateway)
		if err != nil {
			return c, err
		}
		c.Gateway = &gateway
	}
	return c, nil
}

// parseGateway reads an address; null is the zero one.
func parseGateway(text engine.Optional[string]) (gateway netip.Addr, err error) {
	if s := text.Or("", ""); s != "" {
		if gateway, err = netip.ParseAddr(s); err != nil {
			return gateway, api.BadRequest("Invalid input for gateway_ip. Reason: '%s' is not a valid IP address.", s)
		}
	}
	return gateway, nil
}

func (s *service) createSubnet(tx *engine.Tx, r *api.Request) (network.Subnet, error) {
	var body struct {
		naming
		owner
		NetworkID   string                  `json:"network_id"`
		IPVersion   int                     `json:"ip_version"`
		CIDR        netip.Prefix            `json:"cidr"`
		Gateway     engine.Optional[string] `json:"gateway_ip"`
		Pools       []network.AddressPool   `json:"allocation_pools"`
		DHCP        *bool                   `json:"enable_dhcp"`
		Nameservers []string                `json:"dns_nameservers"`
		HostRoutes  []network.Route         `json:"host_routes"`
	}
	if err := decode(r, "subnet", &body); err != nil {
		return network.Subnet{}, err
	}
	p, err := project(r, body.ProjectID, body.TenantID)
	if err != nil {
		return network.Subnet{}, err
	}
	if n, err := s.networks().seen(tx, r, body.NetworkID); err != nil {
		return network.Subnet{}, err
	} else if n.ProjectID != r.Caller.ProjectID && !admin(r) {
		return network.Subnet{}, forbiddenOn("subnet", r)
	}
	if body.CIDR.IsValid() && body.IPVersion != version(body.CIDR.Addr()) {
		return network.Subnet{}, invalidInput("cidr '%s' does not match the ip_version '%d'.", body.CIDR, body.IPVersion)
	}
	spec := network.SubnetSpec{
		ProjectID: p, NetworkID: body.NetworkID, Name: deref(body.Name, ""), Description: deref(body.Description, ""),
		CIDR: body.CIDR, Pools: body.Pools, NoDHCP: !deref(body.DHCP, true), Nameservers: body.Nameservers, HostRoutes: body.HostRoutes,
		NoGateway: body.Gateway.Set && body.Gateway.Value == nil,
	}
	if spec.Gateway, err = parseGateway(body.Gateway); err != nil {
		return network.Subnet{}, err
	}
	return s.network.CreateSubnet(tx, spec)
}

func version(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

func subnetView(sub network.Subnet) collection.Item {
	pools := []map[string]string{}
	for _, p := range sub.Pools {
		pools = append(pools, map[string]string{"start": p.Start.String(), "end": p.End.String()})
	}
	return standard(sub.Standard, collection.Item{
		"network_id": sub.NetworkID, "ip_version": version(sub.CIDR.Addr()), "cidr": sub.CIDR.String(),
		"gateway_ip": address(sub.Gateway), "allocation_pools": pools, "enable_dhcp": sub.DHCP,
		"dns_nameservers": orEmpty(sub.Nameservers), "host_routes": orEmpty(sub.HostRoutes), "service_types": []string{},
		"subnetpool_id": nil, "ipv6_ra_mode": nil, "ipv6_address_mode": nil,
	})
}

// address is an IP address, or null when it is the zero one.
func address(a netip.Addr) any {
	if !a.IsValid() {
		return nil
	}
	return a.String()
}
