package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// Difference is something that stays different between devcloud and OpenStack.
type Difference struct {
	// Commands is a regular expression that the command must match from its beginning, without "openstack".
	Commands string
	// Fields are the ones that differ, wherever in the output they are; for a table of names and values, the names.
	// None: all that comes of the command.
	Fields []string
	What   string // differs, in the words of the documentation
	Reason string
}

// Compare tells what is different between two plays of one script besides the known differences. A known one that is
// none any more is told, too.
func Compare(openstack, devcloud []Record, known []Difference) []string {
	if len(openstack) != len(devcloud) {
		return []string{fmt.Sprintf("OpenStack has %d records, devcloud %d: they are of different scripts", len(openstack), len(devcloud))}
	}
	var complaints []string
	used := make([]bool, len(known))
	for i, want := range openstack {
		have := devcloud[i]
		if want.Line != have.Line {
			return append(complaints, fmt.Sprintf("record %d is of %q on OpenStack, of %q on devcloud: they are of different scripts", i, want.Line, have.Line))
		}
		for k, d := range known {
			if want.String() == have.String() || !d.concerns(want.Line) {
				continue
			}
			w, h := d.without(want), d.without(have)
			used[k] = used[k] || distance(w, h) < distance(want, have)
			want, have = w, h
		}
		if diff := cmp.Diff(want.String(), have.String()); diff != "" {
			complaints = append(complaints, want.Line+" (- OpenStack, + devcloud):\n"+diff)
		}
	}
	for k, d := range known {
		if !used[k] {
			complaints = append(complaints, fmt.Sprintf("%s: %s: is listed as different and is not", d.Commands, d.What))
		}
	}
	return complaints
}

// distance counts the lines that only one of two records has.
func distance(a, b Record) int {
	lines := map[string]int{}
	for line := range strings.SplitSeq(a.String(), "\n") {
		lines[line]++
	}
	for line := range strings.SplitSeq(b.String(), "\n") {
		lines[line]--
	}
	n := 0
	for _, count := range lines {
		n += max(count, -count)
	}
	return n
}

func (d Difference) concerns(line string) bool {
	_, command, _ := strings.Cut(line, "openstack ")
	return regexp.MustCompile(`^(?:--os-\S+ \S+ )?(?:` + d.Commands + `)`).MatchString(command)
}

// without is a record without what differs.
func (d Difference) without(r Record) Record {
	if len(d.Fields) == 0 {
		return Record{Line: r.Line}
	}
	r.Output = drop(r.Output, d.Fields)
	return r
}

// drop copies a value without the named fields and rows.
func drop(v any, names []string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if !slices.Contains(names, k) {
				out[k] = drop(x, names)
			}
		}
		return out
	case []any:
		out := []any{}
		for _, x := range v {
			if row, ok := x.(map[string]any); ok {
				if name, _ := row["Name"].(string); slices.Contains(names, name) {
					continue
				}
			}
			out = append(out, drop(x, names))
		}
		slices.SortFunc(out, func(a, b any) int { return strings.Compare(render(a), render(b)) })
		return out
	}
	return v
}

// markdown is the table of the differences for the documentation.
func markdown(known []Difference) string {
	var b strings.Builder
	b.WriteString("| what differs | why |\n| --- | --- |\n")
	for _, d := range known {
		_, _ = fmt.Fprintf(&b, "| %s | %s |\n", d.What, d.Reason)
	}
	return b.String()
}
