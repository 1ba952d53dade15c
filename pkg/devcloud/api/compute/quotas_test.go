package compute

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestLimitsShrinkWithTheMicroversion(t *testing.T) {
	t.Parallel()
	n := newNova(t)
	for _, tt := range []struct {
		microversion, without string
		names                 int
	}{
		{"2.1", "", 19},
		{"2.36", "maxSecurityGroups", 14},
		{"2.39", "maxImageMeta", 13},
		{"2.57", "maxPersonality", 11},
	} {
		w := n.call(http.MethodGet, "/v2.1/limits", "", "OpenStack-API-Version", "compute "+tt.microversion)
		var body struct {
			Limits struct{ Absolute map[string]int }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		absolute := body.Limits.Absolute
		if _, there := absolute[tt.without]; there || len(absolute) != tt.names || absolute["maxTotalInstances"] != 2 {
			t.Errorf("%s: %d limits: %v", tt.microversion, len(absolute), absolute)
		}
	}
}

func TestAdministratorsRequestsAreRefused(t *testing.T) {
	t.Parallel()
	n := newNova(t)
	for request, rule := range map[string]string{
		"POST /v2.1/flavors":                          "os-flavor-manage:create",
		"GET /v2.1/os-hypervisors/detail":             "os-hypervisors:list-detail",
		"GET /v2.1/os-services":                       "os-services:list",
		"GET /v2.1/os-availability-zone/detail":       "os-availability-zone:detail",
		"GET /v2.1/servers?all_tenants=1":             "servers:index:get_all_tenants",
		"GET /v2.1/servers/detail?all_tenants=True":   "servers:detail:get_all_tenants",
		"GET /v2.1/os-quota-sets/somebody-s/defaults": "os-quota-sets:show",
	} {
		method, path, _ := strings.Cut(request, " ")
		if w := n.call(method, path, ""); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), rule) {
			t.Errorf("%s: %d %s", request, w.Code, w.Body)
		}
	}
}

func TestOnePairOfMetadata(t *testing.T) {
	t.Parallel()
	n := newNova(t)
	id := n.server("one")
	n.settle(id)
	item := "/v2.1/servers/" + id + "/metadata/colour"
	if w := n.call(http.MethodPost, "/v2.1/servers/"+id+"/metadata", `{"metadata":{"colour":"red","size":"big"}}`); w.Code != http.StatusOK {
		t.Fatal(w.Code, w.Body)
	}
	if w := n.call(http.MethodGet, item, ""); w.Body.String() != `{"meta":{"colour":"red"}}` {
		t.Error(w.Code, w.Body)
	}
	if w := n.call(http.MethodDelete, item, ""); w.Code != http.StatusNoContent {
		t.Error(w.Code, w.Body)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if w := n.call(method, item, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s of what is gone: %d %s", method, w.Code, w.Body)
		}
	}
	if w := n.call(http.MethodGet, "/v2.1/servers/"+id+"/metadata", ""); w.Body.String() != `{"metadata":{"size":"big"}}` {
		t.Error(w.Code, w.Body)
	}
}
