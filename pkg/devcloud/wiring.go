package devcloud

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/admin"
	apiblockstorage "github.com/fairlead-io/fairlead/pkg/devcloud/api/blockstorage"
	apicompute "github.com/fairlead-io/fairlead/pkg/devcloud/api/compute"
	apiidentity "github.com/fairlead-io/fairlead/pkg/devcloud/api/identity"
	apiimage "github.com/fairlead-io/fairlead/pkg/devcloud/api/image"
	apiloadbalancer "github.com/fairlead-io/fairlead/pkg/devcloud/api/loadbalancer"
	apinetwork "github.com/fairlead-io/fairlead/pkg/devcloud/api/network"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/identity"
)

func (c *Cloud) tokens() api.Tokens { return apiidentity.Tokens{Identity: c.identity} }

// Handler serves all APIs, each below its service's name.
func (c *Cloud) Handler() http.Handler {
	mux := http.NewServeMux()
	mount := func(path string, h http.Handler) {
		mux.Handle(path+"/", http.StripPrefix(path, h))
		// No redirect: keystoneauth takes a relative Location for a broken one.
		mux.Handle(path, http.StripPrefix(path, slash(h)))
	}
	mount("/identity", apiidentity.New(c.Core, c.identity, apiidentity.Options{Region: c.config.Region, Endpoints: endpoints(c.URL)}))
	mount("/volume", apiblockstorage.New(c.Core, c.Engine, c.volumes))
	mount("/compute", apicompute.New(c.Core, c.Engine, c.compute))
	mount("/image", apiimage.New(c.Core, c.config.images()))
	mount("/network", apinetwork.New(c.Core, c.Engine, c.network))
	mount("/load-balancer", apiloadbalancer.New(c.Core, c.Engine, c.loadBalancers))
	mount("/admin", admin.New(admin.Options{
		Core: c.Core, Engine: c.Engine, Count: c.leftovers, RevokeTokens: c.identity.RevokeAll,
	}))
	return mux
}

// slash gives a request without any path the path "/".
func slash(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r2 := r.Clone(r.Context())
		r2.URL.Path = "/"
		h.ServeHTTP(w, r2)
	})
}

// endpoints is the catalog. Block storage is there under both names that clients look for.
func endpoints(base string) []apiidentity.Endpoint {
	return []apiidentity.Endpoint{
		{Type: "identity", Name: "keystone", URL: base + "/identity/v3"},
		{Type: "compute", Name: "nova", URL: base + "/compute/v2.1"},
		{Type: "block-storage", Name: "cinder", URL: base + "/volume/v3/{project_id}"},
		{Type: "volumev3", Name: "cinderv3", URL: base + "/volume/v3/{project_id}"},
		{Type: "image", Name: "glance", URL: base + "/image"},
		{Type: "network", Name: "neutron", URL: base + "/network"},
		{Type: "load-balancer", Name: "octavia", URL: base + "/load-balancer"},
	}
}

// leftovers counts what bears the text in its metadata, tags or description; an empty text counts all.
func (c *Cloud) leftovers(text string) (n admin.Leftovers) {
	bears := func(tags []string, values ...string) bool {
		holds := func(v string) bool { return strings.Contains(v, text) }
		return text == "" || slices.ContainsFunc(tags, holds) || slices.ContainsFunc(values, holds)
	}
	_ = c.Engine.View(func(tx *engine.Tx) error {
		for _, v := range c.volumes.All(tx) {
			if bears(slices.Collect(maps.Values(v.Metadata)), v.Name) {
				n.Volumes++
				n.Attachments += len(v.Attachments)
			}
		}
		vipPorts := map[string]bool{} // of load balancers that are not ours
		for _, lb := range c.loadBalancers.LoadBalancers(tx) {
			ours := bears(lb.Tags, lb.Name, lb.Description)
			if ours {
				n.LoadBalancers++
			}
			vipPorts[lb.VIPPortID] = ours
		}
		for _, p := range c.network.Ports(tx) {
			ours, known := vipPorts[p.ID]
			if ours || !known && p.DeviceOwner == "Octavia" { // one without a load balancer is left over from somebody
				n.Ports++
			}
		}
		for _, f := range c.network.FloatingIPs(tx) {
			if bears(f.Tags, f.Description) {
				n.FloatingIPs++
			}
		}
		for _, g := range c.network.Groups(tx) {
			if g.Name != "default" && bears(g.Tags, g.Name, g.Description) {
				n.SecurityGroups++
			}
		}
		return nil
	})
	return n
}

