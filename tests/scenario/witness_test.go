package scenario

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/tests/openstack"
)

func TestCallsOfARealOpenStackAreCountedAsTheEmbeddedClouds(t *testing.T) {
	get := openstack.Call{Service: "cinder", Method: "GET", Path: "/v3/p/volumes/1", Agent: "fairlead-csi/1", Status: 200}
	gone := get
	gone.Status = 404
	queried := get
	queried.Query = map[string][]string{"limit": {"1"}}
	token := openstack.Call{Service: "keystone", Method: "POST", Path: "/v3/auth/tokens", Agent: "fairlead-csi/1", Status: 201}
	kind := api.Call{Service: "volume", Method: "GET", Route: "/v3/p/volumes/1", UserAgent: "fairlead-csi/1", Status: 200}
	kindGone := kind
	kindGone.Status = 404
	want := []api.Count{{Call: kind, Count: 3}, {Call: kindGone, Count: 1}}
	if diff := cmp.Diff(want, count([]openstack.Call{get, token, gone, queried, get})); diff != "" {
		t.Error(diff)
	}
	if n := Total(want); n != 4 {
		t.Errorf("%d calls in all", n)
	}
}
