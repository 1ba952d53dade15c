package service

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

// inUnfinishedWorld runs a test in a cloud that leaves the parts unfinished that are created with their balancer.
func inUnfinishedWorld(t *testing.T, test func(*world)) {
	t.Helper()
	inWorld(t, func(o *cloudtest.MemoryOptions) { o.UnfinishedTrees = true }, func(w *world) {
		w.nodes(2)
		test(w)
	})
}

// finished asserts that no part of any balancer is pending.
func (w *world) finished() {
	w.t.Helper()
	for _, lb := range w.cloud.LoadBalancers() {
		if parts := loadbalancer.Unfinished(lb); len(parts) > 0 || lb.Provisioning != cloud.ProvisioningActive {
			w.t.Errorf("load balancer %s is %s, unfinished are %v", lb.ID, lb.RawState, parts)
		}
	}
}

func TestPartsThatTheCloudLeavesUnfinishedAreFinishedAndTheNextBalancerIsMadePartByPart(t *testing.T) {
	inUnfinishedWorld(t, func(w *world) {
		w.opts.Metrics = prometheus.NewRegistry()
		w.start()
		w.service("web", nil)
		w.pass(time.Minute)
		w.served("web", 2)
		w.finished()
		events := strings.Join(w.events.take(), "\n")
		if strings.Count(events, reasonUnfinished) != 1 || !strings.Contains(events, "pool 443-tcp") {
			t.Errorf("events:\n%s", events)
		}
		if !strings.HasSuffix(events, reasonEnsured+" Ensured load balancer") {
			t.Errorf("the end of the events:\n%s", events)
		}
		want := "# HELP fairlead_load_balancers_unfinished_total Load balancers that the cloud made active and whose parts it left unfinished.\n" +
			"# TYPE fairlead_load_balancers_unfinished_total counter\nfairlead_load_balancers_unfinished_total 1\n"
		if err := testutil.GatherAndCompare(w.opts.Metrics.(*prometheus.Registry), strings.NewReader(want)); err != nil {
			t.Error(err)
		}

		w.cloud.ResetCalls()
		w.service("shop", nil)
		w.pass(time.Minute)
		w.served("shop", 2)
		w.finished()
		if got := w.events.reasons(); strings.Contains(got, reasonUnfinished) || !strings.Contains(got, reasonEnsured) {
			t.Errorf("events of the second Service: %s", got)
		}
		if got := w.cloud.Count(cloudtest.OpUpdatePool); got != 0 {
			t.Errorf("%d pools of the second Service had to be finished", got)
		}
		w.edit("web", func(s *corev1.Service) { s.Spec.Ports[0].NodePort++ })
		w.node("n3", "10.200.0.13", nil)
		w.pass(time.Minute)
		w.served("web", 3)
		w.served("shop", 3)
	})
}

func TestManyBalancersAtOnceAreAllFinished(t *testing.T) {
	inUnfinishedWorld(t, func(w *world) {
		w.start()
		for i := range 10 {
			w.service(fmt.Sprintf("web%d", i), nil)
		}
		w.pass(2 * time.Minute)
		for i := range 10 {
			w.served(fmt.Sprintf("web%d", i), 2)
		}
		w.finished()
	})
}

func TestAHealthyCloudIsAskedNoMoreThanBefore(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.nodes(3)
		w.start()
		for _, name := range []string{"first", "second"} {
			w.cloud.ResetCalls()
			w.service(name, nil)
			w.pass(30 * time.Second)
			w.served(name, 3)
			polls := w.cloud.Count(cloudtest.OpGetLoadBalancerState, cloudtest.OpGetLoadBalancerParts)
			// networks and subnets are known when the second Service comes
			if got := w.cloud.Count() - polls; got > 6 {
				t.Errorf("the %s Service: %d calls beside %d polls: %v", name, got, polls, w.cloud.Calls())
			}
		}
		if got := w.cloud.Count(cloudtest.OpGetLoadBalancerParts); got != 0 {
			t.Errorf("of the second balancer the parts were asked for %d times", got)
		}
	})
}

func TestAKilledControllersUnfinishedBalancerIsFinishedByTheNextOne(t *testing.T) {
	for _, after := range []time.Duration{time.Second, 3 * time.Second, 8 * time.Second, 9 * time.Second, 10 * time.Second, 11 * time.Second} {
		t.Run("after "+after.String(), func(t *testing.T) {
			inUnfinishedWorld(t, func(w *world) {
				w.start()
				w.service("web", nil)
				w.pass(after)
				w.dead.Store(true)
				w.halt()
				w.dead.Store(false)
				w.start()
				w.pass(2 * time.Minute)
				w.served("web", 2)
				w.finished()
			})
		})
	}
}

func TestAPartThatNoWriteFinishesIsReported(t *testing.T) {
	settled(t, 2, nil, func(w *world) {
		lb := w.cloud.LoadBalancers()[0]
		i := slices.IndexFunc(lb.Pools, func(p cloud.Pool) bool { return p.Name == "80-tcp" })
		w.cloud.LeaveUnfinished(lb.Pools[i].ID, true)
		w.pass(15 * time.Minute)
		events := strings.Join(w.events.take(), "\n")
		if !strings.Contains(events, reasonFailed) || !strings.Contains(events, "leaves pool 80-tcp unfinished") {
			t.Errorf("events:\n%s", events)
		}
		if got := w.cloud.Count(cloudtest.OpUpdatePool); got < 1 || got > 15 {
			t.Errorf("the pool was written to %d times", got)
		}
		w.cloud.LeaveUnfinished(lb.Pools[i].ID, false)
		w.pass(5 * time.Minute)
		w.finished()
		s, err := w.get("web")
		if err != nil || s.Status.Conditions[0].Status != "True" {
			t.Errorf("the condition is %+v, %v", s.Status.Conditions, err)
		}
	})
}
