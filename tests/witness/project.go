package witness

import (
	"context"
	"fmt"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/config"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
)

// Leftovers are what a project still holds, by kind; each entry names the object.
type Leftovers struct {
	Disks, Attachments, LoadBalancers, Ports, FloatingIPs, SecurityGroups []string
}

// Empty reports whether nothing is left.
func (l Leftovers) Empty() bool {
	return len(l.Disks)+len(l.Attachments)+len(l.LoadBalancers)+len(l.Ports)+len(l.FloatingIPs)+len(l.SecurityGroups) == 0
}

// String names every object that is left.
func (l Leftovers) String() string {
	return fmt.Sprintf("disks %v, attachments %v, load balancers %v, ports %v, floating IPs %v, security groups %v",
		l.Disks, l.Attachments, l.LoadBalancers, l.Ports, l.FloatingIPs, l.SecurityGroups)
}

// Project reads what the project of a clouds.yaml holds that Kubernetes could have asked for: not its servers, their
// ports, and the default security group.
func Project(ctx context.Context, cloudsFile, cloud string) (Leftovers, error) {
	var left Leftovers
	provider, endpoint, err := connect(ctx, cloudsFile, cloud)
	if err != nil {
		return left, err
	}
	defer provider.HTTPClient.CloseIdleConnections()
	for _, read := range []func(context.Context, *gophercloud.ProviderClient, gophercloud.EndpointOpts, *Leftovers) error{
		readDisks, readLoadBalancers, readNetwork,
	} {
		if err := read(ctx, provider, endpoint, &left); err != nil {
			return left, err
		}
	}
	return left, nil
}

func connect(ctx context.Context, cloudsFile, cloud string) (*gophercloud.ProviderClient, gophercloud.EndpointOpts, error) {
	auth, endpoint, tls, err := clouds.Parse(clouds.WithLocations(cloudsFile), clouds.WithCloudName(cloud))
	if err != nil {
		return nil, endpoint, fmt.Errorf("%s: %w", cloudsFile, err)
	}
	provider, err := config.NewProviderClient(ctx, auth, config.WithTLSConfig(tls))
	return provider, endpoint, err
}

// Members reads the addresses of all members of all pools.
func Members(ctx context.Context, cloudsFile, cloud string) ([]string, error) {
	provider, endpoint, err := connect(ctx, cloudsFile, cloud)
	if err != nil {
		return nil, err
	}
	defer provider.HTTPClient.CloseIdleConnections()
	client, err := openstack.NewLoadBalancerV2(provider, endpoint)
	if err != nil {
		return nil, err
	}
	pages, err := pools.List(client, nil).AllPages(ctx)
	if err != nil {
		return nil, err
	}
	all, err := pools.ExtractPools(pages)
	if err != nil {
		return nil, err
	}
	var addresses []string
	for _, p := range all {
		pages, err := pools.ListMembers(client, p.ID, nil).AllPages(ctx)
		if err != nil {
			return nil, err
		}
		members, err := pools.ExtractMembers(pages)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			addresses = append(addresses, m.Address)
		}
	}
	return addresses, nil
}

func readDisks(ctx context.Context, p *gophercloud.ProviderClient, eo gophercloud.EndpointOpts, left *Leftovers) error {
	client, err := openstack.NewBlockStorageV3(p, eo)
	if err != nil {
		return err
	}
	pages, err := volumes.List(client, nil).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := volumes.ExtractVolumes(pages)
	if err != nil {
		return err
	}
	for _, v := range all {
		left.Disks = append(left.Disks, v.ID+" ("+v.Name+", "+v.Status+")")
		for _, a := range v.Attachments {
			left.Attachments = append(left.Attachments, v.ID+" on "+a.ServerID)
		}
	}
	return nil
}

func readLoadBalancers(ctx context.Context, p *gophercloud.ProviderClient, eo gophercloud.EndpointOpts, left *Leftovers) error {
	client, err := openstack.NewLoadBalancerV2(p, eo)
	if err != nil {
		return err
	}
	pages, err := loadbalancers.List(client, nil).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := loadbalancers.ExtractLoadBalancers(pages)
	if err != nil {
		return err
	}
	for _, lb := range all {
		left.LoadBalancers = append(left.LoadBalancers, lb.ID+" ("+lb.Name+", "+lb.ProvisioningStatus+")")
	}
	return nil
}

func readNetwork(ctx context.Context, p *gophercloud.ProviderClient, eo gophercloud.EndpointOpts, left *Leftovers) error {
	client, err := openstack.NewNetworkV2(p, eo)
	if err != nil {
		return err
	}
	pages, err := floatingips.List(client, nil).AllPages(ctx)
	if err != nil {
		return err
	}
	fips, err := floatingips.ExtractFloatingIPs(pages)
	if err != nil {
		return err
	}
	for _, f := range fips {
		left.FloatingIPs = append(left.FloatingIPs, f.FloatingIP+" ("+f.Description+")")
	}
	if pages, err = ports.List(client, nil).AllPages(ctx); err != nil {
		return err
	}
	allPorts, err := ports.ExtractPorts(pages)
	if err != nil {
		return err
	}
	for _, port := range allPorts {
		if !strings.HasPrefix(port.DeviceOwner, "compute:") && !strings.HasPrefix(port.DeviceOwner, "network:") {
			left.Ports = append(left.Ports, port.ID+" ("+port.Name+", "+port.DeviceOwner+")")
		}
	}
	if pages, err = groups.List(client, groups.ListOpts{}).AllPages(ctx); err != nil {
		return err
	}
	sgs, err := groups.ExtractGroups(pages)
	if err != nil {
		return err
	}
	for _, g := range sgs {
		if g.Name != "default" {
			left.SecurityGroups = append(left.SecurityGroups, g.ID+" ("+g.Name+")")
		}
	}
	return nil
}
