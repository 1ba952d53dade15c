package blockstorage

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
)

// parseFilter reads a list's query. Parameters that Cinder does not filter by for members are ignored, as it does.
func parseFilter(r *api.Request) (func(blockstorage.Volume) bool, error) {
	query := r.URL.Query()
	var tests []func(blockstorage.Volume) bool
	for name, field := range map[string]func(v blockstorage.Volume) string{
		"name":              func(v blockstorage.Volume) string { return v.Name },
		"status":            func(v blockstorage.Volume) string { return string(v.Status) },
		"availability_zone": func(v blockstorage.Volume) string { return v.Zone },
		"size":              func(v blockstorage.Volume) string { return strconv.FormatInt(v.SizeGiB, 10) },
		"id":                func(v blockstorage.Volume) string { return v.ID },
		"bootable":          func(blockstorage.Volume) string { return "false" },
	} {
		if want, ok := query[name]; ok {
			tests = append(tests, func(v blockstorage.Volume) bool { return field(v) == want[0] })
		}
	}
	if part := query.Get("name~"); part != "" && r.Version.AtLeast(3, 31) {
		tests = append(tests, func(v blockstorage.Volume) bool { return strings.Contains(v.Name, part) })
	}
	if text := query.Get("metadata"); text != "" {
		want, err := parseDict(text)
		if err != nil {
			return nil, api.BadRequest("Invalid input received: metadata filter %s: %v", text, err)
		}
		tests = append(tests, func(v blockstorage.Volume) bool {
			for key, value := range want {
				if got, ok := v.Metadata[key]; !ok || got != value {
					return false
				}
			}
			return true
		})
	}
	return func(v blockstorage.Volume) bool {
		for _, ok := range tests {
			if !ok(v) {
				return false
			}
		}
		return true
	}, nil
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
