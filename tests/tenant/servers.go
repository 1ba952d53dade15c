package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"k8s.io/apimachinery/pkg/util/wait"
)

// serverTimeout bounds every wait for one object of the tenant.
const serverTimeout = 2 * time.Minute

func (t *Tenant) makeServers(ctx context.Context, user *gophercloud.ProviderClient) error {
	compute, err := openstack.NewComputeV2(user, t.endpoint)
	if err != nil {
		return err
	}
	if t.ImageID, err = t.firstImage(ctx, user); err != nil || len(t.Servers) == 0 {
		return err
	}
	flavor, err := firstFlavor(ctx, compute)
	if err != nil {
		return err
	}
	for i := range t.Servers {
		s := &t.Servers[i]
		created, err := servers.Create(ctx, compute, servers.CreateOpts{
			Name: s.Name, FlavorRef: flavor, ImageRef: t.ImageID, AvailabilityZone: s.Zone, Metadata: s.Metadata,
			Networks: []servers.Network{{UUID: t.NetworkID, FixedIP: s.FixedAddress}},
		}, nil).Extract()
		if err != nil {
			return fmt.Errorf("create server %s: %w", s.Name, err)
		}
		s.ID = created.ID
	}
	for i := range t.Servers {
		if err := t.awaitActive(ctx, compute, &t.Servers[i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tenant) awaitActive(ctx context.Context, compute *gophercloud.ServiceClient, s *Server) error {
	last := "unknown"
	err := wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, serverTimeout, true, func(ctx context.Context) (bool, error) {
		got, err := servers.Get(ctx, compute, s.ID).Extract()
		if err != nil {
			return false, err
		}
		if last = got.Status; last == "ERROR" {
			return false, errors.New(got.Fault.Message)
		}
		s.Address = firstAddress(got.Addresses, t.Name)
		return last == "ACTIVE" && s.Address != "", nil
	})
	if err != nil {
		return fmt.Errorf("server %s (%s) is %s: %w", s.Name, s.ID, last, err)
	}
	return nil
}

// firstAddress reads the first address on the network of a server's "addresses".
func firstAddress(addresses map[string]any, network string) string {
	list, _ := addresses[network].([]any)
	for _, entry := range list {
		fields, _ := entry.(map[string]any)
		if address, _ := fields["addr"].(string); address != "" {
			return address
		}
	}
	return ""
}

func firstFlavor(ctx context.Context, compute *gophercloud.ServiceClient) (string, error) {
	pages, err := flavors.ListDetail(compute, flavors.ListOpts{}).AllPages(ctx)
	if err != nil {
		return "", fmt.Errorf("list flavors: %w", err)
	}
	all, err := flavors.ExtractFlavors(pages)
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", errors.New("the cloud has no flavor")
	}
	return all[0].ID, nil
}

func (t *Tenant) firstImage(ctx context.Context, user *gophercloud.ProviderClient) (string, error) {
	client, err := openstack.NewImageV2(user, t.endpoint)
	if err != nil {
		return "", err
	}
	pages, err := images.List(client, images.ListOpts{}).AllPages(ctx)
	if err != nil {
		return "", fmt.Errorf("list images: %w", err)
	}
	all, err := images.ExtractImages(pages)
	if err != nil {
		return "", err
	}
	if len(all) == 0 {
		return "", errors.New("the cloud has no image")
	}
	return all[0].ID, nil
}
