package openstack

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/config"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
)

type object = map[string]any

// Admin is the administrator in his own project.
func Admin(ctx context.Context) (*gophercloud.ProviderClient, gophercloud.EndpointOpts, error) {
	auth, endpoint, tls, err := clouds.Parse(clouds.WithLocations(CloudsFile()), clouds.WithCloudName("admin"))
	if err != nil {
		return nil, endpoint, fmt.Errorf("%s: %w", CloudsFile(), err)
	}
	provider, err := config.NewProviderClient(ctx, auth, config.WithTLSConfig(tls))
	if err != nil {
		return nil, endpoint, fmt.Errorf("authenticate at %s: %w", auth.IdentityEndpoint, err)
	}
	return provider, endpoint, nil
}

// create posts an object and returns its id.
func create(ctx context.Context, client *gophercloud.ServiceClient, key string, body object, path ...string) (string, error) {
	var answer map[string]struct {
		ID any `json:"id"`
	}
	response, err := client.Post(ctx, client.ServiceURL(path...), object{key: body}, &answer,
		&gophercloud.RequestOpts{OkCodes: []int{http.StatusOK, http.StatusCreated, http.StatusAccepted}})
	if err != nil {
		return "", fmt.Errorf("create %s %v: %w", key, body["name"], err)
	}
	return fmt.Sprint(answer[key].ID), response.Body.Close()
}

// catalog is what Keystone tells about the services.
var catalog = []struct{ kind, name, service, path string }{
	{"placement", "placement", "placement", ""},
	{"compute", "nova", "nova", "/v2.1"},
	{"image", "glance", "glance", ""},
	{"volumev3", "cinderv3", "cinder", "/v3/%(project_id)s"},
	{"block-storage", "cinder", "cinder", "/v3/%(project_id)s"},
	{"network", "neutron", "neutron", ""},
	{"load-balancer", "octavia", "octavia", ""},
}

// seedIdentity makes the services' users, the roles and the catalog.
func seedIdentity(ctx context.Context, v values) error {
	provider, endpoint, err := Admin(ctx)
	if err != nil {
		return err
	}
	identity, err := openstack.NewIdentityV3(provider, endpoint)
	if err != nil {
		return err
	}
	project, err := create(ctx, identity, "project", object{"name": "service", "domain_id": "default"}, "projects")
	if err != nil {
		return err
	}
	roles, err := seedRoles(ctx, identity)
	if err != nil {
		return err
	}
	for _, name := range []string{"nova", "placement", "glance", "cinder", "neutron", "octavia"} {
		user, err := create(ctx, identity, "user", object{"name": name, "domain_id": "default", "password": v.Secret}, "users")
		if err != nil {
			return err
		}
		for _, role := range []string{"admin", "service"} {
			response, err := identity.Put(ctx, identity.ServiceURL("projects", project, "users", user, "roles", roles[role]), nil, nil,
				&gophercloud.RequestOpts{OkCodes: []int{http.StatusNoContent}})
			if err != nil {
				return fmt.Errorf("give user %s the role %s: %w", name, role, err)
			}
			_ = response.Body.Close()
		}
	}
	return seedCatalog(ctx, identity)
}

// seedRoles makes the roles that Keystone's bootstrap does not, and returns the ids of all.
func seedRoles(ctx context.Context, identity *gophercloud.ServiceClient) (map[string]string, error) {
	for _, name := range []string{"service", "load-balancer_member", "load-balancer_admin", "creator"} {
		if _, err := create(ctx, identity, "role", object{"name": name}, "roles"); err != nil {
			return nil, err
		}
	}
	var answer struct{ Roles []struct{ ID, Name string } }
	response, err := identity.Get(ctx, identity.ServiceURL("roles"), &answer, nil)
	if err != nil {
		return nil, fmt.Errorf("list roles: %w", err)
	}
	ids := map[string]string{}
	for _, role := range answer.Roles {
		ids[role.Name] = role.ID
	}
	return ids, response.Body.Close()
}

