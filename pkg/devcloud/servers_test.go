package devcloud

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/attachinterfaces"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/availabilityzones"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/limits"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/pagination"
)

// networkID is the network of that name.
func (c clients) networkID(t *testing.T, name string) string {
	t.Helper()
	pages, err := networks.List(c.network, networks.ListOpts{Name: name}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := networks.ExtractNetworks(pages)
	if err != nil || len(all) != 1 {
		t.Fatalf("network %s: %v, %v", name, all, err)
	}
	return all[0].ID
}

func (c clients) portsOf(t *testing.T, serverID string) []ports.Port {
	t.Helper()
	pages, err := ports.List(c.network, ports.ListOpts{DeviceID: serverID}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := ports.ExtractPorts(pages)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (c clients) serverGone(t *testing.T, id string) {
	t.Helper()
	if err := servers.Delete(t.Context(), c.compute, id).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "server gone", func() bool {
		return status(t, servers.Get(t.Context(), c.compute, id).Err) == http.StatusNotFound
	})
}

func TestAServersLife(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, nil).URL)
	s := c.newServer(t, "n1", map[string]string{"role": "worker"})
	if s.Metadata["role"] != "worker" || s.Flavor["original_name"] != "small" || s.AvailabilityZone != "nova" ||
		s.PowerState.String() != "RUNNING" || s.LaunchedAt.IsZero() || len(s.Image) != 0 {
		t.Errorf("server %+v", s)
	}
	if err := servers.Stop(t.Context(), c.compute, s.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	if s := c.serverIs(t, s.ID, "SHUTOFF"); s.VmState != "stopped" {
		t.Errorf("stopped: vm_state %s", s.VmState)
	}
	if got := status(t, servers.Stop(t.Context(), c.compute, s.ID).Err); got != http.StatusConflict {
		t.Errorf("stopping again got %d", got)
	}
	if err := servers.Start(t.Context(), c.compute, s.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.serverIs(t, s.ID, "ACTIVE")
	if got := len(c.portsOf(t, s.ID)); got != 1 {
		t.Errorf("%d ports", got)
	}
	c.serverGone(t, s.ID)
	if got := len(c.portsOf(t, s.ID)); got != 0 {
		t.Errorf("%d ports left", got)
	}
}

func TestAServersAddresses(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, nil).URL)
	s, err := servers.Create(t.Context(), c.compute, servers.CreateOpts{
		Name: "n1", FlavorRef: "1", Networks: []servers.Network{{UUID: c.networkID(t, "demo"), FixedIP: "10.200.0.11"}},
	}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	c.serverIs(t, s.ID, "ACTIVE")
	fip, err := floatingips.Create(t.Context(), c.network, floatingips.CreateOpts{
		FloatingNetworkID: c.networkID(t, "public"), PortID: c.portsOf(t, s.ID)[0].ID,
	}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	pages, err := servers.ListAddresses(c.compute, s.ID).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byNetwork, err := servers.ExtractAddresses(pages)
	if err != nil || len(byNetwork["demo"]) != 2 || byNetwork["demo"][0].Address != "10.200.0.11" || byNetwork["demo"][1].Address != fip.FloatingIP {
		t.Errorf("addresses %v, %v", byNetwork, err)
	}
	kinds := []string{}
	for _, a := range c.serverIs(t, s.ID, "ACTIVE").Addresses["demo"].([]any) {
		kinds = append(kinds, a.(map[string]any)["OS-EXT-IPS:type"].(string))
	}
	if !slices.Equal(kinds, []string{"fixed", "floating"}) {
		t.Errorf("kinds %v", kinds)
	}
}

func TestAPortThatWasThereStaysBehindItsServer(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, nil).URL)
	port, err := ports.Create(t.Context(), c.network, ports.CreateOpts{NetworkID: c.networkID(t, "demo")}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	s, err := servers.Create(t.Context(), c.compute, servers.CreateOpts{
		Name: "n1", FlavorRef: "1", Networks: []servers.Network{{Port: port.ID}},
	}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	c.serverIs(t, s.ID, "ACTIVE")
	if err := servers.Create(t.Context(), c.compute, servers.CreateOpts{
		Name: "n2", FlavorRef: "1", Networks: []servers.Network{{Port: port.ID}},
	}, nil).Err; status(t, err) != http.StatusConflict {
		t.Errorf("a port that is in use: %v", err)
	}
	c.serverGone(t, s.ID)
	port, err = ports.Get(t.Context(), c.network, port.ID).Extract()
	if err != nil || port.DeviceID != "" {
		t.Errorf("port %+v, %v", port, err)
	}
}

func TestInterfaces(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, nil).URL)
	s := c.newServer(t, "n1", nil)
	added, err := attachinterfaces.Create(t.Context(), c.compute, s.ID, attachinterfaces.CreateOpts{NetworkID: c.networkID(t, "demo")}).Extract()
	if err != nil || len(added.FixedIPs) != 1 {
		t.Fatalf("added %+v, %v", added, err)
	}
	count := func() int {
		pages, err := attachinterfaces.List(c.compute, s.ID).AllPages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all, err := attachinterfaces.ExtractInterfaces(pages)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if got := count(); got != 2 {
		t.Errorf("%d interfaces", got)
	}
	if err := attachinterfaces.Delete(t.Context(), c.compute, s.ID, added.PortID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	if got := count(); got != 1 {
		t.Errorf("%d interfaces after detaching one", got)
	}
	if got := status(t, attachinterfaces.Delete(t.Context(), c.compute, s.ID, added.PortID).Err); got != 404 {
		t.Errorf("detaching it again got %d", got)
	}
}

func TestServerRefusals(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, func(c *Config) { c.Quotas.Instances = 1 }).URL)
	create := func(opts servers.CreateOpts) error {
		opts.Name = "x"
		return servers.Create(t.Context(), c.compute, opts, nil).Err
	}
	for name, tt := range map[string]struct {
		err  error
		want int
	}{
		"an unknown flavor is a 400":              {create(servers.CreateOpts{FlavorRef: "9", Networks: "auto"}), 400},
		"an unknown zone is a 400":                {create(servers.CreateOpts{FlavorRef: "1", Networks: "auto", AvailabilityZone: "x"}), 400},
		"an unknown network is a 400":             {create(servers.CreateOpts{FlavorRef: "1", Networks: []servers.Network{{UUID: "x"}}}), 400},
		"an address outside the network is a 400": {create(servers.CreateOpts{FlavorRef: "1", Networks: []servers.Network{{UUID: c.networkID(t, "demo"), FixedIP: "1.2.3.4"}}}), 400},
		"an unknown security group is a 400":      {create(servers.CreateOpts{FlavorRef: "1", Networks: "auto", SecurityGroups: []string{"x"}}), 400},
		"an unknown server is a 404":              {servers.Get(t.Context(), c.compute, "x").Err, 404},
		"rebooting is no action here (400)":       {servers.Reboot(t.Context(), c.compute, "x", servers.RebootOpts{Type: servers.HardReboot}).Err, 400},
	} {
		if got := status(t, tt.err); got != tt.want {
			t.Errorf("%s: got %d: %v", name, got, tt.err)
		}
	}
	c.newServer(t, "first", nil)
	if got := status(t, create(servers.CreateOpts{FlavorRef: "1", Networks: "auto"})); got != 403 {
		t.Errorf("a second server with a quota of 1 got %d", got)
	}
}

