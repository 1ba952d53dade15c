package service

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
)

func TestFinalizerThatSomebodyTookAwayComesBack(t *testing.T) {
	settled(t, 1, nil, func(w *world) {
		w.edit("web", func(s *corev1.Service) { s.Finalizers = nil }) // kubectl replace does
		w.pass(5 * time.Second)
		if s, err := w.get("web"); err != nil || !hasFinalizer(s) {
			t.Errorf("finalizers %v, %v", s.Finalizers, err)
		}
		if got := w.condition("web"); got.Reason != "Current" {
			t.Errorf("condition %+v", got)
		}
		if steps, _ := w.calls(); steps > 0 {
			t.Errorf("it cost calls: %v", w.cloud.Calls())
		}
		w.deleteService("web")
		w.pass(time.Minute)
		w.empty()
	})
}

// stale makes a controller whose informer shows what the test puts into the returned store.
func (w *world) stale() (*Controller, cache.Store) {
	w.t.Helper()
	factory := informers.NewSharedInformerFactory(w.client, 0)
	opts := w.opts
	opts.Client, opts.Recorder, opts.Cloud = w.client, w.events, w.cloud
	opts.Services, opts.Nodes = factory.Core().V1().Services(), factory.Core().V1().Nodes()
	c, err := New(opts)
	if err != nil {
		w.t.Fatal(err)
	}
	c.started = time.Now()
	return c, opts.Services.Informer().GetStore()
}

func TestServiceThatWasALoadBalancerForAMomentLosesItsFinalizerWhateverTheInformerShows(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c, informer := w.stale()
		defer c.queue.ShutDown()
		show := func(s *corev1.Service, err error) {
			if err == nil {
				err = informer.Update(s)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		w.service("web", nil)
		show(w.get("web"))
		w.edit("web", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP })
		clusterIP, err := w.get("web")
		w.cloud.FailNext(cloudtest.OpListLoadBalancers, 1, cloudtest.Before, cloud.ErrUnavailable)
		if _, err := c.Reconcile(w.t.Context(), "shop/web"); err == nil {
			t.Fatal("the cloud answered")
		}
		if s, err := w.get("web"); err != nil || !hasFinalizer(s) {
			t.Fatalf("no finalizer: %v", err)
		}
		show(clusterIP, err) // from before the finalizer
		_, _ = c.Reconcile(w.t.Context(), "shop/web")
		show(w.get("web"))
		if _, err := c.Reconcile(w.t.Context(), "shop/web"); err != nil {
			t.Fatal(err)
		}
		if s, err := w.get("web"); err != nil || hasFinalizer(s) || len(s.Status.Conditions) > 0 {
			t.Errorf("left: finalizers %v, conditions %v, %v", s.Finalizers, s.Status.Conditions, err)
		}
	})
}
