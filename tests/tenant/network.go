package tenant

import (
	"context"
	"errors"
	"fmt"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/external"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/routers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
)

// makeNetwork makes a network, its subnet, and a router to the external network.
func (t *Tenant) makeNetwork(ctx context.Context, user *gophercloud.ProviderClient, o Options) error {
	client, err := openstack.NewNetworkV2(user, t.endpoint)
	if err != nil {
		return err
	}
	if t.ExternalNetworkID, err = externalNetwork(ctx, client); err != nil {
		return err
	}
	network, err := networks.Create(ctx, client, networks.CreateOpts{Name: t.Name}).Extract()
	if err != nil {
		return fmt.Errorf("create network: %w", err)
	}
	t.NetworkID = network.ID
	opts := subnets.CreateOpts{NetworkID: network.ID, Name: t.Name, CIDR: o.CIDR, IPVersion: gophercloud.IPv4}
	if o.Gateway != "" {
		opts.GatewayIP = &o.Gateway
	}
	if o.PoolStart != "" {
		opts.AllocationPools = []subnets.AllocationPool{{Start: o.PoolStart, End: o.PoolEnd}}
	}
	subnet, err := subnets.Create(ctx, client, opts).Extract()
	if err != nil {
		return fmt.Errorf("create subnet: %w", err)
	}
	t.SubnetID = subnet.ID
	router, err := routers.Create(ctx, client, routers.CreateOpts{
		Name: t.Name, GatewayInfo: &routers.GatewayInfo{NetworkID: t.ExternalNetworkID},
	}).Extract()
	if err != nil {
		return fmt.Errorf("create router: %w", err)
	}
	t.RouterID = router.ID
	_, err = routers.AddInterface(ctx, client, router.ID, routers.AddInterfaceOpts{SubnetID: subnet.ID}).Extract()
	return err
}

func externalNetwork(ctx context.Context, client *gophercloud.ServiceClient) (string, error) {
	yes := true
	pages, err := networks.List(client, external.ListOptsExt{ListOptsBuilder: networks.ListOpts{}, External: &yes}).AllPages(ctx)
	if err != nil {
		return "", fmt.Errorf("list external networks: %w", err)
	}
	all, err := networks.ExtractNetworks(pages)
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", errors.New("the cloud has no external network")
	}
	return all[0].ID, nil
}
