package openstack

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

func TestVersionDocuments(t *testing.T) {
	for _, tt := range []struct {
		name, text, min, max string
	}{
		{"Nova's root of an API", `{"version":{"id":"v2.1","version":"2.93","min_version":"2.1"}}`, "2.1", "2.93"},
		{"Nova's list", `{"versions":[{"id":"v2.0","version":"","min_version":""},{"id":"v2.1","version":"2.53","min_version":"2.1"}]}`, "2.1", "2.53"},
		{"Cinder's list", `{"versions":[{"id":"v3.0","version":"3.70","min_version":"3.0"}]}`, "3.0", "3.70"},
		{"Octavia's list", `{"versions":[{"id":"v2.0"},{"id":"v2.9"},{"id":"v2.10"},{"id":"v1"}]}`, "0.0", "2.10"},
		{"an empty list", `{"versions":[]}`, "", ""},
		{"something else", `{"resources":[]}`, "", ""},
		{"no JSON object", `"v2"`, "", ""},
	} {
		got, err := parseVersionDocument([]byte(tt.text))
		if (err != nil) != (tt.max == "") || err == nil && (got.min.String() != tt.min || got.max.String() != tt.max) {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
}

func TestWhereVersionsAreTold(t *testing.T) {
	for endpoint, want := range map[string]map[service]string{
		"http://nova:8774/v2.1/":             {compute: "http://nova:8774/v2.1/"},
		"https://cloud/compute/v2.1/p1/":     {compute: "https://cloud/compute/v2.1/"},
		"http://cinder:8776/v3/p1/":          {blockStorage: "http://cinder:8776/v3/"},
		"http://octavia:9876/v2.0/":          {loadBalancer: "http://octavia:9876/"},
		"https://cloud/load-balancer/v2.0/":  {loadBalancer: "https://cloud/load-balancer/"},
		"https://v2.example/load-balancer/":  {loadBalancer: "https://v2.example/load-balancer/"},
		"https://cloud/volume/v3/v3project/": {blockStorage: "https://cloud/volume/v3/"},
	} {
		for name, want := range want {
			if got := versionURL(name, endpoint); got != want {
				t.Errorf("%s: %s, want %s", endpoint, got, want)
			}
		}
	}
}

func TestTheNearestVersion(t *testing.T) {
	offered := versionRange{apiVersion{2, 10}, apiVersion{2, 53}}
	for wanted, want := range map[string]string{"2.60": "2.53", "2.53": "2.53", "2.47": "2.47", "2.1": "2.10", "3.0": "2.53"} {
		if got := offered.nearest(parseVersion(wanted)).String(); got != want {
			t.Errorf("%s: %s, want %s", wanted, got, want)
		}
	}
}

// upTo answers as a service does whose newest microversion is the given one.
func upTo(newest string, answers http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, asked, _ := strings.Cut(r.Header.Get("OpenStack-API-Version"), " ")
		if parseVersion(newest).less(parseVersion(asked)) {
			answer(406, `{"computeFault":{"code":406,"message":"Version `+asked+` is not supported by the API."}}`).ServeHTTP(w, r)
			return
		}
		answers.ServeHTTP(w, r)
	})
}

const novaOfOcata = `{"version":{"id":"v2.1","version":"2.42","min_version":"2.1"}}`

func TestAnOlderServiceIsSpokenToInItsNewestVersion(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET /compute/v2.1/servers/i1", upTo("2.42", answer(200, `{"server":{"id":"i1","status":"ACTIVE","flavor":{"id":"flavor-7","links":[]}}}`)))
	f.on("GET /compute/v2.1/", answer(200, novaOfOcata))
	c := connect(t, f)
	for range 2 {
		got, err := c.GetInstance(t.Context(), "i1")
		if err != nil || got.Flavor != "flavor-7" {
			t.Fatalf("%+v, %v: a server without its flavor's name has the id", got, err)
		}
	}
	want := []string{"GET /compute/v2.1/servers/i1", "GET /compute/v2.1/", "GET /compute/v2.1/servers/i1", "GET /compute/v2.1/servers/i1"}
	if calls := f.calls(); !slices.Equal(calls, want) {
		t.Errorf("calls %v", calls)
	}
	if v := f.last().header.Get("OpenStack-API-Version"); v != "compute 2.42" {
		t.Errorf("the last request was in %q", v)
	}
	f.expire() // the same catalog again: what was learned stays
	if _, err := c.GetInstance(t.Context(), "i1"); err != nil {
		t.Error(err)
	}
	if calls := f.calls(); len(calls) != len(want)+2 {
		t.Errorf("calls after the renewal %v", calls)
	}
}

