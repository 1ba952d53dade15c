package collection

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		attribute any
		values    []string
		want      bool
	}{
		{"a string", "a", []string{"a"}, true},
		{"another string", "a", []string{"b"}, false},
		{"one of several values", "a", []string{"b", "a"}, true},
		{"a number", 80, []string{"80"}, true},
		{"true in Python's spelling", true, []string{"True"}, true},
		{"true as a number", true, []string{"1"}, true},
		{"false as a number", false, []string{"0"}, true},
		{"false is not true", false, []string{"true"}, false},
		{"false is not one", false, []string{"1"}, false},
		{"an absent value by the empty one", nil, []string{""}, true},
		{"an absent value by null", nil, []string{"null"}, true},
		{"an absent value by another", nil, []string{"a"}, false},
		{"a list that contains it", []string{"a", "b"}, []string{"b"}, true},
		{"a list that does not", []string{"a"}, []string{"b"}, false},
		{"a reference", []Item{{"id": "x"}}, []string{"x"}, true},
		{"no reference", []Item{}, []string{"x"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Matches(tt.attribute, tt.values); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func request(method, target, body string) *api.Request {
	return &api.Request{Request: httptest.NewRequest(method, target, strings.NewReader(body)), Base: "http://cloud/network"}
}

func TestList(t *testing.T) {
	t.Parallel()
	items := func() []Item {
		return []Item{
			{"id": "1", "name": "b", "size": 10, "tags": []string{"x", "y"}},
			{"id": "2", "name": "a", "size": 9, "tags": []string{"x"}},
			{"id": "3", "name": "a", "size": 11, "tags": []string{}},
		}
	}
	rules := Rules{Attributes: []string{"id", "name", "size"}, MaxItems: 2, UnknownMarker: func(string) error { return errors.New("no such marker") }}
	strict := rules
	strict.Strict = true
	tests := []struct {
		name, query string
		rules       Rules
		want        string // ids
		next        string
		fails       bool
	}{
		{"a page is bounded without a limit", "", rules, "1 2", "http://cloud/network/v2.0/things?marker=2", false},
		{"a limit makes it smaller", "limit=1", rules, "1", "http://cloud/network/v2.0/things?limit=1&marker=1", false},
		{"a limit does not make it larger", "limit=9", rules, "1 2", "http://cloud/network/v2.0/things?limit=9&marker=2", false},
		{"the last page has no next one", "marker=2", rules, "3", "", false},
		{"an unknown marker fails", "marker=9", rules, "", "", true},
		{"numbers are sorted as numbers", "sort_key=size&limit=1", rules, "2", "http://cloud/network/v2.0/things?limit=1&marker=2&sort_key=size", false},
		{"Octavia's way to sort", "sort=name:asc,size:desc", rules, "3 2", "http://cloud/network/v2.0/things?marker=2&sort=name%3Aasc%2Csize%3Adesc", false},
		{"a wrong direction fails", "sort=name:up", rules, "", "", true},
		{"an unknown filter is ignored", "colour=red&name=b", rules, "1", "", false},
		{"an unknown filter fails where the service is strict", "colour=red", strict, "", "", true},
		{"tags must all match", "tags=x,y", rules, "1", "", false},
		{"tags given twice must all match", "tags=x&tags=y", rules, "1", "", false},
		{"not all tags", "not-tags=x,y&limit=9", rules, "2 3", "http://cloud/network/v2.0/things?limit=9&marker=3&not-tags=x%2Cy", false},
		{"none of the tags", "not-tags-any=x,y", rules, "3", "", false},
		{"backwards is not done", "page_reverse=True", rules, "", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			page, next, err := List(request(http.MethodGet, "/v2.0/things?"+tt.query, ""), items(), tt.rules)
			if (err != nil) != tt.fails {
				t.Fatal(err)
			}
			var ids []string
			for _, i := range page {
				ids = append(ids, i["id"].(string))
			}
			href := ""
			if len(next) > 0 {
				href = next[0].Href
			}
			if got := strings.Join(ids, " "); got != tt.want || href != tt.next {
				t.Errorf("got %q next %q, want %q next %q", got, href, tt.want, tt.next)
			}
		})
	}
	page, _, err := List(request(http.MethodGet, "/v2.0/things?fields=name&fields=none&name=b", ""), items(), rules)
	if diff := cmp.Diff([]Item{{"name": "b"}}, page); diff != "" || err != nil {
		t.Errorf("fields: %v (-want +got):\n%s", err, diff)
	}
	if page, _, err = List(request(http.MethodGet, "/v2.0/things?name=z", ""), items(), rules); page == nil || len(page) != 0 || err != nil {
		t.Errorf("an empty page is %v, %v", page, err)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body, want string // the error; empty: none
	}{
		{"what is known", `{"thing":{"size":3}}`, ""},
		{"what is not", `{"thing":{"size":3,"colour":"red"}}`, "no colour here"},
		{"a wrong type", `{"thing":{"size":"big"}}`, "Invalid input for field/attribute size. Value: string is not of type 'int'"},
		{"another thing", `{"other":{}}`, "Unable to find 'thing' in request body"},
		{"no JSON", `{`, "Malformed request body: unexpected end of JSON input"},
		{"a list", `{"thing":[]}`, "Invalid input for 'thing'. Value: array is not of the right type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var thing struct {
				Size int `json:"size"`
			}
			r := request(http.MethodPost, "/v2.0/things", tt.body)
			if err := Buffer(r); err != nil {
				t.Fatal(err)
			}
			err := Decode(r, "thing", &thing, func(attribute string) error { return errors.New("no " + attribute + " here") })
			if got := text(err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	r := &api.Request{Request: httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(errors.New("connection lost")))}
	if err := Buffer(r); text(err) != "Could not read the request body: connection lost" {
		t.Errorf("a body that breaks off: %v", err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
