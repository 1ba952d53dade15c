// Package network is Neutron's v2.0 API of the embedded cloud.
package network

import (
	"net/http"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

// service is what the handlers share.
type service struct {
	*api.Service
	e       *engine.Engine
	network *network.Service
}

// New serves a network engine.
func New(core *api.Core, e *engine.Engine, n *network.Service) *api.Service {
	s := &service{api.NewService(core, api.Network), e, n}
	s.Public("GET /{$}", versions)
	s.Handle("GET /v2.0/{$}", resources)
	s.Handle("GET /v2.0/extensions", listExtensions)
	s.Handle("GET /v2.0/extensions/{alias}", showExtension)
	s.Handle("GET /v2.0/quotas/{project}", s.showQuota)
	s.Handle("GET /v2.0/quotas", func(*api.Request) (int, any, error) { return 0, nil, disallowed("get_quota") })
	s.Handle("GET /v2.0/quotas/{project}/default", s.showDefaultQuota)
	s.Handle("GET /v2.0/quotas/{project}/details", s.showUsage)
	s.Handle("GET /v2.0/quotas/{project}/details.json", s.showUsage)
	s.Handle("PUT /v2.0/quotas/{project}", s.setQuota)
	s.Handle("DELETE /v2.0/quotas/{project}", s.resetQuota)
	serve(s, s.networks())
	serve(s, s.subnets())
	serve(s, s.ports())
	serve(s, s.routers())
	s.serveRouterActions()
	serve(s, s.floatingIPs())
	serve(s, s.groups())
	serve(s, s.rules())
	return s.Service
}

func versions(r *api.Request) (int, any, error) {
	return http.StatusOK, map[string]any{"versions": []any{map[string]any{
		"id": "v2.0", "status": "CURRENT", "links": []api.Link{{Rel: "self", Href: r.Base + "/v2.0/"}},
	}}}, nil
}

func resources(r *api.Request) (int, any, error) {
	var list []any
	for _, k := range [][2]string{
		{"network", "networks"}, {"subnet", "subnets"}, {"port", "ports"}, {"router", "routers"}, {"floatingip", "floatingips"},
		{"security_group", "security-groups"}, {"security_group_rule", "security-group-rules"}, {"extension", "extensions"}, {"quota", "quotas"},
	} {
		list = append(list, map[string]any{
			"name": k[0], "collection": k[1], "links": []api.Link{{Rel: "self", Href: r.Base + "/v2.0/" + k[1]}},
		})
	}
	return http.StatusOK, map[string]any{"resources": list}, nil
}

// extensions are the parts of Neutron's API that are really here.
var extensions = []extension{
	{"allowed-address-pairs", "Allowed Address Pairs"},
	{"ext-gw-mode", "Neutron L3 Configurable external gateway mode"},
	{"external-net", "Neutron external network"},
	{"extraroute", "Neutron Extra Route"},
	{"extraroute-atomic", "Atomically add/remove extra routes"},
	{"filter-validation", "Filter parameters validation"},
	{"fip-port-details", "Floating IP Port Details Extension"},
	{"net-mtu", "Network MTU"},
	{"net-mtu-writable", "Network MTU (writable)"},
	{"pagination", "Pagination support"},
	{"port-security", "Port Security"},
	{"project-id", "project_id field enabled"},
	{"quotas", "Quota management support"},
	{"quota_details", "Quota details management support"},
	{"revision-if-match", "If-Match constraints based on revision_number"},
	{"router", "Neutron L3 Router"},
	{"security-group", "security-group"},
	{"security-groups-normalized-cidr", "Normalized CIDR field for security group rules"},
	{"sorting", "Sorting support"},
	{"standard-attr-description", "standard-attr-description"},
	{"standard-attr-revisions", "Resource revision numbers"},
	{"standard-attr-tag", "Tag support for resources with standard attribute: port, subnet, network, security_group, router, floatingip"},
	{"standard-attr-timestamp", "Resource timestamps"},
}

type extension struct{ alias, name string }

func (e extension) view() map[string]any {
	return map[string]any{
		"alias": e.alias, "name": e.name, "description": e.name + ".", "updated": "2022-08-29T00:00:00-00:00", "links": []any{},
	}
}

func listExtensions(*api.Request) (int, any, error) {
	list := make([]any, 0, len(extensions))
	for _, e := range extensions {
		list = append(list, e.view())
	}
	return http.StatusOK, map[string]any{"extensions": list}, nil
}

func showExtension(r *api.Request) (int, any, error) {
	i := slices.IndexFunc(extensions, func(e extension) bool { return e.alias == r.PathValue("alias") })
	if i < 0 {
		return http.StatusNotFound, map[string]any{
			"code": "404 Not Found", "title": "Not Found",
			"message": "The resource could not be found.<br /><br />\nExtension with alias " + r.PathValue("alias") + " does not exist\n\n",
		}, nil
	}
	return http.StatusOK, map[string]any{"extension": extensions[i].view()}, nil
}
