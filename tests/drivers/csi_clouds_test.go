package drivers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	gopher "github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/openstack/config"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"

	"github.com/fairlead-io/fairlead/pkg/devcloud"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/disk"
	"github.com/fairlead-io/fairlead/tests/openstack"
	"github.com/fairlead-io/fairlead/tests/tenant"
	"github.com/fairlead-io/fairlead/tests/witness"
)

// quotaGiB is what the project may have of disks.
const quotaGiB = 60

// settleTime bounds every wait for the clouds, whose machine is busy with other things too.
const settleTime = time.Minute

// project is a project of its own on one of the clouds, with what the tests need of the cloud besides Fairlead.
type project struct {
	clouds, entry string // credentials: a clouds.yaml and its entry
	userEntry     string // the entry that logs in by password: an application credential can make no others
	zones         [2]string
	networkID     string
	imageID       string
	servers       [2]string // ACTIVE, in zones[0]
	volumes       *gophercloud.ServiceClient
	compute       *gophercloud.ServiceClient

	// fail makes the cloud give up the next operation of a kind ("volume.attach") after it was accepted.
	fail func(t *testing.T, operation string)
	// slow holds up the next operation of a kind until release; devcloud does for some seconds.
	slow func(t *testing.T, operation string) (release func())
	// count begins to count the requests of fairlead-csi, Keystone's excluded; what it returns lists those so far.
	count func(t *testing.T) func() []string
	// revoke ends all tokens of the project's user, and none of its credentials.
	revoke func(t *testing.T)
	// admin is the administrator's view of volumes: tests must free what only an operator can.
	admin *gophercloud.ServiceClient
	// rotate makes a new application credential in place of the one in a clouds.yaml and returns what deletes it; nil: this
	// cloud's are those of its configuration.
	rotate func(t *testing.T, file string) (remove func(*testing.T))
	userID string
	// logs are the files of the services' logs; empty: they do not log requests.
	logs string
	// violations are the moments that endangered data.
	violations func(ctx context.Context) ([]string, error)
}

// look connects to the project as its user, by gophercloud alone.
func (p *project) look(t *testing.T) {
	t.Helper()
	provider := login(t, p.clouds, p.userEntry)
	var err error
	if p.volumes, err = gopher.NewBlockStorageV3(provider, gophercloud.EndpointOpts{}); err != nil {
		t.Fatal(err)
	}
	if p.compute, err = gopher.NewComputeV2(provider, gophercloud.EndpointOpts{}); err != nil {
		t.Fatal(err)
	}
}

// login authenticates by an entry of a clouds.yaml.
func login(t *testing.T, file, entry string) *gophercloud.ProviderClient {
	t.Helper()
	auth, _, tls, err := clouds.Parse(clouds.WithLocations(file), clouds.WithCloudName(entry))
	if err != nil {
		t.Fatal(err)
	}
	auth.AllowReauth = true // a test ends all tokens
	provider, err := config.NewProviderClient(t.Context(), auth, config.WithTLSConfig(tls))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.HTTPClient.CloseIdleConnections)
	return provider
}

// freed puts a volume in the status that the operator's command gives it.
func (p *project) freed(t *testing.T, id, status string) {
	t.Helper()
	if err := volumes.ResetStatus(cleanup(t), p.admin, id, volumes.ResetStatusOpts{Status: status}).ExtractErr(); err != nil {
		t.Error(err)
	}
}

// network is the project's only network.
func (p *project) network(t *testing.T) string {
	t.Helper()
	client, err := gopher.NewNetworkV2(p.volumes.ProviderClient, gophercloud.EndpointOpts{})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := networks.List(client, nil).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := networks.ExtractNetworks(pages)
	if err != nil || len(all) != 1 {
		t.Fatalf("networks %v, %v", all, err)
	}
	return all[0].ID
}

// volume reads a volume as the cloud has it; ok is false when it does not exist.
func (p *project) volume(t *testing.T, id string) (v *volumes.Volume, ok bool) {
	t.Helper()
	v, err := volumes.Get(cleanup(t), p.volumes, id).Extract()
	if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		return nil, false
	}
	if err != nil {
		t.Fatal(err)
	}
	return v, true
}

// status is the volume's, or "gone".
func (p *project) status(t *testing.T, id string) string {
	t.Helper()
	v, ok := p.volume(t, id)
	if !ok {
		return "gone"
	}
	return v.Status
}

// attached are the volumes that the cloud's hypervisor has on a server.
func (p *project) attached(t *testing.T, server string) (ids []string) {
	t.Helper()
	pages, err := volumeattach.List(p.compute, server).AllPages(cleanup(t))
	if err != nil {
		t.Fatal(err)
	}
	all, err := volumeattach.ExtractVolumeAttachments(pages)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		ids = append(ids, a.VolumeID)
	}
	return ids
}

