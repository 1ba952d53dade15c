package service

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

// killAfter ends the process without notice when the n-th call of those ops, or of all, has had its effect: nothing that
// the process does after that reaches anybody. It reports false when there was no such call within a minute.
func (w *world) killAfter(n int, ops ...cloudtest.Op) bool {
	w.t.Helper()
	seen := 0
	w.cloud.SetHook(func(call cloudtest.Call, phase cloudtest.Phase) error {
		if w.dead.Load() {
			return context.Canceled
		}
		if phase == cloudtest.Before || len(ops) > 0 && call.Op != ops[0] {
			return nil
		}
		if seen++; seen < n {
			return nil
		}
		w.dead.Store(true)
		return context.Canceled
	})
	for end := time.Now().Add(time.Minute); !w.dead.Load() && time.Now().Before(end); {
		w.pass(10 * time.Millisecond)
	}
	w.halt()
	w.cloud.SetHook(nil)
	return w.dead.Swap(false)
}

// exclude takes a node out of the load balancers, or back in.
func (w *world) exclude(name string, on bool) {
	w.t.Helper()
	n, err := w.client.CoreV1().Nodes().Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	n = n.DeepCopy()
	n.Labels = map[string]string{}
	if on {
		n.Labels[corev1.LabelNodeExcludeBalancers] = "true"
	}
	if _, err := w.client.CoreV1().Nodes().Update(w.t.Context(), n, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// exact asserts that the cloud has what Service and nodes ask for now, to the last setting, and that the status says so.
func (w *world) exact(name string) {
	w.t.Helper()
	s, err := w.get(name)
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := w.client.CoreV1().Nodes().List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	in := loadbalancer.Input{Cluster: testCluster, Service: s}
	for i := range list.Items {
		in.Nodes = append(in.Nodes, &list.Items[i])
	}
	if in.Facts.Networks, err = w.cloud.ListNetworks(w.t.Context(), cloud.NetworkFilter{}); err != nil {
		w.t.Fatal(err)
	}
	if in.Facts.Subnets, err = w.cloud.ListSubnets(w.t.Context(), ""); err != nil {
		w.t.Fatal(err)
	}
	spec, err := loadbalancer.Desired(in)
	if err != nil {
		w.t.Fatal(err)
	}
	observed := loadbalancer.Observed{Balancers: w.cloud.LoadBalancers(), FloatingIPs: w.cloud.FloatingIPs()}
	steps, recheck, err := loadbalancer.Plan(spec, observed)
	for _, step := range steps {
		w.t.Errorf("left to do: %s %s", step.Action, step.Key)
	}
	if recheck > 0 || err != nil {
		w.t.Errorf("pending %v, problem %v", recheck > 0, err)
	}
	if got, want := w.address(name), loadbalancer.Endpoint(spec, observed); got != want {
		w.t.Errorf("status says %q, want %q", got, want)
	}
	if got := w.condition(name); got.Status != metav1.ConditionTrue {
		w.t.Errorf("condition %+v", got)
	}
}

// condition is what the Service says of its load balancer.
func (w *world) condition(name string) metav1.Condition {
	w.t.Helper()
	s, err := w.get(name)
	if err != nil {
		w.t.Fatal(err)
	}
	if c := meta.FindStatusCondition(s.Status.Conditions, ConditionCurrent); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// patches counts the writes to Services since the last call.
func (w *world) patches() int {
	count := 0
	for _, a := range w.client.Actions() {
		if _, ok := a.(clienttesting.PatchAction); ok && a.GetResource() == servicesResource {
			count++
		}
	}
	w.client.ClearActions()
	return count
}

func TestProcessKilledBetweenMembersAndTagIsNotBelievedWhenTheWishReturns(t *testing.T) {
	settled(t, 2, nil, func(w *world) {
		w.exclude("n2", true)
		if !w.killAfter(1, cloudtest.OpSetMembers) {
			t.Fatal("the members were not set")
		}
		w.exclude("n2", false)
		w.pass(2 * time.Second) // the cloud ends what it has begun: nothing shows that somebody was at work
		w.start()
		w.pass(15 * time.Second)
		w.served("web", 2)
		w.exact("web")
	})
}

func TestProcessStartedWhileTheCloudIsAtWorkLooksAtWhatComesOfIt(t *testing.T) {
	settled(t, 2, nil, func(w *world) {
		w.exclude("n2", true)
		if !w.killAfter(1, cloudtest.OpSetMembers) {
			t.Fatal("the members were not set")
		}
		w.exclude("n2", false)
		w.cloud.ResetCalls()
		w.start()
		w.pass(15 * time.Second)
		w.exact("web")
		if got := w.cloud.Count(cloudtest.OpGetLoadBalancerState); got > 5 {
			t.Errorf("%d polls", got)
		}
	})
}

func TestProcessKilledWhileItMendsDriftIsNotBelieved(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.opts.DriftPeriod = time.Minute
		w.nodes(2)
		w.start()
		w.service("web", nil)
		w.pass(30 * time.Second)
		lb := w.cloud.LoadBalancers()[0]
		lb.Pools[0].Members, lb.Pools[1].Members = nil, nil
		w.cloud.PutLoadBalancer(lb)
		if !w.killAfter(1, cloudtest.OpSetMembers) {
			t.Fatal("the drift was not found")
		}
		w.opts.DriftPeriod = 24 * time.Hour
		w.pass(2 * time.Second)
		w.start()
		w.pass(15 * time.Second)
		w.exact("web")
	})
}

func TestProcessKilledWhileServiceWasNoLoadBalancerForAMomentServesItAgain(t *testing.T) {
	settled(t, 2, nil, func(w *world) {
		w.edit("web", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP })
		if !w.killAfter(1, cloudtest.OpDeleteFloatingIP) {
			t.Fatal("the floating IP was not deleted")
		}
		w.edit("web", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeLoadBalancer })
		w.start()
		w.pass(15 * time.Second)
		w.exact("web")
	})
}

