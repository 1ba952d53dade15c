package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

const prefix = "loadbalancer.openstack.org/"

// settled makes a world with one Service that is served, and forgets the calls and events so far.
func settled(t *testing.T, nodes int, change func(*corev1.Service), test func(*world)) {
	t.Helper()
	inWorld(t, nil, func(w *world) {
		w.nodes(nodes)
		w.start()
		w.service("web", change)
		w.pass(30 * time.Second)
		w.served("web", nodes)
		w.cloud.ResetCalls()
		w.events.take()
		test(w)
	})
}

func TestLoadBalancerRemovedByHandAndServiceDeletedLeavesNoFloatingIP(t *testing.T) {
	settled(t, 2, nil, func(w *world) {
		w.cloud.DropLoadBalancer(w.cloud.LoadBalancers()[0].ID)
		w.deleteService("web")
		w.pass(10 * time.Second)
		w.empty()
		if w.exists("web") {
			t.Error("the Service still has its finalizer")
		}
	})
}

func TestLoadBalancerRemovedByHandIsBuiltAnewWithItsOldAddress(t *testing.T) {
	settled(t, 2, nil, func(w *world) {
		before := w.address("web")
		w.cloud.DropLoadBalancer(w.cloud.LoadBalancers()[0].ID)
		w.pass(2 * time.Minute)
		w.served("web", 2)
		if got := w.address("web"); got != before {
			t.Errorf("address %s became %s", before, got)
		}
	})
}

func TestDriftInTheTreeIsMendedAtTheFullLook(t *testing.T) {
	settled(t, 2, nil, func(w *world) {
		lb := w.cloud.LoadBalancers()[0]
		lb.Pools[0].Members = nil
		lb.Listeners = lb.Listeners[:1]
		lb.Pools[1].Monitor.Delay = 99
		w.cloud.PutLoadBalancer(lb)
		w.pass(15 * time.Minute)
		w.served("web", 2)
		for _, p := range w.cloud.LoadBalancers()[0].Pools {
			if p.Monitor.Delay != 5 {
				t.Errorf("monitor of %s asks every %d s", p.Name, p.Monitor.Delay)
			}
		}
	})
}

func TestServiceAtRestCostsOneListAMinuteHoweverManyThereAre(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.opts.DriftPeriod = 24 * time.Hour
		w.nodes(3)
		w.start()
		for i := range 20 {
			w.service(fmt.Sprintf("web%d", i), nil)
		}
		w.pass(2 * time.Minute)
		w.cloud.ResetCalls()
		w.pass(10 * time.Minute)
		if got := w.cloud.Count(); got > 10 {
			t.Errorf("%d calls in ten minutes: %v", got, w.cloud.Calls())
		}
	})
}

func TestTwentyServicesAtOnceShareTheirLookUpsAndPolls(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.nodes(3)
		w.start()
		for i := range 20 {
			w.service(fmt.Sprintf("web%d", i), nil)
		}
		w.pass(30 * time.Second)
		for i := range 20 {
			w.served(fmt.Sprintf("web%d", i), 3)
		}
		if got := w.cloud.Count() - 2*20; got > 40 {
			t.Errorf("%d calls beside the 40 creations: %v", got, w.cloud.Calls())
		}
	})
}

func TestRestartCostsOneListForAllServices(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.opts.DriftPeriod = 24 * time.Hour
		w.nodes(3)
		w.start()
		for i := range 10 {
			w.service(fmt.Sprintf("web%d", i), nil)
		}
		w.pass(time.Minute)
		w.halt()
		w.cloud.ResetCalls()
		w.start()
		w.pass(30 * time.Second)
		if got := w.cloud.Count(cloudtest.OpListLoadBalancers); got != 1 {
			t.Errorf("%d lists of load balancers", got)
		}
		if got := w.cloud.Count(); got > 3 {
			t.Errorf("%d calls, with networks and subnets: %v", got, w.cloud.Calls())
		}
	})
}

