package contract

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Exchange is one request of a case and the form of its answer: what is there and of which type, not what it says.
type Exchange struct {
	Request string // "GET /volumes/{id}"
	Status  int
	Headers []string // those of interestingHeaders that the answer had, sorted
	// Shape has the type of every key path of the body: "volumes[].id" is a "string". The elements of a list share one
	// shape. "." is the body itself, "none" or "text" if it is no JSON.
	Shape map[string]string
}

var interestingHeaders = []string{
	"Allow", "Content-Type", "Location", "Openstack-Api-Version", "Retry-After", "Vary", "Www-Authenticate",
	"X-Compute-Request-Id", "X-Openstack-Nova-Api-Version", "X-Openstack-Request-Id", "X-Subject-Token",
}

var (
	identifier = regexp.MustCompile(`[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}|\b[0-9a-f]{32}\b`)
	spaces     = regexp.MustCompile(`\s+`)
)

// exchange is the form of an answer of this cloud.
func (c *Cloud) exchange(a Answer) Exchange {
	path := a.Path
	for service, base := range c.Endpoints {
		path = strings.TrimPrefix(path, strings.TrimRight(base, "/"))
		if below, ok := strings.CutPrefix(path, c.Root(service)); ok {
			path = "<" + service + ">" + below
		}
	}
	e := Exchange{
		Request: inOneOrder(a.Method + " " + spaces.ReplaceAllString(identifier.ReplaceAllString(path, "{id}"), "+")),
		Status:  a.Status, Shape: map[string]string{},
	}
	for _, name := range interestingHeaders {
		if a.Header.Get(name) != "" && (name != "Content-Type" || len(a.Raw) > 0) { // of nothing it says nothing
			e.Headers = append(e.Headers, http.CanonicalHeaderKey(name))
		}
	}
	switch {
	case len(a.Raw) == 0:
		e.Shape["."] = "none"
	case !json.Valid(a.Raw):
		e.Shape["."] = "text"
	default:
		shapeOf(a.Body, "", e.Shape)
	}
	return e
}

// inOneOrder sorts a request's parameters: in links to next pages their order differs.
func inOneOrder(request string) string {
	path, query, ok := strings.Cut(request, "?")
	if !ok {
		return request
	}
	parameters := strings.Split(query, "&")
	slices.Sort(parameters)
	return path + "?" + strings.Join(parameters, "&")
}

// shapeOf adds the types of a value and all below it. Values that share a path, the elements of a list, share a type.
func shapeOf(value any, path string, shape map[string]string) {
	at := path
	if at == "" {
		at = "."
	}
	switch v := value.(type) {
	case map[string]any:
		shape[at] = join(shape[at], "object")
		for key, child := range v {
			shapeOf(child, strings.TrimPrefix(path+"."+key, "."), shape)
		}
	case []any:
		shape[at] = join(shape[at], "list")
		for _, child := range v {
			shapeOf(child, path+"[]", shape)
		}
	case string:
		shape[at] = join(shape[at], "string")
	case float64:
		shape[at] = join(shape[at], "number")
	case bool:
		shape[at] = join(shape[at], "bool")
	default:
		shape[at] = join(shape[at], "null")
	}
}

// join adds a type to types ("null|string").
func join(types, another string) string {
	all := strings.Split(types, "|")
	if types == "" {
		all = nil
	}
	if !slices.Contains(all, another) {
		all = append(all, another)
	}
	slices.Sort(all)
	return strings.Join(all, "|")
}

// Difference is one place where an answer's form differs from the recorded one.
type Difference struct {
	Request string
	Path    string // of the body, or "header NAME"
	Detail  string
}

func (d Difference) String() string { return d.Request + ": " + d.Path + ": " + d.Detail }

// compare lists where the answers of a run differ from the recorded ones.
func compare(recorded, got []Exchange) []Difference {
	var all []Difference
	for i := range max(len(recorded), len(got)) {
		switch {
		case i >= len(got):
			return append(all, Difference{recorded[i].Request, "(request)", "is recorded, but was not made"})
		case i >= len(recorded):
			return append(all, Difference{got[i].Request, "(request)", "is not recorded"})
		case recorded[i].Request != got[i].Request:
			return append(all, Difference{got[i].Request, "(request)", "recorded is " + recorded[i].Request})
		}
		all = append(all, compareOne(recorded[i], got[i])...)
	}
	return all
}

