package drivers

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	gopher "github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	corev1 "k8s.io/api/core/v1"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	fairstack "github.com/fairlead-io/fairlead/pkg/cloud/openstack"
	"github.com/fairlead-io/fairlead/tests/openstack"
	"github.com/fairlead-io/fairlead/tests/tenant"
)

// ccm is fairlead-ccm between a real API server and a real OpenStack.
type ccm struct {
	*process
	cluster *cluster
	tenant  *tenant.Tenant
	// provider is that of its load balancers; agent is in the User-Agent of its requests.
	provider, agent string
	servers         []tenant.Server // that exist
	// What a test does behind its back, by gophercloud alone, and how it looks at the outcome.
	compute, balancing *gophercloud.ServiceClient
	look               cloud.Cloud
}

// TestCloudControllerManagerAmphora runs the program, its Nodes, and its Services on load balancers of the cloud's own
// provider.
func TestCloudControllerManagerAmphora(t *testing.T) {
	c := newCCM(t, "amphora", tenant.Server{Name: "n1", Zone: "az1"}, tenant.Server{Name: "n2", Zone: "az2"}, tenant.Server{Name: "n3", Zone: "az1"})
	c.start(t)
	ok := t.Run("nodes tell the truth about their servers", func(t *testing.T) { nodesTellTheTruth(t, c) })
	c.stop(t)
	if ok {
		c.balance(t)
		t.Run("a cloud that leaves parts unfinished", func(t *testing.T) { c.alone(t, func() { unfinishedParts(t, c) }) })
	}
}

// TestCloudControllerManagerOVN runs the program and its Services on load balancers of the provider ovn.
func TestCloudControllerManagerOVN(t *testing.T) {
	c := newCCM(t, "ovn", tenant.Server{Name: "n1", Zone: "az1"}, tenant.Server{Name: "n2", Zone: "az2"})
	c.start(t)
	c.join(t)
	c.stop(t)
	c.balance(t)
}

// newCCM makes the project and the cluster.
func newCCM(t *testing.T, provider string, nodes ...tenant.Server) *ccm {
	t.Helper()
	own := newTenant(t, tenant.Options{Name: "drivers-" + provider, CIDR: "10.7.0.0/24", Servers: nodes})
	c := &ccm{cluster: newCluster(t), tenant: own, servers: own.Servers, provider: provider, agent: "drivers-" + provider}
	user := login(t, own.CloudsFile, own.Name+"-password")
	var err error
	if c.compute, err = gopher.NewComputeV2(user, gophercloud.EndpointOpts{}); err != nil {
		t.Fatal(err)
	}
	if c.balancing, err = gopher.NewLoadBalancerV2(user, gophercloud.EndpointOpts{}); err != nil {
		t.Fatal(err)
	}
	look, err := fairstack.Open(t.Context(), cloud.Config{File: own.CloudsFile, Name: own.Name, UserAgent: "drivers-look/v0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(look.Close)
	c.look = look
	return c
}

// balance runs the cases about Services.
func (c *ccm) balance(t *testing.T) {
	t.Helper()
	c.start(t, "--load-balancer-provider="+c.provider)
	for _, one := range balancerCases {
		if one.only == "" || one.only == c.provider {
			t.Run(one.name, func(t *testing.T) { c.alone(t, func() { one.run(t, c) }) })
		}
	}
	c.stop(t)
}

// start runs the program.
func (c *ccm) start(t *testing.T, args ...string) {
	t.Helper()
	c.process = startProcess(t, program(t, "fairlead-ccm"), append([]string{
		"--cloud-config=" + c.tenant.CloudsFile, "--cloud=" + c.tenant.Name, "--kubeconfig=" + c.cluster.kubeconfig, "--leader-elect=false",
		"--use-service-account-credentials=false", "--secure-port=0", "--node-monitor-period=2s",
		"--user-agent=" + c.agent,
	}, args...)...)
}

// alone runs a test and looks whether it left anything in the project.
func (c *ccm) alone(t *testing.T, test func()) {
	t.Helper()
	test()
	left, err := c.tenant.Leftovers(t.Context())
	if err != nil || !left.Empty() {
		t.Errorf("left over: %s, %v", left, err)
	}
}

// calls are fairlead-ccm's requests since a moment, tokens excluded.
func (c *ccm) calls(t *testing.T, since openstack.Moment) []openstack.Call {
	t.Helper()
	all, err := openstack.Calls(since, c.agent)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(call openstack.Call) bool { return call.Service == "keystone" })
}

// within runs a change of a Service and checks what it cost beside the polls: the requests to Octavia and Neutron, but for
// the list of all load balancers that comes every minute.
func (c *ccm) within(t *testing.T, budget int, change func()) {
	t.Helper()
	mark, err := openstack.Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	change()
	took := time.Since(began)
	var steps, polls []openstack.Call
	for _, call := range c.calls(t, mark) {
		switch {
		case call.Service != "octavia" && call.Service != "neutron":
		case isPoll(call):
			polls = append(polls, call)
		default:
			steps = append(steps, call)
		}
	}
	t.Logf("%d requests and %d polls in %s", len(steps), len(polls), took.Round(100*time.Millisecond))
	if sweeps := 1 + int(took/time.Minute); len(steps) > budget+sweeps {
		t.Errorf("%d requests, budget %d and the minutely list:\n%s", len(steps), budget, lines(steps))
	}
	if most := len(steps) + int(took/(500*time.Millisecond)); len(polls) > most {
		t.Errorf("%d polls in %s:\n%s", len(polls), took, lines(polls))
	}
}

// isPoll reports a look at one load balancer, alone or with the states of its parts.
func isPoll(call openstack.Call) bool {
	rest, ok := strings.CutPrefix(call.Path, "/v2.0/lbaas/loadbalancers/")
	return ok && call.Method == http.MethodGet && !strings.Contains(strings.TrimSuffix(rest, "/status"), "/")
}

func lines(calls []openstack.Call) string {
	var out []string
	for _, call := range calls {
		out = append(out, call.String())
	}
	return strings.Join(out, "\n")
}

// balancer is the one load balancer of a Service as the cloud has it; ok is false when there is not exactly one.
func (c *ccm) balancer(ctx context.Context, t *testing.T, service string) (lb cloud.LoadBalancer, ok bool) {
	t.Helper()
	s := c.cluster.read(ctx, t, service)
	if s == nil {
		return lb, false
	}
	all, err := c.look.ListLoadBalancers(ctx, "fairlead/service="+string(s.UID))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		return lb, false
	}
	lb, err = c.look.GetLoadBalancer(ctx, all[0].ID)
	return lb, err == nil
}