func TestRestartInTheMiddleOfACreationFinishesIt(t *testing.T) {
	for _, after := range []int{5, 15, 25, 35, 45, 500, 1500, 2500} {
		t.Run(fmt.Sprintf("after %d ms", after), func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.nodes(2)
				w.start()
				w.service("web", nil)
				w.pass(time.Duration(after) * time.Millisecond)
				w.halt()
				w.start()
				w.pass(time.Minute)
				w.served("web", 2)
			})
		})
	}
}

// laconic is a cloud whose answer to a creation tells nothing of the tree.
type laconic struct{ *cloudtest.Memory }

func (l laconic) CreateLoadBalancer(ctx context.Context, lb cloud.LoadBalancer) (cloud.LoadBalancer, error) {
	made, err := l.Memory.CreateLoadBalancer(ctx, lb)
	made.Listeners, made.Pools = nil, nil
	return made, err
}

func TestTreeThatTheCloudDidNotTellIsReadBeforeItIsChanged(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.opts.Cloud = laconic{w.cloud}
		w.nodes(2)
		w.start()
		w.service("web", nil)
		w.pass(10 * time.Second)
		w.served("web", 2)
		w.node("n3", "10.200.0.13", nil)
		w.pass(10 * time.Second)
		w.served("web", 3)
	})
}

func TestOwnWritesCauseNoCalls(t *testing.T) {
	settled(t, 2, nil, func(w *world) {
		w.edit("web", func(s *corev1.Service) {
			s.Labels = map[string]string{"team": "shop"}
			s.Annotations["example.com/note"] = "written by somebody"
		})
		w.pass(20 * time.Second)
		if got := w.cloud.Count(); got != 0 {
			t.Errorf("calls: %v", w.cloud.Calls())
		}
	})
}

func TestNodeHeartbeatsCauseNoCalls(t *testing.T) {
	settled(t, 2, nil, func(w *world) {
		n, _ := w.client.CoreV1().Nodes().Get(t.Context(), "n1", metav1.GetOptions{})
		n = n.DeepCopy()
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse}}
		if _, err := w.client.CoreV1().Nodes().UpdateStatus(t.Context(), n, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		w.pass(20 * time.Second)
		if got := w.cloud.Count(); got != 0 {
			t.Errorf("calls: %v", w.cloud.Calls())
		}
	})
}

