package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Facts are what is known about a cloud and differs from that of another one.
type Facts struct {
	ProjectID, UserID, CredentialID string
}

// volatile are fields whose values differ from one run to the next and say nothing.
var volatile = map[string]string{
	"adminPass": "<password>", "hostId": "<host>", "host_id": "<host>", "revision_number": "<revision>", "Revision Number": "<revision>",
	"standard_attr_id": "<number>", "checksum": "<checksum>", "Checksum": "<checksum>", "os_hash_value": "<checksum>",
}

// Normalize brings the exchanges of one cloud into a form that is the same on every cloud which answers the same: ids
// become the name of what they belong to, times and chosen addresses placeholders, lists are sorted. The addresses that
// the script itself names stay.
func Normalize(exchanges []Exchange, facts Facts) ([]Record, error) {
	n := normalizer{names: map[string]string{}, literal: map[string]bool{}}
	for id, name := range map[string]string{facts.ProjectID: "project", facts.UserID: "user", facts.CredentialID: "credential"} {
		if id != "" {
			n.names[id] = name
		}
	}
	decoded := make([]any, len(exchanges))
	for i, x := range exchanges {
		for _, address := range ipv4.FindAllString(x.Line, -1) {
			n.literal[address] = true
		}
		if !json.Valid([]byte(x.Stdout)) {
			continue
		}
		d := json.NewDecoder(strings.NewReader(x.Stdout))
		d.UseNumber()
		if err := d.Decode(&decoded[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", x.Line, err)
		}
		n.learn(decoded[i])
	}
	records := make([]Record, len(exchanges))
	for i, x := range exchanges {
		r := Record{Line: x.Line, Code: x.Code, Errors: n.text(strings.TrimSpace(x.Stderr))}
		if decoded[i] != nil {
			r.Output = n.value("", decoded[i])
		} else if s := strings.TrimSpace(x.Stdout); s != "" {
			r.Output = n.text(s)
		}
		records[i] = r
	}
	return records, nil
}

type normalizer struct {
	names   map[string]string // of ids
	literal map[string]bool   // addresses that the script names
}

// learn notes the names of everything that has an id.
func (n *normalizer) learn(v any) {
	switch v := v.(type) {
	case map[string]any:
		id, name := field(v, "id", "ID"), field(v, "name", "Name")
		if id != "" && name != "" && n.names[id] == "" && identifier.MatchString(id) {
			n.names[id] = name
		}
		for _, x := range v {
			n.learn(x)
		}
	case []any:
		for _, x := range v {
			n.learn(x)
		}
	}
}

func field(object map[string]any, keys ...string) string {
	for _, key := range keys {
		if s, ok := object[key].(string); ok {
			return s
		}
	}
	return ""
}

func (n *normalizer) value(key string, v any) any {
	if placeholder, ok := volatile[key]; ok && v != nil && v != "" {
		return placeholder
	}
	if words, ok := v.(string); ok && key == "roles" {
		v = strings.ReplaceAll(words, " ", "\n")
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[n.text(k)] = n.value(k, x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = n.value("", x)
		}
		slices.SortFunc(out, func(a, b any) int { return cmp.Compare(render(a), render(b)) })
		return out
	case string:
		return sortedLines(n.text(v))
	}
	return v
}

// sortedLines sorts what the command line joins of a list: references by lines, roles by words.
func sortedLines(s string) string {
	lines := strings.Split(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

var (
	identifier = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b`)
	ipv4       = regexp.MustCompile(`\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b`)
	patterns   = []struct {
		what *regexp.Regexp
		as   string
	}{
		{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?`), "<time>"},
		{regexp.MustCompile(`\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b`), "<mac>"},
		{regexp.MustCompile(`https?://[0-9.]+:\d+(/(identity|compute|volume|network|load-balancer|image))?\b`), "<url>"},
		{regexp.MustCompile(`^(gAAAA[\w=-]+|[\w-]{128})$`), "<token>"},
	}
)

func (n *normalizer) text(s string) string {
	for _, p := range patterns {
		s = p.what.ReplaceAllString(s, p.as)
	}
	s = identifier.ReplaceAllStringFunc(s, func(id string) string {
		if name := n.names[id]; name != "" {
			return "<id of " + identifier.ReplaceAllString(name, "...") + ">"
		}
		return "<id>"
	})
	return ipv4.ReplaceAllStringFunc(s, func(address string) string {
		if n.literal[address] || strings.HasSuffix(address, ".0") {
			return address
		}
		return "<address>"
	})
}

// render is a value as JSON, one field per line, keys sorted.
func render(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err.Error() // values come from a JSON decoder
	}
	return strings.TrimSpace(b.String())
}
