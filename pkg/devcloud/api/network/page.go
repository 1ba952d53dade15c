package network

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
)

// unfilterable are attributes that answers have and filters must not name.
var unfilterable = map[string][]string{
	"network":        {"subnets", "availability_zones", "availability_zone_hints", "port_security_enabled", "l2_adjacency"},
	"subnet":         {"allocation_pools", "dns_nameservers", "host_routes"},
	"port":           {"allowed_address_pairs", "extra_dhcp_opts", "binding:vnic_type"},
	"router":         {"external_gateway_info", "routes", "availability_zones", "availability_zone_hints"},
	"floatingip":     {"port_details"},
	"security_group": {"security_group_rules", "stateful"},
}

// filterable are the attributes of a resource that lists can be filtered by.
func filterable(member string, known collection.Item) []string {
	var names []string
	for name := range known {
		if !slices.Contains(unfilterable[member], name) {
			names = append(names, name)
		}
	}
	return names
}

// convertible are the filters whose values must be truth values or numbers.
var convertible = map[string]kind{
	"admin_state_up": boolean, "shared": boolean, "router:external": boolean, "enable_dhcp": boolean,
	"mtu": integer, "ip_version": integer, "revision_number": integer,
}

// pageOf answers a list request: filtered, sorted, cut into pages that link to the next and the previous one, and reduced
// to the wanted fields.
func pageOf(r *api.Request, items []collection.Item, attributes []string, filters map[string]func(collection.Item, []string) bool,
	unknownMarker func(string) error,
) ([]collection.Item, []api.Link, error) {
	query := r.URL.Query()
	if err := checkQuery(query); err != nil {
		return nil, nil, err
	}
	limit, err := limitOf(query.Get("limit"))
	if err != nil {
		return nil, nil, err
	}
	items, err = sorted(r, items, collection.Rules{Strict: true, Attributes: attributes, Filters: filters})
	if err != nil {
		return nil, nil, err
	}
	reverse := strings.EqualFold(query.Get("page_reverse"), "true")
	if items, err = cut(items, limit, query.Get("marker"), reverse, unknownMarker); err != nil {
		return nil, nil, err
	}
	page := make([]collection.Item, 0, len(items))
	for _, item := range items {
		page = append(page, collection.Reduce(item, query["fields"]))
	}
	return page, links(r, items, limit, reverse), nil
}

func checkQuery(query url.Values) error {
	keys, dirs := query["sort_key"], query["sort_dir"]
	if len(keys) != len(dirs) {
		return api.BadRequest("The number of sort_keys and sort_dirs must be same")
	}
	for _, dir := range dirs {
		if dir != "asc" && dir != "desc" {
			return api.BadRequest("['%s'] is invalid value for sort_dirs, valid value is 'asc' and 'desc'", dir)
		}
	}
	for name, values := range query {
		convert := convertible[name]
		for _, value := range values {
			if convert == nil {
				break
			}
			if _, err := convert(name, value); err != nil {
				return err
			}
		}
	}
	for _, value := range query["fixed_ips"] {
		if !strings.Contains(value, "=") {
			return invalidInput("'%s' is not of the form <key>=[value].", value)
		}
	}
	return nil
}

func limitOf(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 0 {
		return 0, &api.Error{Status: 400, Type: "BadRequest", Message: "Bad limit request: Limit must be an integer 0 or greater and not '" + text + "'."}
	}
	return limit, nil
}

// sorted are the items that pass the filters, in order, all of them and whole.
func sorted(r *api.Request, items []collection.Item, rules collection.Rules) ([]collection.Item, error) {
	query := r.URL.Query()
	for _, name := range []string{"limit", "marker", "page_reverse", "fields"} {
		query.Del(name)
	}
	for name, values := range query { // a filter by nothing is none
		if values = slices.DeleteFunc(values, func(v string) bool { return v == "" }); len(values) == 0 {
			query.Del(name)
		}
	}
	whole := *r
	whole.Request = r.Clone(r.Context())
	whole.URL.RawQuery = query.Encode()
	items, _, err := collection.List(&whole, items, rules)
	return items, err
}

// cut is the page after a marker, or before it.
func cut(items []collection.Item, limit int, marker string, reverse bool, unknown func(string) error) ([]collection.Item, error) {
	if marker != "" {
		i := slices.IndexFunc(items, func(item collection.Item) bool { return item["id"] == marker })
		switch {
		case i < 0:
			return nil, unknown(marker)
		case reverse:
			items = items[:i]
		default:
			items = items[i+1:]
		}
	}
	switch {
	case limit == 0 || len(items) <= limit:
		return items, nil
	case reverse:
		return items[len(items)-limit:], nil
	}
	return items[:limit], nil
}

// links lead to the pages around one. Only its own end tells Neutron that there is none: the page before the first is empty.
func links(r *api.Request, items []collection.Item, limit int, reverse bool) []api.Link {
	if limit == 0 {
		return nil
	}
	to := func(rel string, at int, back bool) api.Link {
		query := r.URL.Query()
		query.Del("marker")
		query.Del("page_reverse")
		if len(items) > 0 {
			query.Set("marker", items[at]["id"].(string)) //nolint:forcetypeassert // every item has one
		}
		if back {
			query.Set("page_reverse", "True")
		}
		return api.Link{Rel: rel, Href: r.Base + r.URL.Path + "?" + query.Encode()}
	}
	var all []api.Link
	if reverse || len(items) == limit {
		all = append(all, to("next", len(items)-1, false))
	}
	if !reverse || len(items) == limit {
		all = append(all, to("previous", 0, true))
	}
	return all
}