func TestChangesOfTheServiceReachTheLoadBalancer(t *testing.T) {
	tree := func(w *world) cloud.LoadBalancer { return w.cloud.LoadBalancers()[0] }
	cases := []struct {
		name   string
		change func(*corev1.Service)
		check  func(*world) bool
	}{
		{"session affinity becomes persistence", func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP },
			func(w *world) bool { return tree(w).Pools[0].Persistence == "SOURCE_IP" }},
		{"source ranges become allowed CIDRs", func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = []string{"10.0.0.0/8"} },
			func(w *world) bool { return slices.Equal(tree(w).Listeners[0].AllowedCIDRs, []string{"10.0.0.0/8"}) }},
		{"a port is replaced", func(s *corev1.Service) { s.Spec.Ports[0].Port = 81 },
			func(w *world) bool {
				l := tree(w).Listeners
				return len(l) == 2 && slices.ContainsFunc(l, func(l cloud.Listener) bool { return l.Port == 81 })
			}},
		{"a port goes", func(s *corev1.Service) { s.Spec.Ports = s.Spec.Ports[:1] },
			func(w *world) bool { return len(tree(w).Listeners) == 1 && len(tree(w).Pools) == 1 }},
		{"the node port changes", func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 31000 },
			func(w *world) bool {
				return slices.ContainsFunc(tree(w).Pools, func(p cloud.Pool) bool { return p.Members[0].Port == 31000 })
			}},
		{"the method changes", func(s *corev1.Service) { s.Annotations[prefix+"lb-method"] = "LEAST_CONNECTIONS" },
			func(w *world) bool { return tree(w).Pools[1].Algorithm == "LEAST_CONNECTIONS" }},
		{"the monitor goes", func(s *corev1.Service) { s.Annotations[prefix+"enable-health-monitor"] = "false" },
			func(w *world) bool { return tree(w).Pools[0].Monitor == nil }},
		{"the traffic policy becomes local", func(s *corev1.Service) {
			s.Spec.ExternalTrafficPolicy, s.Spec.HealthCheckNodePort = corev1.ServiceExternalTrafficPolicyLocal, 32000
		}, func(w *world) bool {
			p := tree(w).Pools[0]
			return p.Monitor.Type == "HTTP" && p.Members[0].MonitorPort == 32000
		}},
		{"it becomes internal", func(s *corev1.Service) {
			s.Annotations["service.beta.kubernetes.io/openstack-internal-load-balancer"] = "true"
		}, func(w *world) bool { return len(w.cloud.FloatingIPs()) == 0 && w.address("web") == tree(w).VIP }},
		{"it becomes internal and keeps the address for later", func(s *corev1.Service) {
			s.Annotations["service.beta.kubernetes.io/openstack-internal-load-balancer"] = "true"
			s.Annotations[prefix+"keep-floatingip"] = "true"
		}, func(w *world) bool { return len(w.cloud.FloatingIPs()) == 1 && w.cloud.FloatingIPs()[0].PortID == "" }},
		{"it asks for an address", func(s *corev1.Service) { s.Spec.LoadBalancerIP = "172.30.0.77" },
			func(w *world) bool { return w.address("web") == "172.30.0.77" && len(w.cloud.FloatingIPs()) == 1 }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			settled(t, 2, nil, func(w *world) {
				w.edit("web", c.change)
				w.pass(time.Minute)
				if !c.check(w) {
					t.Errorf("not so: %+v, floating %+v, address %s, events %v", tree(w), w.cloud.FloatingIPs(), w.address("web"), w.events.take())
				}
				w.cloud.ResetCalls()
				w.pass(12 * time.Minute)
				for _, call := range w.cloud.Calls() {
					if !strings.HasPrefix(string(call.Op), "get") && !strings.HasPrefix(string(call.Op), "list") {
						t.Errorf("a full look changed something again: %v", call)
					}
				}
			})
		})
	}
}

func TestNodeLabelsMoveNodesInAndOut(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node("a", "10.200.0.11", map[string]string{"pool": "front"})
		w.node("b", "10.200.0.12", nil)
		w.node("c", "10.200.0.13", map[string]string{"pool": "front", corev1.LabelNodeExcludeBalancers: "true"})
		w.start()
		w.service("web", func(s *corev1.Service) { s.Annotations[prefix+"node-selector"] = "pool=front" })
		w.pass(20 * time.Second)
		w.served("web", 1)
		n, _ := w.client.CoreV1().Nodes().Get(t.Context(), "b", metav1.GetOptions{})
		n = n.DeepCopy()
		n.Labels = map[string]string{"pool": "front"}
		if _, err := w.client.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		w.pass(20 * time.Second)
		w.served("web", 2)
	})
}

func TestNodeWithoutAddressWaitsAndDisturbsNobody(t *testing.T) {
	settled(t, 2, nil, func(w *world) {
		if _, err := w.client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "new"}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		w.pass(10 * time.Second)
		w.served("web", 2)
		if got := w.events.take(); len(got) > 0 {
			t.Errorf("events %v", got)
		}
	})
}

func TestClusterWithoutEligibleNodesGetsALoadBalancerWithEmptyPools(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.node("n1", "10.200.0.11", map[string]string{corev1.LabelNodeExcludeBalancers: ""})
		w.opts.Defaults = loadbalancer.Defaults{Subnet: cloudtest.PrivateSubnetID}
		w.start()
		w.service("web", nil)
		w.pass(10 * time.Second)
		w.served("web", 0)
		if got := w.events.reasons(); !strings.Contains(got, reasonUnavailable) {
			t.Errorf("events %q", got)
		}
		w.node("n2", "10.200.0.12", nil)
		w.pass(10 * time.Second)
		w.served("web", 1)
	})
}

