package loadbalancer

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
)

// withRole asks for one of the roles that Octavia's own policy asks for: the project's member is not enough.
func withRole(method string, h api.Handler) api.Handler {
	roles := []string{"admin", "load-balancer_admin", "load-balancer_member"}
	if method == http.MethodGet {
		roles = append(roles, "load-balancer_observer", "load-balancer_global_observer")
	}
	return func(r *api.Request) (int, any, error) {
		if !slices.ContainsFunc(r.Caller.Roles, func(role string) bool { return slices.Contains(roles, role) }) {
			return 0, nil, disallowed()
		}
		return h(r)
	}
}

// since are the attributes that came after 2.0, with their versions.
var since = map[string]api.Version{"tags": {Major: 2, Minor: 5}, "allowed_cidrs": {Major: 2, Minor: 12}}

// ofAge makes an Octavia that is configured to be older refuse what it cannot know yet.
func ofAge(h api.Handler) api.Handler {
	return func(r *api.Request) (int, any, error) {
		if r.Newest == (api.Version{}) || r.Method != http.MethodPost && r.Method != http.MethodPut {
			return h(r)
		}
		if err := collection.Buffer(r); err != nil {
			return 0, nil, err
		}
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return 0, nil, api.BadRequest("Could not read the request body: %v", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(text))
		var body any
		if json.Unmarshal(text, &body) == nil {
			if attribute := tooNew(body, r.Newest); attribute != "" {
				return 0, nil, api.BadRequest("Unknown attribute for argument loadbalancer: %s", attribute)
			}
		}
		return h(r)
	}
}

// tooNew finds an attribute anywhere in a body that a version does not have.
func tooNew(body any, newest api.Version) string {
	switch b := body.(type) {
	case []any:
		for _, item := range b {
			if found := tooNew(item, newest); found != "" {
				return found
			}
		}
	case map[string]any:
		for name, value := range b {
			if v, ok := since[name]; ok && !newest.AtLeast(v.Major, v.Minor) {
				return name
			}
			if found := tooNew(value, newest); found != "" {
				return found
			}
		}
	}
	return ""
}