func TestServerListsAndFactsOfCompute(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, nil).URL)
	for _, name := range []string{"n1", "n2", "n11"} {
		c.newServer(t, name, nil)
	}
	for name, tt := range map[string]struct {
		opts servers.ListOpts
		want []string
	}{
		"newest first, over pages":         {servers.ListOpts{Limit: 2}, []string{"n11", "n2", "n1"}},
		"names are regular expressions":    {servers.ListOpts{Name: "n1"}, []string{"n11", "n1"}},
		"which may be anchored":            {servers.ListOpts{Name: "^n1$"}, []string{"n1"}},
		"by status, in any case":           {servers.ListOpts{Status: "shutoff"}, nil},
		"by address, a regular expression": {servers.ListOpts{IP: `^10\.200\.0\.101$`}, []string{"n2"}},
	} {
		var got []string
		err := servers.List(c.compute, tt.opts).EachPage(t.Context(), func(_ context.Context, p pagination.Page) (bool, error) {
			page, err := servers.ExtractServers(p)
			for _, s := range page {
				got = append(got, s.Name)
			}
			return true, err
		})
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	pages, err := flavors.ListDetail(c.compute, nil).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if all, err := flavors.ExtractFlavors(pages); err != nil || len(all) != 2 || all[1].RAM != 4096 || all[1].VCPUs != 2 {
		t.Errorf("flavors %+v, %v", all, err)
	}
	pages, err = availabilityzones.List(c.compute).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if zones, err := availabilityzones.ExtractAvailabilityZones(pages); err != nil || len(zones) != 1 || zones[0].ZoneName != "nova" {
		t.Errorf("zones %+v, %v", zones, err)
	}
	if l, err := limits.Get(t.Context(), c.compute, nil).Extract(); err != nil || l.Absolute.TotalInstancesUsed != 3 {
		t.Errorf("limits %+v, %v", l, err)
	}
}
