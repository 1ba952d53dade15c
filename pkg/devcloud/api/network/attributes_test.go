package network

import "testing"

// TestRefusedAttributes proves the tables by which requests are judged, in the words that Neutron uses.
func TestRefusedAttributes(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for _, tt := range []struct{ name, path, body, want string }{
		{"no JSON", "networks", `{`, "Body contains invalid data"},
		{"no network", "networks", `{"net":{}}`, "Unable to find 'network' in request body"},
		{"an unknown attribute", "networks", `{"network":{"nothing":1}}`, "Unrecognized attribute(s) 'nothing'"},
		{"a read-only attribute", "networks", `{"network":{"tags":[]}}`, "Attribute 'tags' not allowed in POST"},
		{"a name that is a number", "networks", `{"network":{"name":3}}`, "Invalid input for name. Reason: '3' is not a valid string."},
		{"a name that is null", "networks", `{"network":{"name":null}}`, "Invalid input for name. Reason: 'None' is not a valid string."},
		{"no truth value", "networks", `{"network":{"admin_state_up":"maybe"}}`, "Invalid input for operation: 'maybe' cannot be converted to boolean."},
		{"no number", "networks", `{"network":{"mtu":"a"}}`, "Invalid input for operation: 'a' is not an integer."},
		{"an administrator's attribute", "networks", `{"network":{"shared":true}}`, "(rule:create_network and rule:create_network:shared) is disallowed by policy"},
		{"nothing of several", "networks", `{"networks":[]}`, "Resources required"},
		{"what is required", "ports", `{"port":{}}`, "Failed to parse request. Required attribute 'network_id' not specified"},
		{"no id", "ports", `{"port":{"network_id":"x"}}`, "Invalid input for network_id. Reason: 'x' is not a valid UUID."},
		{"no route", "routers", `{"router":{"routes":[{"destination":"10.0.0.1/8","nexthop":"10.0.0.1"}]}}`,
			"Invalid input for routes. Reason: '10.0.0.1/8' is not a recognized CIDR, '10.0.0.0/8' is recommended."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, body := c.call("POST", "/v2.0/"+tt.path, tt.body)
			fault, _ := body["NeutronError"].(map[string]any)
			if fault["message"] != tt.want {
				t.Errorf("got %v, want %s", body, tt.want)
			}
		})
	}
}