func compareOne(recorded, got Exchange) (all []Difference) {
	differ := func(path, format string, args ...any) {
		all = append(all, Difference{got.Request, path, fmt.Sprintf(format, args...)})
	}
	if recorded.Status != got.Status {
		differ("(status)", "is %d, recorded %d", got.Status, recorded.Status)
	}
	for _, name := range interestingHeaders {
		had, has := slices.Contains(recorded.Headers, name), slices.Contains(got.Headers, name)
		if had && !has {
			differ("header "+name, "is missing")
		} else if has && !had {
			differ("header "+name, "is not recorded")
		}
	}
	paths := maps.Clone(recorded.Shape)
	maps.Copy(paths, got.Shape)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		want, wanted := recorded.Shape[path]
		have, had := got.Shape[path]
		switch {
		case wanted && had && !compatible(want, have):
			differ(path, "is %s, recorded %s", have, want)
		case wanted && !had && !absenceExplained(path, got.Shape):
			differ(path, "is missing (%s)", want)
		case had && !wanted && !absenceExplained(path, recorded.Shape):
			differ(path, "is not recorded (%s)", have)
		}
	}
	return all
}

// compatible compares two types; null is compatible with all.
func compatible(a, b string) bool {
	some := func(types string) []string {
		return slices.DeleteFunc(strings.Split(types, "|"), func(s string) bool { return s == "null" })
	}
	x, y := some(a), some(b)
	return len(x) == 0 || len(y) == 0 || slices.Equal(x, y)
}

// absenceExplained reports whether a path is missing because what it is in is null, an empty list, or missing itself.
func absenceExplained(path string, shape map[string]string) bool {
	if strings.HasSuffix(path, "[]") {
		return true
	}
	parent := "."
	if i := strings.LastIndex(path, "."); i > 0 {
		parent = path[:i]
	}
	return !strings.Contains(shape[parent], "object")
}

// Recording is what the cases of one area exchanged with the real services.
type Recording map[string][]Exchange // by case

// write writes the cases in the order of the area, and none that it no longer has.
func (r Recording) write(w io.Writer, area Area) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "# What the real services answered; written by go test ./tests/contract -openstack -update\n")
	for _, c := range area.Cases {
		exchanges, ok := r[c.Name]
		if !ok {
			continue
		}
		fmt.Fprintf(out, "\n## %s\n", c.Name)
		for _, e := range exchanges {
			fmt.Fprintf(out, "> %s\n< %s\n", e.Request, strings.Join(append([]string{strconv.Itoa(e.Status)}, e.Headers...), " "))
			writeShape(out, e.Shape)
		}
	}
	return out.Flush()
}

// writeShape writes one line per object: its path, then its keys with their types.
func writeShape(w io.Writer, shape map[string]string) {
	lines := map[string][]string{}
	for path, types := range shape {
		parent, key := ".", path
		if i := strings.LastIndex(path, "."); i > 0 {
			parent, key = path[:i], path[i+1:]
		} else if path == "." {
			parent, key = "", ""
		}
		lines[parent] = append(lines[parent], key+"="+types)
	}
	for _, parent := range slices.Sorted(maps.Keys(lines)) {
		slices.Sort(lines[parent])
		if parent == "" {
			fmt.Fprintf(w, "  %s\n", lines[parent][0])
			continue
		}
		fmt.Fprintf(w, "  %s %s\n", parent, strings.Join(lines[parent], " "))
	}
}

// readRecording reads what write wrote.
func readRecording(r io.Reader) (Recording, error) {
	recording, name := Recording{}, ""
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		kind, rest, _ := strings.Cut(line, " ")
		exchanges := recording[name]
		switch {
		case line == "" || kind == "#":
		case kind == "##":
			name = rest
			recording[name] = []Exchange{}
		case kind == ">":
			recording[name] = append(exchanges, Exchange{Request: inOneOrder(rest), Shape: map[string]string{}})
		case len(exchanges) == 0:
			return nil, fmt.Errorf("%q stands before any request", line)
		case kind == "<":
			e := &exchanges[len(exchanges)-1]
			fields := strings.Fields(rest)
			var err error
			if e.Status, err = strconv.Atoi(fields[0]); err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
			e.Headers = fields[1:]
		default:
			readShape(strings.Fields(line), exchanges[len(exchanges)-1].Shape)
		}
	}
	return recording, lines.Err()
}

func readShape(fields []string, shape map[string]string) {
	if types, ok := strings.CutPrefix(fields[0], "="); ok {
		shape["."] = types
		return
	}
	prefix := fields[0] + "."
	if prefix == ".." {
		prefix = ""
	}
	for _, field := range fields[1:] {
		i := strings.LastIndex(field, "=")
		shape[prefix+field[:i]] = field[i+1:]
	}
}
