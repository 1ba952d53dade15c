package loadbalancer

import (
	"encoding/json"
	"testing"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

func TestRefusedLoadBalancers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	var foreign, plugged network.Port
	w.do(func(tx *engine.Tx) (err error) {
		if foreign, err = w.n.CreatePort(tx, network.PortSpec{ProjectID: "other", NetworkID: w.subnet.NetworkID}); err != nil {
			return err
		}
		plugged, err = w.n.CreatePort(tx, network.PortSpec{ProjectID: project, NetworkID: w.subnet.NetworkID, DeviceID: "server"})
		return err
	})
	subnet := engine.Some(w.subnet.ID)
	tests := []struct {
		name   string
		reason engine.Reason
		spec   LoadBalancerSpec
	}{
		{"no place for the VIP", engine.Invalid, LoadBalancerSpec{}},
		{"an unknown subnet", engine.Invalid, LoadBalancerSpec{VIPSubnetID: engine.Some("nope")}},
		{"an unknown network", engine.Invalid, LoadBalancerSpec{VIPNetworkID: engine.Some("nope")}},
		{"a subnet of another network", engine.Invalid, LoadBalancerSpec{VIPSubnetID: subnet, VIPNetworkID: engine.Some(w.public)}},
		{"an unknown port", engine.Invalid, LoadBalancerSpec{VIPPortID: engine.Some("nope")}},
		{"somebody else's port", engine.Invalid, LoadBalancerSpec{VIPPortID: engine.Some(foreign.ID)}},
		{"a port that a server uses", engine.Invalid, LoadBalancerSpec{VIPPortID: engine.Some(plugged.ID)}},
		{"an unknown provider", engine.Invalid, LoadBalancerSpec{VIPSubnetID: subnet, Provider: engine.Some("f5")}},
		{"no address", engine.Invalid, LoadBalancerSpec{VIPSubnetID: subnet, VIPAddress: engine.Some("x")}},
		{"an address of another subnet is Octavia's 500", ProviderFault, LoadBalancerSpec{VIPSubnetID: subnet, VIPAddress: engine.Some("1.2.3.4")}},
		{"an address in use is Octavia's 500", ProviderFault, LoadBalancerSpec{VIPSubnetID: subnet, VIPAddress: engine.Some("10.200.0.1")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := *w
			w.t = t
			w.refused(tt.reason, func(tx *engine.Tx) error {
				_, err := w.s.CreateLoadBalancer(tx, project, tt.spec)
				return err
			})
		})
	}
}

func TestTheVIP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	lb := w.create(LoadBalancerSpec{VIPNetworkID: engine.Some(w.subnet.NetworkID), VIPAddress: engine.Some("10.200.0.77")})
	if lb.VIPAddress.String() != "10.200.0.77" || lb.VIPSubnetID != w.subnet.ID || lb.VIPNetworkID != w.subnet.NetworkID {
		t.Errorf("a VIP on a network: %+v", lb)
	}
	var mine network.Port
	w.do(func(tx *engine.Tx) (err error) {
		mine, err = w.n.CreatePort(tx, network.PortSpec{ProjectID: project, NetworkID: w.subnet.NetworkID})
		return err
	})
	lb = w.create(LoadBalancerSpec{VIPPortID: engine.Some(mine.ID)})
	if lb.VIPAddress != mine.FixedIPs[0].Address {
		t.Errorf("a VIP on a given port: %+v", lb)
	}
	w.refused(engine.Invalid, func(tx *engine.Tx) error { // the port is taken
		_, err := w.s.CreateLoadBalancer(tx, project, LoadBalancerSpec{VIPPortID: engine.Some(mine.ID)})
		return err
	})
	w.settle(lb.ID)
	w.do(func(tx *engine.Tx) error { return w.s.DeleteLoadBalancer(tx, project, lb.ID, false) })
	w.settle(lb.ID)
	w.do(func(tx *engine.Tx) error {
		_, err := w.n.Port(tx, mine.ID)
		return err // the user's port stays
	})
}

type write = func(tx *engine.Tx) error

