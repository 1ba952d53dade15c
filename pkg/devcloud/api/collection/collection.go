// Package collection answers list requests as Neutron and Octavia do: resources, already in their JSON form, are
// filtered by any attribute, by tags, sorted, cut into pages and reduced to the wanted fields.
package collection

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
)

// Item is a resource in its JSON form. It has an "id".
type Item = map[string]any

// Rules are how a service lists one kind of resource.
type Rules struct {
	// Strict refuses filters by unknown attributes; otherwise they are ignored.
	Strict bool
	// UnknownFilter is the error for filters by unknown attributes where the service is strict; nil: Neutron's.
	UnknownFilter func(names []string) error
	// Attributes are the names that may be filtered by.
	Attributes []string
	// Filters are filters that are no plain comparison; each gets all values of its parameter.
	Filters map[string]func(item Item, values []string) bool
	// MaxItems bounds a page; 0 does not.
	MaxItems int
	// UnknownMarker is the error for a marker that is not in the list.
	UnknownMarker func(marker string) error
}

var reserved = []string{"limit", "marker", "page_reverse", "sort", "sort_key", "sort_dir", "fields"}

// List answers a list request. next is the link to the page after this one, or nil.
func List(r *api.Request, items []Item, rules Rules) (page []Item, next []api.Link, err error) {
	query := r.URL.Query()
	if strings.EqualFold(query.Get("page_reverse"), "true") {
		return nil, nil, api.BadRequest("page_reverse is not supported.")
	}
	if items, err = filter(items, query, rules); err != nil {
		return nil, nil, err
	}
	if err := order(items, query); err != nil {
		return nil, nil, err
	}
	page, next, err = api.Page(r, items, func(i Item) string { return i["id"].(string) }, rules.MaxItems, rules.UnknownMarker)
	if err != nil {
		return nil, nil, err
	}
	if fields := query["fields"]; len(fields) > 0 {
		for i := range page {
			page[i] = Reduce(page[i], fields)
		}
	}
	if page == nil {
		page = []Item{} // an empty list, not null
	}
	return page, next, nil
}

// Reduce leaves only the named fields; none means all.
func Reduce(item Item, fields []string) Item {
	if len(fields) == 0 {
		return item
	}
	reduced := Item{}
	for _, field := range fields {
		if v, ok := item[field]; ok {
			reduced[field] = v
		}
	}
	return reduced
}

func filter(items []Item, query url.Values, rules Rules) ([]Item, error) {
	var unknown []string
	for name, values := range query {
		if slices.Contains(reserved, name) {
			continue
		}
		match := rules.Filters[name]
		if match == nil {
			match = tagFilters[name]
		}
		if match == nil && slices.Contains(rules.Attributes, name) {
			match = func(item Item, values []string) bool { return Matches(item[name], values) }
		}
		if match == nil {
			unknown = append(unknown, name)
			continue
		}
		items = slices.DeleteFunc(slices.Clone(items), func(item Item) bool { return !match(item, values) })
	}
	if len(unknown) > 0 && rules.Strict {
		slices.Sort(unknown)
		if rules.UnknownFilter != nil {
			return nil, rules.UnknownFilter(unknown)
		}
		return nil, api.BadRequest("Invalid input for operation: ['%s'] is invalid attribute for filtering.", strings.Join(unknown, "', '"))
	}
	return items, nil
}

// Matches compares an attribute with any of the values; a list matches when it contains one.
func Matches(attribute any, values []string) bool {
	switch v := attribute.(type) {
	case nil:
		return slices.ContainsFunc(values, func(s string) bool { return s == "" || s == "null" || s == "None" })
	case bool:
		return slices.ContainsFunc(values, func(s string) bool {
			return strings.EqualFold(s, fmt.Sprint(v)) || (s == "1") == v && (s == "1" || s == "0")
		})
	case []string:
		return slices.ContainsFunc(v, func(s string) bool { return slices.Contains(values, s) })
	case []Item: // references: [{"id": ...}]
		return slices.ContainsFunc(v, func(i Item) bool { return Matches(i["id"], values) })
	default:
		return slices.Contains(values, fmt.Sprint(v))
	}
}

// tagFilters take tags separated by commas.
var tagFilters = map[string]func(Item, []string) bool{
	"tags":         hasAll,
	"tags-any":     hasAny,
	"not-tags":     func(i Item, v []string) bool { return !hasAll(i, v) },
	"not-tags-any": func(i Item, v []string) bool { return !hasAny(i, v) },
}

func hasAll(item Item, values []string) bool {
	tags, _ := item["tags"].([]string)
	return !slices.ContainsFunc(split(values), func(t string) bool { return !slices.Contains(tags, t) })
}

func hasAny(item Item, values []string) bool {
	tags, _ := item["tags"].([]string)
	return slices.ContainsFunc(split(values), func(t string) bool { return slices.Contains(tags, t) })
}

func split(values []string) []string { return strings.Split(strings.Join(values, ","), ",") }

// order sorts by sort_key and sort_dir (Neutron), or by sort=key:dir,key:dir (Octavia). Unasked, the order stays.
func order(items []Item, query url.Values) error {
	keys, dirs := query["sort_key"], query["sort_dir"]
	for _, s := range query["sort"] {
		for _, one := range strings.Split(s, ",") {
			key, dir, _ := strings.Cut(one, ":")
			keys, dirs = append(keys, key), append(dirs, cmp.Or(dir, "asc"))
		}
	}
	for _, dir := range dirs {
		if dir != "asc" && dir != "desc" {
			return api.BadRequest("Invalid input for sort direction. Value: %s. Value should be one of: asc, desc", dir)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	slices.SortStableFunc(items, func(a, b Item) int {
		for i, key := range keys {
			c := compare(a[key], b[key])
			if i < len(dirs) && dirs[i] == "desc" {
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

func compare(a, b any) int {
	x, ok := a.(int)
	y, also := b.(int)
	if ok && also {
		return cmp.Compare(x, y)
	}
	return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
}
