package network

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/attributestags"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/external"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/routers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/quotas"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/rules"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

type tokens map[string]api.Caller

func (t tokens) Caller(token string) (api.Caller, bool) {
	c, ok := t[token]
	return c, ok
}

// cloud is a network API over a seeded engine, with a client for each of its callers.
type cloud struct {
	t                    *testing.T
	url                  string
	member, other, admin *gophercloud.ServiceClient
	lab, public          networks.Network
	subnet               string
	router               routers.Router
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	e, err := engine.New(engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := network.New(e, network.DefaultQuota())
	if err != nil {
		t.Fatal(err)
	}
	seed := network.Config{
		Networks: []network.NetworkConfig{
			{Name: "public", External: true, Subnets: []network.SubnetConfig{{Name: "ps", CIDR: netip.MustParsePrefix("172.30.0.0/24")}}},
			{Name: "lab", Subnets: []network.SubnetConfig{{Name: "ls", CIDR: netip.MustParsePrefix("10.200.0.0/24")}}},
		},
		Routers: []network.RouterConfig{{Name: "router", ExternalNetwork: "public", Subnets: []string{"ls"}}},
	}
	if err := e.Update(func(tx *engine.Tx) error { return n.Seed(tx, seed, "mine") }); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(nil)
	srv.Start()
	t.Cleanup(srv.Close)
	core := api.NewCore(tokens{
		"member": {ProjectID: "mine", Roles: []string{"member"}}, "other": {ProjectID: "theirs", Roles: []string{"member"}},
		"admin": {ProjectID: "cloud", Roles: []string{"admin"}},
	}, srv.URL, nil)
	srv.Config.Handler = http.StripPrefix("/network", New(core, e, n))
	client := func(token string) *gophercloud.ServiceClient {
		provider := &gophercloud.ProviderClient{TokenID: token}
		endpoint := srv.URL + "/network/"
		return &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: endpoint, ResourceBase: endpoint + "v2.0/", Type: "network"}
	}
	c := &cloud{t: t, url: srv.URL + "/network", member: client("member"), other: client("other"), admin: client("admin")}
	for _, found := range all(t, networks.List(c.member, nil), networks.ExtractNetworks) {
		if found.Name == "lab" {
			c.lab, c.subnet = found, found.Subnets[0]
		} else {
			c.public = found
		}
	}
	c.router = all(t, routers.List(c.member, routers.ListOpts{}), routers.ExtractRouters)[0]
	return c
}

