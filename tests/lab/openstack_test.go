package lab

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/tenant"
)

func TestTheTenantIsTheLabsFabric(t *testing.T) {
	got := tenantOptions(nodes(2))
	if got.CIDR != layout.FabricCIDR || got.Gateway == layout.HostAddress || got.Name != layout.CloudName {
		t.Errorf("%+v", got)
	}
	want := []tenant.Server{
		{Name: "n1", Zone: "az1", FixedAddress: "10.200.0.11", Metadata: map[string]string{NodeKey: ""}},
		{Name: "n2", Zone: "az1", FixedAddress: "10.200.0.12", Metadata: map[string]string{NodeKey: ""}},
	}
	if diff := cmp.Diff(want, got.Servers); diff != "" {
		t.Error(diff)
	}
}
