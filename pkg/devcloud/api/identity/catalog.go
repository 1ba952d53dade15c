package identity

import (
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/identity"
)

// endpoints is the catalog as a project sees it: every service at one address under all three interfaces.
func (s service) endpoints(projectID string) []any {
	list := make([]any, 0, len(s.opts.Endpoints))
	for _, e := range s.opts.Endpoints {
		var endpoints []any
		for _, iface := range []string{"internal", "admin", "public"} {
			endpoints = append(endpoints, map[string]any{
				"id": identity.StableID("endpoint", e.Type+"/"+iface), "interface": iface,
				"region": s.opts.Region, "region_id": s.opts.Region,
				"url": strings.ReplaceAll(e.URL, "{project_id}", projectID),
			})
		}
		list = append(list, map[string]any{
			"id": identity.StableID("service", e.Type), "type": e.Type, "name": e.Name, "endpoints": endpoints,
		})
	}
	return list
}
