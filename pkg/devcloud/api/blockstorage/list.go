package blockstorage

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
)

// maxItems is Cinder's osapi_max_limit.
const maxItems = 1000

// page cuts a list as api.Page does, with what is Cinder's own: offset, a limit of 0, and its words for a wrong number.
func page[T any](r *api.Request, items []T, id func(T) string, unknown func(id string) error) ([]T, []api.Link, error) {
	query := r.URL.Query()
	if text := query.Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		switch {
		case err != nil:
			return nil, nil, api.BadRequest("limit param must be an integer")
		case limit < 0:
			return nil, nil, api.BadRequest("limit param must be positive")
		case limit == 0:
			return nil, nil, nil
		}
	}
	if text := query.Get("offset"); text != "" {
		offset, err := strconv.Atoi(text)
		if err != nil || offset < 0 {
			return nil, nil, api.BadRequest("offset must be an integer")
		}
		items = items[min(offset, len(items)):]
	}
	return api.Page(r, items, id, maxItems, unknown)
}

func (s service) list(detailed bool) api.Handler {
	return func(r *api.Request) (int, any, error) {
		match, err := parseFilter(r)
		if err != nil {
			return 0, nil, err
		}
		withCount, err := parseBool("with_count", r.URL.Query().Get("with_count"))
		if err != nil {
			return 0, nil, err
		}
		var all []blockstorage.Volume
		_ = s.view(func(tx *engine.Tx) error {
			all = slices.DeleteFunc(s.volumes.List(tx, r.Caller.ProjectID), func(v blockstorage.Volume) bool { return !match(v) })
			return nil
		})
		if err := order(r, all, sortKeys); err != nil {
			return 0, nil, err
		}
		some, next, err := page(r, all, func(v blockstorage.Volume) string { return v.ID }, unknownVolume)
		if err != nil {
			return 0, nil, err
		}
		views := make([]any, len(some))
		for i, v := range some {
			if views[i] = summary(r, v); detailed {
				views[i] = s.detail(r, v)
			}
		}
		body := map[string]any{"volumes": views}
		if next != nil {
			body["volumes_links"] = next
		}
		if withCount && r.Version.AtLeast(3, 45) {
			body["count"] = len(all)
		}
		return http.StatusOK, body, nil
	}
}

func unknownVolume(id string) error {
	return engine.Refuse(engine.NotFound, "Volume %s could not be found.", id)
}

// sortKeys are what Cinder sorts volumes by.
var sortKeys = map[string]func(a, b blockstorage.Volume) int{
	"id":                func(a, b blockstorage.Volume) int { return cmp.Compare(a.ID, b.ID) },
	"status":            func(a, b blockstorage.Volume) int { return cmp.Compare(a.Status, b.Status) },
	"size":              func(a, b blockstorage.Volume) int { return cmp.Compare(a.SizeGiB, b.SizeGiB) },
	"availability_zone": func(a, b blockstorage.Volume) int { return cmp.Compare(a.Zone, b.Zone) },
	"created_at":        func(a, b blockstorage.Volume) int { return a.Created.Compare(b.Created) },
	"name":              func(a, b blockstorage.Volume) int { return cmp.Compare(a.Name, b.Name) },
	"display_name":      func(a, b blockstorage.Volume) int { return cmp.Compare(a.Name, b.Name) },
	"bootable":          func(_, _ blockstorage.Volume) int { return 0 },
}

// typeSortKeys are those of volume types.
var typeSortKeys = map[string]func(a, b blockstorage.Type) int{
	"id":   func(a, b blockstorage.Type) int { return cmp.Compare(a.ID, b.ID) },
	"name": func(a, b blockstorage.Type) int { return cmp.Compare(a.Name, b.Name) },
}

// order sorts by sort=key:direction,key or by sort_key and sort_dir; unasked, the order stays. Cinder's direction
// is descending unless it is told another one.
func order[T any](r *api.Request, all []T, keys map[string]func(a, b T) int) error {
	query := r.URL.Query()
	asked := query.Get("sort")
	if key := query.Get("sort_key"); asked == "" && key != "" {
		asked = key + ":" + cmp.Or(query.Get("sort_dir"), "desc")
	}
	if asked == "" {
		return nil
	}
	var by []func(a, b T) int
	for one := range strings.SplitSeq(asked, ",") {
		key, direction, _ := strings.Cut(strings.TrimSpace(one), ":")
		compare := keys[key]
		if compare == nil {
			return api.BadRequest("Invalid input received: Invalid sort key")
		}
		switch direction {
		case "asc":
			by = append(by, compare)
		case "", "desc":
			by = append(by, func(a, b T) int { return compare(b, a) })
		default:
			return api.BadRequest("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.")
		}
	}
	slices.SortStableFunc(all, func(a, b T) int {
		for _, compare := range by {
			if c := compare(a, b); c != 0 {
				return c
			}
		}
		return 0
	})
	return nil
}
