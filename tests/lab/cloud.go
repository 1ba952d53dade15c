package lab

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/config"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
)

// The clouds that the lab's nodes can be servers of.
const (
	Devcloud = "devcloud" // the embedded cloud; the lab starts it
	noCloud  = "none"     // the control plane has no nodes
)

// NodeKey in a server's metadata makes the cloud start the server as a node of the lab.
const NodeKey = "lab.fairlead.io:node"

// zone is where the lab's servers are.
const zone = "az1"

// A cloud is what the lab's nodes are servers of.
type cloud interface {
	// programs of this project's that it runs on.
	programs() []string
	// start returns when the cloud answers.
	start(ctx context.Context) error
	// createServers makes the nodes' servers and returns when all are ACTIVE and layout.CloudsYAML leads to them.
	createServers(ctx context.Context, places []layout.Node) error
	// remove removes what start and createServers have made outside the lab's state and its processes.
	remove(ctx context.Context) error
	// parts says which parts of the cloud run.
	parts() (map[string]bool, error)
}

var allClouds = map[string]cloud{Devcloud: embeddedCloud{}, OpenStack: realOpenStack{}, noCloud: none{}}

// cloudName is the name of the options' cloud, in allClouds.
func (o Options) cloudName() (string, error) {
	if o.Nodes == 0 {
		return noCloud, nil
	}
	name := o.Cloud
	if name == "" {
		name = Devcloud
	}
	if _, known := allClouds[name]; !known {
		return "", fmt.Errorf("there is no cloud %q: %s or %s", name, Devcloud, OpenStack)
	}
	return name, nil
}

// presentCloud is the name of the present lab's cloud; "" if there is no lab.
func presentCloud() (string, error) {
	raw, err := os.ReadFile(layout.CloudFile)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err == nil && allClouds[string(raw)] == nil {
		err = fmt.Errorf("%s names no cloud: %q", layout.CloudFile, raw)
	}
	return string(raw), err
}

// removeFromCloud removes what the present lab has made in its cloud.
func removeFromCloud(ctx context.Context) error {
	name, err := presentCloud()
	if err != nil || name == "" {
		return err
	}
	return allClouds[name].remove(ctx)
}

// Cloud is an authenticated client of the lab's project.
func Cloud(ctx context.Context) (*gophercloud.ProviderClient, gophercloud.EndpointOpts, error) {
	auth, endpoint, _, err := clouds.Parse(clouds.WithLocations(layout.CloudsYAML), clouds.WithCloudName(layout.CloudName))
	if err != nil {
		return nil, endpoint, fmt.Errorf("%s: %w", layout.CloudsYAML, err)
	}
	provider, err := config.NewProviderClient(ctx, auth, config.WithHTTPClient(*plainClient()))
	if err != nil {
		return nil, endpoint, fmt.Errorf("authenticate at %s: %w", auth.IdentityEndpoint, err)
	}
	return provider, endpoint, nil
}

// ServerIDs are the servers in the lab's project.
func ServerIDs(ctx context.Context) ([]string, error) {
	provider, endpoint, err := Cloud(ctx)
	if err != nil {
		return nil, err
	}
	compute, err := openstack.NewComputeV2(provider, endpoint)
	if err != nil {
		return nil, err
	}
	page, err := servers.List(compute, nil).AllPages(ctx)
	if err != nil {
		return nil, fmt.Errorf("list servers: %w", err)
	}
	all, err := servers.ExtractServers(page)
	var ids []string
	for _, server := range all {
		ids = append(ids, server.ID)
	}
	return ids, err
}

// none is the cloud of a control plane alone.
type none struct{}

func (none) programs() []string                                 { return nil }
func (none) start(context.Context) error                        { return nil }
func (none) createServers(context.Context, []layout.Node) error { return nil }
func (none) remove(context.Context) error                       { return nil }
func (none) parts() (map[string]bool, error)                    { return nil, nil }
