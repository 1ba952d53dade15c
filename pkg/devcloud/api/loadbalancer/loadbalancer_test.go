package loadbalancer

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/monitors"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/providers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/quotas"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/balancer"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/loadbalancer"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

func TestARealLoadBalancer(t *testing.T) {
	t.Parallel()
	plane := balancer.New(balancer.Options{})
	t.Cleanup(plane.Close)
	c, ctx := newCloud(t, plane, "127.77.1.0/24"), t.Context()
	backend(t, "127.77.1.201:30080", "a")
	backend(t, "127.77.1.202:30080", "b")
	spec := pool(pools.CreateMemberOpts{Address: "127.77.1.201", ProtocolPort: 30080})
	spec.Monitor = monitors.CreateOpts{Type: "TCP", Delay: 1, Timeout: 1, MaxRetries: 1, MaxRetriesDown: 1}
	lb := c.create("svc", 8080, spec)
	if lb.ProvisioningStatus != "PENDING_CREATE" || len(lb.Listeners) != 1 || lb.Listeners[0].Name != "l" || len(lb.Pools[0].Members) != 1 {
		t.Errorf("the answer to the creation: %+v", lb)
	}
	lb = c.active(lb.ID)
	vip := lb.VipAddress + ":8080"
	c.until("a answers at the VIP", func() bool { return ask(t, vip) == "a" })
	c.until("the load balancer is ONLINE", func() bool { return c.get(lb.ID).OperatingStatus == "ONLINE" })

	poolID := lb.Pools[0].ID
	err := pools.BatchUpdateMembers(ctx, c.member, poolID, []pools.BatchUpdateMemberOpts{{Address: "127.77.1.202", ProtocolPort: 30080}}).ExtractErr()
	if err != nil {
		t.Fatal(err)
	}
	c.active(lb.ID)
	c.until("b answers after the member update", func() bool { return ask(t, vip) == "b" })
	members := all(t, pools.ListMembers(c.member, poolID, nil), pools.ExtractMembers)
	if len(members) != 1 || members[0].Address != "127.77.1.202" {
		t.Errorf("members: %+v", members)
	}

	var f network.FloatingIP
	c.update(func(tx *engine.Tx) (err error) {
		f, err = c.network.CreateFloatingIP(tx, network.FloatingIPSpec{ProjectID: "mine", NetworkID: c.public, PortID: lb.VipPortID})
		return err
	})
	c.until("b answers at the floating IP", func() bool { return ask(t, f.Address.String()+":8080") == "b" })
	c.update(func(tx *engine.Tx) error { return c.network.DeleteFloatingIP(tx, f.ID) })
	c.until("nobody answers at the floating IP", func() bool { return ask(t, f.Address.String()+":8080") == "" })

	broken := pools.BatchUpdateMemberOpts{Address: "127.77.1.203", ProtocolPort: 30080}
	if err := pools.BatchUpdateMembers(ctx, c.member, poolID, []pools.BatchUpdateMemberOpts{broken}).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.until("a member that does not answer is in ERROR", func() bool {
		_, _, body := c.call("GET", "/v2.0/lbaas/loadbalancers/"+lb.ID+"/status", "")
		text, _ := json.Marshal(body)
		return strings.Contains(string(text), `"address":"127.77.1.203"`) && strings.Count(string(text), `"operating_status":"ERROR"`) == 3
	})
	if err := loadbalancers.Delete(ctx, c.member, lb.ID, loadbalancers.DeleteOpts{Cascade: true}).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.until("it is gone", func() bool {
		_, err := loadbalancers.Get(ctx, c.member, lb.ID).Extract()
		return gophercloud.ResponseCodeIs(err, 404)
	})
	if got := ask(t, vip); got != "" {
		t.Errorf("%s answers at the VIP of a deleted load balancer", got)
	}
}

