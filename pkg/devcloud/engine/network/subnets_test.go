package network

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

func TestASubnetIsChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	none, dhcp := netip.Addr{}, false
	pools := []AddressPool{{ip("10.200.0.50"), ip("10.200.0.60")}}
	routes := []Route{{"10.8.0.0/24", "10.200.0.3"}}
	var subnet Subnet
	w.do(func(tx *engine.Tx) error {
		router := w.s.Routers(tx)[0]
		if _, err := w.s.RemoveInterface(tx, router.ID, w.subnet.ID); err != nil {
			return err
		}
		var err error
		subnet, err = w.s.UpdateSubnet(tx, w.subnet.ID, SubnetChange{
			Gateway: &none, Pools: &pools, DHCP: &dhcp, Nameservers: &[]string{"10.200.0.2"}, HostRoutes: &routes,
		})
		return err
	})
	want := w.subnet
	want.Gateway, want.Pools, want.DHCP, want.Nameservers, want.HostRoutes = none, pools, false, []string{"10.200.0.2"}, routes
	if diff := cmp.Diff(want, subnet, cmpopts.IgnoreFields(Standard{}, "UpdatedAt", "Revision"), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestASubnetKeepsWhatAChangeWouldBreak(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	address := func(s string) *netip.Addr { a := ip(s); return &a }
	tests := []struct {
		name   string
		reason engine.Reason
		typ    string
		change SubnetChange
	}{
		{"a gateway that the router has", engine.Conflict, "GatewayIpInUse", SubnetChange{Gateway: address("10.200.0.2")}},
		{"a name server that is no address", engine.Invalid, "InvalidInput", SubnetChange{Nameservers: &[]string{"dns.example"}}},
		{"a route of the other IP version", engine.Invalid, "InvalidInput", SubnetChange{HostRoutes: &[]Route{{"10.0.0.0/8", "fd00::1"}}}},
		{"a pool outside", engine.Invalid, "OutOfBoundsAllocationPool", SubnetChange{Pools: &[]AddressPool{{ip("10.200.1.1"), ip("10.200.1.2")}}}},
		{"a pool with the gateway", engine.Conflict, "GatewayConflictWithAllocationPools", SubnetChange{Pools: &[]AddressPool{{ip("10.200.0.1"), ip("10.200.0.2")}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := *w
			w.t = t
			w.refused(tt.reason, tt.typ, func(tx *engine.Tx) error {
				_, err := w.s.UpdateSubnet(tx, w.subnet.ID, tt.change)
				return err
			})
		})
	}
}

func TestASubnetsGatewayIsNeitherItsNetworkNorItsBroadcastAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for _, gateway := range []string{"10.7.0.0", "10.7.0.255", "fd00::1"} {
		w.refused(engine.Invalid, "InvalidInput", func(tx *engine.Tx) error {
			_, err := w.s.CreateSubnet(tx, SubnetSpec{ProjectID: project, NetworkID: w.lab.ID, CIDR: netip.MustParsePrefix("10.7.0.0/24"), Gateway: ip(gateway)})
			return err
		})
	}
}
