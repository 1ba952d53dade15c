package openstack

import (
	"fmt"
	"strings"
)

// section is one section of an INI file; keys are lower case.
type section struct {
	name string // as in [Name] or [Name "sub"]
	keys map[string]string
}

// parseINI reads the dialect of cloud.conf (that of git's configuration): [section], key = value, key without value is
// true, values may be in double quotes, # and ; begin comments. Its errors name lines, never values.
func parseINI(text string) ([]section, error) {
	var sections []section
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		n++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			end := strings.IndexByte(line, ']')
			if end < 0 || strings.TrimSpace(line[1:end]) == "" {
				return nil, fmt.Errorf("line %d: a section looks like [Global]", n)
			}
			sections = append(sections, section{name: strings.TrimSpace(line[1:end]), keys: map[string]string{}})
		case len(sections) == 0:
			return nil, fmt.Errorf("line %d: a key before the first [section]", n)
		default:
			key, value, err := parseKey(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			sections[len(sections)-1].keys[key] = value
		}
	}
	return sections, nil
}

func parseKey(line string) (key, value string, err error) {
	key, value, found := strings.Cut(line, "=")
	key = strings.ToLower(strings.TrimSpace(key))
	if key == "" || strings.ContainsAny(key, " \t\"") {
		return "", "", fmt.Errorf("a key looks like auth-url = value")
	}
	if !found {
		return key, "true", nil
	}
	value = strings.TrimSpace(value)
	if !strings.HasPrefix(value, `"`) {
		if i := strings.IndexAny(value, "#;"); i >= 0 {
			value = strings.TrimSpace(value[:i])
		}
		return key, value, nil
	}
	var b strings.Builder
	for i := 1; i < len(value); i++ {
		switch c := value[i]; {
		case c == '"':
			if rest := strings.TrimSpace(value[i+1:]); rest != "" && rest[0] != '#' && rest[0] != ';' {
				return "", "", fmt.Errorf("%s: text after the closing quote", key)
			}
			return key, b.String(), nil
		case c == '\\' && i+1 < len(value) && (value[i+1] == '"' || value[i+1] == '\\'):
			i++
			b.WriteByte(value[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("%s: the closing quote is missing", key)
}