// newest are the configured microversions.
func (c Config) newest() (map[string]api.Version, error) {
	ranges := map[string]api.Range{
		"compute": *api.Compute.Versions, "volume": *api.BlockStorage.Versions, "load-balancer": apiloadbalancer.Versions(),
	}
	newest := map[string]api.Version{}
	for service, text := range c.Microversions {
		offered, ok := ranges[service]
		if !ok {
			return nil, fmt.Errorf("%q has none; allowed are compute, volume and load-balancer", service)
		}
		v, err := api.ParseVersion(text)
		if err != nil || !v.AtLeast(offered.Min.Major, offered.Min.Minor) || !offered.Max.AtLeast(v.Major, v.Minor) {
			return nil, fmt.Errorf("%s: %q: allowed is from %s to %s", service, text, offered.Min, offered.Max)
		}
		newest[service] = v
	}
	return newest, nil
}

func (c Config) projectID(name string) string {
	for _, p := range c.Projects {
		if p.Name == name {
			return cmp.Or(p.ID, identity.StableID("project", name))
		}
	}
	return ""
}

func (c Config) userID(name string) string {
	for _, u := range c.Users {
		if u.Name == name {
			return cmp.Or(u.ID, identity.StableID("user", name))
		}
	}
	return ""
}

func (c Config) identity() identity.Options {
	opts := identity.Options{TokenExpires: time.Duration(c.TokenLifetime)}
	for _, p := range c.Projects {
		opts.Projects = append(opts.Projects, identity.Project{ID: c.projectID(p.Name), Name: p.Name})
	}
	for _, u := range c.Users {
		user := identity.User{ID: c.userID(u.Name), Name: u.Name, Password: u.Password, Roles: u.Roles}
		for _, name := range u.Projects {
			user.ProjectIDs = append(user.ProjectIDs, c.projectID(name))
		}
		opts.Users = append(opts.Users, user)
	}
	for _, a := range c.ApplicationCredentials {
		credential := identity.ApplicationCredential{
			ID: cmp.Or(a.ID, identity.StableID("credential", a.Name)), Name: a.Name, Secret: a.Secret,
			UserID: c.userID(a.User), ProjectID: c.projectID(a.Project),
		}
		if a.Expires != nil {
			credential.Expires = *a.Expires
		}
		opts.Credentials = append(opts.Credentials, credential)
	}
	return opts
}

func (c Config) blockStorage() blockstorage.Options {
	opts := blockstorage.Options{
		Zones: c.Zones.Volume, Quota: blockstorage.Quota{Volumes: c.Quotas.Volumes, Gigabytes: c.Quotas.Gigabytes},
	}
	for _, t := range c.VolumeTypes {
		id := uuid.NewSHA1(uuid.NameSpaceOID, []byte("volume-type/"+t.Name)).String()
		opts.Types = append(opts.Types, blockstorage.Type{ID: id, Name: t.Name, Description: t.Description, Multiattach: t.Multiattach})
	}
	return opts
}

func (c Config) compute() compute.Options {
	opts := compute.Options{Zones: c.Zones.Compute, Quota: compute.Quota{
		Instances: c.Quotas.Instances, Cores: c.Quotas.Cores, RAMMiB: c.Quotas.RAMMiB, VolumesPerServer: c.Quotas.VolumesPerServer,
	}}
	if len(c.Hypervisor.Command) > 0 && !c.Simulate {
		opts.PowerSync = cmp.Or(time.Duration(c.Hypervisor.PowerSync), 10*time.Second)
	}
	for _, i := range c.images() {
		opts.Images = append(opts.Images, i.ID)
	}
	for _, f := range c.Flavors {
		id := cmp.Or(f.ID, uuid.NewSHA1(uuid.NameSpaceOID, []byte("flavor/"+f.Name)).String())
		opts.Flavors = append(opts.Flavors, compute.Flavor{ID: id, Name: f.Name, VCPUs: f.VCPUs, RAMMiB: f.RAMMiB, DiskGiB: f.DiskGiB})
	}
	return opts
}

func (c Config) images() []apiimage.Image {
	var images []apiimage.Image
	for _, i := range c.Images {
		id := cmp.Or(i.ID, uuid.NewSHA1(uuid.NameSpaceOID, []byte("image/"+i.Name)).String())
		images = append(images, apiimage.Image{ID: id, Name: i.Name})
	}
	return images
}

// netmask is an IPv4 prefix length in dotted form.
func netmask(ones, bits int) string { return net.IP(net.CIDRMask(ones, bits)).String() }
