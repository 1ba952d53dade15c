package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
)

func TestPagesAreCutByLimitAndMarker(t *testing.T) {
	t.Parallel()
	all := []string{"a", "b", "c", "d", "e"}
	unknown := errors.New("unknown marker")
	for name, tt := range map[string]struct {
		query    string
		maxItems int
		want     []string
		next     string // the marker of the next page; empty: there is no link
	}{
		"no limit":                          {"", 0, all, ""},
		"the service's limit":               {"", 2, []string{"a", "b"}, "b"},
		"a limit":                           {"limit=2", 0, []string{"a", "b"}, "b"},
		"a limit over the service's":        {"limit=9", 2, []string{"a", "b"}, "b"},
		"limit 0 is none":                   {"limit=0", 0, all, ""},
		"a marker":                          {"limit=2&marker=b", 0, []string{"c", "d"}, "d"},
		"the last page is not full":         {"limit=2&marker=d", 0, []string{"e"}, ""},
		"a page that is full has a link":    {"limit=5", 0, all, "e"},
		"after the end":                     {"limit=2&marker=e", 0, []string{}, ""},
		"other parameters stay in the link": {"limit=1&name=x", 0, []string{"a"}, "a"},
	} {
		r := &Request{Request: httptest.NewRequest(http.MethodGet, "/v3/things?"+tt.query, nil), Base: "http://cloud/volume"}
		page, next, err := Page(r, all, func(s string) string { return s }, tt.maxItems, func(string) error { return unknown })
		if err != nil || !slices.Equal(page, tt.want) {
			t.Errorf("%s: got %v, %v", name, page, err)
		}
		if (len(next) > 0) != (tt.next != "") {
			t.Errorf("%s: links %v", name, next)
			continue
		}
		if len(next) == 0 {
			continue
		}
		u, err := url.Parse(next[0].Href)
		if err != nil || u.Path != "/volume/v3/things" || u.Query().Get("marker") != tt.next || u.Query().Get("name") != r.URL.Query().Get("name") {
			t.Errorf("%s: link %v", name, next)
		}
	}
	r := &Request{Request: httptest.NewRequest(http.MethodGet, "/?marker=x", nil)}
	if _, _, err := Page(r, all, func(s string) string { return s }, 0, func(string) error { return unknown }); !errors.Is(err, unknown) {
		t.Errorf("an unknown marker: %v", err)
	}
	for _, limit := range []string{"-1", "two", "1.5"} {
		r := &Request{Request: httptest.NewRequest(http.MethodGet, "/?limit="+limit, nil)}
		if _, _, err := Page(r, all, func(s string) string { return s }, 0, nil); err == nil {
			t.Errorf("limit %s was accepted", limit)
		}
	}
}
