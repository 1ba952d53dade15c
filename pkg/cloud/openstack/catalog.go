package openstack

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// service is one of OpenStack's services; its text is the label of the metrics.
type service string

const (
	identity     service = "identity"
	compute      service = "compute"
	blockStorage service = "block-storage"
	network      service = "network"
	loadBalancer service = "load-balancer"
)

// api is how a service is found in the catalog and spoken to.
type api struct {
	types        []string // in the catalog, best first
	microversion string
	version      string // appended to an endpoint that names none
}

var apis = map[service]api{
	compute:      {types: []string{"compute"}, microversion: microversionCompute},
	blockStorage: {types: []string{"block-storage", "volumev3", "volume"}, microversion: microversionBlockStorage},
	network:      {types: []string{"network"}, version: "v2.0"},
	loadBalancer: {types: []string{"load-balancer"}, version: "v2.0"},
}

// services are the clients of one catalog. They are built when the credentials are new, never per call: building one
// with gophercloud's constructors costs a discovery request.
type services struct {
	clients map[service]*gophercloud.ServiceClient
	region  string
	project string
	// balancing is the version of Octavia's API, once it was asked for.
	balancing atomic.Pointer[apiVersion]
}

// newServices finds the services' endpoints in the catalog. A service that is not offered is an error only when used:
// a cluster may have disks without load balancers.
func newServices(provider *gophercloud.ProviderClient, catalog *tokens.ServiceCatalog, opts gophercloud.EndpointOpts, project string) (*services, error) {
	regions := regionsOf(catalog)
	region := opts.Region
	switch {
	case region == "" && len(regions) == 1:
		region = regions[0]
	case region == "" && len(regions) > 1:
		return nil, configError("region_name is missing: the catalog has the regions %s", strings.Join(regions, ", "))
	case region != "" && !slices.Contains(regions, region):
		return nil, configError("region_name %q is not in the catalog: it has %s", region, strings.Join(regions, ", "))
	}
	s := &services{clients: map[service]*gophercloud.ServiceClient{}, region: region, project: project}
	for name, a := range apis {
		endpoint := endpointOf(catalog, a.types, region, opts.Availability)
		if endpoint == "" {
			continue
		}
		s.clients[name] = &gophercloud.ServiceClient{
			ProviderClient: provider, Endpoint: withVersion(endpoint, a.version), Type: string(name), Microversion: a.microversion,
		}
	}
	s.clients[identity] = &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: provider.IdentityBase + "v3/", Type: string(identity)}
	return s, nil
}

// client is the service's client.
func (s *services) client(name service) (*gophercloud.ServiceClient, error) {
	c, ok := s.clients[name]
	if !ok {
		return nil, fmt.Errorf("the catalog has no %s service in region %q: %w", name, s.region, cloud.ErrInvalid)
	}
	return c, nil
}

// regionsOf are the regions of the services that we use.
func regionsOf(catalog *tokens.ServiceCatalog) []string {
	var regions []string
	for _, entry := range catalog.Entries {
		for _, e := range entry.Endpoints {
			if region := regionOf(e); region != "" && used(entry.Type) {
				regions = append(regions, region)
			}
		}
	}
	slices.Sort(regions)
	return slices.Compact(regions)
}

func used(catalogType string) bool {
	for _, a := range apis {
		if slices.Contains(a.types, catalogType) {
			return true
		}
	}
	return false
}

func regionOf(e tokens.Endpoint) string {
	if e.RegionID != "" {
		return e.RegionID
	}
	return e.Region
}

func endpointOf(catalog *tokens.ServiceCatalog, types []string, region string, availability gophercloud.Availability) string {
	for _, t := range types {
		for _, entry := range catalog.Entries {
			if entry.Type != t {
				continue
			}
			for _, e := range entry.Endpoints {
				if gophercloud.Availability(e.Interface) == availability && (region == "" || regionOf(e) == region) {
					return gophercloud.NormalizeURL(e.URL)
				}
			}
		}
	}
	return ""
}

// withVersion appends the version to an endpoint whose last segment is none. The endpoint ends with a slash, as does
// the result.
func withVersion(endpoint, version string) string {
	trimmed := strings.TrimSuffix(endpoint, "/")
	last := trimmed[strings.LastIndexByte(trimmed, '/')+1:]
	if version == "" || len(last) > 1 && last[0] == 'v' && last[1] >= '0' && last[1] <= '9' {
		return endpoint
	}
	return endpoint + version + "/"
}