// additions make requests for one more part of a load balancer that are good but for the change.
func (w *world) additions(lb, pool string) (
	listener func(func(*ListenerSpec)) write, newPool func(func(*PoolSpec)) write,
	member func(func(*MemberSpec)) write, monitor func(func(*MonitorSpec)) write,
) {
	listener = func(change func(*ListenerSpec)) func(tx *engine.Tx) error {
		return func(tx *engine.Tx) error {
			spec := ListenerSpec{LoadBalancerID: engine.Some(lb), Protocol: engine.Some("TCP"), Port: someNum(81)}
			change(&spec)
			_, err := w.s.CreateListener(tx, project, spec)
			return err
		}
	}
	newPool = func(change func(*PoolSpec)) func(tx *engine.Tx) error {
		return func(tx *engine.Tx) error {
			spec := PoolSpec{LoadBalancerID: engine.Some(lb), Protocol: engine.Some("TCP"), Algorithm: engine.Some("ROUND_ROBIN")}
			change(&spec)
			_, err := w.s.CreatePool(tx, project, spec)
			return err
		}
	}
	member = func(change func(*MemberSpec)) func(tx *engine.Tx) error {
		return func(tx *engine.Tx) error {
			spec := MemberSpec{Address: engine.Some("10.200.0.60"), Port: someNum(80)}
			change(&spec)
			_, err := w.s.CreateMember(tx, project, pool, spec)
			return err
		}
	}
	monitor = func(change func(*MonitorSpec)) func(tx *engine.Tx) error {
		return func(tx *engine.Tx) error {
			bare, err := w.s.CreatePool(tx, project, PoolSpec{LoadBalancerID: engine.Some(lb), Protocol: engine.Some("TCP"), Algorithm: engine.Some("ROUND_ROBIN")})
			if err != nil {
				return err
			}
			w.s.settle(tx, lb, false)
			spec := MonitorSpec{
				PoolID: engine.Some(bare.ID), Type: engine.Some("HTTP"), Delay: someNum(5), Timeout: someNum(3), MaxRetries: someNum(2),
			}
			change(&spec)
			_, err = w.s.CreateMonitor(tx, project, spec)
			return err
		}
	}
	return listener, newPool, member, monitor
}

func TestRefusedParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	lb, other := w.active(), w.active()
	trees := w.trees(lb.ID)
	pool := trees.Pools[lb.ID][0].ID
	foreign := w.trees(other.ID).Pools[other.ID][0].ID
	listener, newPool, member, monitor := w.additions(lb.ID, pool)
	tests := []struct {
		name   string
		reason engine.Reason
		write  func(tx *engine.Tx) error
	}{
		{"a listener of an unknown protocol", engine.Invalid, listener(func(s *ListenerSpec) { s.Protocol = engine.Some("FOO") })},
		{"a UDP listener, which the data plane does not do", engine.Unsupported, listener(func(s *ListenerSpec) { s.Protocol = engine.Some("UDP") })},
		{"an HTTP listener, which the data plane does not do", engine.Unsupported, listener(func(s *ListenerSpec) { s.Protocol = engine.Some("HTTP") })},
		{"a listener on port 0", engine.Invalid, listener(func(s *ListenerSpec) { s.Port = someNum(0) })},
		{"a listener on a used port", engine.Conflict, listener(func(s *ListenerSpec) { s.Port = someNum(80) })},
		{"a listener on no load balancer", engine.NotFound, listener(func(s *ListenerSpec) { s.LoadBalancerID = engine.Some("nope") })},
		{"a listener with an unknown pool", engine.NotFound, listener(func(s *ListenerSpec) { s.DefaultPoolID = engine.Some("nope") })},
		{"a listener with another load balancer's pool", engine.Invalid, listener(func(s *ListenerSpec) { s.DefaultPoolID = engine.Some(foreign) })},
		{"a listener that brings a pool", ProviderFault, listener(func(s *ListenerSpec) { s.DefaultPool = &PoolSpec{} })},
		{"a CIDR that is none", engine.Invalid, listener(func(s *ListenerSpec) { s.AllowedCIDRs = engine.Some([]string{"10.0.0.0"}) })},
		{"a CIDR of the other IP version", engine.Invalid, listener(func(s *ListenerSpec) { s.AllowedCIDRs = engine.Some([]string{"fd00::/8"}) })},
		{"a negative limit", engine.Invalid, listener(func(s *ListenerSpec) { s.Limit = someNum(-2) })},
		{"a negative timeout", engine.Invalid, listener(func(s *ListenerSpec) { s.MemberData = someNum(-1) })},
		{"headers in a TCP stream", engine.Invalid, listener(func(s *ListenerSpec) { s.InsertHeaders = engine.Some(map[string]string{"X-Forwarded-For": "true"}) })},
		{"a pool of an unknown protocol", engine.Invalid, newPool(func(s *PoolSpec) { s.Protocol = engine.Some("FOO") })},
		{"a pool with the proxy protocol", engine.Unsupported, newPool(func(s *PoolSpec) { s.Protocol = engine.Some("PROXY") })},
		{"an unknown algorithm", engine.Invalid, newPool(func(s *PoolSpec) { s.Algorithm = engine.Some("BEST") })},
		{"an algorithm of another provider", engine.Unsupported, newPool(func(s *PoolSpec) { s.Algorithm = engine.Some("SOURCE_IP_PORT") })},
		{"cookies in a TCP stream", engine.Invalid, newPool(func(s *PoolSpec) { s.Persistence = engine.Some(Persistence{Type: "HTTP_COOKIE"}) })},
		{"a pool that brings members", ProviderFault, newPool(func(s *PoolSpec) { s.Members = []MemberSpec{} })},
		{"a second default pool", engine.Conflict, newPool(func(s *PoolSpec) { s.ListenerID = engine.Some(trees.Listeners[lb.ID][0].ID) })},
		{"a pool nowhere", engine.Invalid, newPool(func(s *PoolSpec) { s.LoadBalancerID = engine.Null[string]() })},
		{"a member without an address", engine.Invalid, member(func(s *MemberSpec) { s.Address = engine.Some("") })},
		{"a member on a port out of range", engine.Invalid, member(func(s *MemberSpec) { s.Port = someNum(65536) })},
		{"a member that is too heavy", engine.Invalid, member(func(s *MemberSpec) { s.Weight = someNum(257) })},
		{"a member in an unknown subnet", engine.Invalid, member(func(s *MemberSpec) { s.SubnetID = engine.Some("nope") })},
		{"a backup member", engine.Unsupported, member(func(s *MemberSpec) { s.Backup = engine.Some(true) })},
		{"a member twice", engine.Conflict, member(func(s *MemberSpec) { s.Address, s.Port = engine.Some("10.200.0.11"), someNum(30080) })},
		{"a monitor of an unknown type", engine.Invalid, monitor(func(s *MonitorSpec) { s.Type = engine.Some("FOO") })},
		{"a monitor that the data plane does not do", engine.Unsupported, monitor(func(s *MonitorSpec) { s.Type = engine.Some("PING") })},
		{"a monitor without a delay", engine.Invalid, monitor(func(s *MonitorSpec) { s.Delay = num{} })},
		{"a negative delay", engine.Invalid, monitor(func(s *MonitorSpec) { s.Delay = someNum(-1) })},
		{"a monitor with too many retries", engine.Invalid, monitor(func(s *MonitorSpec) { s.MaxRetries = someNum(11) })},
		{"a path in a TCP monitor", engine.Invalid, monitor(func(s *MonitorSpec) { s.Type, s.Path = engine.Some("TCP"), engine.Some("/") })},
		{"a path that is none", engine.Invalid, monitor(func(s *MonitorSpec) { s.Path = engine.Some("healthz") })},
		{"codes that are none", engine.Invalid, monitor(func(s *MonitorSpec) { s.ExpectedCodes = engine.Some("2xx") })},
		{"codes the wrong way round", engine.Invalid, monitor(func(s *MonitorSpec) { s.ExpectedCodes = engine.Some("204-200") })},
		{"a second monitor", engine.Conflict, monitor(func(s *MonitorSpec) { s.PoolID = engine.Some(pool) })},
		{"a monitor of an unknown pool", engine.NotFound, monitor(func(s *MonitorSpec) { s.PoolID = engine.Some("nope") })},
		{"another project's load balancer", engine.NotFound, func(tx *engine.Tx) error { return w.s.DeleteLoadBalancer(tx, "other", lb.ID, true) }},
		{"another project's pool", engine.NotFound, func(tx *engine.Tx) error { return w.s.SetMembers(tx, "other", pool, nil, false) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := *w
			w.t = t
			w.refused(tt.reason, tt.write)
			if s := w.states(lb.ID); len(s) != 1 {
				t.Errorf("a refused request changed the tree: %v", s)
			}
		})
	}
	w.do(monitor(func(s *MonitorSpec) { s.ExpectedCodes = engine.Some("200-204") })) // the base of the table is fine
}