// Whatever the call after which a process is killed, and whatever is wished for meanwhile, the next process brings it
// about at once: not at the full look, which comes after a minute at the earliest.
func TestProcessKilledAnywhereIsSucceededAtOnce(t *testing.T) {
	wishes := []func(*corev1.Service){
		func(s *corev1.Service) { s.Spec.Ports[0].Port = 8080 },
		func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 31000 },
		func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP },
		func(s *corev1.Service) {
			s.Annotations["service.beta.kubernetes.io/openstack-internal-load-balancer"] = "true"
		},
		func(s *corev1.Service) { s.Annotations[prefix+"enable-health-monitor"] = "false" },
		func(s *corev1.Service) { s.Spec.LoadBalancerIP = "172.30.0.77" },
		func(s *corev1.Service) { s.Annotations[prefix+"subnet-id"] = cloudtest.PrivateSubnetID },
		func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP },
	}
	for seed := range uint64(60) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			var first corev1.ServiceSpec
			wish := func(w *world) {
				change := wishes[random.IntN(len(wishes))]
				w.edit("web", func(s *corev1.Service) {
					s.Spec, s.Annotations = *first.DeepCopy(), map[string]string{}
					if random.IntN(2) == 0 {
						change(s)
					}
				})
				w.exclude("n2", random.IntN(2) == 0)
			}
			settled(t, 2, func(s *corev1.Service) { first = *s.Spec.DeepCopy() }, func(w *world) {
				for range 1 + random.IntN(3) {
					wish(w)
					w.killAfter(1 + random.IntN(12))
					w.pass(time.Duration(random.IntN(2)) * 2 * time.Second)
					if random.IntN(3) > 0 {
						wish(w)
					}
					w.start()
				}
				w.edit("web", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeLoadBalancer })
				w.pass(40 * time.Second)
				w.exact("web")
				w.deleteService("web")
				w.killAfter(1 + random.IntN(6))
				w.start()
				w.pass(30 * time.Second)
				w.empty()
				if w.exists("web") {
					t.Error("the Service still has its finalizer")
				}
			})
		})
	}
}

func TestChangeOfWhichTheAnswerWasLostIsLookedAtAgainSoon(t *testing.T) {
	settled(t, 2, nil, func(w *world) {
		w.cloud.FailNext(cloudtest.OpSetMembers, 1, cloudtest.Before, cloud.ErrOutcomeUnknown)
		w.exclude("n2", true)
		w.pass(5 * time.Second)
		w.exclude("n2", false)
		w.pass(20 * time.Second)
		w.exact("web")
		lb := w.cloud.LoadBalancers()[0] // now the lost request arrives
		lb.Pools[0].Members = lb.Pools[0].Members[:1]
		w.cloud.PutLoadBalancer(lb)
		w.pass(75 * time.Second)
		w.exact("web")
	})
}

func TestConditionIsWrittenTwicePerChangeAndNeverWithoutOne(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.nodes(2)
		w.start()
		w.service("web", nil)
		w.pass(time.Second)
		if got := w.condition("web"); got.Status != metav1.ConditionFalse || got.Reason != "Creating" {
			t.Errorf("condition during creation: %+v", got)
		}
		w.pass(30 * time.Second)
		made := w.condition("web")
		if made.Status != metav1.ConditionTrue || made.Reason != "Current" || !strings.Contains(made.Message, w.cloud.LoadBalancers()[0].ID) {
			t.Errorf("condition after creation: %+v", made)
		}
		if got := w.patches(); got != 2 {
			t.Errorf("%d writes for a creation: want finalizer and address", got)
		}
		w.node("n3", "10.200.0.13", nil)
		w.pass(1200 * time.Millisecond)
		got := w.condition("web")
		if got.Status != metav1.ConditionFalse || got.Reason != "Updating" || !strings.Contains(got.Message, "set members") {
			t.Errorf("condition during a change: %+v", got)
		}
		if !got.LastTransitionTime.After(made.LastTransitionTime.Time) {
			t.Errorf("the transition was at %v, the one before at %v", got.LastTransitionTime, made.LastTransitionTime)
		}
		w.pass(30 * time.Second)
		w.exact("web")
		if got := w.patches(); got != 2 {
			t.Errorf("%d writes for a change", got)
		}
		w.halt()
		w.start()
		w.pass(time.Hour)
		if got := w.patches(); got != 0 {
			t.Errorf("%d writes at rest", got)
		}
	})
}

