package loadbalancer

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
	"github.com/gophercloud/gophercloud/v2/pagination"
	"go.uber.org/goleak"
	"k8s.io/klog/v2/ktesting"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/loadbalancer"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type tokens map[string]api.Caller

func (t tokens) Caller(token string) (api.Caller, bool) {
	c, ok := t[token]
	return c, ok
}

// cloud is the API over an engine that runs, with a client for each of its callers.
type cloud struct {
	t                    *testing.T
	url                  string
	e                    *engine.Engine
	network              *network.Service
	member, other, admin *gophercloud.ServiceClient
	subnet               network.Subnet
	public               string
}

// newCloud makes a cloud whose tenant subnet is that CIDR.
func newCloud(t *testing.T, plane loadbalancer.Balancer, cidr string) *cloud {
	t.Helper()
	e, err := engine.New(engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := network.New(e, network.DefaultQuota())
	if err != nil {
		t.Fatal(err)
	}
	lb, err := loadbalancer.New(e, n, plane, loadbalancer.DefaultQuota())
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{t: t, e: e, network: n}
	seed := network.Config{
		Networks: []network.NetworkConfig{
			{Name: "public", External: true, Subnets: []network.SubnetConfig{{Name: "ps", CIDR: netip.MustParsePrefix("127.230.0.0/24")}}},
			{Name: "lab", Subnets: []network.SubnetConfig{{Name: "ls", CIDR: netip.MustParsePrefix(cidr)}}},
		},
		Routers: []network.RouterConfig{{Name: "r", ExternalNetwork: "public", Subnets: []string{"ls"}}},
	}
	c.update(func(tx *engine.Tx) error { return n.Seed(tx, seed, "mine") })
	c.update(func(tx *engine.Tx) error {
		for _, found := range n.Networks(tx) {
			if found.External {
				c.public = found.ID
			} else {
				c.subnet = n.SubnetsOf(tx, found.ID)[0]
			}
		}
		return nil
	})
	srv := httptest.NewUnstartedServer(nil)
	srv.Start()
	core := api.NewCore(tokens{
		"member": {ProjectID: "mine", Roles: []string{"load-balancer_member"}}, "other": {ProjectID: "theirs", Roles: []string{"load-balancer_member"}},
		"observer": {ProjectID: "mine", Roles: []string{"load-balancer_observer"}}, "nobody": {ProjectID: "mine", Roles: []string{"member"}}, "admin": {ProjectID: "cloud", Roles: []string{"admin"}},
	}, srv.URL, nil)
	srv.Config.Handler = http.StripPrefix("/load-balancer", New(core, e, lb))
	c.url = srv.URL + "/load-balancer"
	client := func(token string) *gophercloud.ServiceClient {
		return &gophercloud.ServiceClient{
			ProviderClient: &gophercloud.ProviderClient{TokenID: token, HTTPClient: *srv.Client()},
			Endpoint:       c.url + "/", ResourceBase: c.url + "/v2.0/", Type: "load-balancer",
		}
	}
	c.member, c.other, c.admin = client("member"), client("other"), client("admin")
	_, base := ktesting.NewTestContext(t)
	ctx, stop := context.WithCancel(base)
	var wg sync.WaitGroup
	wg.Go(func() { _ = e.Run(ctx) })
	t.Cleanup(func() {
		srv.Close()
		stop()
		wg.Wait()
	})
	return c
}

func (c *cloud) update(fn func(tx *engine.Tx) error) {
	c.t.Helper()
	if err := c.e.Update(fn); err != nil {
		c.t.Fatal(err)
	}
}

// until waits for a condition of the cloud or of the data plane.
func (c *cloud) until(what string, met func() bool) {
	c.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !met() {
		select {
		case <-deadline:
			c.t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

func (c *cloud) get(id string) *loadbalancers.LoadBalancer {
	c.t.Helper()
	lb, err := loadbalancers.Get(c.t.Context(), c.member, id).Extract()
	if err != nil {
		c.t.Fatal(err)
	}
	return lb
}

func (c *cloud) active(id string) *loadbalancers.LoadBalancer {
	c.t.Helper()
	c.until("ACTIVE", func() bool { return c.get(id).ProvisioningStatus == "ACTIVE" })
	return c.get(id)
}

// create makes a load balancer with one listener and that pool.
func (c *cloud) create(name string, port int, pool pools.CreateOpts, tags ...string) *loadbalancers.LoadBalancer {
	c.t.Helper()
	lb, err := loadbalancers.Create(c.t.Context(), c.member, loadbalancers.CreateOpts{
		Name: name, VipSubnetID: c.subnet.ID, Tags: tags,
		Listeners: []listeners.CreateOpts{{Name: "l", Protocol: "TCP", ProtocolPort: port, DefaultPool: &pool}},
	}).Extract()
	if err != nil {
		c.t.Fatal(err)
	}
	return lb
}

func pool(members ...pools.CreateMemberOpts) pools.CreateOpts {
	return pools.CreateOpts{Name: "p", Protocol: "TCP", LBMethod: "ROUND_ROBIN", Members: members}
}

func all[T any](t *testing.T, p pagination.Pager, extract func(pagination.Page) ([]T, error)) []T {
	t.Helper()
	page, err := p.AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, err := extract(page)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// call makes a raw request and returns the status, the answer's length and its decoded body.
func (c *cloud) call(method, path, body string) (int, int, map[string]any) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", "member")
	resp, err := c.member.HTTPClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var decoded map[string]any
	if len(b) > 0 {
		if err := json.Unmarshal(b, &decoded); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	}
	return resp.StatusCode, len(b), decoded
}

// backend answers every connection with its name.
func backend(t *testing.T, address, name string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprintln(conn, name)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
}

// ask is who answers at an address, or "" if nobody does.
func ask(t *testing.T, address string) string {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	name, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(name)
}