func TestQuota(t *testing.T) {
	t.Parallel()
	for name, quota := range map[string]Quota{
		"load balancers":  {LoadBalancer: 0, Listener: -1, Pool: -1, Member: -1, HealthMonitor: -1},
		"listeners":       {LoadBalancer: -1, Listener: 1, Pool: -1, Member: -1, HealthMonitor: -1},
		"pools":           {LoadBalancer: -1, Listener: -1, Pool: 1, Member: -1, HealthMonitor: -1},
		"members":         {LoadBalancer: -1, Listener: -1, Pool: -1, Member: 3, HealthMonitor: -1},
		"health monitors": {LoadBalancer: -1, Listener: -1, Pool: -1, Member: -1, HealthMonitor: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			w.do(func(tx *engine.Tx) error {
				w.s.SetQuota(tx, project, quota)
				return nil
			})
			w.refused(engine.OverQuota, func(tx *engine.Tx) error {
				_, err := w.s.CreateLoadBalancer(tx, project, w.tree())
				return err
			})
			w.do(func(tx *engine.Tx) error {
				if n := w.n.Usage(tx, project).Port; n != 1 {
					t.Errorf("%d ports, want the router's alone", n)
				}
				return nil
			})
		})
	}
}

func TestNumbersMayBeTexts(t *testing.T) {
	t.Parallel()
	var spec ListenerSpec
	if err := json.Unmarshal([]byte(`{"connection_limit": "100", "protocol_port": 80, "timeout_client_data": null}`), &spec); err != nil {
		t.Fatal(err)
	}
	if spec.Limit.Or(0, 0) != 100 || spec.Port.Or(0, 0) != 80 || spec.ClientData.Or(1, 5) != 5 {
		t.Errorf("read %+v", spec)
	}
	if err := json.Unmarshal([]byte(`{"connection_limit": "many"}`), &spec); err == nil {
		t.Error("\"many\" is taken for a number")
	}
}
