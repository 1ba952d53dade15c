package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/openstack"
	"github.com/fairlead-io/fairlead/tests/tenant"
)

// OpenStack is the real OpenStack of package openstack. It runs already; the lab is a project in it, and its hypervisors
// start the nodes.
const OpenStack = "openstack"

// realOpenStack is the cloud OpenStack.
type realOpenStack struct{}

func (realOpenStack) programs() []string { return nil }

// start starts nothing: it finds the cloud running.
func (realOpenStack) start(ctx context.Context) error { return openstack.Check(ctx) }

func (realOpenStack) parts() (map[string]bool, error) {
	status, err := openstack.ReadStatus()
	return map[string]bool{"openstack": status.Complete()}, err
}

// createServers makes the project with its network, router and servers.
func (realOpenStack) createServers(ctx context.Context, places []layout.Node) error {
	_, err := tenant.New(ctx, tenantOptions(places))
	return err
}

// tenantOptions describe a project whose network has the addresses of the lab's fabric.
func tenantOptions(places []layout.Node) tenant.Options {
	opts := tenant.Options{
		CloudsFile: openstack.CloudsFile(), Name: layout.CloudName, Dir: filepath.Dir(layout.CloudsYAML),
		CIDR: layout.FabricCIDR, Gateway: layout.RouterAddress, PoolStart: layout.PoolStart, PoolEnd: layout.PoolEnd,
	}
	for _, place := range places {
		opts.Servers = append(opts.Servers, tenant.Server{
			Name: place.Name, Zone: zone, FixedAddress: place.Address().String(), Metadata: map[string]string{NodeKey: ""},
		})
	}
	return opts
}

// remove removes the project with all that is in it. Where the cloud is gone, so is the project.
func (realOpenStack) remove(ctx context.Context) error {
	if _, err := os.Stat(openstack.CloudsFile()); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := tenant.Remove(ctx, openstack.CloudsFile(), layout.CloudName); err != nil {
		return fmt.Errorf("%w; `make openstack-up` mends the cloud, `make openstack-down` removes it with all its projects", err)
	}
	return nil
}
