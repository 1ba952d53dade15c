package network

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

func TestPortAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	a := w.port(PortSpec{})
	b := w.port(PortSpec{})
	if got := []netip.Addr{a.FixedIPs[0].Address, b.FixedIPs[0].Address}; got[0] != ip("10.200.0.100") || got[1] != ip("10.200.0.101") {
		t.Fatalf("ports got %v, want the lowest free addresses", got)
	}
	w.do(func(tx *engine.Tx) error { return w.s.DeletePort(tx, a.ID) })
	if c := w.port(PortSpec{}); c.FixedIPs[0].Address != ip("10.200.0.100") {
		t.Errorf("a freed address is not used again: %v", c.FixedIPs)
	}
	fixed := w.port(PortSpec{FixedIPs: []FixedIP{{w.subnet.ID, ip("10.200.0.11")}}})
	if fixed.FixedIPs[0].Address != ip("10.200.0.11") {
		t.Errorf("an address outside the pool but in the subnet was not given: %v", fixed.FixedIPs)
	}
	if none := w.port(PortSpec{FixedIPs: []FixedIP{}}); len(none.FixedIPs) != 0 {
		t.Errorf("a port without addresses got %v", none.FixedIPs)
	}
	create := func(ips ...FixedIP) func(tx *engine.Tx) error {
		return func(tx *engine.Tx) error {
			_, err := w.s.CreatePort(tx, PortSpec{ProjectID: project, NetworkID: w.lab.ID, FixedIPs: ips})
			return err
		}
	}
	tests := []struct {
		name   string
		reason engine.Reason
		typ    string
		ips    []FixedIP
	}{
		{"an address in use is a conflict", engine.Conflict, "IpAddressAlreadyAllocated", []FixedIP{{w.subnet.ID, ip("10.200.0.11")}}},
		{"the router's address is in use, too", engine.Conflict, "IpAddressAlreadyAllocated", []FixedIP{{w.subnet.ID, ip("10.200.0.1")}}},
		{"an address of another subnet is invalid", engine.Invalid, "InvalidIpForSubnet", []FixedIP{{w.subnet.ID, ip("1.2.3.4")}}},
		{"an address of no subnet is invalid", engine.Invalid, "InvalidIpForNetwork", []FixedIP{{"", ip("1.2.3.4")}}},
		{"a subnet that is not there is not found", engine.NotFound, "SubnetNotFound", []FixedIP{{"nope", netip.Addr{}}}},
		{"the same address twice is a conflict", engine.Conflict, "IpAddressAlreadyAllocated",
			[]FixedIP{{w.subnet.ID, ip("10.200.0.20")}, {w.subnet.ID, ip("10.200.0.20")}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := *w
			w.t = t
			w.refused(tt.reason, tt.typ, create(tt.ips...))
		})
	}
	w.port(PortSpec{})
	w.refused(engine.Conflict, "IpAddressGenerationFailure", func(tx *engine.Tx) error {
		_, err := w.s.CreatePort(tx, PortSpec{ProjectID: project, NetworkID: w.lab.ID})
		return err
	})
}

