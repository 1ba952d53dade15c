package conformance

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"

	"github.com/fairlead-io/fairlead/pkg/ccm/service"
	fairstack "github.com/fairlead-io/fairlead/pkg/cloud/openstack"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

// TestAServiceIsServedByACloudThatLeavesPartsUnfinished runs the Service controller on the embedded cloud with the defect of
// Octavia 11.0.0: the parts that are created with a load balancer stay PENDING_CREATE, and nothing is served.
func TestAServiceIsServedByACloudThatLeavesPartsUnfinished(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the embedded cloud's data plane needs root")
	}
	dev := startDevcloud(t)
	if _, err := dev.Core.Faults.Add(api.Fault{Operation: api.PopulateOperation}); err != nil {
		t.Fatal(err)
	}
	c := open(t, dev.URL)
	client, events := controllerOn(t, c)
	backend := echo(t, "127.87.0.11:0")

	for _, name := range []string{"first", "second"} {
		_, err := client.CoreV1().Services("default").Create(t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name)},
			Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{
				{Port: 80, NodePort: int32(backend.Port)}, {Port: 81, NodePort: int32(backend.Port)}, //nolint:gosec // a port
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var address string
		deadline := time.Now().Add(time.Minute)
		for address == "" || !answers(t, address+":80") || !answers(t, address+":81") {
			if time.Now().After(deadline) {
				t.Fatalf("Service %s is not served at %q; events: %s", name, address, told(events))
			}
			time.Sleep(100 * time.Millisecond)
			s, err := client.CoreV1().Services("default").Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Status.LoadBalancer.Ingress) > 0 {
				address = s.Status.LoadBalancer.Ingress[0].IP
			}
		}
		text := told(events)
		if got := strings.Contains(text, "LoadBalancerPartsUnfinished"); got != (name == "first") {
			t.Errorf("Service %s: the defect was told: %t; events: %s", name, got, text)
		}
	}
	all, err := c.ListLoadBalancers(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	for _, lb := range all {
		tree, err := c.GetLoadBalancer(t.Context(), lb.ID)
		if parts := loadbalancer.Unfinished(tree); err != nil || len(parts) > 0 {
			t.Errorf("load balancer %s: unfinished are %v, %v", lb.ID, parts, err)
		}
	}
}

// controllerOn runs the Service controller between a fake API server, with one Node, and a cloud.
func controllerOn(t *testing.T, c *fairstack.Cloud) (*fake.Clientset, *record.FakeRecorder) {
	t.Helper()
	client := fake.NewClientset(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n1"},
		Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.87.0.11"}}},
	})
	events := record.NewFakeRecorder(100)
	factory := informers.NewSharedInformerFactory(client, 0)
	controller, err := service.New(service.Options{
		Client: client, Recorder: events, Cloud: c, Cluster: "conformance",
		Services: factory.Core().V1().Services(), Nodes: factory.Core().V1().Nodes(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	factory.Start(ctx.Done())
	ended := make(chan struct{})
	go func() { controller.Run(ctx, 2); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended; factory.Shutdown() })
	return client, events
}

// told are the events since the last call.
func told(events *record.FakeRecorder) string {
	var all []string
	for {
		select {
		case e := <-events.Events:
			all = append(all, e)
		default:
			return strings.Join(all, "\n")
		}
	}
}

// echo listens and closes what connects: that is an answer.
func echo(t *testing.T, address string) *net.TCPAddr {
	t.Helper()
	listener, err := net.Listen("tcp", address) //nolint:noctx // it does not wait
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("served"))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	return listener.Addr().(*net.TCPAddr)
}

// answers reports whether the backend is reached.
func answers(t *testing.T, address string) bool {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	text := make([]byte, len("served"))
	n, _ := conn.Read(text)
	return slices.Equal(text[:n], []byte("served"))
}