// server makes one more server that the test may delete, and that goes with it.
func (p *project) server(t *testing.T, name string) (id string) {
	t.Helper()
	s, err := servers.Create(t.Context(), p.compute, servers.CreateOpts{
		Name: name, FlavorRef: "1", ImageRef: p.imageID, AvailabilityZone: p.zones[0], Networks: []servers.Network{{UUID: p.networkID}},
	}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.deleteServer(t, s.ID) })
	p.serverIs(t, s.ID, "ACTIVE")
	return s.ID
}

func (p *project) serverIs(t *testing.T, id, status string) {
	t.Helper()
	eventually(t, settleTime, "server "+id+" is "+status, func() bool {
		got, err := servers.Get(t.Context(), p.compute, id).Extract()
		return err == nil && got.Status == status
	})
}

func (p *project) deleteServer(t *testing.T, id string) {
	t.Helper()
	ctx := cleanup(t)
	eventually(t, settleTime, "server "+id+" is gone", func() bool {
		return gophercloud.ResponseCodeIs(servers.Delete(ctx, p.compute, id).ExtractErr(), http.StatusNotFound)
	})
}

// onDevcloud is a project on an embedded cloud that runs as long as the test; more are further lines of its configuration.
func onDevcloud(t *testing.T, more ...string) *project {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("loop devices need root")
	}
	dir := t.TempDir()
	c, err := devcloud.ParseConfig(fmt.Appendf(nil, `
listen: 127.0.0.1:0
stateDir: %s
projects: [{name: drivers}]
users:
- {name: drivers, password: secret, projects: [drivers]}
- {name: admin, password: secret, projects: [drivers], roles: [admin, member, reader]}
applicationCredentials: [{name: kubernetes, secret: secret, user: drivers, project: drivers}]
zones: {volume: [az1, az2], compute: [az1, az2]}
volumeTypes: [{name: standard}, {name: fast}, {name: multiattach, multiattach: true}]
flavors: [{id: "1", name: m1.tiny, vcpus: 1, ramMiB: 512, diskGiB: 1}]
images: [{name: tiny}]
quotas: {gigabytes: %d}
networks: [{name: drivers, subnets: [{name: drivers, cidr: 127.84.0.0/24}]}]
%s
`, dir, quotaGiB, strings.Join(more, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	dev, err := devcloud.New(t.Context(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(cleanup(t))
	ended := make(chan error, 1)
	go func() { ended <- dev.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, dev.Close(), disk.Cleanup(cleanup(t), dir)); err != nil {
			t.Error(err)
		}
	})
	p := &project{clouds: filepath.Join(t.TempDir(), "clouds.yaml"), entry: "drivers", userEntry: "drivers-password", zones: [2]string{"az1", "az2"}}
	writeClouds(t, p.clouds, dev.URL)
	p.look(t)
	p.networkID = p.network(t)
	if p.admin, err = gopher.NewBlockStorageV3(login(t, p.clouds, "admin"), gophercloud.EndpointOpts{}); err != nil {
		t.Fatal(err)
	}
	p.askDevcloud(witness.Witness{URL: dev.URL})
	for i, name := range []string{"one", "two"} {
		p.servers[i] = p.server(t, name)
	}
	return p
}

func writeClouds(t *testing.T, file, url string) {
	t.Helper()
	text := fmt.Sprintf(`clouds:
  drivers:
    auth: {auth_url: %[1]s/identity/v3, username: drivers, user_domain_name: Default, application_credential_name: kubernetes,
      application_credential_secret: secret}
    auth_type: v3applicationcredential
    region_name: RegionOne
  drivers-password:
    auth: {auth_url: %[1]s/identity/v3, username: drivers, password: secret, user_domain_name: Default, project_name: drivers,
      project_domain_name: Default}
    region_name: RegionOne
  admin:
    auth: {auth_url: %[1]s/identity/v3, username: admin, password: secret, user_domain_name: Default, project_name: drivers,
      project_domain_name: Default}
    region_name: RegionOne
`, url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// askDevcloud fills in what the admin endpoint of an embedded cloud does.
func (p *project) askDevcloud(w witness.Witness) {
	p.fail = func(t *testing.T, operation string) {
		t.Helper()
		if err := w.Inject(t.Context(), api.Fault{Operation: operation, Count: 1}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.Heal(cleanup(t)) })
	}
	p.slow = func(t *testing.T, operation string) func() {
		t.Helper()
		if err := w.SetOperationTime(t.Context(), operation, 4*time.Second); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.SetTimes(cleanup(t), "default") })
		return func() {}
	}
	p.count = func(t *testing.T) func() []string {
		t.Helper()
		since, err := w.Mark(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return func() (list []string) {
			counts, err := w.Calls(cleanup(t), since, "fairlead-csi/")
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range counts {
				for range c.Count {
					list = append(list, fmt.Sprintf("%s %s %s: %d", c.Service, c.Method, c.Route, c.Status))
				}
			}
			return list
		}
	}
	p.revoke = func(t *testing.T) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, w.URL+"/admin/tokens", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	p.violations = func(ctx context.Context) (list []string, err error) {
		seen, err := w.Violations(ctx)
		for _, v := range seen {
			list = append(list, fmt.Sprintf("%+v", v))
		}
		return list, err
	}
}

// onOpenStack is a tenant on the real OpenStack that goes with the test.
func onOpenStack(t *testing.T) *project {
	t.Helper()
	own := newTenant(t, tenant.Options{Name: "drivers-csi", Servers: []tenant.Server{{Name: "one", Zone: "az1"}, {Name: "two", Zone: "az1"}}})
	client, err := gopher.NewBlockStorageV3(own.Admin, gophercloud.EndpointOpts{})
	if err != nil {
		t.Fatal(err)
	}
	gib := quotaGiB
	if _, err := quotasets.Update(t.Context(), client, own.ProjectID, quotasets.UpdateOpts{Gigabytes: &gib}).Extract(); err != nil {
		t.Fatal("quota:", err)
	}
	p := &project{
		clouds: own.CloudsFile, entry: own.Name, userEntry: own.Name + "-password", zones: [2]string{"az1", "az2"},
		networkID: own.NetworkID, imageID: own.ImageID, servers: [2]string{own.Servers[0].ID, own.Servers[1].ID},
		revoke: func(t *testing.T) { endTokens(t, own) },
		admin:  client,
		userID: own.UserID,
		logs:   filepath.Join(openstack.Dir(), "log", "*.log"),
		fail:   failDriver(own), slow: slowDriver(own), count: countCalls, violations: violations(own.Servers),
	}
	p.look(t)
	p.rotate = p.newCredential
	return p
}

// driverMethods are the methods of the services' drivers that do the operations.
var driverMethods = map[string]string{
	"volume.create": "cinder.create_volume", "volume.delete": "cinder.delete_volume", "volume.extend": "cinder.extend_volume",
	"volume.attach": "nova.attach_volume", "volume.detach": "nova.detach_volume",
}

func failDriver(own *tenant.Tenant) func(t *testing.T, operation string) {
	return func(t *testing.T, operation string) {
		t.Helper()
		times := 1
		if operation == "volume.create" {
			times = 3 // Cinder's scheduler tries as often
		}
		orderFault(t, operation, openstack.Fault{Fail: "ordered by tests/drivers", Times: times, Project: own.ProjectID})
	}
}

func slowDriver(own *tenant.Tenant) func(t *testing.T, operation string) func() {
	return func(t *testing.T, operation string) func() {
		t.Helper()
		orderFault(t, operation, openstack.Fault{Hold: true, Project: own.ProjectID})
		return func() { heal(t, own.ProjectID) }
	}
}

func heal(t *testing.T, project string) {
	t.Helper()
	if err := openstack.Heal(project); err != nil {
		t.Error(err)
	}
}

func orderFault(t *testing.T, operation string, fault openstack.Fault) {
	t.Helper()
	if err := openstack.Inject(driverMethods[operation], fault); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { heal(t, fault.Project) })
}

// countCalls counts in the services' own access logs.
func countCalls(t *testing.T) func() []string {
	t.Helper()
	since, err := openstack.Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func() (list []string) {
		calls, err := openstack.Calls(since, csiAgent)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range calls {
			if c.Service != "keystone" {
				list = append(list, c.String())
			}
		}
		return list
	}
}

// violations are those on the servers.
func violations(own []tenant.Server) func(context.Context) ([]string, error) {
	return func(context.Context) (list []string, err error) {
		var ids []string
		for _, s := range own {
			ids = append(ids, s.ID)
		}
		seen, err := openstack.Violations(ids...)
		for _, v := range seen {
			list = append(list, fmt.Sprintf("%+v", v))
		}
		return list, err
	}
}

// endTokens disables and enables the tenant's user: Keystone revokes what tokens there were.
func endTokens(t *testing.T, own *tenant.Tenant) {
	t.Helper()
	identity, err := gopher.NewIdentityV3(own.Admin, gophercloud.EndpointOpts{})
	if err != nil {
		t.Fatal(err)
	}
	for _, enabled := range []bool{false, true} {
		if _, err := users.Update(t.Context(), identity, own.UserID, users.UpdateOpts{Enabled: &enabled}).Extract(); err != nil {
			t.Fatal(err)
		}
	}
}
