package drivers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
	"github.com/fairlead-io/fairlead/tests/openstack"
)

type metaCondition = metav1.Condition

var metaDelete = metav1.DeleteOptions{}

const internalAnnotation = "service.beta.kubernetes.io/openstack-internal-load-balancer"

// balancerCases run one after another for each provider; only names the one that a case is about. When the first has ended,
// the program has checked the cloud, as it does at start, and knows networks and subnets: from then on calls are counted.
var balancerCases = []struct {
	name, only string
	run        func(t *testing.T, c *ccm)
}{
	{"an internal Service has no public address, and gets one", "", internalService},
	{"a Service is served, changed and removed", "", serviceLives},
	{"sources are limited", "amphora", sourcesAreLimited},
	{"what somebody else changed is put right", "", strangersAreUndone},
	{"a load balancer that somebody deleted is made anew", "", balancerDeletedByHand},
	{"a load balancer that Octavia gave up is made anew", "", givenUp},
	{"what the provider cannot do is refused", "ovn", refusals},
}

// algorithms are what a Service gets that asks for none.
var algorithms = map[string]string{"amphora": "ROUND_ROBIN", "ovn": "SOURCE_IP_PORT"}

// extra are the requests that the provider costs more: ovn takes monitors only after the balancer.
func (c *ccm) extra(ports int) int {
	if c.provider == "ovn" {
		return ports
	}
	return 0
}

func serviceLives(t *testing.T, c *ccm) {
	algorithm := algorithms[c.provider]
	var address string
	var lb cloud.LoadBalancer
	c.within(t, 4+c.extra(2), func() { // two lists, load balancer and floating IP
		c.cluster.service(t, "web", nil)
		address, lb = c.current(t, "web")
	})
	if want := c.wanted(t, "web", algorithm, c.servers); shape(lb) != want || lb.Provider != c.provider {
		t.Errorf("provider %s has %q, want %q", lb.Provider, shape(lb), want)
	}
	if !strings.HasPrefix(address, "172.24.4.") {
		t.Errorf("the address is %s", address)
	}
	grow := func() {
		c.cluster.edit(t, "web", func(s *corev1.Service) {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "third", Port: 8443})
		})
		c.becomes(t, "web", algorithm, c.servers)
	}
	budget := 4 // one more port: pool, members, monitor, listener
	if c.provider == "ovn" {
		budget = 80 // the monitors step aside, and ovn leaves pools unfinished behind them, which are healed
	}
	c.within(t, budget, grow)
	c.within(t, 1+3, func() { // a node leaves: nothing read, one request per pool, and the tags
		c.label(t, c.servers[0].Name, corev1.LabelNodeExcludeBalancers, "true")
		c.becomes(t, "web", algorithm, c.servers[1:])
	})
	c.within(t, 1+3, func() {
		c.label(t, c.servers[0].Name, corev1.LabelNodeExcludeBalancers, "")
		c.becomes(t, "web", algorithm, c.servers)
	})
	c.cluster.edit(t, "web", func(s *corev1.Service) { s.Spec.Ports = s.Spec.Ports[1:] })
	c.becomes(t, "web", algorithm, c.servers)
	if again, same := c.current(t, "web"); again != address || same.ID != lb.ID {
		t.Errorf("address %s became %s, load balancer %s became %s", address, again, lb.ID, same.ID)
	}
	c.within(t, 4, func() { c.remove(t, "web") })
}

// label sets a node's label; an empty value removes it.
func (c *ccm) label(t *testing.T, node, label, value string) {
	t.Helper()
	text := `"` + value + `"`
	if value == "" {
		text = "null"
	}
	patch := `{"metadata":{"labels":{"` + label + `":` + text + `}}}`
	if _, err := c.cluster.CoreV1().Nodes().Patch(t.Context(), node, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func internalService(t *testing.T, c *ccm) {
	c.cluster.service(t, "inside", func(s *corev1.Service) { s.Annotations[internalAnnotation] = "true" })
	address, lb := c.current(t, "inside")
	if address != lb.VIP || !strings.HasPrefix(address, "10.7.0.") {
		t.Errorf("the address is %s, the virtual one %s", address, lb.VIP)
	}
	c.cluster.edit(t, "inside", func(s *corev1.Service) { delete(s.Annotations, internalAnnotation) })
	eventually(t, settleTime, "the Service has a public address", func() bool {
		address, _ := c.current(t, "inside")
		return strings.HasPrefix(address, "172.24.4.")
	})
	if _, same := c.current(t, "inside"); same.ID != lb.ID || same.Provider != c.provider {
		t.Errorf("load balancer %s became %s of %s", lb.ID, same.ID, same.Provider)
	}
	c.remove(t, "inside")
}

func sourcesAreLimited(t *testing.T, c *ccm) {
	c.cluster.service(t, "limited", func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = []string{"192.0.2.0/24"} })
	c.becomes(t, "limited", "ROUND_ROBIN", c.servers)
	c.cluster.edit(t, "limited", func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = []string{"198.51.100.0/24"} })
	c.becomes(t, "limited", "ROUND_ROBIN", c.servers)
	c.cluster.edit(t, "limited", func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = nil })
	c.becomes(t, "limited", "ROUND_ROBIN", c.servers)
	c.remove(t, "limited")
}

