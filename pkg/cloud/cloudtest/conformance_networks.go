package cloudtest

import (
	"slices"
	"testing"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

var instanceCases = map[string]func(*testing.T, *suite){
	"an instance is read as it is": func(t *testing.T, s *suite) {
		for _, id := range s.Instances {
			var i cloud.Instance
			var err error
			s.costs(t, "get", 1, func() { i, err = s.Cloud.GetInstance(t.Context(), id) })
			if err != nil {
				t.Fatal(err)
			}
			if i.ID != id || i.Name == "" || i.State != cloud.InstanceRunning || i.RawState == "" || i.Zone == "" || i.Flavor == "" || i.Region != s.Cloud.Region() {
				t.Errorf("got %+v", i)
			}
			if !slices.ContainsFunc(i.Addresses, func(a cloud.Address) bool { return a.Kind == cloud.AddressInternal && a.IP != "" && a.Network != "" }) {
				t.Errorf("addresses %+v", i.Addresses)
			}
		}
	},
	"the list has all instances": func(t *testing.T, s *suite) {
		var list []cloud.Instance
		var err error
		s.costs(t, "list", 1, func() { list, err = s.Cloud.ListInstances(t.Context()) })
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range s.Instances {
			i := slices.IndexFunc(list, func(i cloud.Instance) bool { return i.ID == id })
			if i < 0 || list[i].State != cloud.InstanceRunning || list[i].Flavor == "" || len(list[i].Addresses) == 0 {
				t.Errorf("%s is missing or incomplete in %+v", id, list)
			}
		}
	},
	"an instance that does not exist is not found": func(t *testing.T, s *suite) {
		_, err := s.Cloud.GetInstance(t.Context(), absent)
		fails(t, "get", err, cloud.ErrNotFound)
	},
}

var networkCases = map[string]func(*testing.T, *suite){
	"networks are found by their properties":      networksFound,
	"a floating IP carries its identity":          floatingIPIdentity,
	"a floating IP points at one port at a time":  floatingIPPort,
	"bad wishes for a floating IP create nothing": floatingIPInvalid,
}

func networksFound(t *testing.T, s *suite) {
	ctx := t.Context()
	external, err := s.Cloud.ListNetworks(ctx, cloud.NetworkFilter{External: true})
	if err != nil || !slices.ContainsFunc(external, func(n cloud.Network) bool { return n.ID == s.ExternalNetworkID && n.External && n.Name != "" }) ||
		slices.ContainsFunc(external, func(n cloud.Network) bool { return !n.External }) {
		t.Fatalf("external networks %+v, %v", external, err)
	}
	subnets, err := s.Cloud.ListSubnets(ctx, "")
	i := slices.IndexFunc(subnets, func(n cloud.Subnet) bool { return n.ID == s.SubnetID })
	if err != nil || i < 0 || subnets[i].CIDR == "" || subnets[i].IPVersion == 0 {
		t.Fatalf("subnets %+v, %v", subnets, err)
	}
	networkID := subnets[i].NetworkID
	of, err := s.Cloud.ListSubnets(ctx, networkID)
	if err != nil || !slices.Contains(of, subnets[i]) || slices.ContainsFunc(of, func(n cloud.Subnet) bool { return n.NetworkID != networkID }) {
		t.Errorf("subnets of %s: %+v, %v", networkID, of, err)
	}
	byID, err := s.Cloud.ListNetworks(ctx, cloud.NetworkFilter{ID: networkID})
	if err != nil || len(byID) != 1 || byID[0].ID != networkID || byID[0].External || !slices.Contains(byID[0].SubnetIDs, s.SubnetID) {
		t.Fatalf("by id: %+v, %v", byID, err)
	}
	byName, err := s.Cloud.ListNetworks(ctx, cloud.NetworkFilter{Name: byID[0].Name})
	if err != nil || !slices.ContainsFunc(byName, func(n cloud.Network) bool { return n.ID == networkID }) {
		t.Errorf("by name: %+v, %v", byName, err)
	}
	none, err := s.Cloud.ListNetworks(ctx, cloud.NetworkFilter{Name: s.identity})
	if err != nil || len(none) != 0 {
		t.Errorf("by an unknown name: %+v, %v", none, err)
	}
}

// floatingIP makes an address that is removed with the test.
func (s *suite) floatingIP(t *testing.T, portID, description string) cloud.FloatingIP {
	t.Helper()
	f, err := s.Cloud.CreateFloatingIP(t.Context(), cloud.FloatingIPSpec{NetworkID: s.ExternalNetworkID, PortID: portID, Description: description})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.gone(t, "floating IP "+f.ID, func() error { return s.Cloud.DeleteFloatingIP(cleanup(t), f.ID) })
	})
	return f
}

