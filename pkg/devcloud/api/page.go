package api

import (
	"net/url"
	"slices"
	"strconv"
)

// Link is one entry of "<collection>_links" or "links".
type Link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// Page cuts a list, already filtered and ordered, by the request's limit and marker (the last id of the page before).
// maxItems bounds a page whatever the limit; 0 does not. next is the link to the page after a full one, or nil: put it
// under "<collection>_links" (Neutron shows it only when a limit was asked for, which is the same thing here).
// An unknown marker is the error that unknown makes of it.
func Page[T any](r *Request, items []T, id func(T) string, maxItems int, unknown func(marker string) error) (page []T, next []Link, err error) {
	query := r.URL.Query()
	limit := maxItems
	if s := query.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return nil, nil, BadRequest("Invalid input for query parameters limit. Value: %s. '%s' does not match '^[0-9]*$'", s, s)
		}
		if n > 0 && (maxItems == 0 || n < maxItems) {
			limit = n
		}
	}
	if marker := query.Get("marker"); marker != "" {
		i := slices.IndexFunc(items, func(v T) bool { return id(v) == marker })
		if i < 0 {
			return nil, nil, unknown(marker)
		}
		items = items[i+1:]
	}
	if limit == 0 || len(items) < limit {
		return items, nil, nil
	}
	items = items[:limit]
	if len(items) == 0 {
		return items, nil, nil
	}
	return items, []Link{{Rel: "next", Href: r.pageURL(query, id(items[len(items)-1]))}}, nil
}

func (r *Request) pageURL(query url.Values, marker string) string {
	query.Set("marker", marker)
	return r.Base + r.URL.Path + "?" + query.Encode()
}
