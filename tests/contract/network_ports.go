package contract

import (
	"net/http"
	"slices"
	"strings"
)

// withSubnet makes a network with the subnet 10.77.0.0/24, named mine and inner.
func (s *scene) withSubnet() {
	s.makeNetwork("mine")
	s.makeSubnet("inner", "mine", `"cidr":"10.77.0.0/24"`)
}

var portCases = []Case{
	{Name: "a port is made with all it can have", Run: at(Network, func(s *scene) {
		s.withSubnet()
		a := s.makePort("port", `"network_id":"{mine}","name":"contract-p","description":"d","fixed_ips":[{"subnet_id":"{inner}","ip_address":"10.77.0.15"}],
			"device_id":"device","device_owner":"contract:x","mac_address":"fa:16:3e:00:aa:bb","admin_state_up":false,"allowed_address_pairs":[{"ip_address":"10.1.0.0/16"}]`)
		for path, want := range inOrder[string, string]("name", "contract-p", "description", "d", "fixed_ips.0.ip_address", "10.77.0.15",
			"fixed_ips.0.subnet_id", s.names["inner"], "device_id", "device", "device_owner", "contract:x", "mac_address", "fa:16:3e:00:aa:bb",
			"admin_state_up", "false", "status", "DOWN", "allowed_address_pairs.0.ip_address", "10.1.0.0/16",
			"allowed_address_pairs.0.mac_address", "fa:16:3e:00:aa:bb", "port_security_enabled", "true", "project_id", s.c.ProjectID) {
			a.Equal(s.t, "port."+path, want)
		}
		if groups, _ := a.At("port.security_groups").([]any); len(groups) != 1 {
			s.t.Errorf("it is in the groups %v, not in the project's default one", groups)
		}
		s.get("/v2.0/ports/{port}").Equal(s.t, "port.name", "contract-p")
	})},
	{Name: "a port that nothing has plugged in is DOWN, whoever it says it belongs to", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makePort("port", `"network_id":"{mine}","device_id":"device","device_owner":"contract:x"`).Equal(s.t, "port.status", "DOWN")
		s.get("/v2.0/ports/{port}").Equal(s.t, "port.status", "DOWN")
	})},
	{Name: "a port gets an address of each subnet's kind, or none on a network without subnets", Run: at(Network, func(s *scene) {
		s.withSubnet()
		if ips := values(s.makePort("port", `"network_id":"{mine}"`), "port.fixed_ips", "subnet_id"); !slices.Equal(ips, []string{s.names["inner"]}) {
			s.t.Errorf("it has addresses of %v", ips)
		}
		s.makeNetwork("empty")
		s.makePort("bare", `"network_id":"{empty}"`).Equal(s.t, "port.fixed_ips", "[]")
		s.makePort("none", `"network_id":"{mine}","fixed_ips":[]`).Equal(s.t, "port.fixed_ips", "[]")
	})},
	{Name: "an address outside the pool is given, one outside the range is not", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		s.makeSubnet("inner", "mine", `"cidr":"10.77.0.0/24","allocation_pools":[{"start":"10.77.0.10","end":"10.77.0.20"}]`)
		s.makePort("outside", `"network_id":"{mine}","fixed_ips":[{"ip_address":"10.77.0.200"}]`).Equal(s.t, "port.fixed_ips.0.ip_address", "10.77.0.200")
		for body, words := range inOrder[string, []string](
			`[{"ip_address":"10.99.0.15"}]`, []string{"InvalidIpForNetwork", "IP address 10.99.0.15 is not a valid IP for any of the subnets on the specified network."},
			`[{"subnet_id":"{inner}","ip_address":"10.99.0.15"}]`, []string{"InvalidIpForSubnet", "IP address 10.99.0.15 is not a valid IP for the specified subnet."},
			`[{"ip_address":"10.77.0.0"}]`, []string{"InvalidIpForNetwork"},
			`[{"ip_address":"10.77.0.255"}]`, []string{"InvalidIpForNetwork"},
			`[{"subnet_id":"x"}]`, []string{"HTTPBadRequest", "Invalid input for fixed_ips. Reason: 'x' is not a valid UUID."},
			`[{"ip_address":"x"}]`, []string{"HTTPBadRequest", "Invalid input for fixed_ips. Reason: 'x' is not a valid IP address."},
			`[{}]`, []string{"InvalidInput", "Invalid input for operation: IP allocation requires subnet_id or ip_address."},
		) {
			s.refused("POST /v2.0/ports", `{"port":{"network_id":"{mine}","fixed_ips":`+body+`}}`, http.StatusBadRequest, words...)
		}
		s.refused("POST /v2.0/ports", `{"port":{"network_id":"{mine}","fixed_ips":[{"subnet_id":"{nobody}"}]}}`, http.StatusNotFound, "SubnetNotFound")
	})},
	{Name: "an address and a MAC address are given once: 409", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makePort("port", `"network_id":"{mine}","mac_address":"fa:16:3e:00:aa:bb","fixed_ips":[{"ip_address":"10.77.0.15"}]`)
		s.refused("POST /v2.0/ports", `{"port":{"network_id":"{mine}","fixed_ips":[{"subnet_id":"{inner}","ip_address":"10.77.0.15"}]}}`, http.StatusConflict,
			"IpAddressAlreadyAllocated", "IP address 10.77.0.15 already allocated in subnet {inner}")
		s.refused("POST /v2.0/ports", `{"port":{"network_id":"{mine}","mac_address":"fa:16:3e:00:aa:bb"}}`, http.StatusConflict,
			"MacAddressInUse", "Unable to complete operation for network {mine}. The mac address fa:16:3e:00:aa:bb is in use.")
	})},
	{Name: "a full subnet gives no address: 409", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		s.makeSubnet("inner", "mine", `"cidr":"10.77.0.0/24","enable_dhcp":false,"allocation_pools":[{"start":"10.77.0.10","end":"10.77.0.10"}]`)
		s.makePort("only", `"network_id":"{mine}"`)
		s.refused("POST /v2.0/ports", `{"port":{"network_id":"{mine}"}}`, http.StatusConflict, "IpAddressGenerationFailure")
		s.refused("POST /v2.0/ports", `{"port":{"network_id":"{mine}","fixed_ips":[{"subnet_id":"{inner}"}]}}`, http.StatusConflict, "IpAddressGenerationFailure")
	})},
	{Name: "a port with wrong attributes is refused", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.refused("POST /v2.0/ports", `{"port":{}}`, http.StatusBadRequest, "HTTPBadRequest", "Failed to parse request. Required attribute 'network_id' not specified")
		s.refused("POST /v2.0/ports", `{"port":{"network_id":"{nobody}"}}`, http.StatusNotFound, "NetworkNotFound")
		for body, words := range inOrder[string, []string](
			`"mac_address":"x"`, []string{"HTTPBadRequest", "Invalid input for mac_address. Reason: 'x' is not a valid MAC address."},
			`"security_groups":["x"]`, []string{"HTTPBadRequest", "Invalid input for security_groups. Reason: 'x' is not a valid UUID."},
			`"allowed_address_pairs":[{"ip_address":"x"}]`, []string{"HTTPBadRequest", "'x' is not a valid IP address"},
			`"allowed_address_pairs":[{}]`, []string{"AllowedAddressPairsMissingIP", "AllowedAddressPair must contain ip_address"},
			`"allowed_address_pairs":[{"ip_address":"1.1.1.1"},{"ip_address":"1.1.1.1"}]`, []string{"DuplicateAddressPairInRequest"},
			`"nothing":1`, []string{"HTTPBadRequest", "Unrecognized attribute(s) 'nothing'"},
			`"status":"ACTIVE"`, []string{"HTTPBadRequest", "Attribute 'status' not allowed in POST"},
		) {
			s.refused("POST /v2.0/ports", `{"port":{"network_id":"{mine}",`+body+`}}`, http.StatusBadRequest, words...)
		}
		s.refused("POST /v2.0/ports", `{"port":{"network_id":"{mine}","security_groups":["{nobody}"]}}`, http.StatusNotFound,
			"SecurityGroupNotFound", "Security group {nobody} does not exist")
		s.refused("POST /v2.0/ports", `{"port":{"network_id":"{mine}","port_security_enabled":false,"allowed_address_pairs":[{"ip_address":"1.1.1.1"}]}}`,
			http.StatusConflict, "AddressPairAndPortSecurityRequired")
		s.refused("POST /v2.0/ports", `{"port":{"network_id":"{mine}","binding:host_id":"x"}}`, http.StatusForbidden, "PolicyNotAuthorized")
	})},
	{Name: "a port is changed", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makePort("other", `"network_id":"{mine}","fixed_ips":[{"ip_address":"10.77.0.200"}]`)
		s.makePort("port", `"network_id":"{mine}","fixed_ips":[{"ip_address":"10.77.0.15"}]`)
		put := func(body string) Answer { return s.ask("PUT /v2.0/ports/{port}", `{"port":`+body+`}`) }
		a := put(`{"name":"contract-q","description":"e","admin_state_up":false,"device_id":"b","device_owner":"contract:y"}`).Want(s.t, http.StatusOK)
		for path, want := range inOrder[string, string]("name", "contract-q", "description", "e", "admin_state_up", "false", "device_id", "b", "device_owner", "contract:y") {
			a.Equal(s.t, "port."+path, want)
		}
		put(`{"fixed_ips":[{"subnet_id":"{inner}","ip_address":"10.77.0.16"}]}`).Want(s.t, http.StatusOK).Equal(s.t, "port.fixed_ips.0.ip_address", "10.77.0.16")
		s.refused("PUT /v2.0/ports/{port}", `{"port":{"fixed_ips":[{"ip_address":"10.77.0.200"}]}}`, http.StatusConflict, "IpAddressAlreadyAllocated")
		put(`{"security_groups":[]}`).Want(s.t, http.StatusOK).Equal(s.t, "port.security_groups", "[]")
		put(`{"allowed_address_pairs":[{"ip_address":"10.1.0.0/16"}]}`).Want(s.t, http.StatusOK).Equal(s.t, "port.allowed_address_pairs.0.ip_address", "10.1.0.0/16")
		put(`{"allowed_address_pairs":[]}`).Want(s.t, http.StatusOK).Equal(s.t, "port.allowed_address_pairs", "[]")
		put(`{"port_security_enabled":false}`).Want(s.t, http.StatusOK).Equal(s.t, "port.port_security_enabled", "false")
	})},
	{Name: "what a port keeps for its life is refused in an update", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makePort("port", `"network_id":"{mine}"`)
		for body, words := range inOrder[string, []string](
			`{"network_id":"{network}"}`, []string{"HTTPBadRequest", "Cannot update read-only attribute network_id"},
			`{"status":"DOWN"}`, []string{"HTTPBadRequest", "Cannot update read-only attribute status"},
			`{"name":null}`, []string{"HTTPBadRequest", "Invalid input for name. Reason: 'None' is not a valid string."},
			`{"description":null}`, []string{"HTTPBadRequest", "Invalid input for description. Reason: 'None' is not a valid string."},
		) {
			s.refused("PUT /v2.0/ports/{port}", `{"port":`+body+`}`, http.StatusBadRequest, words...)
		}
		s.refused("PUT /v2.0/ports/{port}", `{"port":{"security_groups":["{nobody}"]}}`, http.StatusNotFound, "SecurityGroupNotFound")
		s.refused("PUT /v2.0/ports/{port}", `{"port":{"mac_address":"fa:16:3e:00:aa:cc"}}`, http.StatusForbidden, "PolicyNotAuthorized",
			"(rule:update_port and rule:update_port:mac_address) is disallowed by policy")
	})},
	{Name: "a port that is gone is 404 for every method", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makePort("port", `"network_id":"{mine}"`)
		s.ask("DELETE /v2.0/ports/{port}", "").Want(s.t, http.StatusNoContent)
		s.refused("DELETE /v2.0/ports/{port}", "", http.StatusNotFound, "PortNotFound", "Port {port} could not be found.")
		s.refused("GET /v2.0/ports/{port}", "", http.StatusNotFound, "PortNotFound")
		s.refused("PUT /v2.0/ports/{port}", `{"port":{"name":"x"}}`, http.StatusNotFound, "PortNotFound")
	})},
	{Name: "ports are found by address, subnet, device, owner, MAC address, group and more", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makePort("a", `"network_id":"{mine}","name":"contract-a","description":"of a","device_id":"device-a","device_owner":"contract:a","admin_state_up":false,
			"mac_address":"fa:16:3e:00:aa:bb","fixed_ips":[{"ip_address":"10.77.0.15"}],"security_groups":[]`)
		s.makePort("b", `"network_id":"{mine}","name":"contract-b","fixed_ips":[{"ip_address":"10.77.0.200"}]`)
		s.names["group"] = s.get("/v2.0/ports/{b}").Text("port.security_groups.0")
		for query, want := range inOrder[string, string](
			"fixed_ips=ip_address=10.77.0.15", "contract-a", "fixed_ips=subnet_id={inner}", "contract-a contract-b",
			"fixed_ips=ip_address=10.77.0.15&fixed_ips=subnet_id={inner}", "contract-a",
			"fixed_ips=ip_address=10.77.0.15&fixed_ips=ip_address=10.77.0.200", "contract-a contract-b",
			"fixed_ips=ip_address=10.77.0.99", "", "fixed_ips=ip_address_substr=77.0.1", "contract-a",
			"device_id=device-a", "contract-a", "device_owner=contract:a", "contract-a", "mac_address=fa:16:3e:00:aa:bb", "contract-a",
			"security_groups={group}", "contract-b", "security_groups=x", "", "admin_state_up=false", "contract-a", "description=of%20a", "contract-a",
			"status=DOWN", "contract-a contract-b", "status=ACTIVE", "", "tenant_id={nobody}", "", "id={a}&id={b}", "contract-a contract-b",
		) {
			found := values(s.get("/v2.0/ports?network_id={mine}&"+query), "ports", "name")
			if slices.Sort(found); strings.Join(found, " ") != want {
				s.t.Errorf("%s found %v, want %s", query, found, want)
			}
		}
		s.refused("GET /v2.0/ports?fixed_ips=x", "", http.StatusBadRequest, "InvalidInput", "Invalid input for operation: 'x' is not of the form <key>=[value].")
		s.refused("GET /v2.0/ports?allowed_address_pairs=x", "", http.StatusBadRequest, "HTTPBadRequest", "['allowed_address_pairs'] is invalid attribute for filtering")
	})},
	{Name: "a server's port is ACTIVE and belongs to the server", Run: at(Network, func(s *scene) {
		if s.names["server"] = s.c.Servers[0]; s.names["server"] == "" {
			s.t.Fatalf("no server")
		}
		a := s.get("/v2.0/ports?device_id={server}")
		a.Equal(s.t, "ports.0.status", "ACTIVE")
		a.Equal(s.t, "ports.0.device_owner", "compute:"+s.c.Zones[0])
		a.Equal(s.t, "ports.0.network_id", s.c.NetworkID)
	})},
}
