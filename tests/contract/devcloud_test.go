package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/disk"
	"github.com/fairlead-io/fairlead/tests/witness"
)

// The embedded cloud as the real one is seeded. Operations take long enough for the states on the way to be seen.
// Addresses are loopback ones, which need no device.
const devcloudConfig = `
listen: 127.0.0.1:0
projects: [{name: contract}, {name: admin}]
users:
- {name: contract, password: contract, projects: [contract]}
- {name: admin, password: admin, projects: [admin, contract], roles: [admin]}
applicationCredentials: [{name: kubernetes, secret: kubernetes, user: contract, project: contract}]
zones: {volume: [az1, az2], compute: [az1, az2]}
volumeTypes: [{name: standard}, {name: fast}, {name: multiattach, multiattach: true}]
flavors:
- {id: "1", name: m1.tiny, vcpus: 1, ramMiB: 512, diskGiB: 1}
- {id: "2", name: m1.small, vcpus: 2, ramMiB: 2048, diskGiB: 1}
images: [{name: tiny}]
quotas: {volumes: 10, gigabytes: 1000, instances: 10, cores: 20, ramMiB: 51200}
networks:
- {name: public, external: true, subnets: [{name: public-v4, cidr: 127.88.0.0/24}]}
- {name: contract, subnets: [{name: contract, cidr: 127.87.0.0/24}]}
routers: [{name: contract, externalNetwork: public, subnets: [contract]}]
`

// How long an operation takes, and how long one that Slow was asked for.
const (
	usually = 100 * time.Millisecond
	slowly  = 2 * time.Second
)

const devcloudClouds = `clouds:
  contract: {auth: {auth_url: "%[1]s/identity/v3", username: contract, password: contract, project_name: contract,
                    user_domain_name: Default, project_domain_name: Default}, region_name: RegionOne}
  operator: {auth: {auth_url: "%[1]s/identity/v3", username: admin, password: admin, project_name: contract,
                    user_domain_name: Default, project_domain_name: Default}, region_name: RegionOne}
  admin: {auth: {auth_url: "%[1]s/identity/v3", username: admin, password: admin, project_name: admin,
                 user_domain_name: Default, project_domain_name: Default}, region_name: RegionOne}
`

// newDevcloud starts an embedded cloud for this run alone: with loop devices for root, else simulated. It ends with the
// test; it is an error if the cases left anything or endangered data.
func newDevcloud(t *testing.T) *Cloud {
	t.Helper()
	dev := startDevcloud(t)
	cloudsFile := filepath.Join(t.TempDir(), "clouds.yaml")
	if err := os.WriteFile(cloudsFile, fmt.Appendf(nil, devcloudClouds, dev.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	admin := &Cloud{Name: "devcloud"}
	if err := admin.login(t.Context(), cloudsFile, "admin"); err != nil {
		t.Fatal(err)
	}
	c := &Cloud{Name: "devcloud", Poll: 20 * time.Millisecond, Password: "contract", AdminToken: admin.Token}
	if err := c.login(t.Context(), cloudsFile, "contract"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.client.CloseIdleConnections)
	server := witness.Witness{URL: dev.URL}
	c.Fail = func(t *T, operation string) {
		if err := server.Inject(t.Context(), api.Fault{Operation: operation, Count: 1}); err != nil {
			t.Fatalf("%v", err)
		}
		t.Cleanup(func() {
			if err := server.Heal(context.WithoutCancel(t.Context())); err != nil {
				t.Errorf("%v", err)
			}
		})
	}
	c.Slow = func(t *T, operation string) {
		takes := func(ctx context.Context, d time.Duration) {
			if err := server.SetOperationTime(ctx, operation, d); err != nil {
				t.Errorf("%v", err)
			}
		}
		takes(t.Context(), slowly)
		t.Cleanup(func() { takes(context.WithoutCancel(t.Context()), usually) })
	}
	operator := &Cloud{Name: "devcloud"}
	if err := operator.login(t.Context(), cloudsFile, "operator"); err != nil {
		t.Fatal(err)
	}
	c.Reset = func(t *T, volume string) {
		c.Do(t, Volume, http.MethodPost, "/volumes/"+volume+"/action", object{"os-reset_status": object{"status": "error"}},
			Header("X-Auth-Token", operator.Token)).Want(t, http.StatusAccepted)
	}
	fixture(t, c)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		left, err := witness.Project(ctx, cloudsFile, "contract")
		if err != nil || !left.Empty() {
			t.Errorf("the cases left %v (%v)", left, err)
		}
		violations, err := server.Violations(ctx)
		if err != nil || len(violations) > 0 {
			t.Errorf("the cases endangered data: %v (%v)", violations, err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return c
}

func startDevcloud(t *testing.T) *devcloud.Cloud {
	t.Helper()
	config, err := devcloud.ParseConfig([]byte("stateDir: " + t.TempDir() + devcloudConfig))
	if err != nil {
		t.Fatal(err)
	}
	config.Simulate = os.Geteuid() != 0
	config.Times.Default = new(api.Duration(usually))
	dev, err := devcloud.New(t.Context(), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- dev.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		err := errors.Join(<-ended, dev.Close(), disk.Cleanup(context.WithoutCancel(t.Context()), config.StateDir))
		if err != nil {
			t.Errorf("devcloud: %v", err)
		}
	})
	return dev
}

// fixture makes the project's two servers and looks up what the cloud was seeded with, through its own API.
func fixture(t *testing.T, c *Cloud) {
	t.Helper()
	c.Zones, c.FlavorID = [2]string{"az1", "az2"}, "1"
	c.VolumeType, c.OtherType, c.MultiattachType = "standard", "fast", "multiattach"
	outcome := run(t.Context(), Case{Run: func(t *T, c *Cloud) {
		c.ImageID = c.Do(t, Image, http.MethodGet, "/v2/images", nil).Want(t, http.StatusOK).Text("images.0.id")
		networks := c.Do(t, Network, http.MethodGet, "/v2.0/networks?name=contract", nil).Want(t, http.StatusOK)
		c.NetworkID, c.SubnetID = networks.Text("networks.0.id"), networks.Text("networks.0.subnets.0")
		c.ExternalNetworkID = c.Do(t, Network, http.MethodGet, "/v2.0/networks?router:external=true", nil).Want(t, http.StatusOK).Text("networks.0.id")
		for i := range c.Servers {
			server := c.Do(t, Compute, http.MethodPost, "/servers", object{"server": object{
				"name": fmt.Sprintf("server-%d", i), "flavorRef": c.FlavorID, "imageRef": c.ImageID, "availability_zone": c.Zones[0],
				"networks": []object{{"uuid": c.NetworkID}},
			}}).Want(t, http.StatusAccepted)
			c.Servers[i] = server.Text("server.id")
			c.Await(t, Compute, "/servers/"+c.Servers[i], "server.status", "ACTIVE")
		}
	}}, c)
	if !outcome.Passed() {
		t.Fatal(outcome)
	}
}
