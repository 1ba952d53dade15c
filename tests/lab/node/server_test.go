package node

import (
	"strings"
	"testing"
)

func TestReadServer(t *testing.T) {
	const good = `{"id":"8da1f1aa","name":"n2","address":"10.200.0.12","diskDir":"/d","metadata":{"lab.fairlead.io:node":""},"more":1}`
	tests := []struct{ name, input, want string }{
		{"a node's server", good, ""},
		{"fields that a later cloud may add are ignored", strings.Replace(good, "more", "other", 1), ""},
		{"nothing on standard input", "", "standard input"},
		{"no JSON", "n2", "standard input"},
		{"an id alone", `{"id":"8da1f1aa","name":""}`, "never started"},
		{"a name that is no node's", strings.Replace(good, "n2", "web", 1), `"web"`},
		{"another node's address", strings.Replace(good, ".12", ".13", 1), "needs the fixed address 10.200.0.12"},
		{"no address", strings.Replace(good, "10.200.0.12", "", 1), "needs the fixed address 10.200.0.12"},
		{"no id", strings.Replace(good, "8da1f1aa", "", 1), "no id"},
		{"a relative disk directory", strings.Replace(good, "/d", "d", 1), `diskDir "d"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server, place, err := ReadServer(strings.NewReader(tt.input))
			if err == nil {
				err = server.checkStart(place)
			}
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want it to say %q", err, tt.want)
			case tt.want == "" && (place.Index != 2 || server.ID != "8da1f1aa"):
				t.Errorf("got %+v at %+v", server, place)
			}
		})
	}
}