func TestConditionTellsWhatIsWrongUntilItIsRight(t *testing.T) {
	settled(t, 1, nil, func(w *world) {
		w.edit("web", func(s *corev1.Service) { s.Annotations[prefix+"lb-method"] = "BEST" })
		w.pass(5 * time.Second)
		if got := w.condition("web"); got.Status != metav1.ConditionFalse || got.Reason != "Invalid" || !strings.Contains(got.Message, `"BEST"`) {
			t.Errorf("condition of an invalid Service: %+v", got)
		}
		w.edit("web", func(s *corev1.Service) { delete(s.Annotations, prefix+"lb-method") })
		w.pass(5 * time.Second)
		w.exact("web")
		w.cloud.FailNext(cloudtest.OpSetMembers, 1, cloudtest.Before, cloud.ErrExhausted)
		w.node("n2", "10.200.0.12", nil)
		w.pass(1200 * time.Millisecond)
		if got := w.condition("web"); got.Status != metav1.ConditionFalse || got.Reason != "Failed" || !strings.Contains(got.Message, "quota") {
			t.Errorf("condition after a failure: %+v", got)
		}
		w.pass(30 * time.Second)
		w.exact("web")
	})
}

func TestCloudThatDoesNotAnswerALookSaysNothingAboutTheLoadBalancer(t *testing.T) {
	settled(t, 1, nil, func(w *world) {
		w.patches()
		w.cloud.FailNext(cloudtest.OpGetLoadBalancer, 3, cloudtest.Before, cloud.ErrUnavailable)
		w.pass(15 * time.Minute)
		w.exact("web")
		if got := w.patches(); got != 0 {
			t.Errorf("%d writes", got)
		}
	})
}

func TestConditionTellsWhyAServiceDoesNotGo(t *testing.T) {
	settled(t, 1, nil, func(w *world) {
		w.cloud.FailNext(cloudtest.OpDeleteLoadBalancer, 3, cloudtest.Before, cloud.ErrUnauthorized)
		w.deleteService("web")
		w.pass(3 * time.Second)
		if got := w.condition("web"); got.Status != metav1.ConditionFalse || got.Reason != "Failed" || !strings.Contains(got.Message, "load-balancer_member") {
			t.Errorf("condition: %+v", got)
		}
		w.pass(30 * time.Second)
		w.empty()
		if w.exists("web") {
			t.Error("the Service still has its finalizer")
		}
	})
}

func TestConditionsOfOthersAreLeftAlone(t *testing.T) {
	settled(t, 1, nil, func(w *world) {
		theirs := metav1.Condition{Type: "example.com/Known", Status: metav1.ConditionTrue, Reason: "Yes"}
		w.edit("web", func(s *corev1.Service) { s.Status.Conditions = append(s.Status.Conditions, theirs) })
		w.node("n2", "10.200.0.12", nil)
		w.pass(20 * time.Second)
		w.exact("web")
		w.edit("web", func(s *corev1.Service) {
			s.Spec.Type, s.Finalizers = corev1.ServiceTypeClusterIP, append(s.Finalizers, "example.com/theirs")
		})
		w.pass(20 * time.Second)
		w.empty()
		s, err := w.get("web")
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Status.Conditions) != 1 || s.Status.Conditions[0].Type != theirs.Type {
			t.Errorf("conditions %+v", s.Status.Conditions)
		}
		if len(s.Finalizers) != 1 || hasFinalizer(s) {
			t.Errorf("finalizers %v", s.Finalizers)
		}
	})
}

func TestInvalidServiceThatIsNoLongerALoadBalancerKeepsNoCondition(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.nodes(1)
		w.start()
		w.service("web", func(s *corev1.Service) { s.Annotations[prefix+"lb-method"] = "BEST" })
		w.pass(5 * time.Second)
		if got := w.condition("web"); got.Reason != "Invalid" {
			t.Errorf("condition of an invalid Service: %+v", got)
		}
		w.edit("web", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP })
		w.pass(5 * time.Second)
		if got := w.condition("web"); got.Type != "" {
			t.Errorf("condition of a Service without load balancer: %+v", got)
		}
	})
}

func TestLostWriteOfTheConditionHoldsTheChangeBack(t *testing.T) {
	settled(t, 2, nil, func(w *world) {
		w.deaf.Store(true)
		w.exclude("n2", true)
		w.pass(20 * time.Second)
		if got := w.cloud.Count(cloudtest.OpSetMembers); got > 0 {
			t.Errorf("members were set %d times without a note", got)
		}
		w.deaf.Store(false)
		w.pass(time.Minute)
		w.exact("web")
	})
}