func TestTwoClustersInOneProjectDoNotTouchEachOther(t *testing.T) {
	settled(t, 2, nil, func(w *world) {
		other := w.cloud.LoadBalancers()[0]
		other.ID, other.VIPPortID, other.VIP = "theirs", "their-port", "10.200.0.199"
		other.Tags = []string{loadbalancer.ClusterTag("another"), "fairlead/service=uid-web"}
		w.cloud.PutLoadBalancer(other)
		w.cloud.PutFloatingIP(cloud.FloatingIP{ID: "their-fip", PortID: "their-port", Description: "fairlead/another/floatingip/uid-web"})
		w.deleteService("web")
		w.pass(10 * time.Second)
		if lbs, fips := w.cloud.LoadBalancers(), w.cloud.FloatingIPs(); len(lbs) != 1 || lbs[0].ID != "theirs" || len(fips) != 1 {
			t.Errorf("left are %v and %v", lbs, fips)
		}
	})
}

func TestKeptFloatingIPSurvivesTheService(t *testing.T) {
	settled(t, 1, func(s *corev1.Service) { s.Annotations[prefix+"keep-floatingip"] = "true" }, func(w *world) {
		address := w.address("web")
		w.deleteService("web")
		w.pass(10 * time.Second)
		if fips := w.cloud.FloatingIPs(); len(fips) != 1 || fips[0].Address != address || fips[0].PortID != "" {
			t.Fatalf("floating IPs: %v", fips)
		}
		w.service("next", func(s *corev1.Service) { s.Spec.LoadBalancerIP = address })
		w.pass(10 * time.Second)
		if got := w.address("next"); got != address {
			t.Errorf("the next Service has %q", got)
		}
	})
}

func TestServiceThatIsNoLongerALoadBalancerIsCleanedUp(t *testing.T) {
	settled(t, 1, nil, func(w *world) {
		w.edit("web", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP })
		w.pass(10 * time.Second)
		w.empty()
		s, err := w.get("web")
		if err != nil || len(s.Finalizers) > 0 || len(s.Status.LoadBalancer.Ingress) > 0 {
			t.Errorf("the Service is %+v, %v", s, err)
		}
		w.edit("web", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeLoadBalancer })
		w.pass(10 * time.Second)
		w.served("web", 1)
	})
}

func TestOnlyServicesOfOurClassOrNoneAreServed(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.nodes(1)
		w.start()
		w.service("ours", func(s *corev1.Service) { s.Spec.LoadBalancerClass = ptr.To(DefaultClass) })
		w.service("theirs", func(s *corev1.Service) {
			s.Spec.LoadBalancerClass = ptr.To("example.com/other")
			s.Finalizers = []string{finalizer}
		})
		w.pass(10 * time.Second)
		w.served("ours", 1)
		if got := len(w.cloud.LoadBalancers()); got != 1 {
			t.Errorf("%d load balancers", got)
		}
		w.deleteService("theirs")
		w.pass(10 * time.Second)
		if s, err := w.get("theirs"); err != nil || !hasFinalizer(s) {
			t.Errorf("their finalizer was taken: %v, %v", s, err)
		}
	})
}

