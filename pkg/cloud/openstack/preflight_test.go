package openstack

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

const (
	getLB     = "GET " + lbaas
	getVolume = "GET /volume/v3/" + project + "/"
)

// inFlight answers every question of preflight as a healthy cloud does.
func inFlight(t *testing.T) *fakeCloud {
	f := newFakeCloud(t)
	f.token = map[string]any{
		"issued_at": "2036-11-22T15:24:03.000000Z", "user": map[string]any{"id": "u1", "name": "robot"},
		"roles":                  []any{map[string]any{"name": "member"}, map[string]any{"name": "load-balancer_member"}},
		"application_credential": map[string]any{"id": "c1", "restricted": true},
	}
	zones := answer(200, `{"availabilityZoneInfo":[{"zoneName":"az1","zoneState":{"available":true}}]}`)
	for request, text := range map[string]string{
		"GET /identity/v3/users/u1/application_credentials/c1": `{"application_credential":{"expires_at":null}}`,
		"GET /compute/v2.1/":                                    `{"version":{"id":"v2.1","version":"2.93","min_version":"2.1"}}`,
		getVolume + "types":                                     `{"volume_types":[{"name":"standard"}]}`,
		getVolume + "os-quota-sets/" + project:                  `{"quota_set":{"id":"x","volumes":{"limit":10,"in_use":1,"reserved":1}}}`,
		"GET /network/v2.0/networks":                            `{"networks":[{"id":"n1","name":"public","router:external":true}]}`,
		"GET /network/v2.0/extensions":                          `{"extensions":[{"alias":"router"},{"alias":"external-net"},{"alias":"standard-attr-description"}]}`,
		"GET /network/v2.0/quotas/" + project + "/details.json": `{"quota":{"floatingip":{"limit":5,"used":1,"reserved":1},"port":{"limit":-1,"used":1,"reserved":0}}}`,
		"GET /load-balancer/":                                   `{"versions":[{"id":"v2.26"}]}`,
		getLB + "loadbalancers":                                 `{"loadbalancers":[{"id":"lb1"}]}`,
		getLB + "quotas/" + project:                             `{"quota":{"load_balancer":10}}`,
	} {
		f.on(request, answer(200, text))
	}
	f.on("GET /volume/v3/", answer(300, `{"versions":[{"id":"v3.0","version":"3.70","min_version":"3.0"}]}`))
	f.on("GET /compute/v2.1/os-availability-zone", zones)
	f.on(getVolume+"os-availability-zone", zones)
	return f
}

var everything = cloud.Use{Disks: true, ZoneWithoutDisks: cloud.LevelInfo, LoadBalancers: true}

// notOK are the findings that are not.
func notOK(found []cloud.Finding) []cloud.Finding {
	return slices.DeleteFunc(found, func(f cloud.Finding) bool { return f.Level == cloud.LevelOK })
}

func TestPreflightOfAHealthyCloudAsksLittle(t *testing.T) {
	for name, tt := range map[string]struct {
		use   cloud.Use
		calls int
	}{
		"for disks":          {cloud.Use{Disks: true, ZoneWithoutDisks: cloud.LevelInfo}, 7},
		"for load balancers": {cloud.Use{LoadBalancers: true}, 9},
		"for nodes alone":    {cloud.Use{}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			f := inFlight(t)
			found := connect(t, f).Preflight(t.Context(), tt.use)
			if wrong := notOK(found); len(wrong) > 0 {
				t.Errorf("%+v", wrong)
			}
			if calls := f.calls(); len(calls) != tt.calls {
				t.Errorf("%d calls, want %d: %s", len(calls), tt.calls, strings.Join(calls, "\n"))
			}
		})
	}
}

func TestPreflightReadsWhatTheCloudSays(t *testing.T) {
	f := inFlight(t)
	got := connect(t, f).gather(t.Context(), everything)
	if got.diskQuotas.value["volumes"] != (quota{10, 2}) || got.networkQuotas.value["floatingip"] != (quota{5, 2}) || got.balancers.value != 1 {
		t.Errorf("quotas %v, %v, load balancers %d", got.diskQuotas.value, got.networkQuotas.value, got.balancers.value)
	}
	if got.token.User.Name != "robot" || got.token.Project.ID != project || !got.token.CredentialOf.Restricted || len(got.token.Roles) != 2 ||
		got.token.Expires.Sub(got.token.Issued).Hours() < 3.9 {
		t.Errorf("token %+v", got.token)
	}
	f.on("GET /identity/v3/users/u1/application_credentials/c1", answer(200, `{"application_credential":{"expires_at":"2036-12-01T00:00:00.000000"}}`))
	if got := connect(t, f).gather(t.Context(), everything); got.credential.err != nil || got.credential.value.Format("2006-01-02") != "2036-12-01" {
		t.Errorf("expiry %+v", got.credential)
	}
}

