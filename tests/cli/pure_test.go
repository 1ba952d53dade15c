package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScriptsAreRead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		line string
		want Step
	}{
		{"openstack volume set --name 'a disk' data", Step{Args: []string{"volume", "set", "--name", "a disk", "data"}}},
		{"openstack volume list", Step{Args: []string{"volume", "list", "-f", "json"}}},
		{"openstack volume list -f value", Step{Args: []string{"volume", "list", "-f", "value"}}},
		{"openstack loadbalancer status show lb", Step{Args: []string{"loadbalancer", "status", "show", "lb"}}},
		{"! openstack volume delete data", Step{Args: []string{"volume", "delete", "data"}, Refused: true}},
		{"rule=$(openstack security group rule list -f value)", Step{Args: []string{"security", "group", "rule", "list", "-f", "value"}, Variable: "rule"}},
		{"until ACTIVE openstack server show s -f value", Step{Args: []string{"server", "show", "s", "-f", "value"}, Until: "ACTIVE"}},
		{"until gone openstack server show s -f value", Step{Args: []string{"server", "show", "s", "-f", "value"}, Until: "gone", Gone: true}},
	} {
		tt.want.Line = tt.line
		steps, err := ParseScript("# for the reader\n\n  " + tt.line + "\n")
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
		} else if diff := cmp.Diff([]Step{tt.want}, steps); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.line, diff)
		}
	}
	for _, line := range []string{"rm -rf /", "openstack", "x=$(openstack volume list", "openstack volume set --name 'open data"} {
		if _, err := ParseScript(line); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

const (
	uuidA = "0a0a0a0a-1111-2222-3333-444444444444"
	uuidB = "0b0b0b0b-1111-2222-3333-444444444444"
	hexP  = "0123456789abcdef0123456789abcdef"
)

func TestWhatDiffersByChanceIsNormalized(t *testing.T) {
	t.Parallel()
	json := func(line, stdout string) Exchange { return Exchange{Step{Line: line}, Result{Stdout: stdout}} }
	records, err := Normalize([]Exchange{
		json("openstack x show --address 10.0.0.9", `{"id": "`+uuidA+`", "name": "data", "project": "`+hexP+`", "made": "2026-01-02T03:04:05.678Z",
			"addresses": ["10.0.0.9", "10.0.0.7", "10.0.0.0/24"], "mac": "fa:16:3e:00:11:22", "adminPass": "x", "n": 1, "none": null, "revision_number": 7}`),
		json("openstack x list", `[{"ID": "`+uuidB+`", "of": "`+uuidA+`"}, {"ID": "`+uuidA+`", "url": "http://10.0.0.1:8780/volume/v3/x"}]`),
		{Step{Line: "! openstack y"}, Result{Code: 1, Stderr: "No y at 2026-01-02 03:04:05 (Request-ID: req-" + uuidB + ")\n"}},
		json("openstack z", `{"roles": "b a", "ids": "`+uuidB+`\n`+uuidA+`"}`),
	}, Facts{ProjectID: hexP})
	if err != nil {
		t.Fatal(err)
	}
	want := `$ openstack x show --address 10.0.0.9
{
  "addresses": [
    "10.0.0.0/24",
    "10.0.0.9",
    "<address>"
  ],
  "adminPass": "<password>",
  "id": "<id of data>",
  "mac": "<mac>",
  "made": "<time>",
  "n": 1,
  "name": "data",
  "none": null,
  "project": "<id of project>",
  "revision_number": "<revision>"
}

$ openstack x list
[
  {
    "ID": "<id of data>",
    "url": "<url>/v3/x"
  },
  {
    "ID": "<id>",
    "of": "<id of data>"
  }
]

$ ! openstack y
exit 1
stderr: No y at <time> (Request-ID: req-<id>)

$ openstack z
{
  "ids": "<id of data>\n<id>",
  "roles": "a\nb"
}

`
	text := Transcript(records)
	if diff := cmp.Diff(want, text); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	read, err := ParseTranscript(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(records, read); diff != "" {
		t.Errorf("written and read again (-written +read):\n%s", diff)
	}
}

func TestDifferencesAreTold(t *testing.T) {
	t.Parallel()
	record := func(line string, output any) Record { return Record{Line: line, Output: output} }
	type object = map[string]any
	server := func(device string) []Record {
		return []Record{record("openstack --os-volume-api-version 3.27 server show s", object{"a": "1", "nested": []any{object{"device": device}}})}
	}
	device := Difference{Commands: "server show", Fields: []string{"device"}, What: "device"}
	limits := func(n string) []Record {
		return []Record{record("openstack limits show", []any{object{"Name": "backups", "Value": n}, object{"Name": "cores", "Value": "1"}})}
	}
	for _, tt := range []struct {
		name            string
		openstack, ours []Record
		known           []Difference
		want            []string // parts of the complaints
	}{
		{"none", server("a"), server("a"), nil, nil},
		{"a value", server("a"), server("b"), nil, []string{"device"}},
		{"a known one", server("a"), server("b"), []Difference{device}, nil},
		{"a known one that is none any more", server("a"), server("a"), []Difference{device}, []string{"is not"}},
		{"a known one of another command", server("a"), server("b"), []Difference{{Commands: "volume show", Fields: []string{"device"}}}, []string{"device", "is not"}},
		{"a row that is known by its name", limits("1"), limits("2"), []Difference{{Commands: "limits", Fields: []string{"backups"}}}, nil},
		{"a known one that hides no other", limits("1"), []Record{record("openstack limits show", []any{})},
			[]Difference{{Commands: "limits", Fields: []string{"backups"}}}, []string{"cores"}},
		{"an exit code", []Record{{Line: "x", Code: 1}}, []Record{{Line: "x"}}, nil, []string{"exit 1"}},
		{"all that comes of a command", []Record{{Line: "openstack x", Code: 1}}, []Record{{Line: "openstack x", Errors: "no"}}, []Difference{{Commands: "x"}}, nil},
		{"another script", []Record{{Line: "x"}}, []Record{{Line: "y"}}, nil, []string{"different scripts"}},
		{"a longer script", []Record{{Line: "x"}}, nil, nil, []string{"different scripts"}},
	} {
		got := Compare(tt.openstack, tt.ours, tt.known)
		if !slices.EqualFunc(got, tt.want, strings.Contains) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestEveryDifferenceIsToldWithItsReason(t *testing.T) {
	t.Parallel()
	for _, d := range differences {
		if d.What == "" || d.Reason == "" || strings.ContainsAny(d.What+d.Reason, "|\n") {
			t.Errorf("%q: %q because %q does not fit into a table", d.Commands, d.What, d.Reason)
		}
	}
}