func TestInvalidServiceChangesNothingAndSucceedsOnceCorrected(t *testing.T) {
	cases := []struct {
		name, annotation, value string
		want                    []string
	}{
		{"a number that does not parse", prefix + "connection-limit", "many", []string{prefix + "connection-limit", `"many"`, "-1", "from 1"}},
		{"an unknown floating network", prefix + "floating-network-id", "nowhere", []string{prefix + "floating-network-id", `"nowhere"`, "public"}},
		{"an unknown subnet", prefix + "subnet-id", "nowhere", []string{prefix + "subnet-id", `"nowhere"`, "private-subnet"}},
		{"what is not supported", prefix + "proxy-protocol", "v2", []string{prefix + "proxy-protocol", "not supported"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				w.nodes(1)
				w.start()
				w.service("web", func(s *corev1.Service) { s.Annotations[c.annotation] = c.value })
				w.pass(10 * time.Minute)
				w.empty()
				events := w.events.take()
				if len(events) != 1 {
					t.Errorf("%d events: %v", len(events), events)
				}
				for _, part := range append(c.want, "Warning", reasonFailed) {
					if !strings.Contains(events[0], part) {
						t.Errorf("the event lacks %q: %s", part, events[0])
					}
				}
				if got := w.cloud.Count(); got > 2+2*11 {
					t.Errorf("%d calls in ten minutes", got)
				}
				w.edit("web", func(s *corev1.Service) { delete(s.Annotations, c.annotation) })
				w.pass(10 * time.Second)
				w.served("web", 1)
			})
		})
	}
}

func TestServedServiceThatBecomesInvalidStaysServed(t *testing.T) {
	settled(t, 1, nil, func(w *world) {
		w.edit("web", func(s *corev1.Service) { s.Annotations[prefix+"lb-method"] = "BEST" })
		w.pass(30 * time.Minute)
		w.served("web", 1)
		w.deleteService("web")
		w.pass(10 * time.Second)
		w.empty()
	})
}

func TestQuotaIsToldAndTriedAgain(t *testing.T) {
	inWorld(t, func(o *cloudtest.MemoryOptions) { o.Quota.LoadBalancers = 1 }, func(w *world) {
		w.nodes(1)
		w.start()
		w.service("first", nil)
		w.pass(10 * time.Second)
		w.service("second", nil)
		w.pass(10 * time.Second)
		if got := strings.Join(w.events.take(), "\n"); !strings.Contains(got, "quota") || !strings.Contains(got, "raised") {
			t.Errorf("events:\n%s", got)
		}
		w.deleteService("first")
		w.pass(5 * time.Minute)
		w.served("second", 1)
	})
}

func TestLoadBalancerThatTheCloudGaveUpIsBuiltAnewWithBackOff(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.nodes(1)
		w.cloud.FailWork(cloudtest.OpCreateLoadBalancer, 3)
		w.start()
		w.service("web", nil)
		w.pass(time.Minute)
		w.served("web", 1)
		if got := w.cloud.Count(cloudtest.OpCreateLoadBalancer); got != 4 {
			t.Errorf("%d creations", got)
		}
		w.cloud.ResetCalls()
		w.cloud.FailWork(cloudtest.OpCreateLoadBalancer, 1000)
		w.cloud.DropLoadBalancer(w.cloud.LoadBalancers()[0].ID)
		w.pass(time.Hour)
		if got := w.cloud.Count(cloudtest.OpCreateLoadBalancer); got < 5 || got > 30 {
			t.Errorf("%d creations in an hour", got)
		}
	})
}

func TestWhatTheCloudCannotKeepIsToldOnce(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.nodes(1)
		w.start()
		w.service("web", func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })
		w.pass(10 * time.Second)
		w.served("web", 1)
		w.events.take()
		w.cloud.ResetCalls()
		seconds := int32(60)
		w.edit("web", func(s *corev1.Service) {
			s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &seconds}}
		})
		w.pass(time.Second)
		w.edit("web", func(s *corev1.Service) { s.Annotations["example.com/a"] = "b" })
		w.pass(10 * time.Second)
		if got := w.events.take(); len(got) != 1 || !strings.Contains(got[0], "Warning SettingIgnored spec.sessionAffinityConfig.clientIP.timeoutSeconds: 60") {
			t.Errorf("events %q", got)
		}
		if steps, _ := w.calls(); steps > 0 {
			t.Errorf("it cost calls: %v", w.cloud.Calls())
		}
	})
}
