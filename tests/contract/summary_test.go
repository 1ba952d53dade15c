package contract

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// summaryFile holds the summary between the two marks.
const (
	summaryFile  = "../../docs/devcloud.md"
	summaryBegin = "<!-- contract suite: begin; written by go test ./tests/contract -openstack -update -->\n"
	summaryEnd   = "<!-- contract suite: end -->\n"
)

// summary is what became of every case that ran: whether it passed, by area and name.
type summary struct{ real, devcloud map[string]bool }

func newSummary() *summary { return &summary{real: map[string]bool{}, devcloud: map[string]bool{}} }

func key(area Area, one Case) string { return area.Name + "/" + one.Name }

// complete reports whether every case of every area ran on both clouds.
func (s *summary) complete() bool {
	n := 0
	for _, area := range areas {
		n += len(area.Cases)
	}
	return len(s.real) == n && len(s.devcloud) == n
}

// text is the summary in Markdown.
func (s *summary) text() string {
	var b strings.Builder
	b.WriteString("| area | cases | passed on OpenStack | passed on devcloud | differing |\n| --- | --- | --- | --- | --- |\n")
	row := func(name string, n [4]int) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", name, n[0], n[1], n[2], n[3])
	}
	var total [4]int
	for _, area := range areas {
		n := s.count(area)
		for i := range n {
			total[i] += n[i]
		}
		row(area.Name, n)
	}
	row("all", total)
	b.WriteString("\nWhere devcloud differs and stays so:\n\n")
	for _, area := range areas {
		for _, one := range area.Cases {
			if one.Differs != "" {
				fmt.Fprintf(&b, "- %s, \"%s\": %s.\n", area.Name, one.Name, one.Differs)
			}
		}
	}
	for _, k := range kept {
		what := "every answer"
		if k.Request != "" {
			what = "`" + k.Request + "`"
		}
		fmt.Fprintf(&b, "- %s, `%s`: %s.\n", what, k.Path, k.Reason)
	}
	return b.String()
}

// count counts an area's cases: all, passed on either cloud, differing.
func (s *summary) count(area Area) (n [4]int) {
	n[0] = len(area.Cases)
	for _, one := range area.Cases {
		for i, counts := range []bool{s.real[key(area, one)], s.devcloud[key(area, one)], one.Differs != ""} {
			if counts {
				n[i+1]++
			}
		}
	}
	return n
}

// document writes the summary to the documentation, or fails if it is not what is there.
func (s *summary) document(t *testing.T) {
	t.Helper()
	if !s.complete() {
		t.Log("not all cases ran on both clouds: the summary in docs/devcloud.md was not looked at")
		return
	}
	content, err := os.ReadFile(summaryFile)
	if err != nil {
		t.Fatal(err)
	}
	now, err := withSummary(string(content), s.text())
	switch {
	case err != nil:
		t.Fatal(err)
	case now == string(content):
	case !*update:
		t.Errorf("the summary in docs/devcloud.md is out of date: go test ./tests/contract -openstack -update")
	default:
		if err := os.WriteFile(summaryFile, []byte(now), 0o644); err != nil { //nolint:gosec // part of the repository
			t.Fatal(err)
		}
	}
}

// withSummary is a document with another summary between the marks.
func withSummary(document, text string) (string, error) {
	before, rest, ok := strings.Cut(document, summaryBegin)
	_, after, ok2 := strings.Cut(rest, summaryEnd)
	if !ok || !ok2 {
		return "", errors.New("docs/devcloud.md lacks the marks of the summary")
	}
	return before + summaryBegin + "\n" + text + "\n" + summaryEnd + after, nil
}

func TestTheSummaryIsPutBetweenTheMarks(t *testing.T) {
	got, err := withSummary("a\n"+summaryBegin+"old\n"+summaryEnd+"b\n", "new\n")
	if want := "a\n" + summaryBegin + "\nnew\n\n" + summaryEnd + "b\n"; err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := withSummary("a\n", "new\n"); err == nil {
		t.Error("a document without marks was accepted")
	}
}
