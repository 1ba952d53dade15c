package engine

import (
	"encoding/json"
	"testing"
)

func TestOptional(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		want       int // of an attribute that was 1 and whose default is 2
		fails      bool
	}{
		{"absent keeps the old value", `{}`, 1, false},
		{"null brings the default", `{"n":null}`, 2, false},
		{"a value replaces the old one", `{"n":3}`, 3, false},
		{"zero is a value", `{"n":0}`, 0, false},
		{"a wrong type is an error", `{"n":"x"}`, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var body struct {
				N Optional[int] `json:"n"`
			}
			err := json.Unmarshal([]byte(tt.body), &body)
			if (err != nil) != tt.fails {
				t.Fatal(err)
			}
			if got := body.N.Or(1, 2); !tt.fails && got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
	if Some(3).Or(1, 2) != 3 || Null[int]().Or(1, 2) != 2 || Null[int]().Pointer() != nil {
		t.Error("Some and Null are not what their names say")
	}
}