// strangersAreUndone changes members, and the hash: without that it would be seen at the full look, ten minutes later.
func strangersAreUndone(t *testing.T, c *ccm) {
	c.cluster.service(t, "web", nil)
	_, lb := c.current(t, "web")
	eventually(t, settleTime, "the members are taken away", func() bool {
		return pools.BatchUpdateMembers(t.Context(), c.balancing, lb.Pools[0].ID, []pools.BatchUpdateMemberOpts{}).ExtractErr() == nil
	})
	tags := []string{"theirs"}
	for _, tag := range lb.Tags {
		if !strings.HasPrefix(tag, "fairlead/spec=") {
			tags = append(tags, tag)
		}
	}
	c.forceTags(t, lb.ID, tags)
	c.becomes(t, "web", algorithms[c.provider], c.servers)
	eventually(t, settleTime, "the hash is back beside the stranger's tag", func() bool {
		after, _ := c.balancer(t.Context(), t, "web")
		return after.ID == lb.ID && loadbalancer.HashOf(after) == loadbalancer.HashOf(lb) && slices.Contains(after.Tags, "theirs")
	})
	c.remove(t, "web")
}

func balancerDeletedByHand(t *testing.T, c *ccm) {
	c.cluster.service(t, "web", nil)
	address, lb := c.current(t, "web")
	if err := loadbalancers.Delete(t.Context(), c.balancing, lb.ID, loadbalancers.DeleteOpts{Cascade: true}).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.anotherServes(t, lb.ID, address)
	c.remove(t, "web")
}

func givenUp(t *testing.T, c *ccm) {
	c.cluster.service(t, "web", nil)
	address, lb := c.current(t, "web")
	if err := openstack.BreakLoadBalancer(t.Context(), lb.ID); err != nil {
		t.Fatal(err)
	}
	c.anotherServes(t, lb.ID, address)
	if events := c.cluster.events(t, "web"); !strings.Contains(events, "the cloud gave it up") {
		t.Errorf("events:\n%s", events)
	}
	c.remove(t, "web")
}

// anotherServes waits until a successor of a load balancer serves under the same address.
func (c *ccm) anotherServes(t *testing.T, id, address string) {
	t.Helper()
	eventually(t, 3*time.Minute, "there is another load balancer", func() bool {
		lb, ok := c.balancer(t.Context(), t, "web")
		return ok && lb.ID != id
	})
	c.becomes(t, "web", algorithms[c.provider], c.servers)
	if again, _ := c.current(t, "web"); again != address {
		t.Errorf("address %s became %s", address, again)
	}
}

func refusals(t *testing.T, c *ccm) {
	c.cluster.service(t, "demanding", func(s *corev1.Service) {
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		s.Spec.LoadBalancerSourceRanges = []string{"192.0.2.0/24"}
		s.Annotations["loadbalancer.openstack.org/lb-method"] = "LEAST_CONNECTIONS"
	})
	eventually(t, settleTime, "the Service is refused", func() bool {
		events := c.cluster.events(t, "demanding")
		return strings.Contains(events, "spec.sessionAffinity") && strings.Contains(events, "spec.loadBalancerSourceRanges") && strings.Contains(events, "lb-method")
	})
	c.cluster.edit(t, "demanding", func(s *corev1.Service) {
		s.Spec.SessionAffinity, s.Spec.LoadBalancerSourceRanges = corev1.ServiceAffinityNone, nil
		delete(s.Annotations, "loadbalancer.openstack.org/lb-method")
	})
	c.becomes(t, "demanding", "SOURCE_IP_PORT", c.servers)
	c.remove(t, "demanding")
}

// unfinishedParts is Debian 12's Octavia, in which a load balancer that is created whole never serves.
func unfinishedParts(t *testing.T, c *ccm) {
	if err := openstack.Inject("octavia.children_stuck", openstack.Fault{Project: c.tenant.ProjectID}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := openstack.Heal(c.tenant.ProjectID); err != nil {
			t.Error(err)
		}
	})
	c.start(t)
	defer func() { c.stop(t) }()
	for _, name := range []string{"first", "second"} {
		c.cluster.service(t, name, nil)
		_, lb := c.current(t, name)
		if want := c.wanted(t, name, "ROUND_ROBIN", c.servers); shape(lb) != want {
			t.Errorf("%s: %q, want %q", name, shape(lb), want)
		}
		if parts := loadbalancer.Unfinished(lb); len(parts) > 0 {
			t.Errorf("%s: unfinished are %v", name, parts)
		}
		told := strings.Contains(c.cluster.events(t, name), "LoadBalancerPartsUnfinished")
		if told != (name == "first") {
			t.Errorf("%s: the defect was told: %t\n%s", name, told, c.cluster.events(t, name))
		}
	}
	c.label(t, c.servers[0].Name, corev1.LabelNodeExcludeBalancers, "true")
	for _, name := range []string{"first", "second"} {
		c.becomes(t, name, "ROUND_ROBIN", c.servers[1:])
	}
	c.label(t, c.servers[0].Name, corev1.LabelNodeExcludeBalancers, "")
	for _, name := range []string{"first", "second"} {
		c.becomes(t, name, "ROUND_ROBIN", c.servers)
		c.remove(t, name)
	}
}
