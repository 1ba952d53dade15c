// Package conformance runs the suite of package cloudtest on clouds of this machine: the embedded one here, and any
// OpenStack whoever sets FAIRLEAD_CONFORMANCE has.
package conformance

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"go.uber.org/goleak"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
	fairstack "github.com/fairlead-io/fairlead/pkg/cloud/openstack"
	"github.com/fairlead-io/fairlead/pkg/devcloud"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/disk"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/loadbalancer"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const userAgent = "fairlead-conformance/v0"

// TestDevcloudConforms runs on the embedded cloud with its data plane: disks are loop devices, and virtual addresses
// are loopback ones, which need no device.
func TestDevcloudConforms(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("loop devices need root")
	}
	cloudtest.Run(t, func(t *testing.T) cloudtest.Fixture {
		dev := startDevcloud(t)
		c := open(t, dev.URL)
		return devcloudFixture(t, dev, c)
	})
}

func startDevcloud(t *testing.T) *devcloud.Cloud {
	t.Helper()
	config := devcloud.DefaultConfig()
	config.Listen, config.StateDir = "127.0.0.1:0", t.TempDir()
	config.Quotas.Gigabytes = 1000
	config.Networks = []network.NetworkConfig{
		{Name: "public", External: true, Subnets: []network.SubnetConfig{{Name: "public", CIDR: netip.MustParsePrefix("127.88.0.0/24")}}},
		{Name: "demo", Subnets: []network.SubnetConfig{{Name: "demo", CIDR: netip.MustParsePrefix("127.87.0.0/24")}}},
	}
	return runDevcloud(t, config)
}

// runDevcloud runs a cloud until the test ends.
func runDevcloud(t *testing.T, config devcloud.Config) *devcloud.Cloud {
	t.Helper()
	dev, err := devcloud.New(t.Context(), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- dev.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("devcloud: %v", err)
		}
		if err := dev.Close(); err != nil {
			t.Errorf("devcloud: %v", err)
		}
		if err := disk.Cleanup(context.WithoutCancel(t.Context()), config.StateDir); err != nil {
			t.Error(err)
		}
	})
	return dev
}

// open connects as a cluster does, by application credential out of a clouds.yaml.
func open(t *testing.T, url string) *fairstack.Cloud {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	text := fmt.Sprintf(`clouds:
  dev:
    auth:
      auth_url: %s/identity
      username: demo
      user_domain_name: Default
      application_credential_name: kubernetes
      application_credential_secret: kubernetes
    region_name: RegionOne
`, url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := fairstack.Open(t.Context(), cloud.Config{File: file, UserAgent: userAgent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func devcloudFixture(t *testing.T, dev *devcloud.Cloud, c *fairstack.Cloud) cloudtest.Fixture {
	t.Helper()
	subnets, err := c.ListSubnets(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	external, err := c.ListNetworks(t.Context(), cloud.NetworkFilter{External: true})
	if err != nil || len(external) != 1 {
		t.Fatalf("external networks %v, %v", external, err)
	}
	var subnet cloud.Subnet
	for _, s := range subnets {
		if s.NetworkID != external[0].ID {
			subnet = s
		}
	}
	return cloudtest.Fixture{
		Cloud: c, Instances: twoServers(t, dev.URL, subnet.NetworkID), DiskType: "standard", MultiattachType: "shared", Zone: "nova",
		OverQuotaGiB: 1001, SubnetID: subnet.ID, ExternalNetworkID: external[0].ID, Members: [2]string{"127.87.0.11", "127.87.0.12"},
		Fail: func(t *testing.T, op cloudtest.Op) {
			t.Helper()
			if _, err := dev.Core.Faults.Add(api.Fault{Operation: operations[op], Count: 1}); err != nil {
				t.Fatal(err)
			}
		},
		Hold:     func(*testing.T) func() { return slowBalancers(dev) },
		Pause:    func() { time.Sleep(5 * time.Millisecond) },
		Requests: func() int { return requests(dev) },
	}
}

// slowBalancers makes changes of balancers that begin until release take some seconds.
func slowBalancers(dev *devcloud.Cloud) (release func()) {
	usual := dev.Engine.Times()
	slow := engine.Times{Default: usual.Default, ByKind: maps.Clone(usual.ByKind)}
	if slow.ByKind == nil {
		slow.ByKind = map[string]time.Duration{}
	}
	slow.ByKind[loadbalancer.TaskUpdate] = 3 * time.Second
	dev.Engine.SetTimes(slow)
	return func() { dev.Engine.SetTimes(usual) }
}

// operations are the operations that devcloud can be told to give up.
var operations = map[cloudtest.Op]string{
	cloudtest.OpCreateDisk: "volume.create", cloudtest.OpExtendDisk: "volume.extend",
	cloudtest.OpAttachDisk: "volume.attach", cloudtest.OpDetachDisk: "volume.detach",
}

// requests counts what devcloud received from us, tokens excluded.
func requests(dev *devcloud.Cloud) int {
	counts, err := dev.Core.Calls.Since(0)
	if err != nil {
		panic(err) // mark 0 is always known
	}
	n := 0
	for _, c := range counts {
		token := c.Service == "identity" && c.Method == http.MethodPost
		if strings.HasPrefix(c.UserAgent, userAgent) && !token {
			n += c.Count
		}
	}
	return n
}

// twoServers makes the instances of the suite, with gophercloud alone.
func twoServers(t *testing.T, url, networkID string) (ids [2]string) {
	t.Helper()
	provider, err := openstack.NewClient(url + "/identity/v3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.HTTPClient.CloseIdleConnections)
	err = openstack.Authenticate(t.Context(), provider, gophercloud.AuthOptions{
		IdentityEndpoint: url + "/identity/v3", Username: "demo", Password: "demo", DomainName: "Default", TenantName: "demo",
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := openstack.NewComputeV2(provider, gophercloud.EndpointOpts{Region: "RegionOne"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range ids {
		server, err := servers.Create(t.Context(), client, servers.CreateOpts{
			Name: fmt.Sprintf("instance-%d", i), FlavorRef: "1", Networks: []servers.Network{{UUID: networkID}},
		}, nil).Extract()
		if err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			got, err := servers.Get(t.Context(), client, server.ID).Extract()
			if err != nil {
				t.Fatal(err)
			}
			if got.Status == "ACTIVE" {
				break
			}
			if got.Status == "ERROR" || time.Now().After(deadline) {
				t.Fatalf("server %s is %s: %s", server.ID, got.Status, got.Fault.Message)
			}
		}
		ids[i] = server.ID
	}
	return ids
}
