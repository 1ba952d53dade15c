package ccm

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cloudprovider "k8s.io/cloud-provider"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
)

func node(name, providerID string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: providerID}}
}

func instance(id, name string, state cloud.InstanceState) cloud.Instance {
	return cloud.Instance{
		ID: id, Name: name, State: state, Flavor: "m1.small", Zone: "az1",
		Addresses: []cloud.Address{
			{Kind: cloud.AddressExternal, Network: "net", IP: "172.30.0.5"},
			{Kind: cloud.AddressInternal, Network: "net", IP: "10.200.0.11"},
		},
	}
}

func provider(instances ...cloud.Instance) (*cloudtest.Memory, cloudprovider.InstancesV2) {
	m := cloudtest.NewMemory(cloudtest.MemoryOptions{Region: "north", Instances: instances})
	v2, _ := NewProvider(m, m.Region()).InstancesV2()
	return m, v2
}

func TestInstanceMetadataTellsWhatTheCloudKnows(t *testing.T) {
	_, v2 := provider(instance("id-1", "n1", cloud.InstanceRunning))
	want := &cloudprovider.InstanceMetadata{
		ProviderID: "openstack:///id-1", InstanceType: "m1.small", Zone: "az1", Region: "north",
		NodeAddresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: "10.200.0.11"}, {Type: corev1.NodeExternalIP, Address: "172.30.0.5"},
		},
	}
	for _, n := range []*corev1.Node{node("n1", ""), node("N1", ""), node("other-name", "openstack:///id-1")} {
		got, err := v2.InstanceMetadata(context.Background(), n)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("node %s: %s", n.Name, diff)
		}
	}
	got, err := v2.InstanceMetadata(context.Background(), node("n1", "openstack://north/id-1"))
	if err != nil || got.ProviderID != "openstack://north/id-1" {
		t.Errorf("a providerID with a region must stay as it is: %v, %v", got, err)
	}
}

func TestInstanceExists(t *testing.T) {
	_, v2 := provider(instance("id-1", "n1", cloud.InstanceRunning), instance("id-2", "n2", cloud.InstanceStopped),
		instance("id-3", "twin", cloud.InstanceRunning), instance("id-4", "twin", cloud.InstanceRunning),
		instance("id-5", "dead", cloud.InstanceDeleted))
	cases := []struct {
		name   string
		node   *corev1.Node
		exists bool
		fails  bool
	}{
		{"a running instance exists", node("n1", "openstack:///id-1"), true, false},
		{"a stopped instance exists", node("n2", "openstack:///id-2"), true, false},
		{"an instance that the cloud answers not-found for is gone", node("x", "openstack:///id-9"), false, false},
		{"an instance that the cloud shows as deleted is gone", node("dead", "openstack:///id-5"), false, false},
		{"without a providerID a node is found by name", node("n1", ""), true, false},
		{"without a providerID an absent name proves nothing", node("n9", ""), false, true},
		{"of two instances with one name none is taken", node("twin", ""), false, true},
		{"another cloud's node is left alone", node("x", "kind://docker/x"), false, true},
		{"another region's node is left alone", node("x", "openstack://south/id-9"), false, true},
		{"a providerID without an id proves nothing", node("x", "openstack:///"), false, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			exists, err := v2.InstanceExists(context.Background(), c.node)
			if exists != c.exists || (err != nil) != c.fails {
				t.Errorf("%v, %v", exists, err)
			}
		})
	}
}

func TestTransientFailureNeverSaysThatAnInstanceIsGone(t *testing.T) {
	m, v2 := provider(instance("id-1", "n1", cloud.InstanceRunning))
	for _, op := range []cloudtest.Op{cloudtest.OpListInstances, cloudtest.OpGetInstance} {
		m.FailNext(op, 1, cloudtest.Before, cloud.ErrUnavailable)
		if exists, err := v2.InstanceExists(context.Background(), node("x", "openstack:///not-listed")); err == nil {
			t.Errorf("%s failed and the answer was %v", op, exists)
		}
	}
}

func TestListThatLacksAnInstanceIsNoProof(t *testing.T) {
	m, v2 := provider()
	if _, err := v2.InstanceMetadata(context.Background(), node("x", "")); !errors.Is(err, cloudprovider.InstanceNotFound) {
		t.Fatal(err)
	}
	m.PutInstance(instance("id-1", "n1", cloud.InstanceRunning)) // after the list was read
	if exists, err := v2.InstanceExists(context.Background(), node("n1", "openstack:///id-1")); !exists || err != nil {
		t.Errorf("%v, %v", exists, err)
	}
	if got := m.Count(cloudtest.OpGetInstance); got != 1 {
		t.Errorf("%d confirming calls", got)
	}
}

func TestShutdownIsWhenTheInstanceIsStopped(t *testing.T) {
	_, v2 := provider(instance("id-1", "n1", cloud.InstanceRunning), instance("id-2", "n2", cloud.InstanceStopped))
	for id, want := range map[string]bool{"id-1": false, "id-2": true} {
		if got, err := v2.InstanceShutdown(context.Background(), node("x", "openstack:///"+id)); got != want || err != nil {
			t.Errorf("%s: %v, %v", id, got, err)
		}
	}
}

func TestRefreshOfAllNodesIsOneList(t *testing.T) {
	var all []cloud.Instance
	for i := range 100 {
		all = append(all, instance(fmt.Sprintf("id-%d", i), fmt.Sprintf("n%d", i), cloud.InstanceRunning))
	}
	m, v2 := provider(all...)
	for i := range 100 {
		n := node(fmt.Sprintf("n%d", i), fmt.Sprintf("openstack:///id-%d", i))
		if _, err := v2.InstanceMetadata(context.Background(), n); err != nil {
			t.Fatal(err)
		}
		// What the library asks about a NotReady node every five seconds.
		if exists, err := v2.InstanceExists(context.Background(), n); !exists || err != nil {
			t.Fatal(err)
		}
		if _, err := v2.InstanceShutdown(context.Background(), n); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.Count(); got != 1 {
		t.Errorf("%d calls: %v", got, m.Calls())
	}
}
