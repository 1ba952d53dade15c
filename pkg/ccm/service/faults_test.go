package service

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

func TestStoppedControllerLeavesNoGoroutine(t *testing.T) {
	settled(t, 1, nil, func(w *world) {
		w.service("more", nil)
		w.pass(100 * time.Millisecond)
		w.halt() // the bubble ends with an error if anything goes on
	})
}

func TestLostAnswerOfACreationIsLookedUpAndNotRepeated(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.cloud.FailNext(cloudtest.OpCreateLoadBalancer, 1, cloudtest.After, cloud.ErrOutcomeUnknown)
		w.cloud.FailNext(cloudtest.OpCreateFloatingIP, 1, cloudtest.After, cloud.ErrOutcomeUnknown)
		w.nodes(1)
		w.start()
		w.service("web", nil)
		w.pass(20 * time.Second)
		w.served("web", 1)
		for _, op := range []cloudtest.Op{cloudtest.OpCreateLoadBalancer, cloudtest.OpCreateFloatingIP} {
			if got := w.cloud.Count(op); got != 1 {
				t.Errorf("%s: %d times", op, got)
			}
		}
	})
}

// late is a load balancer that turns up after its creation's answer was lost and looked for in vain.
func late(service string) cloud.LoadBalancer {
	return cloud.LoadBalancer{
		ID: "late", VIPPortID: "late-port", VIP: "10.200.0.180", Provisioning: cloud.ProvisioningActive,
		Tags: []string{loadbalancer.ClusterTag(testCluster), "fairlead/service=uid-" + service},
	}
}

func TestCreationThatTakesEffectAfterTheServiceIsDeletedLeavesNothing(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.cloud.FailNext(cloudtest.OpCreateLoadBalancer, 1, cloudtest.Before, cloud.ErrOutcomeUnknown)
		w.nodes(1)
		w.start()
		w.service("web", nil)
		w.pass(500 * time.Millisecond)
		w.deleteService("web")
		w.pass(20 * time.Second)
		w.cloud.PutLoadBalancer(late("web"))
		w.pass(2 * time.Minute)
		w.empty()
		if w.exists("web") {
			t.Error("the Service still has its finalizer")
		}
	})
}

func TestCreationThatTakesEffectAfterItsRepetitionIsRemoved(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.cloud.FailNext(cloudtest.OpCreateLoadBalancer, 1, cloudtest.Before, cloud.ErrOutcomeUnknown)
		w.nodes(1)
		w.start()
		w.service("web", nil)
		w.pass(20 * time.Second)
		w.cloud.PutLoadBalancer(late("web"))
		w.pass(2 * time.Minute)
		w.served("web", 1)
	})
}

// Every call may fail before or after its effect, be answered by a gateway, or be lost. In the end there is exactly one
// load balancer with one floating IP, and after the deletion nothing.
func TestAnySingleFaultOnlyDelays(t *testing.T) {
	kinds := []error{cloud.ErrOutcomeUnknown, cloud.ErrUnavailable, context.DeadlineExceeded}
	for _, phase := range []cloudtest.Phase{cloudtest.Before, cloudtest.After} {
		for _, kind := range kinds {
			for n := 1; n <= 16; n++ {
				t.Run(fmt.Sprintf("phase %d, call %d: %v", phase, n, kind), func(t *testing.T) {
					inWorld(t, nil, func(w *world) {
						seen := 0
						w.cloud.SetHook(func(call cloudtest.Call, p cloudtest.Phase) error {
							if p == phase {
								seen++
								if seen == n {
									return kind
								}
							}
							return nil
						})
						w.nodes(2)
						w.start()
						w.service("web", nil)
						w.pass(30 * time.Second)
						w.node("n3", "10.200.0.13", nil)
						w.pass(5 * time.Minute)
						w.served("web", 3)
						seen = 0
						w.deleteService("web")
						w.pass(5 * time.Minute)
						w.empty()
						if w.exists("web") {
							t.Error("the Service still has its finalizer")
						}
					})
				})
			}
		}
	}
}

// A cloud that fails one call in three, at random, while Service and nodes change, is a cloud on a bad day.
func TestManyFaultsOnlyDelay(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				random, clouds := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
				kinds := []error{cloud.ErrOutcomeUnknown, cloud.ErrUnavailable, cloud.ErrBusy, cloud.ErrExhausted}
				storm := func(cloudtest.Call, cloudtest.Phase) error {
					if clouds.IntN(6) > 0 {
						return nil
					}
					return kinds[clouds.IntN(len(kinds))]
				}
				w.nodes(2)
				w.start()
				w.cloud.SetHook(storm)
				w.service("web", nil)
				w.pass(time.Duration(random.IntN(20000)) * time.Millisecond)
				w.node("n3", "10.200.0.13", nil)
				w.edit("web", func(s *corev1.Service) { s.Spec.Ports[0].Port = 8080 })
				w.pass(time.Duration(random.IntN(60000)) * time.Millisecond)
				w.halt() // and the controller starts anew in the middle of it
				w.start()
				w.pass(2 * time.Minute)
				w.cloud.SetHook(nil)
				w.pass(15 * time.Minute)
				w.served("web", 3)
				w.cloud.SetHook(storm)
				w.deleteService("web")
				w.pass(time.Minute)
				w.cloud.SetHook(nil)
				w.pass(15 * time.Minute)
				w.empty()
				if w.exists("web") {
					t.Error("the Service still has its finalizer")
				}
			})
		})
	}
}

// refusing refuses every load balancer, under a request id of its own as real clouds do.
type refusing struct {
	*cloudtest.Memory
	refused int
}

func (r *refusing) CreateLoadBalancer(context.Context, cloud.LoadBalancer) (cloud.LoadBalancer, error) {
	r.refused++
	return cloud.LoadBalancer{}, &cloud.Error{Kind: cloud.ErrExhausted, Op: "create load balancer", Status: 403, RequestID: fmt.Sprintf("req-%d", r.refused)}
}

func TestSameRefusalIsToldOnceThoughEveryRequestHasItsOwnID(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		api := &refusing{Memory: w.cloud}
		w.opts.Cloud = api
		w.nodes(1)
		w.start()
		w.service("web", nil)
		w.pass(time.Minute)
		w.halt()
		if api.refused < 3 {
			t.Errorf("tried %d times", api.refused)
		}
		told := 0
		for _, line := range w.events.take() {
			if strings.Contains(line, reasonFailed) {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times", told)
		}
	})
}

func TestABalancerThatTheCloudDoesNotFinishIsReportedOnceAndWaitedFor(t *testing.T) {
	slow := func(o *cloudtest.MemoryOptions) {
		o.Work = func(cloudtest.Op) time.Duration { return time.Hour }
	}
	inWorld(t, slow, func(w *world) {
		w.nodes(2)
		w.start()
		w.service("web", nil)
		w.pass(9 * time.Minute)
		if got := w.events.reasons(); got != reasonEnsuring {
			t.Errorf("events of the first minutes: %s", got)
		}
		w.cloud.ResetCalls()
		w.pass(50 * time.Minute)
		if got := w.events.take(); len(got) != 1 || !strings.Contains(got[0], reasonStuck+" Load balancer ") || !strings.Contains(got[0], "PENDING_CREATE for 10m0s") {
			t.Errorf("events of the following: %q", got)
		}
		if got := w.cloud.Count(); got > 100 { // a look per 5 % of the time, and the minutely list
			t.Errorf("%d calls while waiting", got)
		}
		w.pass(5 * time.Minute)
		w.served("web", 2)
	})
}