func TestManyRefusedRequestsAskForVersionsOnce(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET /compute/v2.1/servers/i1", upTo("2.42", answer(200, `{"server":{"id":"i1"}}`)))
	f.on("GET /compute/v2.1/", answer(200, novaOfOcata))
	c := connect(t, f)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.GetInstance(t.Context(), "i1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	asked := 0
	for _, call := range f.calls() {
		if call == "GET /compute/v2.1/" {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestAVersionThatCannotBeNegotiatedIsTheCloudsRefusal(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET /compute/v2.1/servers/i1", upTo("2.42", answer(200, `{}`)))
	c := connect(t, f)
	if _, err := c.GetInstance(t.Context(), "i1"); !errors.Is(err, cloud.ErrInvalid) || !strings.Contains(err.Error(), "Version 2.60 is not supported") {
		t.Errorf("got %v", err)
	}
}

// octavia answers as an Octavia whose newest version is the given one: it refuses bodies with what it does not know.
func octavia(f *fakeCloud, newest string, writes ...string) {
	f.on("GET /load-balancer/", answer(200, `{"versions":[{"id":"v2.0"},{"id":"v`+newest+`"}]}`))
	since := map[string]apiVersion{`"tags"`: versionTags, `"allowed_cidrs"`: versionAllowedCIDRs}
	for _, write := range writes {
		f.on(write, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text := f.requests[len(f.requests)-1].body
			for word, v := range since {
				if strings.Contains(text, word) && parseVersion(newest).less(v) {
					answer(400, `{"faultcode":"Client","faultstring":"Unknown attribute: `+strings.Trim(word, `"`)+`"}`).ServeHTTP(w, r)
					return
				}
			}
			answer(200, `{"listener":{"id":"l1"},"loadbalancer":{"id":"lb1"}}`).ServeHTTP(w, r)
		}))
	}
}

func TestListenersOnAnOctaviaWithoutAllowedCIDRs(t *testing.T) {
	const put = "PUT /load-balancer/v2.0/lbaas/listeners/l1"
	f := newFakeCloud(t)
	octavia(f, "2.11", put, "POST /load-balancer/v2.0/lbaas/listeners")
	c := connect(t, f)
	for range 2 {
		if err := c.UpdateListener(t.Context(), cloud.Listener{ID: "l1"}); err != nil {
			t.Fatal(err)
		}
	}
	if calls := f.calls(); !slices.Equal(calls, []string{put, "GET /load-balancer/", put, put}) {
		t.Errorf("calls %v: once learned, the field is left out", calls)
	}
	limited := cloud.Listener{ID: "l1", Name: "http", AllowedCIDRs: []string{"10.0.0.0/8"}}
	_, created := c.CreateListener(t.Context(), "lb1", limited)
	for what, err := range map[string]error{"update": c.UpdateListener(t.Context(), limited), "create": created} {
		if !errors.Is(err, cloud.ErrInvalid) || !strings.Contains(err.Error(), "is 2.11; loadBalancerSourceRanges need 2.12 (Train)") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.CreateListener(t.Context(), "lb1", cloud.Listener{Name: "http"}); err != nil {
		t.Error(err)
	}
}

func TestListenersOnAnOctaviaThatKnowsAllOfIt(t *testing.T) {
	const put = "PUT /load-balancer/v2.0/lbaas/listeners/l1"
	f := newFakeCloud(t)
	octavia(f, "2.26", put)
	c := connect(t, f)
	if err := c.UpdateListener(t.Context(), cloud.Listener{ID: "l1"}); err != nil {
		t.Fatal(err)
	}
	if calls := f.calls(); len(calls) != 1 || !strings.Contains(f.last().body, `"allowed_cidrs":[]`) {
		t.Errorf("calls %v, body %s: the ranges of before must go", calls, f.last().body)
	}
	f.on(put, answer(400, `{"faultcode":"Client","faultstring":"Invalid input"}`))
	if err := c.UpdateListener(t.Context(), cloud.Listener{ID: "l1"}); !errors.Is(err, cloud.ErrInvalid) || !strings.Contains(err.Error(), "Invalid input") {
		t.Errorf("another refusal: %v", err)
	}
}

func TestLoadBalancersOnAnOctaviaWithoutTags(t *testing.T) {
	f := newFakeCloud(t)
	octavia(f, "2.4", "POST /load-balancer/v2.0/lbaas/loadbalancers")
	c := connect(t, f)
	_, err := c.CreateLoadBalancer(t.Context(), cloud.LoadBalancer{Name: "lb", VIPSubnetID: "s1", Tags: []string{"a"}})
	if !errors.Is(err, cloud.ErrInvalid) || !strings.Contains(err.Error(), "is 2.4; Fairlead needs 2.5 (Stein)") {
		t.Errorf("got %v", err)
	}
}

func TestAnAttachedDiskOnACinderThatCannotGrowIt(t *testing.T) {
	f := newFakeCloud(t)
	extend := "POST /volume/v3/" + project + "/volumes/v1/action"
	f.on(extend, upTo("3.27", answer(400, `{"badRequest":{"code":400,"message":"Invalid volume: Volume status must be available"}}`)))
	f.on("GET /volume/v3/", answer(200, `{"versions":[{"id":"v3.0","version":"3.27","min_version":"3.0"}]}`))
	f.on("GET /volume/v3/"+project+"/volumes/v1", answer(200, `{"volume":{"id":"v1","size":1,"status":"in-use","attachments":[{"server_id":"i1"}]}}`))
	c := connect(t, f)
	err := c.ExtendDisk(t.Context(), "v1", 2)
	if !errors.Is(err, cloud.ErrConflict) || !strings.Contains(err.Error(), "is 3.27; attached disks grow from 3.42 (Pike) on: delete the pods") {
		t.Errorf("got %v", err)
	}
	f.on(extend, upTo("3.27", answer(202, "")))
	if err := c.ExtendDisk(t.Context(), "v1", 2); err != nil {
		t.Errorf("detached: %v", err)
	}
}
