package devcloud

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/admin"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/loadbalancer"
)

const volumesRoute = "/v3/{project_id}/volumes"

func mark(t *testing.T, cloud *Cloud) int {
	t.Helper()
	var answer struct{ Mark int }
	adminCall(t, cloud, "POST", "/marks", nil, &answer)
	return answer.Mark
}

func TestCallsAreCountedSinceAMark(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	c := connect(t, cloud.URL)
	c.newVolume(t, volumes.CreateOpts{Size: 1})
	since := mark(t, cloud)
	for range 3 {
		if err := volumes.Create(t.Context(), c.volume, volumes.CreateOpts{Size: 1}, nil).Err; err != nil {
			t.Fatal(err)
		}
	}
	if got := status(t, volumes.Get(t.Context(), c.volume, "x").Err); got != 404 {
		t.Fatal(got)
	}
	calls, err := cloud.Core.Calls.Since(since)
	if err != nil || len(calls) != 2 {
		t.Fatalf("calls %+v, %v", calls, err)
	}
	if got := calls[0]; got.Route != volumesRoute || got.Method != http.MethodPost || got.Status != 202 || got.Count != 3 ||
		!strings.HasPrefix(got.UserAgent, "devcloud-test/1") || got.Service != "volume" {
		t.Errorf("first %+v", got)
	}
	if got := calls[1]; got.Route != volumesRoute+"/{id}" || got.Status != 404 || got.Count != 1 {
		t.Errorf("second %+v", got)
	}
	if err := tryAdmin(t.Context(), cloud.URL, "GET", "/calls?since=99", nil, nil); err == nil {
		t.Error("an unknown mark was accepted")
	}
}

func TestInjectedFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault  api.Fault
		status int  // 0: the connection is lost
		made   bool // the request took effect
	}{
		"a status before the effect":      {api.Fault{Status: 503}, 503, false},
		"a status instead of the answer":  {api.Fault{Status: 504, When: api.After}, 504, true},
		"a lost request":                  {api.Fault{Drop: true}, 0, false},
		"a lost answer":                   {api.Fault{Drop: true, When: api.After}, 0, true},
		"only a delay":                    {api.Fault{Delay: api.Duration(time.Millisecond)}, 202, true},
		"other agents are not concerned":  {api.Fault{Status: 503, UserAgent: "fairlead-csi/"}, 202, true},
		"other methods are not concerned": {api.Fault{Status: 503, Method: "get"}, 202, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := start(t, nil)
			c := connect(t, cloud.URL)
			tt.fault.Service, tt.fault.Route, tt.fault.Count = "volume", volumesRoute, 1
			if tt.fault.Method == "" {
				tt.fault.Method = http.MethodPost
			}
			adminCall(t, cloud, "POST", "/faults", tt.fault, nil)
			result := volumes.Create(t.Context(), c.volume, volumes.CreateOpts{Size: 1}, nil)
			switch {
			case tt.status == 0 && (result.Err == nil || !strings.Contains(result.Err.Error(), "EOF")):
				t.Errorf("got %v, want a lost connection", result.Err)
			case tt.status >= 400 && status(t, result.Err) != tt.status:
				t.Errorf("got %v, want %d", result.Err, tt.status)
			case tt.status == 202 && result.Err != nil:
				t.Error(result.Err)
			}
			if made := cloud.leftovers("").Volumes == 1; made != tt.made {
				t.Errorf("took effect: %v, want %v", made, tt.made)
			}
			if tt.status == 202 {
				return
			}
			if err := volumes.Create(t.Context(), c.volume, volumes.CreateOpts{Size: 1}, nil).Err; err != nil {
				t.Errorf("a fault with count 1 struck twice: %v", err)
			}
		})
	}
}

