// Package tenant makes a project of its own for one test run on a real OpenStack: a user with an application credential,
// a network that is routed to the outside, servers. All of it goes with the tenant, and what somebody else left in it
// is an error. It needs the cloud's administrator.
package tenant

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/config"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"

	"github.com/fairlead-io/fairlead/tests/witness"
)

// AdminCloud is the administrator's entry in Options.CloudsFile.
const AdminCloud = "admin"

// Server is a server that New makes. ID and Address are filled by New.
type Server struct {
	Name     string
	Zone     string
	Metadata map[string]string
	// FixedAddress is the address it shall have; empty: Neutron's choice.
	FixedAddress string

	ID, Address string
}

// Options of New.
type Options struct {
	CloudsFile string // has the cloud AdminCloud
	Name       string // of the project, its user and all that belongs to them
	// CIDR of the tenant's subnet; default 10.6.0.0/24. Gateway: its gateway; empty: the first address.
	CIDR, Gateway string
	// PoolStart and PoolEnd bound the addresses that Neutron chooses; empty: all.
	PoolStart, PoolEnd string
	Servers            []Server
	// Dir gets the tenant's clouds.yaml and outlives the tenant; empty: a temporary directory that goes with it.
	Dir string
}

// Tenant is a project with what New made in it.
type Tenant struct {
	Name, ProjectID, UserID, Password string
	// CloudsFile has the cloud Name (application credential) and the cloud Name+"-password"; mode 0600.
	CloudsFile                                                string
	NetworkID, SubnetID, RouterID, ExternalNetworkID, ImageID string
	Servers                                                   []Server
	// Admin is the administrator in his own project.
	Admin *gophercloud.ProviderClient

	auth     gophercloud.AuthOptions
	tls      *tls.Config
	endpoint gophercloud.EndpointOpts
	dir      string
}

// New makes the tenant and returns when its servers are ACTIVE. What an earlier run left under the name is removed first.
func New(ctx context.Context, o Options) (*Tenant, error) {
	if o.CIDR == "" {
		o.CIDR = "10.6.0.0/24"
	}
	t := &Tenant{Name: o.Name, Password: rand.Text(), Servers: append([]Server(nil), o.Servers...)}
	if o.Dir != "" {
		t.CloudsFile = filepath.Join(o.Dir, "clouds.yaml")
	}
	if err := t.loginAdmin(ctx, o.CloudsFile); err != nil {
		return nil, err
	}
	if err := t.removeByName(ctx); err != nil {
		return nil, fmt.Errorf("remove what an earlier run left of tenant %s: %w", o.Name, err)
	}
	if err := t.make(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("make tenant %s: %w", o.Name, err), t.removeByName(context.WithoutCancel(ctx)))
	}
	return t, nil
}

// Remove removes the tenant of that name, made by whatever process, with all that is in it. No such tenant is no error.
func Remove(ctx context.Context, cloudsFile, name string) error {
	t := &Tenant{Name: name}
	if err := t.loginAdmin(ctx, cloudsFile); err != nil {
		return err
	}
	defer t.Admin.HTTPClient.CloseIdleConnections()
	if err := t.removeByName(ctx); err != nil {
		return fmt.Errorf("remove tenant %s: %w", name, err)
	}
	return nil
}

// loginAdmin authenticates the administrator, who has the entry AdminCloud in the file.
func (t *Tenant) loginAdmin(ctx context.Context, cloudsFile string) error {
	auth, endpoint, tlsConfig, err := clouds.Parse(clouds.WithLocations(cloudsFile), clouds.WithCloudName(AdminCloud))
	if err != nil {
		return fmt.Errorf("%s: %w", cloudsFile, err)
	}
	t.auth, t.tls, t.endpoint = auth, tlsConfig, endpoint
	if t.Admin, err = config.NewProviderClient(ctx, auth, config.WithTLSConfig(tlsConfig)); err != nil {
		return fmt.Errorf("authenticate as the administrator of %s: %w", auth.IdentityEndpoint, err)
	}
	return nil
}

func (t *Tenant) make(ctx context.Context, o Options) error {
	if err := t.makeIdentity(ctx); err != nil {
		return err
	}
	user, err := t.login(ctx)
	if err != nil {
		return err
	}
	defer user.HTTPClient.CloseIdleConnections()
	if err := t.writeClouds(ctx, user); err != nil {
		return err
	}
	if err := t.makeNetwork(ctx, user, o); err != nil {
		return err
	}
	return t.makeServers(ctx, user)
}

// login authenticates the tenant's user by password, and by id: of names Keystone may remember who bore them before.
func (t *Tenant) login(ctx context.Context) (*gophercloud.ProviderClient, error) {
	provider, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
		IdentityEndpoint: t.auth.IdentityEndpoint, UserID: t.UserID, Password: t.Password, TenantID: t.ProjectID,
	})
	if err != nil {
		return nil, fmt.Errorf("authenticate as %s: %w", t.Name, err)
	}
	return provider, nil
}

// Leftovers are what the project holds besides what New made.
func (t *Tenant) Leftovers(ctx context.Context) (witness.Leftovers, error) {
	return witness.Project(ctx, t.CloudsFile, t.Name+"-password")
}

// Close removes the tenant with all that is in it. It is an error if anything was in it that New did not make.
func (t *Tenant) Close(ctx context.Context) error {
	defer t.Admin.HTTPClient.CloseIdleConnections()
	left, err := t.Leftovers(ctx)
	if err == nil && !left.Empty() {
		err = fmt.Errorf("tenant %s was left with %s", t.Name, left)
	}
	return errors.Join(err, t.removeByName(ctx), os.RemoveAll(t.dir))
}

// makeDir makes the directory of the tenant's files, unless there is one that outlives the tenant.
func (t *Tenant) makeDir() (err error) {
	if t.CloudsFile == "" {
		t.dir, err = os.MkdirTemp("", "fairlead-tenant-")
		t.CloudsFile = filepath.Join(t.dir, "clouds.yaml")
	}
	return err
}