func TestPreflightOfACloudInWhichSomethingIsWrong(t *testing.T) {
	policy := answer(403, `{"faultcode":"Client","faultstring":"Policy does not allow this request to be performed."}`)
	post := "POST /load-balancer/v2.0/lbaas/loadbalancers"
	for _, tt := range []struct {
		name   string
		change func(f *fakeCloud)
		check  string
		level  cloud.Level
		says   string
		never  string // a request that must not be made
		more   int    // further findings
	}{
		{"no load balancers in the catalog", without("load-balancer", ""), "load-balancer", cloud.LevelError, "no load-balancer service", getLB, 0},
		{"load balancers under another interface", without("load-balancer", "internal"), "load-balancer", cloud.LevelError, "but under interface internal in region RegionOne", getLB, 0},
		{"a role for nodes and disks only", func(f *fakeCloud) { f.on(getLB+"loadbalancers", policy) }, "load-balancer", cloud.LevelError, "role load-balancer_member", getLB + "quotas", 0},
		{"an observer of load balancers", func(f *fakeCloud) {
			f.token["roles"] = []any{map[string]any{"name": "load-balancer_observer"}, map[string]any{"name": "reader"}}
			f.on(post, policy)
		}, "load-balancer-role", cloud.LevelError, "read but not made", "DELETE", 1},
		{"a role of the cloud's own that suffices", func(f *fakeCloud) {
			f.token["roles"] = []any{map[string]any{"name": "cluster-operator"}}
			f.on(post, answer(400, `{"faultcode":"Client","faultstring":"Subnet x not found."}`))
		}, "", cloud.LevelOK, "", "DELETE", 0},
		{"a Cinder that is down", func(f *fakeCloud) { f.on(getVolume+"os-availability-zone", answer(500, "")) }, "block-storage", cloud.LevelError, "does not answer as it should", getVolume + "types", 0},
		{"versions that the proxy does not pass", func(f *fakeCloud) { f.on("GET /load-balancer/", answer(404, "")) }, "load-balancer-version", cloud.LevelInfo, "not known which versions", "DELETE", 0},
		{"a Keystone that keeps credentials to itself", func(f *fakeCloud) {
			f.on("GET /identity/v3/users/u1/application_credentials/c1", answer(403, `{"error":{"code":403,"message":"no"}}`))
		}, "credentials-expiry", cloud.LevelInfo, "not known when the application credential expires", "DELETE", 0},
		{"an old Neutron without usage of quotas", func(f *fakeCloud) {
			f.on("GET /network/v2.0/quotas/"+project+"/details.json", answer(404, ""))
		}, "quota-floating-ips", cloud.LevelInfo, "cannot be read", "DELETE", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := inFlight(t)
			tt.change(f)
			found := notOK(connect(t, f).Preflight(t.Context(), everything))
			told := slices.ContainsFunc(found, func(g cloud.Finding) bool {
				return g.Check == tt.check && g.Level == tt.level && strings.Contains(g.Message, tt.says)
			})
			if told != (tt.check != "") || len(found) > 1+tt.more {
				t.Errorf("%+v", found)
			}
			for _, call := range f.calls() {
				if strings.HasPrefix(call, tt.never) {
					t.Errorf("asked %s", call)
				}
			}
		})
	}
}

// without takes a service out of the catalog, or moves it to another interface.
func without(kind, moved string) func(f *fakeCloud) {
	return func(f *fakeCloud) {
		f.catalog = func(base string) []map[string]any {
			var entries []map[string]any
			for _, e := range fullCatalog(base) {
				endpoints, _ := e["endpoints"].([]map[string]any)
				if e["type"] == kind && moved != "" {
					endpoints[0]["interface"] = moved
				}
				if e["type"] != kind || moved != "" {
					entries = append(entries, e)
				}
			}
			return entries
		}
	}
}

func TestPreflightWithAnOctaviaThatMakesWhatItMustRefuseLeavesNothing(t *testing.T) {
	f := inFlight(t)
	f.token["roles"] = []any{map[string]any{"name": "cluster-operator"}}
	f.on("POST /load-balancer/v2.0/lbaas/loadbalancers", answer(201, `{"loadbalancer":{"id":"lb9"}}`))
	f.on("DELETE /load-balancer/v2.0/lbaas/loadbalancers/lb9", answer(http.StatusNoContent, ""))
	connect(t, f).Preflight(t.Context(), everything)
	if !slices.Contains(f.calls(), "DELETE /load-balancer/v2.0/lbaas/loadbalancers/lb9?cascade=true") {
		t.Errorf("calls %v", f.calls())
	}
}
