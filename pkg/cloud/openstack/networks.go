package openstack

import (
	"context"
	"net/http"
	"net/url"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// ListNetworks implements cloud.Networks.
func (c *Cloud) ListNetworks(ctx context.Context, filter cloud.NetworkFilter) ([]cloud.Network, error) {
	query := url.Values{}
	set(query, "id", filter.ID)
	set(query, "name", filter.Name)
	if filter.External {
		query.Set("router:external", "true")
	}
	type wire struct {
		ID       string   `json:"id"`
		Name     string   `json:"name"`
		External bool     `json:"router:external"`
		Subnets  []string `json:"subnets"`
	}
	networks, err := list[wire](ctx, c, request{service: network, op: opListNetworks, path: "networks", query: query}, "networks")
	var found []cloud.Network
	for _, n := range networks {
		found = append(found, cloud.Network{ID: n.ID, Name: n.Name, External: n.External, SubnetIDs: n.Subnets})
	}
	return found, err
}

func set(query url.Values, key, value string) {
	if value != "" {
		query.Set(key, value)
	}
}

// ListSubnets implements cloud.Networks.
func (c *Cloud) ListSubnets(ctx context.Context, networkID string) ([]cloud.Subnet, error) {
	query := url.Values{}
	set(query, "network_id", networkID)
	type wire struct {
		ID        string `json:"id"`
		Name      string `json:"name"`
		NetworkID string `json:"network_id"`
		CIDR      string `json:"cidr"`
		IPVersion int    `json:"ip_version"`
	}
	subnets, err := list[wire](ctx, c, request{service: network, op: opListSubnets, object: networkID, path: "subnets", query: query}, "subnets")
	var found []cloud.Subnet
	for _, s := range subnets {
		found = append(found, cloud.Subnet(s))
	}
	return found, err
}

type floatingIP struct {
	ID          string `json:"id"`
	Address     string `json:"floating_ip_address"`
	NetworkID   string `json:"floating_network_id"`
	PortID      string `json:"port_id"`
	Description string `json:"description"`
}

// ListFloatingIPs implements cloud.Networks. The project is part of the question: an administrator would see those of
// all projects.
func (c *Cloud) ListFloatingIPs(ctx context.Context, filter cloud.FloatingIPFilter) ([]cloud.FloatingIP, error) {
	query := url.Values{}
	set(query, "project_id", c.services.Load().project)
	set(query, "port_id", filter.PortID)
	set(query, "description", filter.Description)
	ips, err := list[floatingIP](ctx, c, request{service: network, op: opListFloatingIPs, path: "floatingips", query: query}, "floatingips")
	var found []cloud.FloatingIP
	for _, f := range ips {
		found = append(found, cloud.FloatingIP(f))
	}
	return found, err
}

// CreateFloatingIP implements cloud.Networks.
func (c *Cloud) CreateFloatingIP(ctx context.Context, spec cloud.FloatingIPSpec) (cloud.FloatingIP, error) {
	body := map[string]any{"floating_network_id": spec.NetworkID, "description": spec.Description}
	for key, value := range map[string]string{"subnet_id": spec.SubnetID, "floating_ip_address": spec.Address, "port_id": spec.PortID} {
		if value != "" {
			body[key] = value
		}
	}
	var answer struct {
		FloatingIP floatingIP `json:"floatingip"`
	}
	err := c.do(ctx, request{
		service: network, op: opCreateFloatingIP, object: spec.Description, method: http.MethodPost, path: "floatingips",
		body: map[string]any{"floatingip": body}, into: &answer,
	})
	return cloud.FloatingIP(answer.FloatingIP), err
}

// AssociateFloatingIP implements cloud.Networks.
func (c *Cloud) AssociateFloatingIP(ctx context.Context, id, portID string) error {
	if err := needID(opAssociateFloatingIP, id); err != nil {
		return err
	}
	return c.do(ctx, request{
		service: network, op: opAssociateFloatingIP, object: id, method: http.MethodPut, path: "floatingips/" + url.PathEscape(id),
		body: map[string]any{"floatingip": map[string]any{"port_id": orNull(portID)}},
	})
}

// orNull is JSON's null for an empty id.
func orNull(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

// DeleteFloatingIP implements cloud.Networks.
func (c *Cloud) DeleteFloatingIP(ctx context.Context, id string) error {
	if err := needID(opDeleteFloatingIP, id); err != nil {
		return err
	}
	return c.do(ctx, request{service: network, op: opDeleteFloatingIP, object: id, method: http.MethodDelete, path: "floatingips/" + url.PathEscape(id)})
}
