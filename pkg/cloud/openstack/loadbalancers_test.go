package openstack

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

const lbaas = "/load-balancer/v2.0/lbaas/"

func TestCreateLoadBalancerIsOneRequestWithTheWholeTree(t *testing.T) {
	f := newFakeCloud(t)
	f.on("POST "+lbaas+"loadbalancers", sample(t, "octavia-lb-create-full"))
	lb, err := connect(t, f).CreateLoadBalancer(t.Context(), cloud.LoadBalancer{
		Name: "svc", Description: "d", VIPSubnetID: "sub", VIPNetworkID: "net", Tags: []string{"a", "b"},
		Listeners: []cloud.Listener{
			{Name: "80-tcp", Protocol: "TCP", Port: 80, Pool: "p", AllowedCIDRs: []string{"10.0.0.0/8"}, TimeoutClientData: 50000},
			{Name: "81-tcp", Protocol: "TCP", Port: 81, Pool: "p", ConnectionMax: 7},
			{Name: "82-tcp", Protocol: "TCP", Port: 82},
		},
		Pools: []cloud.Pool{
			{Name: "p", Protocol: "TCP", Algorithm: "SOURCE_IP", Persistence: "SOURCE_IP",
				Members: []cloud.Member{{ID: "ignored", Name: "n1", Address: "10.0.0.1", Port: 30080, Weight: 1, SubnetID: "sub", MonitorPort: 10256}},
				Monitor: &cloud.Monitor{Name: "m", Type: "HTTP", Delay: 5, Timeout: 3, MaxRetries: 2, MaxRetriesDown: 2, Path: "/healthz", HTTPMethod: "GET", ExpectedCodes: "200"}},
			{Name: "q", Protocol: "TCP", Algorithm: "ROUND_ROBIN"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if lb.ID != "d0b7d000-c498-4ff4-a800-28b1623428bf" || lb.Provisioning != cloud.ProvisioningPending || lb.RawState != "PENDING_CREATE" ||
		lb.VIP != "10.6.0.15" || lb.VIPPortID == "" {
		t.Errorf("got %+v", lb)
	}
	if len(lb.Listeners) != 2 || len(lb.Pools) != 2 || lb.Listeners[0].ID == "" || lb.Listeners[0].DefaultPoolID != lb.Pools[0].ID ||
		lb.Pools[0].Name != "pool-80" || lb.Pools[0].ID == "" {
		t.Errorf("of the tree: %+v, %+v", lb.Listeners, lb.Pools)
	}
	want := `{"loadbalancer":{"name":"svc","description":"d","vip_subnet_id":"sub","tags":["a","b"],"admin_state_up":true,
	 "listeners":[
	  {"name":"80-tcp","protocol":"TCP","protocol_port":80,"connection_limit":-1,"allowed_cidrs":["10.0.0.0/8"],"timeout_client_data":50000,
	   "default_pool":{"name":"p","protocol":"TCP","lb_algorithm":"SOURCE_IP","session_persistence":{"type":"SOURCE_IP"},
	    "members":[{"name":"n1","address":"10.0.0.1","protocol_port":30080,"weight":1,"subnet_id":"sub","monitor_port":10256}],
	    "healthmonitor":{"name":"m","type":"HTTP","delay":5,"timeout":3,"max_retries":2,"max_retries_down":2,"url_path":"/healthz","http_method":"GET","expected_codes":"200"}}},
	  {"name":"81-tcp","protocol":"TCP","protocol_port":81,"connection_limit":7,"default_pool":{"name":"p"}},
	  {"name":"82-tcp","protocol":"TCP","protocol_port":82,"connection_limit":-1}],
	 "pools":[{"name":"q","protocol":"TCP","lb_algorithm":"ROUND_ROBIN"}]}}`
	if got := f.last().body; !sameJSON(t, got, want) {
		t.Errorf("sent %s", got)
	}
	if calls := f.calls(); len(calls) != 1 {
		t.Errorf("calls %v", calls)
	}
}

func TestATreeThatCannotBeBoundIsNotSent(t *testing.T) {
	f := newFakeCloud(t)
	c := connect(t, f)
	for name, lb := range map[string]cloud.LoadBalancer{
		"an unnamed pool":        {Pools: []cloud.Pool{{}}},
		"two pools of one name":  {Pools: []cloud.Pool{{Name: "p"}, {Name: "p"}}},
		"an unknown pool's name": {Listeners: []cloud.Listener{{Name: "l", Pool: "p"}}},
	} {
		if _, err := c.CreateLoadBalancer(t.Context(), lb); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(f.calls()) != 0 {
		t.Errorf("calls %v", f.calls())
	}
}

func TestAQuotaIsToldFromAMissingRole(t *testing.T) {
	for _, tt := range []struct {
		name string
		list http.Handler
		want error
	}{
		{"who may list has the role", sample(t, "octavia-lb-list-by-tag"), cloud.ErrExhausted},
		{"who may not list has not", sample(t, "octavia-err-403-quota"), cloud.ErrUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeCloud(t)
			f.on("POST "+lbaas+"loadbalancers", sample(t, "octavia-err-403-quota"))
			f.on("GET "+lbaas+"loadbalancers", tt.list)
			_, err := connect(t, f).CreateLoadBalancer(t.Context(), cloud.LoadBalancer{Name: "svc"})
			var e *cloud.Error
			if !errors.Is(err, tt.want) || !errors.As(err, &e) || e.Status != 403 || e.Op != opCreateLoadBalancer {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTheStatesOfAllPartsAreOneRequest(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET "+lbaas+"loadbalancers/one/status", answer(200, `{"statuses":{"loadbalancer":{"id":"one","name":"web","provisioning_status":"ACTIVE","operating_status":"OFFLINE",
		"listeners":[
			{"id":"l1","name":"80-tcp","provisioning_status":"PENDING_CREATE","pools":[{"id":"p1","name":"80-tcp","provisioning_status":"PENDING_CREATE",
				"health_monitor":{"id":"m1","name":"80-tcp","type":"TCP","provisioning_status":"PENDING_CREATE"},
				"members":[{"id":"n1","name":"n1","address":"10.6.0.11","protocol_port":30080,"provisioning_status":"PENDING_CREATE"}]}]},
			{"id":"l2","name":"81-tcp","provisioning_status":"ACTIVE","pools":[{"id":"p1","name":"80-tcp","provisioning_status":"PENDING_CREATE"}]}],
		"pools":[{"id":"p2","name":"spare","provisioning_status":"ACTIVE","health_monitor":{},"members":[]}]}}}`))
	got, err := connect(t, f).GetLoadBalancerParts(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	want := cloud.LoadBalancer{
		ID: "one", Name: "web", Provisioning: cloud.ProvisioningActive, RawState: "ACTIVE",
		Listeners: []cloud.Listener{
			{ID: "l1", Name: "80-tcp", DefaultPoolID: "p1", Provisioning: cloud.ProvisioningPending},
			{ID: "l2", Name: "81-tcp", DefaultPoolID: "p1", Provisioning: cloud.ProvisioningActive},
		},
		Pools: []cloud.Pool{
			{ID: "p1", Name: "80-tcp", Provisioning: cloud.ProvisioningPending,
				Members: []cloud.Member{{ID: "n1", Name: "n1", Address: "10.6.0.11", Port: 30080, Provisioning: cloud.ProvisioningPending}},
				Monitor: &cloud.Monitor{ID: "m1", Name: "80-tcp", Type: "TCP", Provisioning: cloud.ProvisioningPending}},
			{ID: "p2", Name: "spare", Provisioning: cloud.ProvisioningActive},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestGetLoadBalancerReadsTheTree(t *testing.T) {
	f := newFakeCloud(t)
	id := "d0b7d000-c498-4ff4-a800-28b1623428bf"
	p1, p2 := "1d5c4292-53bf-4ac8-b0fe-6d3c1f6a2929", "b10105bd-84a2-4139-b391-3c931c253ded"
	f.on("GET "+lbaas+"loadbalancers/"+id, sample(t, "octavia-lb-show"))
	f.on("GET "+lbaas+"listeners", sample(t, "octavia-listeners"))
	f.on("GET "+lbaas+"pools", sample(t, "octavia-pools"))
	f.on("GET "+lbaas+"pools/"+p1+"/members", sample(t, "octavia-members"))
	f.on("GET "+lbaas+"pools/"+p2+"/members", sample(t, "octavia-err-404"))
	f.on("GET "+lbaas+"healthmonitors/4b55cb20-c78b-4830-9fec-0cb5feffad5b",
		answer(200, `{"healthmonitor":{"id":"4b55cb20","name":"hm-80","type":"TCP","delay":5,"timeout":3,"max_retries":2,"max_retries_down":2,"url_path":null}}`))
	lb, err := connect(t, f).GetLoadBalancer(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if len(lb.Listeners) != 2 || lb.Listeners[1].Name != "listener-80" || lb.Listeners[1].Port != 80 || lb.Listeners[1].DefaultPoolID != p1 ||
		lb.Listeners[1].ConnectionMax != -1 || lb.Listeners[1].TimeoutClientData != 50000 || !slices.Equal(lb.Listeners[1].AllowedCIDRs, []string{"0.0.0.0/0"}) {
		t.Errorf("listeners %+v", lb.Listeners)
	}
	if len(lb.Pools) != 1 { // the other went while we read
		t.Fatalf("pools %+v", lb.Pools)
	}
	p := lb.Pools[0]
	if p.ID != p1 || p.Algorithm != "ROUND_ROBIN" || len(p.Members) != 3 || p.Provisioning != cloud.ProvisioningActive {
		t.Errorf("pool %+v", p)
	}
	wantMember := cloud.Member{ID: "1602db40-4552-462e-aac6-502e4ecf9939", Name: "node-1", Address: "10.6.0.101", Port: 30080, Weight: 1, SubnetID: "55d0b0a8-6a7b-4bf6-aeee-9bc8e7a04a10",
		Provisioning: cloud.ProvisioningActive}
	if diff := cmp.Diff(wantMember, p.Members[0]); diff != "" {
		t.Error(diff)
	}
	wantMonitor := &cloud.Monitor{ID: "4b55cb20", Name: "hm-80", Type: "TCP", Delay: 5, Timeout: 3, MaxRetries: 2, MaxRetriesDown: 2}
	if diff := cmp.Diff(wantMonitor, p.Monitor); diff != "" {
		t.Error(diff)
	}
	if n := len(f.calls()); n > 3+2*2 {
		t.Errorf("%d calls for two pools", n)
	}
}

func TestListLoadBalancersAsksForAllTagsAndOwnProject(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET "+lbaas+"loadbalancers", sample(t, "octavia-lb-list-by-tag"))
	list, err := connect(t, f).ListLoadBalancers(t.Context(), "fairlead/cluster=u1", "fairlead/service=s1")
	if err != nil || len(list) != 1 || list[0].Provisioning != cloud.ProvisioningActive || len(list[0].Listeners) != 0 {
		t.Errorf("got %+v, %v", list, err)
	}
	query, _ := url.ParseQuery(f.last().query)
	if query.Get("tags") != "fairlead/cluster=u1,fairlead/service=s1" || query.Get("project_id") != project {
		t.Errorf("query %v", query)
	}
}

func TestAConflictIsToldFromAnImmutableBalancer(t *testing.T) {
	tests := []struct {
		name  string
		path  string
		state string
		call  func(*Cloud) error
		want  error
	}{
		{"a listener's port is taken", "listeners", `{"listeners":[{"id":"l1","protocol":"TCP","protocol_port":81}]}`,
			func(c *Cloud) error {
				_, err := c.CreateListener(t.Context(), "lb1", cloud.Listener{Protocol: "TCP", Port: 81})
				return err
			}, cloud.ErrConflict},
		{"a listener's port is free", "listeners", `{"listeners":[]}`,
			func(c *Cloud) error {
				_, err := c.CreateListener(t.Context(), "lb1", cloud.Listener{Protocol: "TCP", Port: 81})
				return err
			}, cloud.ErrBusy},
		{"a pool has a monitor", "pools/p1", `{"pool":{"id":"p1","healthmonitor_id":"m1"}}`,
			func(c *Cloud) error {
				_, err := c.CreateMonitor(t.Context(), "p1", cloud.Monitor{Type: "TCP"})
				return err
			}, cloud.ErrConflict},
		{"a pool has no monitor", "pools/p1", `{"pool":{"id":"p1","healthmonitor_id":null}}`,
			func(c *Cloud) error {
				_, err := c.CreateMonitor(t.Context(), "p1", cloud.Monitor{Type: "TCP"})
				return err
			}, cloud.ErrBusy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeCloud(t)
			f.on("POST "+lbaas+"listeners", sample(t, "octavia-err-409-duplicate-port"))
			f.on("POST "+lbaas+"healthmonitors", sample(t, "octavia-err-409-immutable"))
			f.on("GET "+lbaas+tt.path, answer(200, tt.state))
			if err := tt.call(connect(t, f)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestWritesToParts(t *testing.T) {
	ctx := t.Context()
	tests := []struct {
		name    string
		request string
		body    string
		call    func(*Cloud) error
	}{
		{"tags are replaced", "PUT loadbalancers/lb1", `{"loadbalancer":{"tags":["a"]}}`,
			func(c *Cloud) error { return c.SetLoadBalancerTags(ctx, "lb1", []string{"a"}) }},
		{"no tags are an empty list", "PUT loadbalancers/lb1", `{"loadbalancer":{"tags":[]}}`,
			func(c *Cloud) error { return c.SetLoadBalancerTags(ctx, "lb1", nil) }},
		{"a listener's zero values are the cloud's defaults", "PUT listeners/l1",
			`{"listener":{"connection_limit":-1,"allowed_cidrs":[],"default_pool_id":null,"timeout_client_data":null,"timeout_member_connect":null,"timeout_member_data":null}}`,
			func(c *Cloud) error { return c.UpdateListener(ctx, cloud.Listener{ID: "l1"}) }},
		{"a listener's values", "PUT listeners/l1",
			`{"listener":{"connection_limit":9,"allowed_cidrs":["::/0"],"default_pool_id":"p1","timeout_client_data":1,"timeout_member_connect":2,"timeout_member_data":3}}`,
			func(c *Cloud) error {
				return c.UpdateListener(ctx, cloud.Listener{ID: "l1", ConnectionMax: 9, AllowedCIDRs: []string{"::/0"}, DefaultPoolID: "p1",
					TimeoutClientData: 1, TimeoutMemberConnect: 2, TimeoutMemberData: 3})
			}},
		{"a pool loses its persistence", "PUT pools/p1", `{"pool":{"lb_algorithm":"ROUND_ROBIN","session_persistence":null}}`,
			func(c *Cloud) error { return c.UpdatePool(ctx, cloud.Pool{ID: "p1", Algorithm: "ROUND_ROBIN"}) }},
		{"members are a batch", "PUT pools/p1/members",
			`{"members":[{"name":"n1","address":"10.0.0.1","protocol_port":80,"weight":1,"monitor_port":null}]}`,
			func(c *Cloud) error {
				return c.SetMembers(ctx, "p1", []cloud.Member{{ID: "x", Name: "n1", Address: "10.0.0.1", Port: 80, Weight: 1}})
			}},
		{"no members are an empty batch", "PUT pools/p1/members", `{"members":[]}`,
			func(c *Cloud) error { return c.SetMembers(ctx, "p1", nil) }},
		{"a monitor keeps its type", "PUT healthmonitors/m1", `{"healthmonitor":{"delay":5,"timeout":3,"max_retries":2}}`,
			func(c *Cloud) error {
				return c.UpdateMonitor(ctx, cloud.Monitor{ID: "m1", Type: "TCP", Delay: 5, Timeout: 3, MaxRetries: 2})
			}},
		{"a load balancer goes with all its parts", "DELETE loadbalancers/lb1?cascade=true", "",
			func(c *Cloud) error { return c.DeleteLoadBalancer(ctx, "lb1") }},
		{"a listener goes", "DELETE listeners/l1", "", func(c *Cloud) error { return c.DeleteListener(ctx, "l1") }},
		{"a pool goes", "DELETE pools/p1", "", func(c *Cloud) error { return c.DeletePool(ctx, "p1") }},
		{"a monitor goes", "DELETE healthmonitors/m1", "", func(c *Cloud) error { return c.DeleteMonitor(ctx, "m1") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeCloud(t)
			method, path, _ := strings.Cut(tt.request, " ")
			bare, query, _ := strings.Cut(path, "?")
			f.on(method+" "+lbaas+bare, answer(202, ""))
			if err := tt.call(connect(t, f)); err != nil {
				t.Fatal(err)
			}
			got := f.last()
			if got.query != query || tt.body != "" && !sameJSON(t, got.body, tt.body) {
				t.Errorf("sent ?%s %s", got.query, got.body)
			}
			if n := len(f.calls()); n != 1 {
				t.Errorf("%d calls", n)
			}
		})
	}
}
