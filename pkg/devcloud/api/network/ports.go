package network

import (
	"net/netip"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

func (s *service) ports() resource[network.Port] {
	return resource[network.Port]{
		member: "port", plural: "ports", path: "ports", tagged: true,
		filters: map[string]func(collection.Item, []string) bool{"fixed_ips": hasFixedIP},
		all:     s.network.Ports, get: s.network.Port, remove: s.network.DeletePort,
		std:    func(p network.Port) network.Standard { return p.Standard },
		view:   func(_ *engine.Tx, p network.Port) collection.Item { return portView(p) },
		create: s.createPort,
		update: func(tx *engine.Tx, r *api.Request, id string) (network.Port, error) {
			var body struct {
				naming
				DeviceID       *string                `json:"device_id"`
				DeviceOwner    *string                `json:"device_owner"`
				SecurityGroups *[]string              `json:"security_groups"`
				AddressPairs   *[]network.AddressPair `json:"allowed_address_pairs"`
				Up             *bool                  `json:"admin_state_up"`
				Secure         *bool                  `json:"port_security_enabled"`
				FixedIPs       *[]fixedIP             `json:"fixed_ips"`
			}
			if err := decode(r, "port", &body); err != nil {
				return network.Port{}, err
			}
			return s.network.UpdatePort(tx, id, network.PortChange{
				Naming: body.change(), DeviceID: body.DeviceID, DeviceOwner: body.DeviceOwner,
				SecurityGroups: body.SecurityGroups, AddressPairs: body.AddressPairs, Up: body.Up, Secure: body.Secure,
				FixedIPs: wanted(body.FixedIPs),
			})
		},
	}
}

func (s *service) createPort(tx *engine.Tx, r *api.Request) (network.Port, error) {
	var body struct {
		naming
		owner
		NetworkID      string                `json:"network_id"`
		FixedIPs       *[]fixedIP            `json:"fixed_ips"`
		MAC            string                `json:"mac_address"`
		DeviceID       string                `json:"device_id"`
		DeviceOwner    string                `json:"device_owner"`
		SecurityGroups []string              `json:"security_groups"`
		AddressPairs   []network.AddressPair `json:"allowed_address_pairs"`
		Up             *bool                 `json:"admin_state_up"`
		Secure         *bool                 `json:"port_security_enabled"`
	}
	if err := decode(r, "port", &body); err != nil {
		return network.Port{}, err
	}
	p, err := project(r, body.ProjectID, body.TenantID)
	if err != nil {
		return network.Port{}, err
	}
	n, err := s.networks().seen(tx, r, body.NetworkID)
	if err != nil {
		return network.Port{}, err
	}
	if n.ProjectID != p && !n.Shared && !admin(r) {
		return network.Port{}, forbiddenOn("port", r)
	}
	if body.Secure != nil && !*body.Secure && len(body.AddressPairs) > 0 {
		return network.Port{}, engine.RefuseAs(engine.Conflict, "AddressPairAndPortSecurityRequired",
			"Port Security must be enabled in order to have allowed address pairs on a port.")
	}
	spec := network.PortSpec{
		ProjectID: p, NetworkID: body.NetworkID, Name: deref(body.Name, ""), Description: deref(body.Description, ""),
		MAC: body.MAC, DeviceID: body.DeviceID, DeviceOwner: body.DeviceOwner, SecurityGroups: body.SecurityGroups,
		AddressPairs: body.AddressPairs, Down: !deref(body.Up, true), Insecure: !deref(body.Secure, true),
	}
	if ips := wanted(body.FixedIPs); ips != nil {
		spec.FixedIPs = *ips
	}
	return s.network.CreatePort(tx, spec)
}

type fixedIP struct {
	SubnetID string     `json:"subnet_id"`
	Address  netip.Addr `json:"ip_address"`
}

// wanted are the addresses that a request names; nil: it names none.
func wanted(given *[]fixedIP) *[]network.FixedIP {
	if given == nil {
		return nil
	}
	ips := []network.FixedIP{}
	for _, ip := range *given {
		ips = append(ips, network.FixedIP(ip))
	}
	return &ips
}

func portView(p network.Port) collection.Item {
	ips := []map[string]string{}
	for _, ip := range p.FixedIPs {
		ips = append(ips, map[string]string{"subnet_id": ip.SubnetID, "ip_address": ip.Address.String()})
	}
	return standard(p.Standard, collection.Item{
		"network_id": p.NetworkID, "mac_address": p.MAC, "admin_state_up": !p.Down, "status": p.Status(),
		"device_id": p.DeviceID, "device_owner": p.DeviceOwner, "fixed_ips": ips,
		"allowed_address_pairs": orEmpty(p.AddressPairs), "security_groups": orEmpty(p.SecurityGroups),
		"port_security_enabled": !p.Insecure, "binding:vnic_type": "normal", "ip_allocation": "immediate", "extra_dhcp_opts": []any{},
	})
}

// hasFixedIP is the filter fixed_ips=ip_address=A and fixed_ips=subnet_id=S: values of one kind are alternatives, and
// both kinds must hold.
func hasFixedIP(item collection.Item, values []string) bool {
	wanted := map[string][]string{}
	for _, v := range values {
		name, value, _ := strings.Cut(v, "=")
		wanted[name] = append(wanted[name], value)
	}
	for name, alternatives := range wanted {
		found := false
		for _, ip := range item["fixed_ips"].([]map[string]string) {
			for _, a := range alternatives {
				found = found || ip[name] == a || name == "ip_address_substr" && strings.Contains(ip["ip_address"], a)
			}
		}
		if !found {
			return false
		}
	}
	return true
}
