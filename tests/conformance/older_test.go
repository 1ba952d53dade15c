package conformance

import (
	"errors"
	"strings"
	"testing"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	fairstack "github.com/fairlead-io/fairlead/pkg/cloud/openstack"
	"github.com/fairlead-io/fairlead/pkg/devcloud"
)

// older is an embedded cloud of APIs only, whose Octavia is older.
func older(t *testing.T, octavia string) (*fairstack.Cloud, cloud.LoadBalancer) {
	t.Helper()
	config := devcloud.DefaultConfig()
	config.Listen, config.StateDir, config.Simulate, config.Times.Profile = "127.0.0.1:0", "", true, "instant"
	config.Microversions = map[string]string{"load-balancer": octavia}
	c := open(t, runDevcloud(t, config).URL)
	subnets, err := c.ListSubnets(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	wanted := cloud.LoadBalancer{
		Name: "web", Tags: []string{"fairlead/test"},
		Listeners: []cloud.Listener{{Name: "http", Protocol: "TCP", Port: 80, Pool: "http"}},
		Pools:     []cloud.Pool{{Name: "http", Protocol: "TCP", Algorithm: "ROUND_ROBIN"}},
	}
	for _, s := range subnets {
		if s.Name == "demo" {
			wanted.VIPSubnetID = s.ID
		}
	}
	return c, wanted
}

func settled(t *testing.T, c *fairstack.Cloud, id string) cloud.LoadBalancer {
	t.Helper()
	for t.Context().Err() == nil {
		lb, err := c.GetLoadBalancer(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if lb.Provisioning == cloud.ProvisioningActive {
			return lb
		}
	}
	t.Fatal(t.Context().Err())
	return cloud.LoadBalancer{}
}

func TestAnOctaviaWithoutAllowedCIDRsServesWhatNeedsNone(t *testing.T) {
	c, wanted := older(t, "2.11")
	lb, err := c.CreateLoadBalancer(t.Context(), wanted)
	if err != nil {
		t.Fatal(err)
	}
	listener := settled(t, c, lb.ID).Listeners[0]
	listener.ConnectionMax = 100
	if err := c.UpdateListener(t.Context(), listener); err != nil {
		t.Errorf("a listener that has no ranges cannot be changed: %v", err)
	}
	if got := settled(t, c, lb.ID).Listeners[0].ConnectionMax; got != 100 {
		t.Errorf("connection limit %d", got)
	}
	listener.AllowedCIDRs = []string{"10.0.0.0/8"}
	limited := wanted
	limited.Listeners = []cloud.Listener{{Name: "http", Protocol: "TCP", Port: 80, Pool: "http", AllowedCIDRs: listener.AllowedCIDRs}}
	_, created := c.CreateLoadBalancer(t.Context(), limited)
	_, added := c.CreateListener(t.Context(), lb.ID, cloud.Listener{Name: "https", Protocol: "TCP", Port: 443, AllowedCIDRs: listener.AllowedCIDRs})
	for what, err := range map[string]error{"update": c.UpdateListener(t.Context(), listener), "create": created, "add": added} {
		if !errors.Is(err, cloud.ErrInvalid) || !strings.Contains(err.Error(), "is 2.11; loadBalancerSourceRanges need 2.12 (Train)") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAnOctaviaWithoutTagsIsRefusedByItsAge(t *testing.T) {
	c, wanted := older(t, "2.4")
	_, err := c.CreateLoadBalancer(t.Context(), wanted)
	if !errors.Is(err, cloud.ErrInvalid) || !strings.Contains(err.Error(), "is 2.4; Fairlead needs 2.5 (Stein)") {
		t.Errorf("%v", err)
	}
	if all, err := c.ListLoadBalancers(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("it left %v, %v", all, err)
	}
}
