package compute

import (
	"maps"
	"net/http"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
)

// maxItems is Nova's max_limit.
const maxItems = 1000

func flavorView(r *api.Request, f compute.Flavor) map[string]any {
	view := map[string]any{
		"id": f.ID, "name": f.Name, "vcpus": f.VCPUs, "ram": f.RAMMiB, "disk": f.DiskGiB, "swap": "",
		"OS-FLV-EXT-DATA:ephemeral": 0, "OS-FLV-DISABLED:disabled": false, "os-flavor-access:is_public": true,
		"rxtx_factor": 1.0, "links": links(r, "flavors", f.ID),
	}
	if r.Version.AtLeast(2, 55) {
		view["description"] = nil
	}
	if r.Version.AtLeast(2, 61) {
		view["extra_specs"] = map[string]string{}
	}
	if r.Version.AtLeast(2, 75) {
		view["swap"] = 0
	}
	return view
}

func (s service) flavors(detailed bool) api.Handler {
	return func(r *api.Request) (int, any, error) {
		if err := checkQuery(r, "limit", "marker", "is_public", "minRam", "minDisk", "sort_key", "sort_dir"); err != nil {
			return 0, nil, err
		}
		memory, err := wholeNumber(r, "minRam")
		if err != nil {
			return 0, nil, err
		}
		disk, err := wholeNumber(r, "minDisk")
		if err != nil {
			return 0, nil, err
		}
		all := slices.DeleteFunc(slices.Clone(s.compute.Flavors()), func(f compute.Flavor) bool { return f.RAMMiB < memory || f.DiskGiB < disk })
		some, next, err := page(r, all, func(f compute.Flavor) string { return f.ID })
		if err != nil {
			return 0, nil, err
		}
		views := make([]any, len(some))
		for i, f := range some {
			view := flavorView(r, f)
			if !detailed {
				maps.DeleteFunc(view, func(name string, _ any) bool {
					return !slices.Contains([]string{"id", "name", "links", "description"}, name)
				})
			}
			views[i] = view
		}
		body := map[string]any{"flavors": views}
		if next != nil {
			body["flavors_links"] = next
		}
		return http.StatusOK, body, nil
	}
}

func (s service) findFlavor(r *api.Request) (compute.Flavor, error) {
	f, ok := s.compute.Flavor(r.PathValue("id"))
	if !ok {
		return f, engine.Refuse(engine.NotFound, "Flavor %s could not be found.", r.PathValue("id"))
	}
	return f, nil
}

func (s service) flavor(r *api.Request) (int, any, error) {
	f, err := s.findFlavor(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"flavor": flavorView(r, f)}, nil
}

func (s service) extraSpecs(r *api.Request) (int, any, error) {
	if _, err := s.findFlavor(r); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"extra_specs": map[string]string{}}, nil
}

func (s service) zones(*api.Request) (int, any, error) {
	zones := []any{}
	for _, name := range s.compute.Zones() {
		zones = append(zones, map[string]any{"zoneName": name, "zoneState": map[string]any{"available": true}, "hosts": nil})
	}
	return http.StatusOK, map[string]any{"availabilityZoneInfo": zones}, nil
}
