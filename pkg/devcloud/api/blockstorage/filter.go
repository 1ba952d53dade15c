package blockstorage

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
)

// volumeFilters are what Cinder filters volumes by for members.
var volumeFilters = []string{"name", "status", "metadata", "bootable", "migration_status", "availability_zone", "group_id", "size", "created_at", "updated_at"}

// onlyFilters refuses what is no filter, from 3.31 on; before, it is ignored.
func onlyFilters(r *api.Request, known []string) error {
	if !r.Version.AtLeast(3, 31) {
		return nil
	}
	common := []string{"limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants"}
	if r.Version.AtLeast(3, 45) {
		common = append(common, "with_count")
	}
	for _, name := range slices.Sorted(maps.Keys(r.URL.Query())) {
		if !slices.Contains(known, name) && !slices.Contains(common, name) {
			return api.BadRequest("Invalid filters %s are found in query options.", name)
		}
	}
	return nil
}

// parseFilter reads a list's query.
func parseFilter(r *api.Request) (func(blockstorage.Volume) bool, error) {
	if err := onlyFilters(r, volumeFilters); err != nil {
		return nil, err
	}
	query := r.URL.Query()
	var tests []func(blockstorage.Volume) bool
	for name, field := range map[string]func(v blockstorage.Volume) string{
		"name":              func(v blockstorage.Volume) string { return v.Name },
		"status":            func(v blockstorage.Volume) string { return string(v.Status) },
		"availability_zone": func(v blockstorage.Volume) string { return v.Zone },
		"size":              func(v blockstorage.Volume) string { return strconv.FormatInt(v.SizeGiB, 10) },
		"bootable":          func(blockstorage.Volume) string { return "false" },
	} {
		if want, ok := query[name]; ok {
			tests = append(tests, func(v blockstorage.Volume) bool { return strings.EqualFold(field(v), want[0]) }) // as MySQL compares
		}
	}
	if text := query.Get("metadata"); text != "" {
		tests = append(tests, hasMetadata(text))
	}
	if r.Version.AtLeast(3, 60) {
		times, err := timeFilters(query)
		if err != nil {
			return nil, err
		}
		tests = append(tests, times...)
	}
	return func(v blockstorage.Volume) bool {
		return !slices.ContainsFunc(tests, func(holds func(blockstorage.Volume) bool) bool { return !holds(v) })
	}, nil
}

// hasMetadata matches volumes with all pairs of a dictionary; what is none matches nothing.
func hasMetadata(text string) func(blockstorage.Volume) bool {
	want, err := parseDict(text)
	return func(v blockstorage.Volume) bool {
		for key, value := range want {
			if got, ok := v.Metadata[key]; !ok || got != value {
				return false
			}
		}
		return err == nil
	}
}

// timeFilters read created_at and updated_at: operators with times, "gt:2020-01-01T00:00:00,lt:2021-01-01T00:00:00".
func timeFilters(query url.Values) (tests []func(blockstorage.Volume) bool, err error) {
	for name, field := range map[string]func(v blockstorage.Volume) time.Time{
		"created_at": func(v blockstorage.Volume) time.Time { return v.Created },
		"updated_at": func(v blockstorage.Volume) time.Time { return v.Updated },
	} {
		if query.Get(name) == "" {
			continue
		}
		for one := range strings.SplitSeq(query.Get(name), ",") {
			operator, text, found := strings.Cut(one, ":")
			holds := comparisons[operator]
			if !found || holds == nil {
				operator, text, holds = "eq", one, comparisons["eq"]
			}
			at, err := time.Parse("2006-01-02T15:04:05", strings.TrimSuffix(text, "Z"))
			if err != nil {
				return nil, api.BadRequest("Invalid input received: %s: %s is no time for %s", name, text, operator)
			}
			tests = append(tests, func(v blockstorage.Volume) bool { return holds(field(v).Truncate(time.Second).Compare(at)) })
		}
	}
	return tests, nil
}

var comparisons = map[string]func(c int) bool{
	"gt": func(c int) bool { return c > 0 }, "gte": func(c int) bool { return c >= 0 },
	"lt": func(c int) bool { return c < 0 }, "lte": func(c int) bool { return c <= 0 },
	"eq": func(c int) bool { return c == 0 }, "neq": func(c int) bool { return c != 0 },
}

// parseDict reads {'k': 'v'} as Python writes it, or the same in JSON.
func parseDict(text string) (map[string]string, error) {
	var dict map[string]string
	if err := json.Unmarshal([]byte(text), &dict); err == nil {
		return dict, nil
	}
	p := dictParser{rest: strings.TrimSpace(text)}
	dict = map[string]string{}
	p.take("{")
	for p.err == "" && !p.sees("}") {
		key := p.quoted()
		p.take(":")
		dict[key] = p.quoted()
		if !p.sees("}") {
			p.take(",")
		}
	}
	p.take("}")
	if p.err == "" && p.rest != "" {
		p.err = "text after the closing brace"
	}
	if p.err != "" {
		return nil, errors.New(p.err)
	}
	return dict, nil
}

type dictParser struct {
	rest string
	err  string
}

func (p *dictParser) sees(token string) bool { return strings.HasPrefix(p.rest, token) }

func (p *dictParser) take(token string) {
	if p.err != "" {
		return
	}
	if !p.sees(token) {
		p.err = "expected " + token + " before " + strconv.Quote(p.rest)
		return
	}
	p.rest = strings.TrimSpace(p.rest[len(token):])
}

// quoted takes a string in single or double quotes.
func (p *dictParser) quoted() string {
	if p.err != "" {
		return ""
	}
	if p.sees("u'") || p.sees(`u"`) { // Python 2 clients
		p.rest = p.rest[1:]
	}
	if !p.sees("'") && !p.sees(`"`) {
		p.err = "expected a quoted string before " + strconv.Quote(p.rest)
		return ""
	}
	quote := p.rest[0]
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '\\' && i+1 < len(p.rest):
			i++
			b.WriteByte(p.rest[i])
		case c == quote:
			p.rest = strings.TrimSpace(p.rest[i+1:])
			return b.String()
		default:
			b.WriteByte(c)
		}
	}
	p.err = "a string is not closed"
	return ""
}