func all[T any](t *testing.T, p pagination.Pager, extract func(pagination.Page) ([]T, error)) []T {
	t.Helper()
	page, err := p.AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, err := extract(page)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func ok[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// call makes a raw request and returns the status and the decoded body.
func (c *cloud) call(method, path, body string, headers ...string) (int, map[string]any) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", "member")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var decoded map[string]any
	if len(b) > 0 {
		if err := json.Unmarshal(b, &decoded); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	}
	return resp.StatusCode, decoded
}

func status(err error, code int) bool { return gophercloud.ResponseCodeIs(err, code) }

func TestWhatAServiceControllerDoes(t *testing.T) {
	t.Parallel()
	c, ctx := newCloud(t), t.Context()
	isExternal := true
	externals := all(t, networks.List(c.member, external.ListOptsExt{ListOptsBuilder: networks.ListOpts{}, External: &isExternal}), networks.ExtractNetworks)
	if len(externals) != 1 || externals[0].ID != c.public.ID {
		t.Fatalf("external networks: %+v", externals)
	}
	if got := all(t, subnets.List(c.member, subnets.ListOpts{NetworkID: c.public.ID}), subnets.ExtractSubnets); len(got) != 0 {
		t.Errorf("subnets of the external network: %+v", got)
	}
	port := ok(ports.Create(ctx, c.member, ports.CreateOpts{NetworkID: c.lab.ID, Name: "vip", DeviceOwner: "Octavia"}).Extract())(t)
	const identity = "fairlead/uid/floatingip/svc"
	fip := ok(floatingips.Create(ctx, c.member, floatingips.CreateOpts{
		FloatingNetworkID: c.public.ID, PortID: port.ID, Description: identity,
	}).Extract())(t)
	if fip.PortID != port.ID || fip.FixedIP != port.FixedIPs[0].IPAddress || fip.RouterID != c.router.ID || fip.Status != "ACTIVE" {
		t.Errorf("floating IP: %+v", fip)
	}
	for name, opts := range map[string]floatingips.ListOpts{
		"by description": {Description: identity}, "by port": {PortID: port.ID}, "by address": {FloatingIP: fip.FloatingIP}, "by status": {Status: "ACTIVE"},
	} {
		if got := all(t, floatingips.List(c.member, opts), floatingips.ExtractFloatingIPs); len(got) != 1 || got[0].ID != fip.ID {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := all(t, floatingips.List(c.member, floatingips.ListOpts{Description: "else"}), floatingips.ExtractFloatingIPs); len(got) != 0 {
		t.Errorf("another description finds %+v", got)
	}
	if _, err := floatingips.Create(ctx, c.member, floatingips.CreateOpts{FloatingNetworkID: c.public.ID, PortID: port.ID}).Extract(); !status(err, 409) {
		t.Errorf("a second floating IP for the port: %v", err)
	}
	if err := ports.Delete(ctx, c.member, port.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	fip = ok(floatingips.Get(ctx, c.member, fip.ID).Extract())(t)
	if fip.PortID != "" || fip.Status != "DOWN" || fip.Description != identity {
		t.Errorf("after the port was deleted: %+v", fip)
	}
	again := ok(ports.Create(ctx, c.member, ports.CreateOpts{NetworkID: c.lab.ID}).Extract())(t)
	fip = ok(floatingips.Update(ctx, c.member, fip.ID, floatingips.UpdateOpts{PortID: &again.ID}).Extract())(t)
	none := ""
	fip = ok(floatingips.Update(ctx, c.member, fip.ID, floatingips.UpdateOpts{PortID: &none}).Extract())(t)
	if fip.PortID != "" || fip.Description != identity {
		t.Errorf("after the disassociation: %+v", fip)
	}
	if err := floatingips.Delete(ctx, c.member, fip.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	if err := floatingips.Delete(ctx, c.member, fip.ID).ExtractErr(); !status(err, 404) {
		t.Errorf("the second deletion: %v", err)
	}
}

func TestProjectsAreApart(t *testing.T) {
	t.Parallel()
	c, ctx := newCloud(t), t.Context()
	if got := all(t, networks.List(c.other, nil), networks.ExtractNetworks); len(got) != 1 || got[0].ID != c.public.ID {
		t.Errorf("another project sees %+v", got)
	}
	if got := all(t, networks.List(c.admin, nil), networks.ExtractNetworks); len(got) != 2 {
		t.Errorf("an admin sees %+v", got)
	}
	if got := all(t, ports.List(c.member, ports.ListOpts{DeviceOwner: network.OwnerRouterGateway}), ports.ExtractPorts); len(got) != 0 {
		t.Errorf("a member sees the gateway's port: %+v", got)
	}
	if _, err := networks.Get(ctx, c.other, c.lab.ID).Extract(); !status(err, 404) {
		t.Errorf("another project's network: %v", err)
	}
	if err := networks.Delete(ctx, c.other, c.lab.ID).ExtractErr(); !status(err, 404) {
		t.Errorf("deleting another project's network: %v", err)
	}
	if err := networks.Delete(ctx, c.member, c.public.ID).ExtractErr(); !status(err, 403) {
		t.Errorf("deleting a network that is only visible: %v", err)
	}
	if _, err := ports.Create(ctx, c.other, ports.CreateOpts{NetworkID: c.lab.ID}).Extract(); !status(err, 404) {
		t.Errorf("a port on another project's network: %v", err)
	}
	if _, err := ports.Create(ctx, c.member, ports.CreateOpts{NetworkID: c.public.ID}).Extract(); !status(err, 403) {
		t.Errorf("a port on the external network: %v", err)
	}
	if _, err := floatingips.Create(ctx, c.member, floatingips.CreateOpts{FloatingNetworkID: c.public.ID, FloatingIP: "172.30.0.99"}).Extract(); !status(err, 403) {
		t.Errorf("choosing a floating IP takes an admin by Neutron's default policy: %v", err)
	}
	if _, err := quotas.Update(ctx, c.member, "mine", quotas.UpdateOpts{}).Extract(); !status(err, 403) {
		t.Errorf("a member sets a quota: %v", err)
	}
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	c, ctx := newCloud(t), t.Context()
	zero := 0
	ok(quotas.Update(ctx, c.admin, "mine", quotas.UpdateOpts{FloatingIP: &zero}).Extract())(t)
	q := ok(quotas.Get(ctx, c.member, "mine").Extract())(t)
	if q.FloatingIP != 0 || q.Port != network.DefaultQuota().Port {
		t.Errorf("quota: %+v", q)
	}
	details := ok(quotas.GetDetail(ctx, c.member, "mine").Extract())(t)
	if details.Port.Used != 1 || details.Port.Limit != q.Port {
		t.Errorf("usage: %+v", details)
	}
	code, body := c.call("POST", "/v2.0/floatingips", `{"floatingip":{"floating_network_id":"`+c.public.ID+`"}}`)
	want := map[string]any{"NeutronError": map[string]any{"type": "OverQuota", "message": "Quota exceeded for resources: ['floatingip'].", "detail": ""}}
	if diff := cmp.Diff(want, body); code != 409 || diff != "" {
		t.Errorf("%d (-want +got):\n%s", code, diff)
	}
}

func TestRoutersAndGroups(t *testing.T) {
	t.Parallel()
	c, ctx := newCloud(t), t.Context()
	routes := []routers.Route{{DestinationCIDR: "10.201.1.0/24", NextHop: "10.200.0.11"}}
	r := ok(routers.Update(ctx, c.member, c.router.ID, routers.UpdateOpts{Routes: &routes}).Extract())(t)
	if diff := cmp.Diff(routes, r.Routes); diff != "" || r.GatewayInfo.NetworkID != c.public.ID {
		t.Errorf("router %+v (-want +got):\n%s", r, diff)
	}
	code, body := c.call("PUT", "/v2.0/routers/"+r.ID+"/add_extraroutes", `{"router":{"routes":[{"destination":"10.201.2.0/24","nexthop":"10.200.0.12"}]}}`)
	if code != 200 || len(body["router"].(map[string]any)["routes"].([]any)) != 2 {
		t.Errorf("add_extraroutes: %d %v", code, body)
	}
	code, body = c.call("PUT", "/v2.0/routers/"+r.ID+"/remove_extraroutes", `{"router":{"routes":[{"destination":"10.201.1.0/24","nexthop":"10.200.0.11"}]}}`)
	if code != 200 || len(body["router"].(map[string]any)["routes"].([]any)) != 1 {
		t.Errorf("remove_extraroutes: %d %v", code, body)
	}
	if code, body := c.call("PUT", "/v2.0/routers/"+r.ID+"/remove_router_interface", `{"subnet_id":"`+c.subnet+`"}`); code != 409 {
		t.Errorf("an interface that a route needs: %d %v", code, body)
	}
	ok(routers.Update(ctx, c.member, r.ID, routers.UpdateOpts{Routes: &[]routers.Route{}}).Extract())(t)
	if _, err := routers.RemoveInterface(ctx, c.member, r.ID, routers.RemoveInterfaceOpts{SubnetID: c.subnet}).Extract(); err != nil {
		t.Error(err)
	}
	p := ok(ports.Create(ctx, c.member, ports.CreateOpts{NetworkID: c.lab.ID}).Extract())(t)
	info := ok(routers.AddInterface(ctx, c.member, r.ID, routers.AddInterfaceOpts{PortID: p.ID}).Extract())(t)
	if info.PortID != p.ID || info.SubnetID != c.subnet {
		t.Errorf("interface by port: %+v", info)
	}
	ok(routers.RemoveInterface(ctx, c.member, r.ID, routers.RemoveInterfaceOpts{PortID: p.ID}).Extract())(t)
	g := ok(groups.Create(ctx, c.member, groups.CreateOpts{Name: "lb", Description: "d"}).Extract())(t)
	if len(g.Rules) != 2 {
		t.Errorf("a new group has the rules %+v", g.Rules)
	}
	http := rules.CreateOpts{Direction: "ingress", EtherType: "IPv4", SecGroupID: g.ID, PortRangeMin: 80, PortRangeMax: 80, Protocol: "tcp"}
	rule := ok(rules.Create(ctx, c.member, http).Extract())(t)
	_, err := rules.Create(ctx, c.member, http).Extract()
	if !status(err, 409) || !strings.Contains(err.Error(), "Security group rule already exists. Rule id is "+rule.ID) {
		t.Errorf("the same rule again: %v", err)
	}
	if got := all(t, rules.List(c.member, rules.ListOpts{SecGroupID: g.ID, Direction: "ingress"}), rules.ExtractRules); len(got) != 1 {
		t.Errorf("rules: %+v", got)
	}
	if err := rules.Delete(ctx, c.member, rule.ID).ExtractErr(); err != nil {
		t.Error(err)
	}
	if err := groups.Delete(ctx, c.member, g.ID).ExtractErr(); err != nil {
		t.Error(err)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	c, ctx := newCloud(t), t.Context()
	var ids []string
	for _, name := range []string{"b", "a", "c"} {
		p := ok(ports.Create(ctx, c.member, ports.CreateOpts{
			NetworkID: c.lab.ID, Name: name, DeviceID: "server-" + name, DeviceOwner: "compute:az1",
		}).Extract())(t)
		ids = append(ids, p.ID)
	}
	for id, tags := range map[string][]string{ids[0]: {"k8s", "x"}, ids[1]: {"k8s"}} {
		got := ok(attributestags.ReplaceAll(ctx, c.member, "ports", id, attributestags.ReplaceAllOpts{Tags: tags}).Extract())(t)
		if diff := cmp.Diff(tags, got); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
	}
	const mine = "device_owner=compute:az1"
	tests := []struct {
		name, query string
		want        string // the names, joined
	}{
		{"all in the order of their creation", mine, "b a c"},
		{"by one tag", "tags=k8s", "b a"},
		{"by all tags", "tags=k8s,x", "b"},
		{"by any tag", "tags-any=x,y", "b"},
		{"without a tag", mine + "&not-tags=k8s", "c"},
		{"by one of two ids", "id=" + ids[0] + "&id=" + ids[2], "b c"},
		{"by device", "device_id=server-a", "a"},
		{"by address", "fixed_ips=ip_address%3D10.200.0.3", "a"},
		{"by subnet and address", "fixed_ips=subnet_id%3D" + c.subnet + "&fixed_ips=ip_address%3D10.200.0.2", "b"},
		{"by subnet and a wrong address", "fixed_ips=subnet_id%3D" + c.subnet + "&fixed_ips=ip_address%3D10.200.0.99", ""},
		{"by a boolean in Python's spelling", mine + "&admin_state_up=True", "b a c"},
		{"by the other boolean", mine + "&admin_state_up=false", ""},
		{"sorted", mine + "&sort_key=name&sort_dir=desc", "c b a"},
		{"the first page", mine + "&limit=2", "b a"},
		{"the page after", mine + "&limit=2&marker=" + ids[1], "c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, body := c.call("GET", "/v2.0/ports?"+tt.query, "")
			if code != 200 {
				t.Fatalf("%d %v", code, body)
			}
			var names []string
			for _, p := range body["ports"].([]any) {
				names = append(names, p.(map[string]any)["name"].(string))
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	for query, why := range map[string]string{"colour=red": "an unknown filter", "limit=x": "a limit that is no number", "sort_key=id&sort_dir=up": "an unknown direction"} {
		if code, body := c.call("GET", "/v2.0/ports?"+query, ""); code != 400 {
			t.Errorf("%s: %d %v", why, code, body)
		}
	}
	if code, body := c.call("GET", "/v2.0/ports?marker=nope", ""); code != 404 {
		t.Errorf("an unknown marker: %d %v", code, body)
	}
	_, body := c.call("GET", "/v2.0/ports?fields=id&fields=name&name=a", "")
	if diff := cmp.Diff([]any{map[string]any{"id": ids[1], "name": "a"}}, body["ports"]); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	pages := 0
	err := ports.List(c.member, ports.ListOpts{DeviceOwner: "compute:az1", Limit: 1}).EachPage(ctx, func(context.Context, pagination.Page) (bool, error) {
		pages++
		return true, nil
	})
	if err != nil || pages < 3 {
		t.Errorf("%d pages of one port each, %v", pages, err)
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	base := "/v2.0/networks/" + c.lab.ID + "/tags"
	for _, step := range []struct {
		method, path string
		code         int
	}{
		{"PUT", "/a", 201}, {"PUT", "/b", 201}, {"PUT", "/a", 201}, {"GET", "/a", 204}, {"GET", "/z", 404},
		{"DELETE", "/a", 204}, {"DELETE", "/a", 404},
	} {
		if code, body := c.call(step.method, base+step.path, ""); code != step.code {
			t.Errorf("%s %s: %d %v, want %d", step.method, step.path, code, body, step.code)
		}
	}
	if _, body := c.call("GET", base, ""); !cmp.Equal(body["tags"], []any{"b"}) {
		t.Errorf("tags: %v", body)
	}
	if code, _ := c.call("DELETE", base, ""); code != 204 {
		t.Errorf("deleting all tags: %d", code)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	const gone = "00000000-0000-0000-0000-000000000000"
	tests := []struct {
		name, method, path, body string
		code                     int
		typ                      string
	}{
		{"an unknown floating IP", "DELETE", "/v2.0/floatingips/" + gone, "", 404, "FloatingIPNotFound"},
		{"an unknown port", "GET", "/v2.0/ports/" + gone, "", 404, "PortNotFound"},
		{"a floating IP of an unknown network", "POST", "/v2.0/floatingips", `{"floatingip":{"floating_network_id":"` + gone + `"}}`, 404, "NetworkNotFound"},
		{"a network in use", "DELETE", "/v2.0/networks/" + c.lab.ID, "", 409, "NetworkInUse"},
		{"an attribute that does not exist", "POST", "/v2.0/ports", `{"port":{"network_id":"` + c.lab.ID + `","colour":"red"}}`, 400, "HTTPBadRequest"},
		{"a body of another resource", "POST", "/v2.0/ports", `{"network":{}}`, 400, "HTTPBadRequest"},
		{"a next hop out of reach", "PUT", "/v2.0/routers/" + c.router.ID, `{"router":{"routes":[{"destination":"10.9.0.0/24","nexthop":"192.0.2.9"}]}}`, 400, "InvalidRoutes"},
		{"an external network by a member", "POST", "/v2.0/networks", `{"network":{"name":"x","router:external":true}}`, 403, "PolicyNotAuthorized"},
		{"a port for another project", "POST", "/v2.0/ports", `{"port":{"network_id":"` + c.lab.ID + `","project_id":"theirs"}}`, 400, "HTTPBadRequest"},
		{"a subnet whose version is wrong", "POST", "/v2.0/subnets", `{"subnet":{"network_id":"` + c.lab.ID + `","cidr":"10.8.0.0/24","ip_version":6}}`, 400, "InvalidInput"},
		{"an unknown collection", "GET", "/v2.0/trunks", "", 404, "HTTPNotFound"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, body := c.call(tt.method, tt.path, tt.body)
			fault, _ := body["NeutronError"].(map[string]any)
			if code != tt.code || fault["type"] != tt.typ {
				t.Errorf("%d %v, want %d %s", code, body, tt.code, tt.typ)
			}
		})
	}
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	c, ctx := newCloud(t), t.Context()
	p := ok(ports.Create(ctx, c.member, ports.CreateOpts{NetworkID: c.lab.ID}).Extract())(t)
	code, body := c.call("PUT", "/v2.0/ports/"+p.ID, `{"port":{"description":"x"}}`, "If-Match", "revision_number=7")
	if fault, _ := body["NeutronError"].(map[string]any); code != 412 || fault["message"] != "Constrained to 7, but current revision is 0" {
		t.Errorf("a stale revision: %d %v", code, body)
	}
	code, body = c.call("PUT", "/v2.0/ports/"+p.ID, `{"port":{"description":"x"}}`, "If-Match", "revision_number=0")
	if code != 200 || body["port"].(map[string]any)["revision_number"] != float64(1) {
		t.Errorf("the current revision: %d %v", code, body)
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	code, body := c.call("GET", "/", "", "X-Auth-Token", "")
	if code != 200 || len(body["versions"].([]any)) != 1 {
		t.Errorf("versions: %d %v", code, body)
	}
	if code, body = c.call("GET", "/v2.0/", ""); code != 200 || body["resources"] == nil {
		t.Errorf("resources: %d %v", code, body)
	}
	if code, body = c.call("GET", "/v2.0/extensions/extraroute-atomic", ""); code != 200 {
		t.Errorf("an extension: %d %v", code, body)
	}
	if code, body = c.call("GET", "/v2.0/networks", "", "X-Auth-Token", "stale"); code != 401 || body["error"] == nil {
		t.Errorf("without a token: %d %v", code, body)
	}
}
