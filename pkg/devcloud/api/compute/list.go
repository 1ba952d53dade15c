package compute

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
)

// page cuts a list as api.Page does; with Nova, a limit of 0 gives nothing.
func page[T any](r *api.Request, items []T, id func(T) string) ([]T, []api.Link, error) {
	if r.URL.Query().Get("limit") == "0" {
		return nil, nil, nil
	}
	return api.Page(r, items, id, maxItems, func(id string) error { return api.BadRequest("marker [%s] not found", id) })
}

func (s service) list(detailed bool) api.Handler {
	kind := "index"
	if detailed {
		kind = "detail"
	}
	return func(r *api.Request) (int, any, error) {
		if all := r.URL.Query().Get("all_tenants"); all != "" && all != "0" && !strings.EqualFold(all, "false") {
			return api.AdminOnly("os_compute_api:servers:" + kind + ":get_all_tenants")(r)
		}
		match, err := parseFilter(r)
		if err != nil {
			return 0, nil, err
		}
		var body map[string]any
		err = s.engine.View(func(tx *engine.Tx) error {
			all := slices.DeleteFunc(s.compute.List(tx, r.Caller.ProjectID), func(v compute.Server) bool {
				return !match(v) || !s.hasAddress(tx, r, v)
			})
			if err := order(r, all); err != nil {
				return err
			}
			some, next, err := page(r, all, func(v compute.Server) string { return v.ID })
			if err != nil {
				return err
			}
			views := make([]any, len(some))
			for i, v := range some {
				views[i] = map[string]any{"id": v.ID, "name": v.Name, "links": links(r, "servers", v.ID)}
				if detailed {
					view := s.detail(tx, r, v)
					delete(view, "server_groups") // only a single server shows them
					views[i] = view
				}
			}
			body = map[string]any{"servers": views}
			if next != nil {
				body["servers_links"] = next
			}
			return nil
		})
		return http.StatusOK, body, err
	}
}

// serverFilters are the parameters that Nova's schema knows; those without a test below do not concern members.
var serverFilters = strings.Fields(`limit marker sort_key sort_dir name status flavor image ip ip6 availability_zone all_tenants
	tags tags-any not-tags not-tags-any host node hostname uuid user_id project_id tenant_id reservation_id deleted locked
	changes-since changes-before vm_state task_state power_state metadata key_name config_drive description progress
	access_ip_v4 access_ip_v6 created_at launched_at terminated_at launch_index instance_type_id image_ref kernel_id
	ramdisk_id root_device_name display_name display_description auto_disk_config soft_deleted`)

// parseFilter reads a list's query. Nova matches names by regular expression.
func parseFilter(r *api.Request) (func(compute.Server) bool, error) {
	query := r.URL.Query()
	for parameter := range query {
		if r.Version.AtLeast(2, 75) && !slices.Contains(serverFilters, parameter) {
			return nil, api.BadRequest("'%s' does not match any of the regexes: '^_'", parameter)
		}
	}
	name, err := regexp.Compile(query.Get("name"))
	if err != nil {
		return nil, api.BadRequest("Invalid input for query parameters name. Value: %s. '%s' is not a 'regex'", query.Get("name"), query.Get("name"))
	}
	status, flavor, image, zone := query.Get("status"), query.Get("flavor"), query.Get("image"), query.Get("availability_zone")
	if status != "" && r.Version.AtLeast(2, 38) && !slices.ContainsFunc(compute.Statuses, func(s compute.Status) bool { return strings.EqualFold(status, string(s)) }) {
		return nil, api.BadRequest("Invalid status value")
	}
	if !r.Version.AtLeast(2, 83) {
		zone = "" // was an administrator's filter
	}
	return func(v compute.Server) bool {
		return name.MatchString(v.Name) &&
			(status == "" || strings.EqualFold(status, string(v.Status))) &&
			(flavor == "" || flavor == v.Flavor.ID) &&
			(image == "" || image == v.ImageID) &&
			(zone == "" || zone == v.Zone) &&
			(!r.Version.AtLeast(2, 26) || hasTags(v.Tags, query))
	}, nil
}

