package scenario

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/tests/openstack"
)

func TestCallsOfARealOpenStackAreCountedAsTheEmbeddedClouds(t *testing.T) {
	begin := time.Date(2026, 11, 22, 20, 0, 0, 0, time.UTC)
	call := func(service, method, path string, status int, after time.Duration) openstack.Call {
		return openstack.Call{Service: service, Method: method, Path: path, Agent: "fairlead-csi/1", Status: status, Time: begin.Add(after)}
	}
	queried := call("cinder", "GET", "/v3/p/volumes/1", 200, 3*time.Second)
	queried.Query = map[string][]string{"limit": {"1"}}
	got := requests([]openstack.Call{
		call("keystone", "POST", "/v3/auth/tokens", 201, 0),
		call("cinder", "GET", "/v3/p/volumes/1", 200, time.Second),
		call("nova", "GET", "/v2.1/servers/1", 200, 2*time.Second),
		queried,
		call("cinder", "GET", "/v3/p/volumes/1", 404, 4*time.Second),
		call("octavia", "GET", "/v2/lbaas/loadbalancers", 200, 5*time.Second),
	}, []string{"volume", "network"})
	kind := api.Call{Service: "volume", Method: "GET", Route: "/v3/p/volumes/1", UserAgent: "fairlead-csi/1", Status: 200}
	gone := kind
	gone.Status = 404
	want := Requests{Counts: []api.Count{{Call: kind, Count: 2}, {Call: gone, Count: 1}}, Span: 3 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.Total() != 3 {
		t.Errorf("%d in all", got.Total())
	}
}

func TestExceeded(t *testing.T) {
	fast, slow := &Cluster{Cloud: "devcloud"}, &Cluster{Cloud: "openstack"}
	calls := func(n int, span time.Duration) Requests {
		return Requests{Counts: []api.Count{{Count: n}}, Span: span}
	}
	tests := []struct {
		name     string
		cluster  *Cluster
		requests Requests
		allowed  Allowance
		over     bool
	}{
		{"a disk created at once", fast, calls(4, 0), createDisk, false},
		{"one look too many at a cloud that works at once", fast, calls(5, 0), createDisk, true},
		{"looks at a cloud that works for two seconds", slow, calls(2+1+4, 2*time.Second), createDisk, false},
		{"more often than twice a second", slow, calls(2+1+5, 2*time.Second), createDisk, true},
		{"create and attach", slow, calls(2+1+3+1, 0), createDisk.and(attachDisk), false},
		{"nothing is waited for, so nothing is looked at", slow, calls(1, time.Minute), Allowance{}, true},
		{"nothing is asked", slow, Requests{}, Allowance{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if over := (Outcome{Disks: tt.cluster.spent(tt.requests, tt.allowed)}).Exceeded(); (over != "") != tt.over {
				t.Errorf("says %q", over)
			}
		})
	}
}
