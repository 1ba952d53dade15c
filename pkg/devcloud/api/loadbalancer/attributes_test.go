package loadbalancer

import (
	"net/http"
	"testing"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, method, member, body, want string }{
		{"what is right", http.MethodPost, "pool", `{"pool":{"lb_algorithm":"ROUND_ROBIN","protocol":"TCP"}}`, ""},
		{"what is missing", http.MethodPost, "pool", `{"pool":{"protocol":"TCP"}}`, "Invalid input for field/attribute lb_algorithm. Value: 'None'. Mandatory field missing."},
		{"what is missing in an update", http.MethodPut, "pool", `{"pool":{}}`, ""},
		{"what is missing in one of a batch", http.MethodPut, "members", `{"members":[{"address":"10.0.0.1"}]}`, "Invalid input for field/attribute protocol_port. Value: 'None'. Mandatory field missing."},
		{"what no update has", http.MethodPut, "listener", `{"listener":{"protocol_port":1}}`, "Unknown attribute for argument listener_.listener: protocol_port"},
		{"a name that is a number", http.MethodPost, "loadbalancer", `{"loadbalancer":{"name":3}}`, "Invalid input for field/attribute name. Value: '3'. Value should be string"},
		{"a tag that is a number", http.MethodPost, "loadbalancer", `{"loadbalancer":{"tags":["a",1]}}`, "Invalid input for field/attribute tags. Value: '['a', 1]'. Value should be string"},
		{"no id", http.MethodPost, "loadbalancer", `{"loadbalancer":{"vip_subnet_id":"x"}}`, "Invalid input for field/attribute vip_subnet_id. Value: 'x'. Value should be UUID format"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := judge(tt.method, tt.member, []byte(tt.body)); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
