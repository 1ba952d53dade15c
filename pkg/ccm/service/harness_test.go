package service

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"

	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

const testCluster = "11111111-2222-4333-8444-555555555555"

var servicesResource = corev1.SchemeGroupVersion.WithResource("services")

// world is a cluster's API server, a cloud, and a controller between them, in virtual time.
type world struct {
	t      *testing.T
	cloud  *cloudtest.Memory
	client *fake.Clientset
	events *eventLog
	opts   Options
	stop   func()

	dead atomic.Bool // the process was killed; it only does not know
	deaf atomic.Bool // the API server answers no writes

	mu      sync.Mutex
	version int
}

// inWorld runs a test in virtual time. The cloud takes a second for a load balancer, half for a change, and ten
// milliseconds for an answer.
func inWorld(t *testing.T, change func(*cloudtest.MemoryOptions), test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		opts := cloudtest.MemoryOptions{
			Work: func(op cloudtest.Op) time.Duration {
				if op == cloudtest.OpCreateLoadBalancer || op == cloudtest.OpDeleteLoadBalancer {
					return 2 * time.Second
				}
				return 700 * time.Millisecond
			},
			Latency: func(cloudtest.Op) time.Duration { return 10 * time.Millisecond },
		}
		if change != nil {
			change(&opts)
		}
		w := &world{t: t, cloud: cloudtest.NewMemory(opts), client: fake.NewClientset(), events: &eventLog{}}
		w.client.PrependReactor("*", "services", w.serve)
		w.opts = Options{Cluster: testCluster}
		defer func() { w.halt() }()
		test(w)
	})
}

// start runs a controller on the world, as a new process would.
func (w *world) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(klog.NewContext(w.t.Context(), logr.Discard()))
	factory := informers.NewSharedInformerFactory(w.client, 0)
	opts := w.opts
	opts.Client, opts.Recorder = w.client, w.events
	if opts.Cloud == nil {
		opts.Cloud = w.cloud
	}
	opts.Services, opts.Nodes = factory.Core().V1().Services(), factory.Core().V1().Nodes()
	c, err := New(opts)
	if err != nil {
		w.t.Fatal(err)
	}
	factory.Start(ctx.Done())
	done := make(chan struct{})
	go func() { c.Run(ctx, 5); close(done) }()
	w.stop = func() { cancel(); <-done; factory.Shutdown() }
	synctest.Wait()
}

// halt ends the controller, as a SIGTERM would.
func (w *world) halt() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// serve does for Services what the API server does and the fake does not: versions, preconditions, finalizers.
func (w *world) serve(action clienttesting.Action) (bool, runtime.Object, error) {
	patch, ok := action.(clienttesting.PatchAction)
	if !ok {
		return false, nil, nil
	}
	if w.dead.Load() || w.deaf.Load() {
		return true, nil, apierrors.NewTimeoutError("no answer", 1)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	have, err := w.get(patch.GetName())
	if err != nil {
		return true, nil, err
	}
	var claim struct {
		Metadata struct {
			UID             types.UID
			ResourceVersion string
		}
	}
	if err := json.Unmarshal(patch.GetPatch(), &claim); err != nil {
		return true, nil, err
	}
	if claim.Metadata.UID != have.UID || claim.Metadata.ResourceVersion != "" && claim.Metadata.ResourceVersion != have.ResourceVersion {
		return true, nil, apierrors.NewConflict(servicesResource.GroupResource(), have.Name, fmt.Errorf("it changed"))
	}
	before, _ := json.Marshal(have)
	after, err := strategicpatch.StrategicMergePatch(before, patch.GetPatch(), corev1.Service{})
	if err != nil {
		return true, nil, err
	}
	var updated corev1.Service
	if err := json.Unmarshal(after, &updated); err != nil {
		return true, nil, err
	}
	return true, &updated, w.put(&updated)
}

func (w *world) get(name string) (*corev1.Service, error) {
	obj, err := w.client.Tracker().Get(servicesResource, "shop", name)
	if err != nil {
		return nil, err
	}
	return obj.(*corev1.Service), nil
}

func (w *world) put(s *corev1.Service) error {
	w.version++
	s.ResourceVersion = strconv.Itoa(w.version)
	if s.DeletionTimestamp != nil && len(s.Finalizers) == 0 {
		return w.client.Tracker().Delete(servicesResource, s.Namespace, s.Name)
	}
	return w.client.Tracker().Update(servicesResource, s, s.Namespace)
}

// service makes a Service of two ports.
func (w *world) service(name string, change func(*corev1.Service)) {
	w.t.Helper()
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Annotations: map[string]string{}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer,
			Ports: []corev1.ServicePort{
				{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, NodePort: 30080},
				{Name: "https", Protocol: corev1.ProtocolTCP, Port: 443, NodePort: 30443},
			},
		},
	}
	if change != nil {
		change(s)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.version++
	s.ResourceVersion = strconv.Itoa(w.version)
	if err := w.client.Tracker().Create(servicesResource, s, s.Namespace); err != nil {
		w.t.Fatal(err)
	}
}

