package tenant

import (
	"context"
	"fmt"
	"os"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/applicationcredentials"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"
	"sigs.k8s.io/yaml"
)

// memberRoles are what an ordinary user of a project has.
var memberRoles = []string{"member", "reader", "load-balancer_member"}

func (t *Tenant) makeIdentity(ctx context.Context) error {
	identity, err := openstack.NewIdentityV3(t.Admin, t.endpoint)
	if err != nil {
		return err
	}
	project, err := projects.Create(ctx, identity, projects.CreateOpts{Name: t.Name, DomainID: "default"}).Extract()
	if err != nil {
		return err
	}
	t.ProjectID = project.ID
	user, err := users.Create(ctx, identity, users.CreateOpts{Name: t.Name, DomainID: "default", Password: t.Password, DefaultProjectID: project.ID}).Extract()
	if err != nil {
		return err
	}
	t.UserID = user.ID
	return grant(ctx, identity, project.ID, user.ID, memberRoles)
}

func grant(ctx context.Context, identity *gophercloud.ServiceClient, projectID, userID string, names []string) error {
	pages, err := roles.List(identity, roles.ListOpts{}).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := roles.ExtractRoles(pages)
	if err != nil {
		return err
	}
	ids := map[string]string{}
	for _, r := range all {
		ids[r.Name] = r.ID
	}
	for _, name := range names {
		if ids[name] == "" {
			return fmt.Errorf("the cloud has no role %s", name)
		}
		err := roles.Assign(ctx, identity, ids[name], roles.AssignOpts{UserID: userID, ProjectID: projectID}).ExtractErr()
		if err != nil {
			return fmt.Errorf("grant role %s: %w", name, err)
		}
	}
	return nil
}

// writeClouds makes the application credential and writes the clouds.yaml.
func (t *Tenant) writeClouds(ctx context.Context, user *gophercloud.ProviderClient) error {
	identity, err := openstack.NewIdentityV3(user, t.endpoint)
	if err != nil {
		return err
	}
	credential, err := applicationcredentials.Create(ctx, identity, t.UserID, applicationcredentials.CreateOpts{Name: "kubernetes"}).Extract()
	if err != nil {
		return fmt.Errorf("create application credential: %w", err)
	}
	type object = map[string]any
	common := func(entry object) object {
		entry["region_name"], entry["identity_api_version"], entry["interface"] = t.endpoint.Region, 3, "public"
		return entry
	}
	text, err := yaml.Marshal(object{"clouds": object{
		t.Name: common(object{"auth_type": "v3applicationcredential", "auth": object{
			"auth_url": t.auth.IdentityEndpoint, "application_credential_id": credential.ID, "application_credential_secret": credential.Secret,
		}}),
		t.Name + "-password": common(object{"auth": object{
			"auth_url": t.auth.IdentityEndpoint, "user_id": t.UserID, "password": t.Password, "project_id": t.ProjectID,
		}}),
	}})
	if err != nil {
		return err
	}
	if err := t.makeDir(); err != nil {
		return err
	}
	return os.WriteFile(t.CloudsFile, text, 0o600)
}
