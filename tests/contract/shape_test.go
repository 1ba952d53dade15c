package contract

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

func parsed(t *testing.T, text string) map[string]string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	shape := map[string]string{}
	shapeOf(value, "", shape)
	return shape
}

func TestCompareShapes(t *testing.T) {
	for name, tt := range map[string]struct {
		recorded, got string
		differ        []string
	}{
		"the same":                            {`{"a":{"b":1}}`, `{"a":{"b":2}}`, nil},
		"null matches any type":               {`{"a":null}`, `{"a":{"b":2}}`, nil},
		"and the other way round":             {`{"a":{"b":[1]}}`, `{"a":null}`, nil},
		"another type":                        {`{"a":"1"}`, `{"a":1}`, []string{"a"}},
		"a key too many":                      {`{"a":1}`, `{"a":1,"b":1}`, []string{"b"}},
		"a key is missing, named once":        {`{"a":{"b":{"c":1}}}`, `{"a":{}}`, []string{"a.b"}},
		"an empty list matches any":           {`{"a":[]}`, `{"a":[{"b":1}]}`, nil},
		"elements have the keys of all":       {`{"a":[{"b":1},{"c":1}]}`, `{"a":[{"b":1}]}`, []string{"a[].c"}},
		"elements of several types":           {`{"a":[{"b":null},{"b":"x"}]}`, `{"a":[{"b":"y"}]}`, nil},
		"a list is no object":                 {`{"a":[1]}`, `{"a":{"b":1}}`, []string{"a"}},
		"another body altogether":             {`[{"a":1}]`, `{"a":1}`, []string{"."}},
		"keys with colons and equal signs":    {`{"a":{"x:y":1}}`, `{"a":{"x:z":1}}`, []string{"a.x:y", "a.x:z"}},
		"elements of an outer list are null":  {`[null]`, `[{"a":1}]`, nil},
		"an outer list without elements":      {`[]`, `[{"a":1}]`, nil},
		"what is in an outer list is missing": {`[{"a":1,"b":1}]`, `[{"a":1}]`, []string{"[].b"}},
	} {
		t.Run(name, func(t *testing.T) {
			one := func(text string) []Exchange {
				return []Exchange{{Request: "GET /", Status: 200, Shape: parsed(t, text)}}
			}
			var paths []string
			for _, d := range compare(one(tt.recorded), one(tt.got)) {
				paths = append(paths, d.Path)
			}
			if !reflect.DeepEqual(paths, tt.differ) {
				t.Errorf("differ at %q, want %q", paths, tt.differ)
			}
		})
	}
}

func TestARecordingIsReadAsItWasWritten(t *testing.T) {
	area := Area{Name: "some", Cases: []Case{{Name: "one"}, {Name: "two"}, {Name: "not recorded"}}}
	recording := Recording{
		"one": {
			{Request: "GET /volumes?a=b", Status: 200, Headers: []string{"Vary"}, Shape: parsed(t, `{"volumes":[{"id":"x","os-a:b":null,"n":[{"m":1}]}],"x=y":{}}`)},
			{Request: "DELETE /volumes/{id}", Status: 202, Shape: map[string]string{".": "none"}},
		},
		"two": {{Request: "GET /", Status: 200, Shape: parsed(t, `[{"a":[]}]`)}},
	}
	var text bytes.Buffer
	if err := recording.write(&text, area); err != nil {
		t.Fatal(err)
	}
	got, err := readRecording(&text)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		if d := compare(recording[name], got[name]); len(d) > 0 || len(got[name]) != len(recording[name]) {
			t.Errorf("%s: %v", name, d)
		}
	}
}

func TestWhatStays(t *testing.T) {
	d := Difference{Request: "DELETE /volumes/{id}", Path: "header X-Compute-Request-Id"}
	if len(unexplained([]Difference{d})) != 0 {
		t.Error("a kept difference was reported")
	}
	d.Path = "header Vary"
	if len(unexplained([]Difference{d})) != 1 {
		t.Error("another difference was not reported")
	}
}