func TestDefaultPools(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, cidr, gateway string
		want                []string
	}{
		{"the gateway at the start is left out", "10.0.0.0/29", "10.0.0.1", []string{"10.0.0.2-10.0.0.6"}},
		{"the gateway at the end is left out", "10.0.0.0/29", "10.0.0.6", []string{"10.0.0.1-10.0.0.5"}},
		{"a gateway in the middle makes two pools", "10.0.0.0/29", "10.0.0.3", []string{"10.0.0.1-10.0.0.2", "10.0.0.4-10.0.0.6"}},
		{"no gateway leaves all", "10.0.0.0/29", "", []string{"10.0.0.1-10.0.0.6"}},
		{"a point-to-point net uses both ends", "10.0.0.0/31", "", []string{"10.0.0.0-10.0.0.1"}},
		{"IPv6 has no broadcast address", "fd00::/126", "fd00::1", []string{"fd00::2-fd00::3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var gateway netip.Addr
			if tt.gateway != "" {
				gateway = ip(tt.gateway)
			}
			var got []string
			for _, p := range defaultPools(netip.MustParsePrefix(tt.cidr), gateway) {
				got = append(got, p.Start.String()+"-"+p.End.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFloatingIPs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	var changed []string
	w.s.WatchPort(func(_ *engine.Tx, id string) error {
		changed = append(changed, id)
		return nil
	})
	p := w.port(PortSpec{})
	q := w.port(PortSpec{FixedIPs: []FixedIP{{w.subnet.ID, ip("10.200.0.101")}, {w.subnet.ID, ip("10.200.0.50")}}})
	f := w.float(p.ID)
	if f.Address != ip("172.30.0.11") || f.FixedIP != p.FixedIPs[0].Address || f.Status() != "ACTIVE" || f.RouterID != w.router.ID {
		t.Errorf("associated floating IP: %+v (the router's gateway has 172.30.0.10)", f)
	}
	w.refused(engine.Conflict, "FloatingIPPortAlreadyAssociated", func(tx *engine.Tx) error {
		_, err := w.s.CreateFloatingIP(tx, FloatingIPSpec{ProjectID: project, NetworkID: w.public.ID, PortID: p.ID})
		return err
	})
	w.refused(engine.NotFound, "PortNotFound", func(tx *engine.Tx) error {
		_, err := w.s.CreateFloatingIP(tx, FloatingIPSpec{ProjectID: "other", NetworkID: w.public.ID, PortID: p.ID})
		return err
	})
	w.refused(engine.Invalid, "BadRequest", func(tx *engine.Tx) error {
		_, err := w.s.CreateFloatingIP(tx, FloatingIPSpec{ProjectID: project, NetworkID: w.lab.ID})
		return err
	})
	island := w.port(PortSpec{NetworkID: w.island.ID})
	w.refused(engine.NotFound, "ExternalGatewayForFloatingIPNotFound", func(tx *engine.Tx) error {
		_, err := w.s.UpdateFloatingIP(tx, f.ID, Naming{}, &Association{PortID: island.ID})
		return err
	})
	changed = nil
	w.do(func(tx *engine.Tx) error {
		_, err := w.s.UpdateFloatingIP(tx, f.ID, Naming{}, &Association{PortID: q.ID})
		return err
	})
	if diff := cmp.Diff([]string{p.ID, q.ID}, changed); diff != "" {
		t.Errorf("a move concerns both ports (-want +got):\n%s", diff)
	}
	changed = nil
	description := "mine"
	w.do(func(tx *engine.Tx) error {
		_, err := w.s.UpdateFloatingIP(tx, f.ID, Naming{Description: &description}, nil)
		return err
	})
	if changed != nil {
		t.Errorf("a new description concerned %v", changed)
	}
	w.do(func(tx *engine.Tx) error {
		_, err := w.s.UpdateFloatingIP(tx, f.ID, Naming{}, &Association{PortID: q.ID, FixedIP: q.FixedIPs[1].Address})
		return err
	})
	if diff := cmp.Diff([]string{q.ID}, changed); diff != "" {
		t.Errorf("a move to another address of the port concerns it once (-want +got):\n%s", diff)
	}
	changed = nil
	w.do(func(tx *engine.Tx) error { return w.s.DeletePort(tx, q.ID) })
	w.do(func(tx *engine.Tx) error {
		f, err := w.s.FloatingIP(tx, f.ID)
		if f.PortID != "" || f.Status() != "DOWN" || f.FixedIP.IsValid() || f.Revision != 4 {
			t.Errorf("after its port was deleted: %+v", f)
		}
		return err
	})
	if diff := cmp.Diff([]string{q.ID}, changed); diff != "" {
		t.Errorf("a deleted port is told (-want +got):\n%s", diff)
	}
	w.float("")
	w.refused(engine.Conflict, "IpAddressGenerationFailure", func(tx *engine.Tx) error {
		_, err := w.s.CreateFloatingIP(tx, FloatingIPSpec{ProjectID: project, NetworkID: w.public.ID})
		return err
	})
	w.do(func(tx *engine.Tx) error { return w.s.DeleteFloatingIP(tx, f.ID) })
	w.refused(engine.NotFound, "FloatingIPNotFound", func(tx *engine.Tx) error { return w.s.DeleteFloatingIP(tx, f.ID) })
}

func TestWhatIsUsedCannotBeRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	p := w.port(PortSpec{})
	w.float(p.ID)
	var group SecurityGroup
	w.do(func(tx *engine.Tx) (err error) {
		if group, err = w.s.CreateGroup(tx, project, "lb", ""); err != nil {
			return err
		}
		_, err = w.s.UpdatePort(tx, p.ID, PortChange{SecurityGroups: &[]string{group.ID}})
		return err
	})
	var gatewayPort, interfacePort string
	w.do(func(tx *engine.Tx) error {
		gatewayPort = w.router.GatewayPortID
		interfacePort = w.s.Interfaces(tx, w.router.ID)[0].ID
		return nil
	})
	tests := []struct {
		name, typ string
		remove    func(tx *engine.Tx) error
	}{
		{"a network with ports", "NetworkInUse", func(tx *engine.Tx) error { return w.s.DeleteNetwork(tx, w.lab.ID) }},
		{"a subnet with addresses", "SubnetInUse", func(tx *engine.Tx) error { return w.s.DeleteSubnet(tx, w.subnet.ID) }},
		{"a router with interfaces", "RouterInUse", func(tx *engine.Tx) error { return w.s.DeleteRouter(tx, w.router.ID) }},
		{"a router's gateway port", "ServicePortInUse", func(tx *engine.Tx) error { return w.s.DeletePort(tx, gatewayPort) }},
		{"a router's interface port", "ServicePortInUse", func(tx *engine.Tx) error { return w.s.DeletePort(tx, interfacePort) }},
		{"an interface that a floating IP needs", "RouterInterfaceInUseByFloatingIP", func(tx *engine.Tx) error {
			_, err := w.s.RemoveInterface(tx, w.router.ID, w.subnet.ID)
			return err
		}},
		{"a gateway that a floating IP needs", "RouterExternalGatewayInUseByFloatingIp", func(tx *engine.Tx) error {
			_, err := w.s.UpdateRouter(tx, w.router.ID, RouterChange{Gateway: &Gateway{}})
			return err
		}},
		{"a security group on a port", "SecurityGroupInUse", func(tx *engine.Tx) error { return w.s.DeleteGroup(tx, group.ID) }},
		{"the default security group", "SecurityGroupCannotRemoveDefault", func(tx *engine.Tx) error {
			return w.s.DeleteGroup(tx, w.s.EnsureDefaultGroup(tx, project).ID)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := *w
			w.t = t
			w.refused(engine.Conflict, tt.typ, tt.remove)
		})
	}
	w.do(func(tx *engine.Tx) error {
		if err := w.s.DeletePort(tx, p.ID); err != nil {
			return err
		}
		if err := w.s.DeleteGroup(tx, group.ID); err != nil {
			return err
		}
		if _, err := w.s.RemoveInterface(tx, w.router.ID, w.subnet.ID); err != nil {
			return err
		}
		if err := w.s.DeleteRouter(tx, w.router.ID); err != nil {
			return err
		}
		return w.s.DeleteNetwork(tx, w.lab.ID)
	})
	w.do(func(tx *engine.Tx) error {
		if got := len(w.s.Ports(tx)); got != 0 {
			t.Errorf("%d ports are left", got)
		}
		if got := len(w.s.SubnetsOf(tx, w.lab.ID)); got != 0 {
			t.Errorf("%d subnets outlived their network", got)
		}
		return nil
	})
}

func TestQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.do(func(tx *engine.Tx) error {
		used := w.s.Usage(tx, project)
		want := Quota{Network: 2, Subnet: 2, Port: 1, Router: 1, SecurityGroup: 1, SecurityGroupRule: 4}
		if diff := cmp.Diff(want, used); diff != "" {
			t.Errorf("usage after seeding (-want +got):\n%s", diff)
		}
		w.s.SetQuota(tx, project, used) // nothing more of anything
		return nil
	})
	tests := []struct {
		name string
		make func(tx *engine.Tx) error
	}{
		{"network", func(tx *engine.Tx) error {
			_, err := w.s.CreateNetwork(tx, NetworkSpec{ProjectID: project})
			return err
		}},
		{"subnet", func(tx *engine.Tx) error {
			_, err := w.s.CreateSubnet(tx, SubnetSpec{ProjectID: project, NetworkID: w.lab.ID, CIDR: netip.MustParsePrefix("10.8.0.0/24")})
			return err
		}},
		{"port", func(tx *engine.Tx) error {
			_, err := w.s.CreatePort(tx, PortSpec{ProjectID: project, NetworkID: w.lab.ID})
			return err
		}},
		{"router", func(tx *engine.Tx) error { _, err := w.s.CreateRouter(tx, RouterSpec{ProjectID: project}); return err }},
		{"floating IP", func(tx *engine.Tx) error {
			_, err := w.s.CreateFloatingIP(tx, FloatingIPSpec{ProjectID: project, NetworkID: w.public.ID})
			return err
		}},
		{"security group", func(tx *engine.Tx) error { _, err := w.s.CreateGroup(tx, project, "g", ""); return err }},
		{"rule", func(tx *engine.Tx) error {
			g := w.s.EnsureDefaultGroup(tx, project)
			_, err := w.s.CreateRule(tx, Rule{Standard: Standard{ProjectID: project}, GroupID: g.ID, Direction: "ingress"})
			return err
		}},
	}
	for _, tt := range tests {
		t.Run("one more "+tt.name+" is over quota", func(t *testing.T) {
			w := *w
			w.t = t
			w.refused(engine.OverQuota, "OverQuota", tt.make)
		})
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	a, b := Route{"10.201.1.0/24", "10.200.0.11"}, Route{"10.201.2.0/24", "10.200.0.12"}
	w.do(func(tx *engine.Tx) error {
		if _, err := w.s.AddRoutes(tx, w.router.ID, []Route{a}); err != nil {
			return err
		}
		if _, err := w.s.AddRoutes(tx, w.router.ID, []Route{a, b}); err != nil {
			return err
		}
		r, err := w.s.RemoveRoutes(tx, w.router.ID, []Route{a, {"10.9.9.0/24", "10.200.0.9"}})
		if diff := cmp.Diff([]Route{b}, r.Routes); diff != "" {
			t.Errorf("routes (-want +got):\n%s", diff)
		}
		return err
	})
	for name, routes := range map[string][]Route{
		"InvalidRoutes":  {{"10.201.3.0/24", "192.0.2.9"}},
		"HTTPBadRequest": {b, b},
	} {
		w.refused(engine.Invalid, name, func(tx *engine.Tx) error {
			_, err := w.s.UpdateRouter(tx, w.router.ID, RouterChange{Routes: &routes})
			return err
		})
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	var g SecurityGroup
	w.do(func(tx *engine.Tx) (err error) {
		g, err = w.s.CreateGroup(tx, project, "lb", "")
		return err
	})
	n := func(i int) *int { return &i }
	http := Rule{Direction: "ingress", Protocol: "TCP", PortMin: n(80), PortMax: n(80), RemotePrefix: "10.0.0.1"}
	make := func(r Rule) func(tx *engine.Tx) error {
		return func(tx *engine.Tx) error {
			r.ProjectID, r.GroupID = project, g.ID
			_, err := w.s.CreateRule(tx, r)
			return err
		}
	}
	w.do(make(http))
	tests := []struct {
		name   string
		reason engine.Reason
		typ    string
		rule   Rule
	}{
		{"the same traffic twice", engine.Conflict, "SecurityGroupRuleExists", http},
		{"the same traffic in other words", engine.Conflict, "SecurityGroupRuleExists",
			Rule{Direction: "ingress", EtherType: "IPv4", Protocol: "tcp", PortMin: n(80), PortMax: n(80), RemotePrefix: "10.0.0.1/32"}},
		{"ports without a protocol", engine.Invalid, "SecurityGroupProtocolRequiredWithPorts", Rule{Direction: "ingress", PortMin: n(1), PortMax: n(2)}},
		{"a range the wrong way round", engine.Invalid, "SecurityGroupInvalidPortRange", Rule{Direction: "ingress", Protocol: "tcp", PortMin: n(2), PortMax: n(1)}},
		{"a port out of range", engine.Invalid, "SecurityGroupInvalidPortValue", Rule{Direction: "ingress", Protocol: "tcp", PortMin: n(70000), PortMax: n(70000)}},
		{"an unknown protocol", engine.Invalid, "SecurityGroupRuleInvalidProtocol", Rule{Direction: "ingress", Protocol: "nonsense"}},
		{"a protocol number out of range", engine.Invalid, "SecurityGroupRuleInvalidProtocol", Rule{Direction: "ingress", Protocol: "256"}},
		{"a protocol of IPv6 in an IPv4 rule", engine.Invalid, "SecurityGroupEthertypeConflictWithProtocol", Rule{Direction: "ingress", Protocol: "ipv6-icmp"}},
		{"no direction", engine.Invalid, "HTTPBadRequest", Rule{}},
		{"an IPv6 CIDR in an IPv4 rule", engine.Invalid, "SecurityGroupRuleParameterConflict", Rule{Direction: "ingress", RemotePrefix: "fd00::/64"}},
		{"no CIDR", engine.Invalid, "InvalidCIDR", Rule{Direction: "ingress", RemotePrefix: "everywhere"}},
		{"two remotes", engine.Invalid, "SecurityGroupMultipleRemoteEntites", Rule{Direction: "ingress", RemotePrefix: "10.0.0.0/8", RemoteGroupID: g.ID}},
		{"an unknown remote group", engine.NotFound, "SecurityGroupNotFound", Rule{Direction: "ingress", RemoteGroupID: "nope"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := *w
			w.t = t
			w.refused(tt.reason, tt.typ, make(tt.rule))
		})
	}
	w.do(func(tx *engine.Tx) error {
		if got := len(w.s.RulesOf(tx, g.ID)); got != 3 {
			t.Errorf("the group has %d rules, want two for egress and one of ours", got)
		}
		return w.s.DeleteGroup(tx, g.ID)
	})
}

func TestStateSurvivesARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	before := newWorld(t, path)
	p := before.port(PortSpec{Name: "vip", DeviceID: "lb-1", DeviceOwner: "Octavia"})
	f := before.float(p.ID)
	before.do(func(tx *engine.Tx) error { return before.s.SetTags(tx, "ports", p.ID, []string{"b", "a", "b"}) })
	before.do(func(tx *engine.Tx) (err error) {
		p, err = before.s.Port(tx, p.ID)
		return err
	})
	if err := before.e.Close(); err != nil {
		t.Fatal(err)
	}
	after := newWorld(t, path) // seeds again: nothing may be doubled
	after.do(func(tx *engine.Tx) error {
		equal := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
		got, err := after.s.Port(tx, p.ID)
		if diff := cmp.Diff(p, got, equal); diff != "" || len(got.Tags) != 2 {
			t.Errorf("port (-want +got):\n%s", diff)
		}
		if got := after.s.FloatingIPsOfPort(tx, p.ID); len(got) != 1 || got[0].Address != f.Address {
			t.Errorf("floating IPs of the port: %+v", got)
		}
		if got := after.s.PortsOfDevice(tx, "lb-1"); len(got) != 1 {
			t.Errorf("ports of the device: %+v", got)
		}
		if n, s, r, g := len(after.s.Networks(tx)), len(after.s.Subnets(tx)), len(after.s.Routers(tx)), len(after.s.Groups(tx)); n != 3 || s != 3 || r != 1 || g != 1 {
			t.Errorf("%d networks, %d subnets, %d routers, %d groups after seeding twice", n, s, r, g)
		}
		return err
	})
}

func TestBadSeedsNameTheField(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, want string
		cfg        Config
	}{
		{"a network without a name", `networks[0] "": name: must not be empty`, Config{Networks: []NetworkConfig{{}}}},
		{"a pool outside its subnet", `networks[0] "n": subnets[0] "s": The allocation pool 10.1.0.1-10.1.0.2 spans beyond the subnet cidr 10.0.0.0/24.`,
			Config{Networks: []NetworkConfig{{Name: "n", Subnets: []SubnetConfig{{
				Name: "s", CIDR: netip.MustParsePrefix("10.0.0.0/24"), Pools: []AddressPool{{ip("10.1.0.1"), ip("10.1.0.2")}},
			}}}}}},
		{"a router to an unknown network", `routers[0] "r": externalNetwork: no external network "x" is configured`,
			Config{Routers: []RouterConfig{{Name: "r", ExternalNetwork: "x"}}}},
		{"a router with an unknown subnet", `routers[0] "r": subnets[0]: no subnet "x" is configured`,
			Config{Routers: []RouterConfig{{Name: "r", Subnets: []string{"x"}}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := engine.New(engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(e, DefaultQuota())
			if err != nil {
				t.Fatal(err)
			}
			err = e.Update(func(tx *engine.Tx) error { return s.Seed(tx, tt.cfg, project) })
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestICMPOfIPv6HasOneName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.do(func(tx *engine.Tx) error {
		g := w.s.EnsureDefaultGroup(tx, project)
		r, err := w.s.CreateRule(tx, Rule{Standard: Standard{ProjectID: project}, GroupID: g.ID, Direction: "ingress", EtherType: "IPv6", Protocol: "icmpv6"})
		if r.Protocol != "ipv6-icmp" {
			t.Errorf("the protocol is %q", r.Protocol)
		}
		return err
	})
}
