package tenant

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/config"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"k8s.io/apimachinery/pkg/util/wait"
)

// removeByName removes the project and the user of the tenant's name with all that is in the project.
func (t *Tenant) removeByName(ctx context.Context) error {
	identity, err := openstack.NewIdentityV3(t.Admin, t.endpoint)
	if err != nil {
		return err
	}
	pages, err := projects.List(identity, projects.ListOpts{Name: t.Name}).AllPages(ctx)
	if err != nil {
		return err
	}
	found, err := projects.ExtractProjects(pages)
	if err != nil {
		return err
	}
	for _, p := range found {
		if err := t.empty(ctx, identity, p.ID); err != nil {
			return err
		}
		if err := gone(projects.Delete(ctx, identity, p.ID).ExtractErr()); err != nil {
			return err
		}
	}
	if pages, err = users.List(identity, users.ListOpts{Name: t.Name}).AllPages(ctx); err != nil {
		return err
	}
	people, err := users.ExtractUsers(pages)
	if err != nil {
		return err
	}
	for _, u := range people {
		if err := gone(users.Delete(ctx, identity, u.ID).ExtractErr()); err != nil {
			return err
		}
	}
	return nil
}

// empty removes everything that a project holds, as the administrator inside of it.
func (t *Tenant) empty(ctx context.Context, identity *gophercloud.ServiceClient, projectID string) error {
	adminID, err := t.adminUser()
	if err != nil {
		return err
	}
	if err := grant(ctx, identity, projectID, adminID, append([]string{"admin"}, memberRoles...)); err != nil {
		return err
	}
	inside, err := t.adminIn(ctx, projectID)
	if err != nil {
		return err
	}
	defer inside.HTTPClient.CloseIdleConnections()
	for _, remove := range []func(context.Context, *gophercloud.ProviderClient, string) error{
		t.removeLoadBalancers, t.removeServers, t.removeVolumes, t.removeNetworks,
	} {
		if err := remove(ctx, inside, projectID); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tenant) adminUser() (string, error) {
	result, ok := t.Admin.GetAuthResult().(tokens.CreateResult)
	if !ok {
		return "", fmt.Errorf("the administrator authenticated in an unexpected way: %T", t.Admin.GetAuthResult())
	}
	user, err := result.ExtractUser()
	if err != nil {
		return "", err
	}
	return user.ID, nil
}

// adminIn authenticates the administrator in a project.
func (t *Tenant) adminIn(ctx context.Context, projectID string) (*gophercloud.ProviderClient, error) {
	auth := t.auth
	auth.TenantID, auth.TenantName = "", ""
	auth.Scope = &gophercloud.AuthScope{ProjectID: projectID}
	return config.NewProviderClient(ctx, auth, config.WithTLSConfig(t.tls))
}

// gone takes the answer "not found" to a deletion for success.
func gone(err error) error {
	if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// deleteAll deletes objects and waits until each answers "not found".
func deleteAll(ctx context.Context, kind string, ids []string, remove, get func(id string) error) error {
	for _, id := range ids {
		last := errors.New("never asked")
		err := wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, serverTimeout, true, func(context.Context) (bool, error) {
			// Asked again each time: what is in transition refuses first.
			if last = remove(id); gophercloud.ResponseCodeIs(last, http.StatusNotFound) {
				return true, nil
			}
			if err := get(id); gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
				return true, nil
			}
			return false, nil
		})
		if err != nil {
			return fmt.Errorf("delete %s %s: %w, last answer: %w", kind, id, err, last)
		}
	}
	return nil
}

func (t *Tenant) removeLoadBalancers(ctx context.Context, inside *gophercloud.ProviderClient, projectID string) error {
	client, err := openstack.NewLoadBalancerV2(inside, t.endpoint)
	if err != nil {
		return err
	}
	pages, err := loadbalancers.List(client, loadbalancers.ListOpts{ProjectID: projectID}).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := loadbalancers.ExtractLoadBalancers(pages)
	if err != nil {
		return err
	}
	var ids []string
	for _, lb := range all {
		ids = append(ids, lb.ID)
	}
	return deleteAll(ctx, "load balancer", ids,
		func(id string) error {
			return loadbalancers.Delete(ctx, client, id, loadbalancers.DeleteOpts{Cascade: true}).ExtractErr()
		},
		func(id string) error { return loadbalancers.Get(ctx, client, id).Err })
}

func (t *Tenant) removeServers(ctx context.Context, inside *gophercloud.ProviderClient, _ string) error {
	client, err := openstack.NewComputeV2(inside, t.endpoint)
	if err != nil {
		return err
	}
	pages, err := servers.List(client, servers.ListOpts{}).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := servers.ExtractServers(pages)
	if err != nil {
		return err
	}
	var ids []string
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	return deleteAll(ctx, "server", ids,
		func(id string) error { return servers.Delete(ctx, client, id).ExtractErr() },
		func(id string) error { return servers.Get(ctx, client, id).Err })
}

func (t *Tenant) removeVolumes(ctx context.Context, inside *gophercloud.ProviderClient, _ string) error {
	client, err := openstack.NewBlockStorageV3(inside, t.endpoint)
	if err != nil {
		return err
	}
	pages, err := volumes.List(client, volumes.ListOpts{}).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := volumes.ExtractVolumes(pages)
	if err != nil {
		return err
	}
	var ids []string
	for _, v := range all {
		ids = append(ids, v.ID)
	}
	return deleteAll(ctx, "volume", ids,
		func(id string) error {
			return volumes.Delete(ctx, client, id, volumes.DeleteOpts{Cascade: true}).ExtractErr()
		},
		func(id string) error { return volumes.Get(ctx, client, id).Err })
}