func floatingIPIdentity(t *testing.T, s *suite) {
	ctx := t.Context()
	description := "fairlead/" + s.identity + "/floatingip/one"
	f := s.floatingIP(t, "", description)
	if f.Address == "" || f.NetworkID != s.ExternalNetworkID || f.PortID != "" || f.Description != description {
		t.Errorf("got %+v", f)
	}
	s.floatingIP(t, "", description+"-other")
	var list []cloud.FloatingIP
	var err error
	s.costs(t, "list", 1, func() { list, err = s.Cloud.ListFloatingIPs(ctx, cloud.FloatingIPFilter{Description: description}) })
	if err != nil || len(list) != 1 || list[0] != f {
		t.Errorf("by description: %+v, %v", list, err)
	}
	if err := s.Cloud.DeleteFloatingIP(ctx, f.ID); err != nil {
		t.Fatal(err)
	}
	fails(t, "delete again", s.Cloud.DeleteFloatingIP(ctx, f.ID), cloud.ErrNotFound)
	fails(t, "associate what is gone", s.Cloud.AssociateFloatingIP(ctx, f.ID, ""), cloud.ErrNotFound)
}

func floatingIPPort(t *testing.T, s *suite) {
	ctx := t.Context()
	lb := s.balancer(t, nil)
	var f cloud.FloatingIP
	s.costs(t, "create with a port", 1, func() { f = s.floatingIP(t, lb.VIPPortID, s.identity) })
	if f.PortID != lb.VIPPortID {
		t.Errorf("got %+v", f)
	}
	list, err := s.Cloud.ListFloatingIPs(ctx, cloud.FloatingIPFilter{PortID: lb.VIPPortID})
	if err != nil || len(list) != 1 || list[0].ID != f.ID || list[0].Address != f.Address {
		t.Errorf("by port: %+v, %v", list, err)
	}
	_, err = s.Cloud.CreateFloatingIP(ctx, cloud.FloatingIPSpec{NetworkID: s.ExternalNetworkID, PortID: lb.VIPPortID, Description: s.identity})
	fails(t, "a second one at the port", err, cloud.ErrConflict)
	other := s.floatingIP(t, "", s.identity)
	fails(t, "associate a second one", s.Cloud.AssociateFloatingIP(ctx, other.ID, lb.VIPPortID), cloud.ErrConflict)
	fails(t, "associate with no port", s.Cloud.AssociateFloatingIP(ctx, other.ID, absent), cloud.ErrNotFound)
	for _, portID := range []string{"", lb.VIPPortID} {
		if err := s.Cloud.AssociateFloatingIP(ctx, f.ID, portID); err != nil {
			t.Fatal(err)
		}
		if got := s.readFloatingIP(t, f.ID); got.PortID != portID || got.Address != f.Address {
			t.Errorf("associated with %q: %+v", portID, got)
		}
	}
	if err := s.Cloud.DeleteLoadBalancer(ctx, lb.ID); err != nil {
		t.Fatal(err)
	}
	s.eventually(t, "the address to outlive its port", func() bool { return s.readFloatingIP(t, f.ID).PortID == "" })
}

func (s *suite) readFloatingIP(t *testing.T, id string) cloud.FloatingIP {
	t.Helper()
	list, err := s.Cloud.ListFloatingIPs(t.Context(), cloud.FloatingIPFilter{Description: s.identity})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(f cloud.FloatingIP) bool { return f.ID == id })
	if i < 0 {
		t.Fatalf("floating IP %s is not in %+v", id, list)
	}
	return list[i]
}

func floatingIPInvalid(t *testing.T, s *suite) {
	ctx := t.Context()
	subnets, err := s.Cloud.ListSubnets(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	private := subnets[slices.IndexFunc(subnets, func(n cloud.Subnet) bool { return n.ID == s.SubnetID })].NetworkID
	for name, spec := range map[string]cloud.FloatingIPSpec{
		"an unknown network":  {NetworkID: absent},
		"an internal network": {NetworkID: private},
		"an unknown subnet":   {NetworkID: s.ExternalNetworkID, SubnetID: absent},
		"an unknown port":     {NetworkID: s.ExternalNetworkID, PortID: absent},
	} {
		spec.Description = s.identity + "-invalid"
		_, err := s.Cloud.CreateFloatingIP(ctx, spec)
		fails(t, name, err, cloud.ErrInvalid)
	}
	list, err := s.Cloud.ListFloatingIPs(ctx, cloud.FloatingIPFilter{Description: s.identity + "-invalid"})
	if err != nil || len(list) != 0 {
		t.Errorf("left over: %+v, %v", list, err)
	}
}