// edit changes a Service as a user does.
func (w *world) edit(name string, change func(*corev1.Service)) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	s, err := w.get(name)
	if err != nil {
		w.t.Fatal(err)
	}
	s = s.DeepCopy()
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	change(s)
	if err := w.put(s); err != nil {
		w.t.Fatal(err)
	}
}

// deleteService does what kubectl delete does.
func (w *world) deleteService(name string) {
	w.t.Helper()
	w.edit(name, func(s *corev1.Service) {
		now := metav1.Now()
		s.DeletionTimestamp = &now
	})
}

// nodes makes nodes n1 ... nN; none has a providerID.
func (w *world) nodes(count int) {
	w.t.Helper()
	for i := 1; i <= count; i++ {
		w.node(fmt.Sprintf("n%d", i), fmt.Sprintf("10.200.0.1%d", i), nil)
	}
}

func (w *world) node(name, address string, labels map[string]string) {
	w.t.Helper()
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}}},
	}
	if _, err := w.client.CoreV1().Nodes().Create(w.t.Context(), n, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// address is what the Service's status says.
func (w *world) address(name string) string {
	w.t.Helper()
	s, err := w.get(name)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(s.Status.LoadBalancer.Ingress) == 0 {
		return ""
	}
	return s.Status.LoadBalancer.Ingress[0].IP
}

func (w *world) exists(name string) bool {
	_, err := w.get(name)
	return err == nil
}

// calls are the calls since the last reset, without the polls for which the observer's own rule holds.
func (w *world) calls() (steps, polls int) {
	polls = w.cloud.Count(cloudtest.OpGetLoadBalancerState, cloudtest.OpGetLoadBalancerParts)
	return w.cloud.Count() - polls, polls
}

// served asserts that exactly one load balancer and one floating IP serve the Service, as its status says.
func (w *world) served(name string, members int) {
	w.t.Helper()
	s, err := w.get(name)
	if err != nil {
		w.t.Fatal(err)
	}
	var found []string
	for _, lb := range w.cloud.LoadBalancers() {
		if loadbalancer.ServiceOf(lb) != string(s.UID) {
			continue
		}
		found = append(found, lb.ID)
		if len(lb.Listeners) != len(s.Spec.Ports) || len(lb.Pools) != len(s.Spec.Ports) {
			w.t.Errorf("%d listeners, %d pools for %d ports", len(lb.Listeners), len(lb.Pools), len(s.Spec.Ports))
		}
		for _, p := range lb.Pools {
			if len(p.Members) != members || p.Monitor == nil {
				w.t.Errorf("pool %s: %d members, monitor %v; want %d and one", p.Name, len(p.Members), p.Monitor, members)
			}
		}
		fips := 0
		for _, f := range w.cloud.FloatingIPs() {
			if f.PortID == lb.VIPPortID {
				fips++
				if got := w.address(name); got != f.Address {
					w.t.Errorf("status says %q, the floating IP is %s", got, f.Address)
				}
			}
		}
		if fips != 1 {
			w.t.Errorf("%d floating IPs at the load balancer", fips)
		}
	}
	if len(found) != 1 {
		w.t.Errorf("load balancers of the Service: %v", found)
	}
	owned := 0
	for _, f := range w.cloud.FloatingIPs() {
		if f.Description == (loadbalancer.Identity{Cluster: testCluster, Service: string(s.UID)}).FloatingIPDescription() {
			owned++
		}
	}
	if owned > 1 {
		w.t.Errorf("%d floating IPs of the Service", owned)
	}
}

// empty asserts that nothing is left in the cloud.
func (w *world) empty() {
	w.t.Helper()
	if lbs := w.cloud.LoadBalancers(); len(lbs) > 0 {
		w.t.Errorf("load balancers left: %v", lbs)
	}
	if fips := w.cloud.FloatingIPs(); len(fips) > 0 {
		w.t.Errorf("floating IPs left: %v", fips)
	}
}

// eventLog is a recorder that remembers.
type eventLog struct {
	mu    sync.Mutex
	lines []string
}

var _ record.EventRecorder = (*eventLog)(nil)

func (e *eventLog) Event(_ runtime.Object, kind, reason, message string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines = append(e.lines, kind+" "+reason+" "+message)
}

func (e *eventLog) Eventf(obj runtime.Object, kind, reason, format string, args ...any) {
	e.Event(obj, kind, reason, fmt.Sprintf(format, args...))
}

func (e *eventLog) AnnotatedEventf(obj runtime.Object, _ map[string]string, kind, reason, format string, args ...any) {
	e.Eventf(obj, kind, reason, format, args...)
}

// take returns the events since the last take.
func (e *eventLog) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	lines := e.lines
	e.lines = nil
	return lines
}

// reasons are the reasons of the events since the last take.
func (e *eventLog) reasons() string {
	var out []string
	for _, line := range e.take() {
		out = append(out, strings.Fields(line)[1])
	}
	return strings.Join(out, " ")
}