// current waits until the Service says that all is done, and returns its address and load balancer.
func (c *ccm) current(t *testing.T, service string) (string, cloud.LoadBalancer) {
	t.Helper()
	var s *corev1.Service
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		s = c.cluster.read(t.Context(), t, service)
		if done := slices.ContainsFunc(s.Status.Conditions, func(c metaCondition) bool {
			return c.Type == "fairlead.io/LoadBalancerCurrent" && c.Status == "True"
		}); done && len(s.Status.LoadBalancer.Ingress) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Service %s is not current: %+v\n%s", service, s.Status, c.cluster.events(t, service))
		}
	}
	lb, ok := c.balancer(t.Context(), t, service)
	if !ok {
		t.Fatalf("Service %s has not one load balancer", service)
	}
	return s.Status.LoadBalancer.Ingress[0].IP, lb
}

// shape is what a load balancer does, in a line.
func shape(lb cloud.LoadBalancer) string {
	pools := map[string]cloud.Pool{}
	for _, p := range lb.Pools {
		pools[p.ID] = p
	}
	var parts []string
	for _, l := range lb.Listeners {
		p := pools[l.DefaultPoolID]
		var members []string
		for _, m := range p.Members {
			members = append(members, fmt.Sprintf("%s:%d", m.Address, m.Port))
		}
		slices.Sort(members)
		monitor := "unmonitored"
		if p.Monitor != nil {
			monitor = p.Monitor.Type
		}
		part := fmt.Sprintf("%d -> %s %v %s", l.Port, p.Algorithm, members, monitor)
		if len(l.AllowedCIDRs) > 0 {
			part += fmt.Sprintf(" from %v", l.AllowedCIDRs)
		}
		parts = append(parts, part)
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

// wanted is the shape that a Service asks for.
func (c *ccm) wanted(t *testing.T, service, algorithm string, nodes []tenant.Server) string {
	t.Helper()
	s := c.cluster.read(t.Context(), t, service)
	var parts []string
	for _, port := range s.Spec.Ports {
		var members []string
		for _, n := range nodes {
			members = append(members, fmt.Sprintf("%s:%d", n.Address, port.NodePort))
		}
		slices.Sort(members)
		part := fmt.Sprintf("%d -> %s %v TCP", port.Port, algorithm, members)
		if len(s.Spec.LoadBalancerSourceRanges) > 0 {
			part += fmt.Sprintf(" from %v", s.Spec.LoadBalancerSourceRanges)
		}
		parts = append(parts, part)
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

// becomes waits until the load balancer of a Service has the shape that it asks for, and all is settled.
func (c *ccm) becomes(t *testing.T, service, algorithm string, nodes []tenant.Server) {
	t.Helper()
	want, got := c.wanted(t, service, algorithm, nodes), ""
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(time.Second) {
		if lb, ok := c.balancer(t.Context(), t, service); ok {
			if got = shape(lb); got == want {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("Service %s has %q\nwants %q\n%s", service, got, want, c.cluster.events(t, service))
		}
	}
	c.current(t, service)
}

// remove deletes a Service and waits until it is gone.
func (c *ccm) remove(t *testing.T, service string) {
	t.Helper()
	if err := c.cluster.CoreV1().Services("default").Delete(t.Context(), service, metaDelete); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Minute, "Service "+service+" is gone", func() bool { return c.cluster.read(t.Context(), t, service) == nil })
}

// forceTags changes a load balancer's tags as somebody else would.
func (c *ccm) forceTags(t *testing.T, id string, tags []string) {
	t.Helper()
	eventually(t, settleTime, "the tags are changed", func() bool {
		_, err := loadbalancers.Update(t.Context(), c.balancing, id, loadbalancers.UpdateOpts{Tags: &tags}).Extract()
		return err == nil
	})
}
