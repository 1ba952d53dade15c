package openstack

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

func TestNetworksAndSubnets(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET /network/v2.0/networks", sample(t, "neutron-external-networks"))
	f.on("GET /network/v2.0/subnets", answer(200, `{"subnets":[{"id":"s1","name":"k8s","network_id":"n1","cidr":"10.6.0.0/24","ip_version":4}]}`))
	c := connect(t, f)
	nets, err := c.ListNetworks(t.Context(), cloud.NetworkFilter{External: true, Name: "public"})
	want := []cloud.Network{{ID: "e001a20a-5a1d-4be8-81c5-1b1286e8ccb3", Name: "public", External: true, SubnetIDs: []string{"56e98319-80ff-4a18-9f2e-8beac44b701d"}}}
	if err != nil || !cmp.Equal(want, nets) {
		t.Errorf("got %+v, %v", nets, err)
	}
	if q, _ := url.ParseQuery(f.last().query); q.Get("router:external") != "true" || q.Get("name") != "public" || q.Has("id") {
		t.Errorf("query %v", q)
	}
	subnets, err := c.ListSubnets(t.Context(), "n1")
	if err != nil || len(subnets) != 1 || subnets[0] != (cloud.Subnet{ID: "s1", Name: "k8s", NetworkID: "n1", CIDR: "10.6.0.0/24", IPVersion: 4}) {
		t.Errorf("got %+v, %v", subnets, err)
	}
	if f.last().query != "network_id=n1" {
		t.Errorf("query %s", f.last().query)
	}
}

func TestFloatingIPs(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET /network/v2.0/floatingips", sample(t, "neutron-fip-by-port"))
	f.on("POST /network/v2.0/floatingips", sample(t, "neutron-fip-create-with-port"))
	f.on("PUT /network/v2.0/floatingips/f1", answer(200, `{"floatingip":{}}`))
	f.on("DELETE /network/v2.0/floatingips/f1", answer(204, ""))
	c := connect(t, f)

	list, err := c.ListFloatingIPs(t.Context(), cloud.FloatingIPFilter{PortID: "p1", Description: "fairlead/u1/floatingip/s1"})
	if err != nil || len(list) != 1 || list[0].Address != "172.24.4.126" || list[0].PortID != "43b67b90-4987-458b-99c8-a24e1a1d52c1" {
		t.Errorf("got %+v, %v", list, err)
	}
	if q, _ := url.ParseQuery(f.last().query); q.Get("port_id") != "p1" || q.Get("description") != "fairlead/u1/floatingip/s1" || q.Get("project_id") != project {
		t.Errorf("query %v", q)
	}
	if _, err := c.CreateFloatingIP(t.Context(), cloud.FloatingIPSpec{NetworkID: "n1", PortID: "p1", Description: "d"}); err != nil {
		t.Error(err)
	}
	if body := f.last().body; !sameJSON(t, body, `{"floatingip":{"floating_network_id":"n1","port_id":"p1","description":"d"}}`) {
		t.Errorf("sent %s", body)
	}
	for port, want := range map[string]string{"p2": `{"floatingip":{"port_id":"p2"}}`, "": `{"floatingip":{"port_id":null}}`} {
		if err := c.AssociateFloatingIP(t.Context(), "f1", port); err != nil {
			t.Error(err)
		}
		if body := f.last().body; !sameJSON(t, body, want) {
			t.Errorf("sent %s", body)
		}
	}
	if err := c.DeleteFloatingIP(t.Context(), "f1"); err != nil {
		t.Error(err)
	}
}
