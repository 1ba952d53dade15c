package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
)

// member accepts connections and ends them with a greeting, until the test ends.
func member(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, "hello")
			conn.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// greets reports whether a member answers at the address.
func greets(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	b := make([]byte, 5)
	n, _ := conn.Read(b)
	return string(b[:n]) == "hello"
}

// replace changes the text of a configuration file.
func replace(t *testing.T, path string, oldnew ...string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(text, oldnew[i]) {
			t.Fatalf("no %q in the configuration", oldnew[i])
		}
		text = strings.ReplaceAll(text, oldnew[i], oldnew[i+1])
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadBalancersSurviveKill9InTheMiddleOfTheirMakingAndRemoval(t *testing.T) {
	path, _, url := config(t)
	const takes = 200 * time.Millisecond
	replace(t, path, // loopback addresses need no device
		"172.30.0.0/24", "127.178.0.0/24", "10.200.0.", "127.177.0.",
		"profile: default", fmt.Sprintf("kinds: {loadbalancer.create: %s, loadbalancer.delete: %s}", takes, takes))
	cmd := serveProgram(t, path, url)
	c := connect(t, url)
	provider := c.compute.ProviderClient
	octavia, err := openstack.NewLoadBalancerV2(provider, gophercloud.EndpointOpts{})
	if err != nil {
		t.Fatal(err)
	}
	neutron, err := openstack.NewNetworkV2(provider, gophercloud.EndpointOpts{})
	if err != nil {
		t.Fatal(err)
	}
	subnet := subnetID(t, neutron, "demo")
	backend := member(t)
	// Requested just before, pending, about to be carried out, being carried out, and done.
	for i, after := range []time.Duration{0, takes / 2, takes - 5*time.Millisecond, takes, takes + 5*time.Millisecond, 2 * takes} {
		port := 7000 + i
		lb, err := loadbalancers.Create(t.Context(), octavia, loadbalancers.CreateOpts{
			Name: "lb", VipSubnetID: subnet,
			Listeners: []listeners.CreateOpts{{
				Name: "l", Protocol: "TCP", ProtocolPort: port, DefaultPool: &pools.CreateOpts{
					Name: "p", Protocol: "TCP", LBMethod: pools.LBMethodRoundRobin,
					Members: []pools.CreateMemberOpts{{Address: "127.0.0.1", ProtocolPort: backend}},
				},
			}},
		}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		again := func() {
			time.Sleep(after)
			end(t, cmd, syscall.SIGKILL)
			cmd = serveProgram(t, path, url)
		}
		again()
		address := net.JoinHostPort(lb.VipAddress, fmt.Sprint(port))
		eventually(t, "load balancer ACTIVE", func() bool {
			tree, err := loadbalancers.Get(t.Context(), octavia, lb.ID).Extract()
			return err == nil && tree.ProvisioningStatus == "ACTIVE"
		})
		eventually(t, "a greeting at "+address, func() bool { return greets(address) })
		if err := loadbalancers.Delete(t.Context(), octavia, lb.ID, loadbalancers.DeleteOpts{Cascade: true}).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		again()
		eventually(t, "load balancer gone", func() bool {
			return gophercloud.ResponseCodeIs(loadbalancers.Get(t.Context(), octavia, lb.ID).Err, http.StatusNotFound)
		})
		if err := ports.Get(t.Context(), neutron, lb.VipPortID).Err; !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			t.Errorf("killed %s after the request: the port is left: %v", after, err)
		}
		if greets(address) {
			t.Errorf("killed %s after the request: somebody still answers at %s", after, address)
		}
	}
	if state := end(t, cmd, syscall.SIGTERM); state.ExitCode() != 0 {
		t.Errorf("SIGTERM: %s", state)
	}
}

func subnetID(t *testing.T, neutron *gophercloud.ServiceClient, name string) string {
	t.Helper()
	pages, err := subnets.List(neutron, subnets.ListOpts{Name: name}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := subnets.ExtractSubnets(pages)
	if err != nil || len(all) != 1 {
		t.Fatalf("subnet %s: %v, %v", name, all, err)
	}
	return all[0].ID
}
