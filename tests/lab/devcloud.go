package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

const devcloudName = "fairlead-devcloud"

// embeddedCloud is the cloud Devcloud, a process of the host.
type embeddedCloud struct{}

func (embeddedCloud) programs() []string { return []string{devcloudName} }

// remove: down kills the process, and all it made is in the lab's state.
func (embeddedCloud) remove(context.Context) error { return nil }

func (embeddedCloud) parts() (map[string]bool, error) { return running(devcloudName) }

// start writes the cloud's configuration too.
func (embeddedCloud) start(ctx context.Context) error {
	if err := writeCloudFiles(); err != nil {
		return err
	}
	return StartDevcloud(ctx)
}

// StartDevcloud starts the embedded cloud on its present state and returns when its API answers. It is for tests
// that killed it; a cloud that runs is left as it is.
func StartDevcloud(ctx context.Context) error {
	if err := start(devcloudName, []string{layout.BinDir + "/" + devcloudName, "serve", "--config", layout.DevcloudConfig}); err != nil {
		return err
	}
	return awaitHTTP(ctx, devcloudName, plainClient(), layout.CloudURL+"/identity/v3")
}

// KillDevcloud ends the embedded cloud with SIGKILL. Disks and nodes stay; load balancers do not balance meanwhile.
func KillDevcloud(ctx context.Context) error {
	id, err := proc.Read(pidFile(devcloudName))
	if errors.Is(err, proc.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	return id.Kill(ctx)
}

func (embeddedCloud) createServers(ctx context.Context, places []layout.Node) error {
	provider, endpoint, err := Cloud(ctx)
	if err != nil {
		return err
	}
	compute, err := openstack.NewComputeV2(provider, endpoint)
	if err != nil {
		return err
	}
	network, err := openstack.NewNetworkV2(provider, endpoint)
	if err != nil {
		return err
	}
	flavorID, err := flavorNamed(ctx, compute, flavorName)
	if err != nil {
		return err
	}
	networkID, err := networkNamed(ctx, network, tenantNetwork)
	if err != nil {
		return err
	}
	ids := map[string]string{}
	for _, place := range places {
		server, err := servers.Create(ctx, compute, serverOptions(place, flavorID, networkID), nil).Extract()
		if err != nil {
			return fmt.Errorf("create server %s: %w", place.Name, err)
		}
		ids[place.Name] = server.ID
	}
	for name, id := range ids {
		if err := awaitActive(ctx, compute, name, id); err != nil {
			return err
		}
	}
	return nil
}

func serverOptions(place layout.Node, flavorID, networkID string) servers.CreateOpts {
	return servers.CreateOpts{
		Name:             place.Name,
		FlavorRef:        flavorID,
		AvailabilityZone: zone,
		Networks:         []servers.Network{{UUID: networkID, FixedIP: place.Address().String()}},
		Metadata:         map[string]string{NodeKey: ""},
	}
}

func awaitActive(ctx context.Context, compute *gophercloud.ServiceClient, name, id string) error {
	last := "unknown"
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		server, err := servers.Get(ctx, compute, id).Extract()
		if err != nil {
			return false, err
		}
		last = server.Status
		if last == "ERROR" {
			return false, errors.New(server.Fault.Message)
		}
		return last == "ACTIVE", nil
	})
	if err != nil {
		return fmt.Errorf("server %s (%s) is %s: %w", name, id, last, err)
	}
	return nil
}

func flavorNamed(ctx context.Context, client *gophercloud.ServiceClient, name string) (string, error) {
	page, err := flavors.ListDetail(client, flavors.ListOpts{}).AllPages(ctx)
	if err != nil {
		return "", fmt.Errorf("list flavors: %w", err)
	}
	all, err := flavors.ExtractFlavors(page)
	if err != nil {
		return "", err
	}
	for _, flavor := range all {
		if flavor.Name == name {
			return flavor.ID, nil
		}
	}
	return "", fmt.Errorf("the cloud has no flavor %s", name)
}

func networkNamed(ctx context.Context, client *gophercloud.ServiceClient, name string) (string, error) {
	page, err := networks.List(client, networks.ListOpts{Name: name}).AllPages(ctx)
	if err != nil {
		return "", fmt.Errorf("list networks: %w", err)
	}
	all, err := networks.ExtractNetworks(page)
	if err != nil {
		return "", err
	}
	if len(all) != 1 {
		return "", fmt.Errorf("the cloud has %d networks named %s, want 1", len(all), name)
	}
	return all[0].ID, nil
}
