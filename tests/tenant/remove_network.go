package tenant

import (
	"context"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/routers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
)

// removeNetworks removes a project's part of Neutron: what uses before what is used.
func (t *Tenant) removeNetworks(ctx context.Context, inside *gophercloud.ProviderClient, projectID string) error {
	client, err := openstack.NewNetworkV2(inside, t.endpoint)
	if err != nil {
		return err
	}
	for _, remove := range []func(context.Context, *gophercloud.ServiceClient, string) error{
		removeFloatingIPs, removeRouters, removePorts, removeOwnNetworks, removeGroups,
	} {
		if err := remove(ctx, client, projectID); err != nil {
			return err
		}
	}
	return nil
}

func removeFloatingIPs(ctx context.Context, client *gophercloud.ServiceClient, projectID string) error {
	pages, err := floatingips.List(client, floatingips.ListOpts{ProjectID: projectID}).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := floatingips.ExtractFloatingIPs(pages)
	if err != nil {
		return err
	}
	for _, f := range all {
		if err := gone(floatingips.Delete(ctx, client, f.ID).ExtractErr()); err != nil {
			return err
		}
	}
	return nil
}

func removeRouters(ctx context.Context, client *gophercloud.ServiceClient, projectID string) error {
	pages, err := routers.List(client, routers.ListOpts{ProjectID: projectID}).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := routers.ExtractRouters(pages)
	if err != nil {
		return err
	}
	for _, r := range all {
		if pages, err = ports.List(client, ports.ListOpts{DeviceID: r.ID, DeviceOwner: "network:router_interface"}).AllPages(ctx); err != nil {
			return err
		}
		interfaces, err := ports.ExtractPorts(pages)
		if err != nil {
			return err
		}
		for _, p := range interfaces {
			if _, err := routers.RemoveInterface(ctx, client, r.ID, routers.RemoveInterfaceOpts{PortID: p.ID}).Extract(); gone(err) != nil {
				return err
			}
		}
		if err := gone(routers.Delete(ctx, client, r.ID).ExtractErr()); err != nil {
			return err
		}
	}
	return nil
}

func removePorts(ctx context.Context, client *gophercloud.ServiceClient, projectID string) error {
	pages, err := ports.List(client, ports.ListOpts{ProjectID: projectID}).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := ports.ExtractPorts(pages)
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := gone(ports.Delete(ctx, client, p.ID).ExtractErr()); err != nil && p.DeviceOwner != "network:distributed" { // goes with its network
			return err
		}
	}
	return nil
}

func removeOwnNetworks(ctx context.Context, client *gophercloud.ServiceClient, projectID string) error {
	pages, err := networks.List(client, networks.ListOpts{ProjectID: projectID}).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := networks.ExtractNetworks(pages)
	if err != nil {
		return err
	}
	for _, n := range all {
		if err := gone(networks.Delete(ctx, client, n.ID).ExtractErr()); err != nil {
			return err
		}
	}
	return nil
}

func removeGroups(ctx context.Context, client *gophercloud.ServiceClient, projectID string) error {
	pages, err := groups.List(client, groups.ListOpts{ProjectID: projectID}).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := groups.ExtractGroups(pages)
	if err != nil {
		return err
	}
	for _, g := range all {
		if err := gone(groups.Delete(ctx, client, g.ID).ExtractErr()); err != nil {
			return err
		}
	}
	return nil
}