func TestEveryPartByGophercloud(t *testing.T) {
	t.Parallel()
	c, ctx := newCloud(t, &loadbalancer.Null{}, "127.77.2.0/24"), t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	lb, err := loadbalancers.Create(ctx, c.member, loadbalancers.CreateOpts{VipNetworkID: c.subnet.NetworkID, Provider: "amphora"}).Extract()
	check(err)
	step := func() { t.Helper(); c.active(lb.ID) }
	step()
	p, err := pools.Create(ctx, c.member, pools.CreateOpts{
		LoadbalancerID: lb.ID, Name: "p", Protocol: "TCP", LBMethod: "ROUND_ROBIN", Persistence: &pools.SessionPersistence{Type: "SOURCE_IP"},
	}).Extract()
	check(err)
	if p.Persistence.Type != "SOURCE_IP" || p.ProvisioningStatus != "PENDING_CREATE" {
		t.Errorf("pool: %+v", p)
	}
	step()
	limit, ms := 7, 60000
	l, err := listeners.Create(ctx, c.member, listeners.CreateOpts{
		LoadbalancerID: lb.ID, Name: "l", Protocol: "TCP", ProtocolPort: 80, DefaultPoolID: p.ID, ConnLimit: &limit,
		TimeoutClientData: &ms, AllowedCIDRs: []string{"127.0.0.0/8"}, Tags: []string{"t"},
	}).Extract()
	check(err)
	if l.ConnLimit != 7 || l.TimeoutClientData != 60000 || l.TimeoutMemberConnect != 5000 || l.DefaultPoolID != p.ID || len(l.AllowedCIDRs) != 1 || len(l.Tags) != 1 {
		t.Errorf("listener: %+v", l)
	}
	step()
	none := []string{}
	l, err = listeners.Update(ctx, c.member, l.ID, listeners.UpdateOpts{AllowedCIDRs: &none}).Extract()
	check(err)
	if len(l.AllowedCIDRs) != 0 || l.ConnLimit != 7 {
		t.Errorf("listener after the update: %+v", l)
	}
	step()
	weight := 5
	m, err := pools.CreateMember(ctx, c.member, p.ID, pools.CreateMemberOpts{Address: "127.77.2.9", ProtocolPort: 80, SubnetID: c.subnet.ID, Weight: &weight}).Extract()
	check(err)
	step()
	weight = 0
	m, err = pools.UpdateMember(ctx, c.member, p.ID, m.ID, pools.UpdateMemberOpts{Weight: &weight}).Extract()
	check(err)
	if m.Weight != 0 || m.Address != "127.77.2.9" {
		t.Errorf("member: %+v", m)
	}
	step()
	hm, err := monitors.Create(ctx, c.member, monitors.CreateOpts{PoolID: p.ID, Type: "HTTP", Delay: 5, Timeout: 3, MaxRetries: 2, URLPath: "/healthz"}).Extract()
	check(err)
	if hm.HTTPMethod != "GET" || hm.ExpectedCodes != "200" || hm.MaxRetriesDown != 3 || hm.Pools[0].ID != p.ID {
		t.Errorf("monitor: %+v", hm)
	}
	step()
	hm, err = monitors.Update(ctx, c.member, hm.ID, monitors.UpdateOpts{Delay: 9}).Extract()
	check(err)
	if hm.Delay != 9 || hm.URLPath != "/healthz" {
		t.Errorf("monitor after the update: %+v", hm)
	}
	step()
	p, err = pools.Update(ctx, c.member, p.ID, pools.UpdateOpts{LBMethod: "LEAST_CONNECTIONS"}).Extract()
	check(err)
	if p.LBMethod != "LEAST_CONNECTIONS" || p.MonitorID != hm.ID || len(p.Members) != 1 || p.Listeners[0].ID != l.ID {
		t.Errorf("pool after the update: %+v", p)
	}
	step()
	c.listsAndStatuses(lb.ID, p.ID, m.ID, hm.ID)
	check(monitors.Delete(ctx, c.member, hm.ID).ExtractErr())
	step()
	check(pools.DeleteMember(ctx, c.member, p.ID, m.ID).ExtractErr())
	step()
	check(listeners.Delete(ctx, c.member, l.ID).ExtractErr())
	step()
	check(pools.Delete(ctx, c.member, p.ID).ExtractErr())
	step()
	check(loadbalancers.Delete(ctx, c.member, lb.ID, nil).ExtractErr())
}

