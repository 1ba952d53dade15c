package network

import (
	"net/netip"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

func (s *service) floatingIPs() resource[network.FloatingIP] {
	return resource[network.FloatingIP]{
		member: "floatingip", plural: "floatingips", path: "floatingips", tagged: true,
		all: s.network.FloatingIPs, get: s.network.FloatingIP, remove: s.network.DeleteFloatingIP,
		std:    func(f network.FloatingIP) network.Standard { return f.Standard },
		view:   s.floatingIPView,
		create: s.createFloatingIP,
		update: func(tx *engine.Tx, r *api.Request, id string) (network.FloatingIP, error) {
			var body struct {
				Description *string                 `json:"description"`
				PortID      engine.Optional[string] `json:"port_id"`
				FixedIP     netip.Addr              `json:"fixed_ip_address"`
			}
			if err := decode(r, "floatingip", &body); err != nil {
				return network.FloatingIP{}, err
			}
			if body.FixedIP.IsValid() && body.PortID.Or("", "") == "" {
				return network.FloatingIP{}, fixedWithoutPort()
			}
			var to *network.Association
			if body.PortID.Set {
				to = &network.Association{PortID: body.PortID.Or("", ""), FixedIP: body.FixedIP}
			}
			return s.network.UpdateFloatingIP(tx, id, network.Naming{Description: body.Description}, to)
		},
	}
}

func (s *service) createFloatingIP(tx *engine.Tx, r *api.Request) (network.FloatingIP, error) {
	var body struct {
		owner
		Description string                  `json:"description"`
		NetworkID   string                  `json:"floating_network_id"`
		SubnetID    engine.Optional[string] `json:"subnet_id"`
		Address     netip.Addr              `json:"floating_ip_address"`
		PortID      engine.Optional[string] `json:"port_id"`
		FixedIP     netip.Addr              `json:"fixed_ip_address"`
	}
	if err := decode(r, "floatingip", &body); err != nil {
		return network.FloatingIP{}, err
	}
	if body.FixedIP.IsValid() && body.PortID.Or("", "") == "" {
		return network.FloatingIP{}, fixedWithoutPort()
	}
	p, err := project(r, body.ProjectID, body.TenantID)
	if err != nil {
		return network.FloatingIP{}, err
	}
	if _, err := s.networks().seen(tx, r, body.NetworkID); err != nil {
		return network.FloatingIP{}, err
	}
	return s.network.CreateFloatingIP(tx, network.FloatingIPSpec{
		ProjectID: p, NetworkID: body.NetworkID, Description: body.Description, SubnetID: body.SubnetID.Or("", ""),
		Address: body.Address, PortID: body.PortID.Or("", ""), FixedIP: body.FixedIP,
	})
}

func fixedWithoutPort() error {
	return engine.RefuseAs(engine.Invalid, "BadRequest", "Bad floatingip request: fixed_ip_address cannot be specified without a port_id.")
}

func (s *service) floatingIPView(tx *engine.Tx, f network.FloatingIP) collection.Item {
	var details any
	if p, err := s.network.Port(tx, f.PortID); err == nil {
		details = map[string]any{
			"name": p.Name, "network_id": p.NetworkID, "mac_address": p.MAC, "admin_state_up": !p.Down,
			"status": p.Status(), "device_id": p.DeviceID, "device_owner": p.DeviceOwner,
		}
	}
	item := standard(f.Standard, collection.Item{
		"floating_ip_address": address(f.Address), "floating_network_id": f.NetworkID, "router_id": null(f.RouterID),
		"port_id": null(f.PortID), "fixed_ip_address": address(f.FixedIP), "status": f.Status(), "port_details": details,
		"dns_domain": "", "dns_name": "",
	})
	delete(item, "name") // a floating IP has none
	return item
}
