package service

import (
	"testing"
	"time"

	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
)

func TestNewServiceIsServedWithinTheBudget(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.nodes(3)
		w.start()
		w.service("web", nil)
		w.pass(5 * time.Second)
		w.served("web", 3)
		steps, polls := w.calls()
		if steps > 6 || polls > 5 {
			t.Errorf("%d calls and %d polls; the budget is 6 and 1 + T/0.5 s: %v", steps, polls, w.cloud.Calls())
		}
		if got, want := w.events.reasons(), "EnsuringLoadBalancer EnsuredLoadBalancer"; got != want {
			t.Errorf("events %q, want %q", got, want)
		}
	})
}

func TestNodeJoiningCostsOneCallPerPoolAndOneMore(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.opts.SweepPeriod = time.Hour // its list is for all Services, not for this node
		w.nodes(3)
		w.start()
		w.service("web", nil)
		w.pass(time.Minute)
		w.cloud.ResetCalls()
		w.events.take()
		w.node("n4", "10.200.0.14", nil)
		w.pass(10 * time.Second)
		w.served("web", 4)
		if got := w.cloud.Count(cloudtest.OpSetMembers); got != 2 {
			t.Errorf("members were set %d times", got)
		}
		if steps, _ := w.calls(); steps > 1+2 {
			t.Errorf("%d calls; the budget is 1 + P: %v", steps, w.cloud.Calls())
		}
		if got, want := w.events.reasons(), "UpdatedLoadBalancer"; got != want {
			t.Errorf("events %q, want %q", got, want)
		}
	})
}

func TestDeletedServiceLeavesNothing(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.nodes(3)
		w.start()
		w.service("web", nil)
		w.pass(time.Minute)
		w.cloud.ResetCalls()
		w.events.take()
		w.deleteService("web")
		w.pass(10 * time.Second)
		w.empty()
		if w.exists("web") {
			t.Error("the Service still has its finalizer")
		}
		if steps, polls := w.calls(); steps > 4 || polls > 5 {
			t.Errorf("%d calls and %d polls; the budget is 4 and 1 + T/0.5 s: %v", steps, polls, w.cloud.Calls())
		}
		if got, want := w.events.reasons(), "DeletingLoadBalancer DeletedLoadBalancer"; got != want {
			t.Errorf("events %q, want %q", got, want)
		}
	})
}