func seedCatalog(ctx context.Context, identity *gophercloud.ServiceClient) error {
	for _, s := range catalog {
		service, err := create(ctx, identity, "service", object{"type": s.kind, "name": s.name}, "services")
		if err != nil {
			return err
		}
		for _, face := range []string{"public", "internal", "admin"} {
			_, err := create(ctx, identity, "endpoint", object{
				"service_id": service, "interface": face, "region_id": Region, "url": urlOf(s.service) + s.path,
			}, "endpoints")
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// seedCloud makes what the tests expect of any cloud: flavors, zones, an image, volume types, an external network.
func seedCloud(ctx context.Context) error {
	provider, endpoint, err := Admin(ctx)
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context, *gophercloud.ProviderClient, gophercloud.EndpointOpts) error{
		seedCompute, seedImage, seedVolumeTypes, seedNetwork,
	} {
		if err := part(ctx, provider, endpoint); err != nil {
			return err
		}
	}
	return nil
}

func seedCompute(ctx context.Context, provider *gophercloud.ProviderClient, endpoint gophercloud.EndpointOpts) error {
	compute, err := openstack.NewComputeV2(provider, endpoint)
	if err != nil {
		return err
	}
	for _, flavor := range []object{
		{"id": "1", "name": "m1.tiny", "vcpus": 1, "ram": 512, "disk": 1},
		{"id": "2", "name": "m1.small", "vcpus": 2, "ram": 2048, "disk": 1},
	} {
		if _, err := create(ctx, compute, "flavor", flavor, "flavors"); err != nil {
			return err
		}
	}
	aggregates := map[string]string{}
	for _, host := range computeHosts {
		if aggregates[host.zone] == "" {
			id, err := create(ctx, compute, "aggregate", object{"name": host.zone, "availability_zone": host.zone}, "os-aggregates")
			if err != nil {
				return err
			}
			aggregates[host.zone] = id
		}
		if _, err := create(ctx, compute, "add_host", object{"host": host.name}, "os-aggregates", aggregates[host.zone], "action"); err != nil {
			return err
		}
	}
	return nil
}

func seedImage(ctx context.Context, provider *gophercloud.ProviderClient, endpoint gophercloud.EndpointOpts) error {
	client, err := openstack.NewImageV2(provider, endpoint)
	if err != nil {
		return err
	}
	// Glance takes the object without an envelope.
	var image struct{ ID string }
	response, err := client.Post(ctx, client.ServiceURL("images"),
		object{"name": "tiny", "disk_format": "raw", "container_format": "bare", "visibility": "public"}, &image,
		&gophercloud.RequestOpts{OkCodes: []int{http.StatusCreated}})
	if err != nil {
		return fmt.Errorf("create image: %w", err)
	}
	_ = response.Body.Close()
	response, err = client.Put(ctx, client.ServiceURL("images", image.ID, "file"), nil, nil, &gophercloud.RequestOpts{
		RawBody: bytes.NewReader(make([]byte, 1024)), OkCodes: []int{http.StatusNoContent},
		MoreHeaders: map[string]string{"Content-Type": "application/octet-stream"},
	})
	if err != nil {
		return fmt.Errorf("upload image: %w", err)
	}
	return response.Body.Close()
}

func seedVolumeTypes(ctx context.Context, provider *gophercloud.ProviderClient, endpoint gophercloud.EndpointOpts) error {
	storage, err := openstack.NewBlockStorageV3(provider, endpoint)
	if err != nil {
		return err
	}
	for _, kind := range []struct {
		name  string
		specs object
	}{
		{"standard", object{}},
		{"fast", object{"fairlead:tier": "fast"}},
		{"multiattach", object{"multiattach": "<is> True"}},
	} {
		_, err := create(ctx, storage, "volume_type",
			object{"name": kind.name, "os-volume-type-access:is_public": true, "extra_specs": kind.specs}, "types")
		if err != nil {
			return err
		}
	}
	return nil
}

func seedNetwork(ctx context.Context, provider *gophercloud.ProviderClient, endpoint gophercloud.EndpointOpts) error {
	network, err := openstack.NewNetworkV2(provider, endpoint)
	if err != nil {
		return err
	}
	id, err := create(ctx, network, "network", object{"name": "public", "router:external": true,
		"provider:network_type": "flat", "provider:physical_network": "physnet1"}, "networks")
	if err != nil {
		return err
	}
	_, err = create(ctx, network, "subnet", object{"name": "public-v4", "network_id": id, "cidr": "172.24.4.0/24", "ip_version": 4,
		"enable_dhcp": false, "gateway_ip": "172.24.4.1"}, "subnets")
	return err
}
