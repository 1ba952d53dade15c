// Package loadbalancer is Octavia's v2 API of the embedded cloud, below /v2.0 and /v2.
package loadbalancer

import (
	"net/http"
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/loadbalancer"
)

// service is what the handlers share.
type service struct {
	*api.Service
	e  *engine.Engine
	lb *loadbalancer.Service
}

// New serves a load balancing engine.
func New(core *api.Core, e *engine.Engine, lb *loadbalancer.Service) *api.Service {
	dialect := api.LoadBalancer
	dialect.Statuses = map[engine.Reason]int{loadbalancer.ProviderFault: http.StatusInternalServerError}
	s := &service{api.NewService(core, dialect), e, lb}
	s.Public("GET /{$}", versions)
	serve(s, s.loadBalancers())
	serve(s, s.listeners())
	serve(s, s.pools())
	serve(s, s.members())
	serve(s, s.monitors())
	s.route("PUT", "pools/{pool}/members", s.setMembers)
	s.route("GET", "loadbalancers/{id}/status", s.statusTree)
	s.route("GET", "loadbalancers/{id}/statuses", s.statusTree)
	s.route("GET", "providers", listProviders)
	for _, version := range []string{"/v2.0/", "/v2/"} {
		for _, path := range []string{"lbaas/quotas/", "quotas/"} { // Octavia has both
			s.Handle("GET "+version+path+"defaults", s.showQuota)
			s.Handle("GET "+version+path+"{project}", s.showQuota)
			s.Handle("PUT "+version+path+"{project}", s.setQuota)
			s.Handle("DELETE "+version+path+"{project}", s.resetQuota)
		}
	}
	return s.Service
}

// inPool answers that there is no such pool as Octavia does while it still looks for the resource: in another form.
func (s *service) inPool(h api.Handler) api.Handler {
	return func(r *api.Request) (int, any, error) {
		err := s.e.View(func(tx *engine.Tx) error {
			_, err := s.lb.Pool(tx, scope(r), r.PathValue("pool"))
			return err
		})
		if err != nil {
			return http.StatusNotFound, map[string]any{"code": http.StatusNotFound, "title": "Bad Request", "description": err.Error()}, nil //nolint:nilerr // the answer tells it
		}
		return h(r)
	}
}

// route adds a route below both names that Octavia gives its version.
func (s *service) route(method, path string, h api.Handler) {
	if strings.HasPrefix(path, "pools/{pool}/") {
		h = s.inPool(h)
	}
	h = withRole(method, ofAge(h))
	s.Handle(method+" /v2.0/lbaas/"+path, h)
	s.Handle(method+" /v2/lbaas/"+path, h)
}

// minors are the API's minor versions with their dates. The last one is that of allowed_cidrs: what came with later
// ones (TLS options, more VIPs, ...) is not here.
var minors = [][2]string{
	{"v2.0", "2016-12-11"}, {"v2.1", "2018-04-20"}, {"v2.2", "2018-07-31"}, {"v2.3", "2018-12-18"}, {"v2.4", "2018-12-19"},
	{"v2.5", "2019-01-21"}, {"v2.6", "2019-01-25"}, {"v2.7", "2018-01-25"}, {"v2.8", "2019-02-12"}, {"v2.9", "2019-03-04"},
	{"v2.10", "2019-03-05"}, {"v2.11", "2019-06-24"}, {"v2.12", "2019-09-11"},
}

// Versions is the range of the API's versions.
func Versions() api.Range {
	return api.Range{Min: api.Version{Major: 2}, Max: api.Version{Major: 2, Minor: len(minors) - 1}}
}

func versions(r *api.Request) (int, any, error) {
	offered := minors
	if newest := r.Newest; newest != (api.Version{}) {
		offered = minors[:min(newest.Minor+1, len(minors))]
	}
	var list []any
	for i, m := range offered {
		status := "SUPPORTED"
		if i == len(offered)-1 {
			status = "CURRENT"
		}
		list = append(list, map[string]any{
			"id": m[0], "status": status, "updated": m[1] + "T00:00:00Z", "links": []api.Link{{Rel: "self", Href: r.Base + "/v2"}},
		})
	}
	return http.StatusOK, map[string]any{"versions": list}, nil
}

func listProviders(*api.Request) (int, any, error) {
	return http.StatusOK, map[string]any{"providers": []any{
		map[string]any{"name": loadbalancer.ProviderName, "description": "TCP balancing by the embedded cloud itself."},
		map[string]any{"name": "octavia", "description": "Deprecated alias of the amphora provider."},
	}}, nil
}

func admin(r *api.Request) bool { return slices.Contains(r.Caller.Roles, "admin") }

// scope is the project whose objects the caller may touch; empty means all.
func scope(r *api.Request) string {
	if admin(r) {
		return ""
	}
	return r.Caller.ProjectID
}

func disallowed() error {
	return api.Errorf(http.StatusForbidden, "Policy does not allow this request to be performed.")
}

func (s *service) showQuota(r *api.Request) (int, any, error) {
	if r.PathValue("project") != r.Caller.ProjectID && !admin(r) { // the defaults, which belong to no project, are for admins alone
		return 0, nil, disallowed()
	}
	var q loadbalancer.Quota
	err := s.e.View(func(tx *engine.Tx) error {
		q = s.lb.Quota(tx, r.PathValue("project"))
		return nil
	})
	return http.StatusOK, map[string]any{"quota": q}, err
}

// setQuota changes a project's quota until the process ends. As in Octavia it takes an admin.
func (s *service) setQuota(r *api.Request) (int, any, error) {
	if !admin(r) {
		return 0, nil, disallowed()
	}
	if err := collection.Buffer(r); err != nil {
		return 0, nil, err
	}
	var q loadbalancer.Quota
	err := s.e.Update(func(tx *engine.Tx) error {
		q = s.lb.Quota(tx, r.PathValue("project"))
		body := struct {
			*loadbalancer.Quota
			LoadBalancer  *int `json:"loadbalancer"` // the names until Rocky, which clients still use
			HealthMonitor *int `json:"healthmonitor"`
		}{&q, &q.LoadBalancer, &q.HealthMonitor}
		if err := decode(r, "quota", &body); err != nil {
			return err
		}
		s.lb.SetQuota(tx, r.PathValue("project"), q)
		return nil
	})
	return http.StatusAccepted, map[string]any{"quota": q}, err
}

// resetQuota gives a project the default again.
func (s *service) resetQuota(r *api.Request) (int, any, error) {
	if !admin(r) {
		return 0, nil, disallowed()
	}
	return http.StatusNoContent, nil, s.e.Update(func(tx *engine.Tx) error {
		s.lb.ResetQuota(tx, r.PathValue("project"))
		return nil
	})
}