// hasTags applies the filters by tags, which are separated by commas.
func hasTags(tags []string, query map[string][]string) bool {
	for name, holds := range map[string]func(asked []string) bool{
		"tags":         func(asked []string) bool { return !slices.ContainsFunc(asked, absent(tags)) },
		"tags-any":     func(asked []string) bool { return !all(asked, absent(tags)) },
		"not-tags":     func(asked []string) bool { return slices.ContainsFunc(asked, absent(tags)) },
		"not-tags-any": func(asked []string) bool { return all(asked, absent(tags)) },
	} {
		if asked, ok := query[name]; ok && !holds(strings.Split(asked[0], ",")) {
			return false
		}
	}
	return true
}

func absent(tags []string) func(string) bool {
	return func(tag string) bool { return !slices.Contains(tags, tag) }
}

func all(list []string, holds func(string) bool) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !holds(s) })
}

// hasAddress applies the filter ip, a regular expression, too.
func (s service) hasAddress(tx *engine.Tx, r *api.Request, v compute.Server) bool {
	want := r.URL.Query().Get("ip")
	if want == "" {
		return true
	}
	pattern, err := regexp.Compile(want)
	if err != nil {
		return false
	}
	byNetwork, _ := s.compute.Addresses(tx, v.ID)
	for _, list := range byNetwork {
		if slices.ContainsFunc(list, func(a compute.Address) bool { return pattern.MatchString(a.IP) }) {
			return true
		}
	}
	return false
}

// sortKeys are what Nova sorts servers by, in the order in which its refusal names them.
var sortKeys = strings.Fields(`access_ip_v4 access_ip_v6 auto_disk_config availability_zone config_drive created_at
	display_description display_name host hostname image_ref instance_type_id kernel_id key_name launch_index launched_at
	locked_by node power_state progress project_id ramdisk_id root_device_name task_state terminated_at updated_at user_id
	uuid vm_state`)

// comparisons are those that tell servers of this cloud apart.
var comparisons = map[string]func(a, b compute.Server) int{
	"availability_zone": func(a, b compute.Server) int { return cmp.Compare(a.Zone, b.Zone) },
	"created_at":        func(a, b compute.Server) int { return a.Created.Compare(b.Created) },
	"display_name":      func(a, b compute.Server) int { return cmp.Compare(a.Name, b.Name) },
	"hostname":          func(a, b compute.Server) int { return cmp.Compare(a.Hostname(), b.Hostname()) },
	"image_ref":         func(a, b compute.Server) int { return cmp.Compare(a.ImageID, b.ImageID) },
	"launched_at":       func(a, b compute.Server) int { return a.Launched.Compare(b.Launched) },
	"task_state":        func(a, b compute.Server) int { return cmp.Compare(a.Task, b.Task) },
	"updated_at":        func(a, b compute.Server) int { return a.Updated.Compare(b.Updated) },
	"user_id":           func(a, b compute.Server) int { return cmp.Compare(a.UserID, b.UserID) },
	"uuid":              func(a, b compute.Server) int { return cmp.Compare(a.ID, b.ID) },
	"vm_state":          func(a, b compute.Server) int { return cmp.Compare(a.VMState(), b.VMState()) },
}

// order sorts by sort_key and sort_dir, each of which may be given several times; a direction is descending unless it is
// said. Unasked, the newest stays first.
func order(r *api.Request, all []compute.Server) error {
	keys, directions := r.URL.Query()["sort_key"], r.URL.Query()["sort_dir"]
	for _, key := range keys {
		if !slices.Contains(sortKeys, key) {
			return api.BadRequest("Invalid input for query parameters sort_key. Value: %s. '%s' is not one of ['%s']", key, key, strings.Join(sortKeys, "', '"))
		}
	}
	for _, direction := range directions {
		if direction != "asc" && direction != "desc" {
			return api.BadRequest("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'")
		}
	}
	slices.SortStableFunc(all, func(a, b compute.Server) int {
		for i, key := range keys {
			compare := comparisons[key]
			if compare == nil {
				continue
			}
			c := compare(a, b)
			if i >= len(directions) || directions[i] == "desc" {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	return nil
}
