package devcloud

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"go.uber.org/goleak"
	"k8s.io/utils/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a simulated cloud for the test; change may adjust its configuration.
func start(t *testing.T, change func(*Config)) *Cloud {
	t.Helper()
	config := DefaultConfig()
	config.Listen, config.StateDir, config.Simulate = "127.0.0.1:0", "", true
	config.Times.Profile = "instant"
	if change != nil {
		change(&config)
	}
	return run(t, config)
}

func run(t *testing.T, config Config) *Cloud {
	t.Helper()
	return runOn(t, config, nil)
}

// runOn runs a cloud whose time is the clock's.
func runOn(t *testing.T, config Config, clk clock.WithTicker) *Cloud {
	t.Helper()
	cloud, err := New(t.Context(), config, clk)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- cloud.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := cloud.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return cloud
}

func password(url string) gophercloud.AuthOptions {
	return gophercloud.AuthOptions{
		IdentityEndpoint: url + "/identity/v3", Username: "demo", Password: "demo", DomainName: "Default",
		TenantName: "demo", AllowReauth: true,
	}
}

// clients are gophercloud's, as the drivers use them.
type clients struct {
	provider                 *gophercloud.ProviderClient
	compute, volume, network *gophercloud.ServiceClient
}

func connect(t *testing.T, url string) clients {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	provider, err := openstack.NewClient(url + "/identity/v3")
	if err != nil {
		t.Fatal(err)
	}
	provider.HTTPClient = http.Client{Transport: transport}
	provider.UserAgent.Prepend("devcloud-test/1")
	if err := openstack.Authenticate(t.Context(), provider, password(url)); err != nil {
		t.Fatal(err)
	}
	c := clients{provider: provider}
	where := gophercloud.EndpointOpts{Region: "RegionOne"}
	for _, s := range []struct {
		into **gophercloud.ServiceClient
		make func(*gophercloud.ProviderClient, gophercloud.EndpointOpts) (*gophercloud.ServiceClient, error)
	}{
		{&c.compute, openstack.NewComputeV2}, {&c.volume, openstack.NewBlockStorageV3}, {&c.network, openstack.NewNetworkV2},
	} {
		client, err := s.make(provider, where)
		if err != nil {
			t.Fatal(err)
		}
		*s.into = client
	}
	c.compute.Microversion, c.volume.Microversion = "2.79", "3.59"
	return c
}

// eventually polls until the condition holds: the cloud's operations end by themselves.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (c clients) newVolume(t *testing.T, opts volumes.CreateOpts) *volumes.Volume {
	t.Helper()
	v, err := volumes.Create(t.Context(), c.volume, opts, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	return c.volumeIs(t, v.ID, "available")
}

func (c clients) volumeIs(t *testing.T, id, status string) *volumes.Volume {
	t.Helper()
	var v *volumes.Volume
	eventually(t, "volume "+id+" "+status, func() (ok bool) {
		var err error
		if v, err = volumes.Get(t.Context(), c.volume, id).Extract(); err != nil {
			t.Fatal(err)
		}
		return v.Status == status
	})
	return v
}

func (c clients) newServer(t *testing.T, name string, metadata map[string]string) *servers.Server {
	t.Helper()
	s, err := servers.Create(t.Context(), c.compute, servers.CreateOpts{
		Name: name, FlavorRef: "1", Networks: "auto", Metadata: metadata,
	}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	return c.serverIs(t, s.ID, "ACTIVE")
}

func (c clients) serverIs(t *testing.T, id, status string) *servers.Server {
	t.Helper()
	var s *servers.Server
	eventually(t, "server "+id+" "+status, func() bool {
		var err error
		if s, err = servers.Get(t.Context(), c.compute, id).Extract(); err != nil {
			t.Fatal(err)
		}
		return s.Status == status
	})
	return s
}

// admin calls the admin API and decodes its answer.
func adminCall(t *testing.T, cloud *Cloud, method, path string, body, into any) {
	t.Helper()
	if err := tryAdmin(t.Context(), cloud.URL, method, path, body, into); err != nil {
		t.Fatal(err)
	}
}

func tryAdmin(ctx context.Context, url, method, path string, body, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, url+"/admin"+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if b, err = io.ReadAll(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, b)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}

// violations are the safety violations that the cloud saw.
func violations(t *testing.T, cloud *Cloud) []string {
	t.Helper()
	var kinds []string
	for _, v := range cloud.Engine.Violations() {
		kinds = append(kinds, v.Kind)
	}
	return kinds
}