func TestAnAcceptedOperationFails(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	c := connect(t, cloud.URL)
	server := c.newServer(t, "node", nil)
	kept := c.newVolume(t, volumes.CreateOpts{Size: 1})
	adminCall(t, cloud, "POST", "/faults", api.Fault{Operation: "volume.create", Count: 1}, nil)
	failed, err := volumes.Create(t.Context(), c.volume, volumes.CreateOpts{Size: 1}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	c.volumeIs(t, failed.ID, "error")
	attach := func() {
		t.Helper()
		if err := volumeattach.Create(t.Context(), c.compute, server.ID, volumeattach.CreateOpts{VolumeID: kept.ID}).Err; err != nil {
			t.Fatal(err)
		}
	}
	adminCall(t, cloud, "POST", "/faults", api.Fault{Operation: "volume.attach", Count: 1}, nil)
	attach()
	c.volumeIs(t, kept.ID, "available")
	attach()
	c.volumeIs(t, kept.ID, "in-use")
	adminCall(t, cloud, "POST", "/faults", api.Fault{Operation: "volume.detach", Count: 1}, nil)
	if err := volumeattach.Delete(t.Context(), c.compute, server.ID, kept.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.volumeIs(t, kept.ID, "in-use")
	if got := violations(t, cloud); len(got) != 0 {
		t.Errorf("violations %v", got)
	}
}

func TestFaultsAreCheckedListedAndRemoved(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	for name, body := range map[string]map[string]any{
		"nothing to do":            {"service": "volume"},
		"an unknown field":         {"status": 500, "methode": "GET"},
		"a wrong time":             {"status": 500, "when": "during"},
		"a number as the delay":    {"delay": 5},
		"a wrong probability":      {"status": 500, "probability": 2},
		"no status of an answer":   {"status": 99},
		"a negative count":         {"status": 500, "count": -1},
		"a delay before the start": {"delay": "-1s"},
		"an unknown operation":     {"operation": "volume.lose"},
		"an operation's status":    {"operation": "volume.attach", "status": 500},
	} {
		if err := tryAdmin(t.Context(), cloud.URL, "POST", "/faults", body, nil); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	var added api.Fault
	adminCall(t, cloud, "POST", "/faults", api.Fault{Status: 500, Service: "none"}, &added)
	adminCall(t, cloud, "POST", "/faults", api.Fault{Drop: true, Service: "none"}, nil)
	adminCall(t, cloud, "DELETE", "/faults/"+added.ID, nil, nil)
	var list struct{ Faults []api.Fault }
	adminCall(t, cloud, "GET", "/faults", nil, &list)
	if len(list.Faults) != 1 || !list.Faults[0].Drop {
		t.Errorf("faults %+v", list.Faults)
	}
	adminCall(t, cloud, "DELETE", "/faults", nil, nil)
	if got := cloud.Core.Faults.List(); len(got) != 0 {
		t.Errorf("faults %+v", got)
	}
}

func TestTimesOfOperations(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	adminCall(t, cloud, "PUT", "/times", map[string]any{"profile": "realistic", "kinds": map[string]string{"volume.attach": "7s"}}, nil)
	var got admin.Times
	adminCall(t, cloud, "GET", "/times", nil, &got)
	if time.Duration(got.Kinds["volume.attach"]) != 7*time.Second || time.Duration(got.Kinds["loadbalancer.create"]) != 30*time.Second {
		t.Errorf("times %+v", got)
	}
	if err := tryAdmin(t.Context(), cloud.URL, "PUT", "/times", map[string]any{"profile": "fast"}, nil); err == nil || !strings.Contains(err.Error(), "realistic") {
		t.Errorf("an unknown profile: %v", err)
	}
}

func TestAVolumePassesThroughItsStatesInTheCloudsTime(t *testing.T) {
	t.Parallel()
	config := DefaultConfig()
	config.Listen, config.StateDir, config.Simulate = "127.0.0.1:0", "", true
	config.Times.Profile = "realistic"
	clock := clocktesting.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	cloud := runOn(t, config, clock)
	c := connect(t, cloud.URL)
	is := func(id, want string) {
		t.Helper()
		c.volumeIs(t, id, want)
	}
	step := func(d time.Duration) {
		t.Helper()
		eventually(t, "the cloud waits", clock.HasWaiters)
		clock.Step(d)
	}
	v, err := volumes.Create(t.Context(), c.volume, volumes.CreateOpts{Size: 1}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	is(v.ID, "creating")
	step(2 * time.Second)
	is(v.ID, "available")
	s, err := servers.Create(t.Context(), c.compute, servers.CreateOpts{Name: "n1", FlavorRef: "1", Networks: "auto"}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	server := s.ID
	c.serverIs(t, server, "BUILD")
	step(time.Second)
	c.serverIs(t, server, "ACTIVE")
	if err := volumeattach.Create(t.Context(), c.compute, server, volumeattach.CreateOpts{VolumeID: v.ID}).Err; err != nil {
		t.Fatal(err)
	}
	is(v.ID, "attaching")
	step(4 * time.Second)
	is(v.ID, "in-use")
	if err := volumeattach.Delete(t.Context(), c.compute, server, v.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	is(v.ID, "detaching")
	step(4 * time.Second)
	is(v.ID, "available")
}

func TestLeftoversOfOneCluster(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	c := connect(t, cloud.URL)
	c.newVolume(t, volumes.CreateOpts{Size: 1, Metadata: map[string]string{"fairlead.io/cluster": "uid-1"}})
	c.newVolume(t, volumes.CreateOpts{Size: 1})
	var ours, all, none admin.Leftovers
	adminCall(t, cloud, "GET", "/leftovers?cluster=uid-1", nil, &ours)
	adminCall(t, cloud, "GET", "/leftovers", nil, &all)
	adminCall(t, cloud, "GET", "/leftovers?cluster=uid-2", nil, &none)
	if ours.Volumes != 1 || all.Volumes != 2 || none != (admin.Leftovers{}) {
		t.Errorf("ours %+v, all %+v, none %+v", ours, all, none)
	}
	var seen struct{ Violations []engine.Violation }
	adminCall(t, cloud, "GET", "/violations", nil, &seen)
	if seen.Violations == nil || len(seen.Violations) != 0 {
		t.Errorf("violations %+v", seen.Violations)
	}
}

func TestCountingLeftoversLeavesTheStateAlone(t *testing.T) {
	t.Parallel()
	config := DefaultConfig()
	config.Listen, config.StateDir, config.Simulate = "127.0.0.1:0", t.TempDir(), true
	first, err := New(t.Context(), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = first.Engine.Update(func(tx *engine.Tx) error {
		spec := loadbalancer.LoadBalancerSpec{VIPSubnetID: engine.Some(first.network.Subnets(tx)[1].ID)}
		spec.Tags = engine.Some([]string{"fairlead/cluster=uid-1", "b", "c", "d", "e"})
		_, err := first.loadBalancers.CreateLoadBalancer(tx, config.projectID("demo"), spec)
		return err
	})
	if err := errors.Join(err, first.Close()); err != nil {
		t.Fatal(err)
	}
	cloud := run(t, config) // the tags that were read back have room behind them
	var all sync.WaitGroup
	for range 4 { // for the race detector
		all.Go(func() {
			if n := cloud.leftovers("uid-1"); n.LoadBalancers != 1 || n.Ports != 1 {
				t.Errorf("leftovers %+v", n)
			}
		})
	}
	all.Wait()
}
