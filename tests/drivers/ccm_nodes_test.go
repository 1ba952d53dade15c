package drivers

import (
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	corev1 "k8s.io/api/core/v1"

	"github.com/fairlead-io/fairlead/tests/openstack"
)

// join makes the servers' Nodes and waits until they are initialised.
func (c *ccm) join(t *testing.T) {
	t.Helper()
	for _, s := range c.servers {
		c.cluster.addNode(t, s.Name, s.Address)
	}
	for _, s := range c.servers {
		eventually(t, settleTime, "node "+s.Name+" is initialised", func() bool { return !tainted(c.cluster.node(t, s.Name), uninitialized) })
	}
}

// nodesTellTheTruth follows a Node from its first moment to the end of its server.
func nodesTellTheTruth(t *testing.T, c *ccm) {
	c.join(t)
	for _, s := range c.servers {
		n := c.cluster.node(t, s.Name)
		if want := "openstack:///" + s.ID; n.Spec.ProviderID != want {
			t.Errorf("node %s: providerID %q, want %q", s.Name, n.Spec.ProviderID, want)
		}
		for label, want := range map[string]string{
			corev1.LabelTopologyZone: s.Zone, corev1.LabelTopologyRegion: "RegionOne", corev1.LabelInstanceTypeStable: "m1.tiny",
		} {
			if got := n.Labels[label]; got != want {
				t.Errorf("node %s: label %s is %q, want %q", s.Name, label, got, want)
			}
		}
		var internal []string
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP {
				internal = append(internal, a.Address)
			}
		}
		if len(internal) != 1 || internal[0] != s.Address {
			t.Errorf("node %s: addresses %v, want %s", s.Name, n.Status.Addresses, s.Address)
		}
	}

	spare := c.servers[len(c.servers)-1]
	if err := servers.Stop(t.Context(), c.compute, spare.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.cluster.silence(t, spare.Name)
	eventually(t, settleTime, "the Node of a stopped server is tainted", func() bool {
		return tainted(c.cluster.node(t, spare.Name), "node.cloudprovider.kubernetes.io/shutdown")
	})
	mark, err := openstack.Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := servers.Delete(t.Context(), c.compute, spare.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Minute, "the Node of a deleted server goes", func() bool { return c.cluster.node(t, spare.Name) == nil })
	confirmed := 0
	for _, call := range c.calls(t, mark) {
		if call.Service == "nova" && call.Path == "/v2.1/servers/"+spare.ID && call.Status == 404 {
			confirmed++
		}
	}
	if confirmed == 0 {
		t.Error("the Node was deleted without a look at its very server")
	}
	c.servers = c.servers[:len(c.servers)-1]
	for _, s := range c.servers {
		if c.cluster.node(t, s.Name) == nil {
			t.Errorf("the Node of server %s is gone too", s.Name)
		}
	}
}

func tainted(n *corev1.Node, key string) bool {
	for _, taint := range n.Spec.Taints {
		if taint.Key == key {
			return true
		}
	}
	return false
}
