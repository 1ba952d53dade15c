package loadbalancer

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const annotationsDoc = "../../docs/service-annotations.md"

// The documentation is made from what is parsed: go test ./pkg/loadbalancer -run Documentation -update
func TestDocumentationOfAnnotationsIsUpToDate(t *testing.T) {
	want := annotationsMarkdown()
	if *update {
		if err := os.WriteFile(annotationsDoc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(annotationsDoc)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(have)); diff != "" {
		t.Errorf("%s is out of date; run this test with -update:\n%s", annotationsDoc, diff)
	}
}

func TestEveryDocumentedDefaultIsTheOneInForce(t *testing.T) {
	defaults := fmt.Sprintf("%+v", defaultSettings())
	for _, a := range Annotations {
		s := defaultSettings()
		if strings.Contains(a.Default, " ") || a.Default == "everywhere" {
			continue // it is described in words
		}
		if err := a.parse(&s, a.Default); err != nil {
			t.Errorf("%s: its default %q does not parse: %v", a.Name, a.Default, err)
		}
		if got := fmt.Sprintf("%+v", s); got != defaults {
			t.Errorf("%s: its default %q changes something:\n%s\n%s", a.Name, a.Default, got, defaults)
		}
	}
}

func TestRefusedAnnotationsAreNamedUnlessTheyAskForNothing(t *testing.T) {
	for _, r := range refusals {
		_, err := parseAnnotations(map[string]string{r.name: "something"})
		if err == nil || !strings.Contains(err.Error(), r.name) || !strings.Contains(err.Error(), "not supported yet") {
			t.Errorf("%s: %v", r.name, err)
		}
		if _, err := parseAnnotations(map[string]string{r.name: r.harmless}); err != nil {
			t.Errorf("%s: %q: %v", r.name, r.harmless, err)
		}
	}
}

func annotationsMarkdown() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("<!-- Made by: go test ./pkg/loadbalancer -run Documentation -update -->")
	p("# Annotations of a Service")
	p("")
	p("They may be set and changed at any time: the load balancer follows. Values are text, so numbers and true or false need")
	p("quotes in YAML. An empty value counts as absent. A value that is not allowed is answered by an event and by the condition")
	p("`fairlead.io/LoadBalancerCurrent` in the Service's status, which name the annotation, the value and what is allowed; nothing")
	p("is changed in the cloud then. How they play together is told in [load balancers](load-balancers.md).")
	p("")
	p("    metadata:")
	p("      annotations:")
	p("        %s: LEAST_CONNECTIONS", prefix+"lb-method")
	p("        %s: \"30\"", annotationMonitorDelay)
	p("")
	p("| annotation | values | default | what it does |")
	p("| --- | --- | --- | --- |")
	for _, a := range Annotations {
		p("| `%s` | %s | %s | %s |", a.Name, a.Type, a.Default, a.Doc)
	}
	p("")
	p("## Refused")
	p("")
	p("Annotations that users of other controllers may have, and that are not supported yet. A Service that has one is refused,")
	p("since it would not get what it asks for.")
	p("")
	p("| annotation | what it asks for, and what to do instead | accepted value |")
	p("| --- | --- | --- |")
	for _, r := range refusals {
		value := "none"
		if r.harmless != "" {
			value = r.harmless + ", which asks for nothing"
		}
		p("| `%s` | %s | %s |", r.name, r.doc, value)
	}
	p("")
	p("Any other annotation that begins with `%s` is refused too: it is a slip of the pen. Only", prefix)
	p("`%s` is let pass, which other controllers write for people to read.", annotationAddress)
	return b.String()
}