// listsAndStatuses looks for the parts of a load balancer in every list and in its status tree.
func (c *cloud) listsAndStatuses(lb, pool, member, monitor string) {
	c.t.Helper()
	for name, n := range map[string]int{
		"listeners":        len(all(c.t, listeners.List(c.member, listeners.ListOpts{LoadbalancerID: lb}), listeners.ExtractListeners)),
		"pools":            len(all(c.t, pools.List(c.member, pools.ListOpts{LoadbalancerID: lb}), pools.ExtractPools)),
		"monitors":         len(all(c.t, monitors.List(c.member, monitors.ListOpts{PoolID: pool}), monitors.ExtractMonitors)),
		"listeners by tag": len(all(c.t, listeners.List(c.member, listeners.ListOpts{Tags: []string{"t"}}), listeners.ExtractListeners)),
	} {
		if n != 1 {
			c.t.Errorf("%d %s", n, name)
		}
	}
	tree, err := loadbalancers.GetStatuses(c.t.Context(), c.member, lb).Extract()
	if err != nil {
		c.t.Fatal(err)
	}
	got := tree.Loadbalancer.Listeners[0].Pools[0]
	if got.ID != pool || got.Members[0].ID != member || got.Members[0].OperatingStatus != "DRAINING" {
		c.t.Errorf("status tree: %+v", got)
	}
	_, _, raw := c.call("GET", "/v2/lbaas/loadbalancers/"+lb+"/statuses", "") // gophercloud looks for another name
	if text, _ := json.Marshal(raw); !strings.Contains(string(text), `"health_monitor":{"id":"`+monitor+`"`) {
		c.t.Errorf("status tree: %s", text)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	c := newCloud(t, &loadbalancer.Null{}, "127.77.3.0/24")
	for _, name := range []string{"b", "a", "c"} {
		tags := []string{"fairlead/cluster=x", "fairlead/service=" + name}
		lb := c.create(name, 80, pool(), tags...)
		c.active(lb.ID)
	}
	first := all(t, loadbalancers.List(c.member, loadbalancers.ListOpts{Name: "b"}), loadbalancers.ExtractLoadBalancers)[0]
	names := func(opts loadbalancers.ListOpts) string {
		t.Helper()
		var names []string
		for _, lb := range all(t, loadbalancers.List(c.member, opts), loadbalancers.ExtractLoadBalancers) {
			names = append(names, lb.Name)
		}
		return strings.Join(names, " ")
	}
	tests := []struct {
		name string
		opts loadbalancers.ListOpts
		want string
	}{
		{"all", loadbalancers.ListOpts{}, "b a c"},
		{"by tag", loadbalancers.ListOpts{Tags: []string{"fairlead/cluster=x"}}, "b a c"},
		{"by all tags", loadbalancers.ListOpts{Tags: []string{"fairlead/cluster=x", "fairlead/service=a"}}, "a"},
		{"by any tag", loadbalancers.ListOpts{TagsAny: []string{"fairlead/service=a", "fairlead/service=c"}}, "a c"},
		{"by an unknown tag", loadbalancers.ListOpts{Tags: []string{"fairlead/cluster=y"}}, ""},
		{"by VIP", loadbalancers.ListOpts{VipAddress: first.VipAddress}, "b"},
		{"by VIP port", loadbalancers.ListOpts{VipPortID: first.VipPortID}, "b"},
		{"by state", loadbalancers.ListOpts{ProvisioningStatus: "ERROR"}, ""},
		{"in pages of one", loadbalancers.ListOpts{Limit: 1}, "b a c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := names(tt.opts); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := all(t, loadbalancers.List(c.other, nil), loadbalancers.ExtractLoadBalancers); len(got) != 0 {
		t.Errorf("another project sees %+v", got)
	}
	if got := all(t, loadbalancers.List(c.admin, nil), loadbalancers.ExtractLoadBalancers); len(got) != 3 {
		t.Errorf("an admin sees %d", len(got))
	}
	_, _, body := c.call("GET", "/v2/lbaas/loadbalancers?name=none", "")
	if diff := cmp.Diff(map[string]any{"loadbalancers": []any{}, "loadbalancers_links": []any{}}, body); diff != "" {
		t.Errorf("an empty list below /v2 (-want +got):\n%s", diff)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	c := newCloud(t, &loadbalancer.Null{}, "127.77.4.0/24")
	created := c.create("lb", 80, pool(pools.CreateMemberOpts{Address: "127.77.4.9", ProtocolPort: 80}))
	lb := c.active(created.ID)
	const v2 = "/v2.0/lbaas/"
	poolPath, gone := v2+"pools/"+lb.Pools[0].ID, "00000000-0000-0000-0000-000000000000"
	tests := []struct {
		name, method, path, body string
		code                     int
		says                     string // the faultstring, or "" for an answer that is no fault
	}{
		{"an unknown load balancer", "GET", v2 + "loadbalancers/" + gone, "", 404, "Load Balancer " + gone + " not found."},
		{"an unknown listener", "DELETE", v2 + "listeners/" + gone, "", 404, "Listener " + gone + " not found."},
		{"an unknown protocol", "POST", v2 + "listeners", `{"listener":{"protocol":"FOO","protocol_port":1,"loadbalancer_id":"` + lb.ID + `"}}`, 400,
			"Invalid input for field/attribute protocol. Value: 'FOO'. Value should be one of: HTTP, HTTPS, PROMETHEUS, SCTP, TCP, TERMINATED_HTTPS, UDP"},
		{"a port in use", "POST", v2 + "listeners", `{"listener":{"protocol":"TCP","protocol_port":80,"loadbalancer_id":"` + lb.ID + `"}}`, 409,
			"Another Listener on this Load Balancer is already using protocol TCP and protocol_port 80"},
		{"an algorithm that the provider does not do", "POST", v2 + "pools", `{"pool":{"protocol":"TCP","lb_algorithm":"SOURCE_IP_PORT","loadbalancer_id":"` + lb.ID + `"}}`, 501,
			"Provider 'amphora' does not support a requested option: Amphora provider does not support SOURCE_IP_PORT algorithm."},
		{"a nested pool", "POST", v2 + "listeners", `{"listener":{"protocol":"TCP","protocol_port":81,"loadbalancer_id":"` + lb.ID + `","default_pool":{"protocol":"TCP"}}}`, 500,
			"'dict' object has no attribute '_sa_instance_state'"},
		{"an address of another subnet", "POST", v2 + "loadbalancers", `{"loadbalancer":{"vip_subnet_id":"` + c.subnet.ID + `","vip_address":"1.2.3.4"}}`, 500,
			"Provider 'amphora' reports error: IP address 1.2.3.4 is not a valid IP for the specified subnet."},
		{"an unknown subnet", "POST", v2 + "loadbalancers", `{"loadbalancer":{"vip_subnet_id":"` + gone + `"}}`, 400, "Subnet " + gone + " not found."},
		{"an unknown provider", "POST", v2 + "loadbalancers", `{"loadbalancer":{"vip_subnet_id":"` + c.subnet.ID + `","provider":"f5"}}`, 400, "Provider 'f5' is not enabled."},
		{"an attribute that does not exist", "POST", v2 + "loadbalancers", `{"loadbalancer":{"flavor_id":"x"}}`, 400, "Unknown attribute for argument load_balancer.loadbalancer: flavor_id"},
		{"a deletion that should be a cascade", "DELETE", v2 + "loadbalancers/" + lb.ID, "", 400, "Validation failure: Cannot delete Load Balancer " + lb.ID + " - it has children"},
		{"another project's quota", "GET", v2 + "quotas/theirs", "", 403, "Policy does not allow this request to be performed."},
		{"setting a quota", "PUT", v2 + "quotas/mine", `{"quota":{"load_balancer":1}}`, 403, "Policy does not allow this request to be performed."},
		{"a creation for another project", "POST", v2 + "loadbalancers", `{"loadbalancer":{"project_id":"theirs","vip_subnet_id":"` + c.subnet.ID + `"}}`, 403,
			"Policy does not allow this request to be performed."},
		{"the whole batch of members", "PUT", poolPath + "/members", `{"members":[{"address":"127.77.4.9","protocol_port":80}]}`, 202, ""},
		{"members of an unknown pool", "GET", v2 + "pools/" + gone + "/members", "", 404, "Pool " + gone + " not found."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, length, body := c.call(tt.method, tt.path, tt.body)
			says, _ := body["faultstring"].(string)
			if description, ok := body["description"].(string); ok { // Octavia's other form
				says = description
			}
			if code != tt.code || says != tt.says {
				t.Errorf("%d %v, want %d %s", code, body, tt.code, tt.says)
			}
			if tt.says == "" && length != 0 {
				t.Errorf("a body of %d bytes: %v", length, body)
			}
			if side := body["faultcode"]; tt.says != "" && (side == "Server") != (tt.code >= 500) {
				t.Errorf("%v is blamed for a %d", side, code)
			}
			c.active(lb.ID)
		})
	}
}

func TestQuotasAndDiscovery(t *testing.T) {
	t.Parallel()
	c, ctx := newCloud(t, &loadbalancer.Null{}, "127.77.5.0/24"), t.Context()
	one := 1
	if _, err := quotas.Update(ctx, c.admin, "mine", quotas.UpdateOpts{Loadbalancer: &one}).Extract(); err != nil {
		t.Fatal(err)
	}
	q, err := quotas.Get(ctx, c.member, "mine").Extract()
	if err != nil || q.Loadbalancer != 1 || q.Pool != -1 {
		t.Errorf("quota: %+v, %v", q, err)
	}
	c.create("first", 80, pool())
	code, _, body := c.call("POST", "/v2/lbaas/loadbalancers", `{"loadbalancer":{"vip_subnet_id":"`+c.subnet.ID+`"}}`)
	want := map[string]any{"faultcode": "Client", "faultstring": "Quota has been met for resources: Load Balancer", "debuginfo": nil}
	if diff := cmp.Diff(want, body); code != 403 || diff != "" {
		t.Errorf("over quota: %d (-want +got):\n%s", code, diff)
	}
	if got := all(t, providers.List(c.member, nil), providers.ExtractProviders); len(got) != 2 || got[0].Name != "amphora" {
		t.Errorf("providers: %+v", got)
	}
	_, _, body = c.call("GET", "/", "")
	list := body["versions"].([]any)
	if last := list[len(list)-1].(map[string]any); last["id"] != "v2.12" || last["status"] != "CURRENT" {
		t.Errorf("the newest version: %v", last)
	}
}
