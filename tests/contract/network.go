package contract

import (
	"net/http"
	"slices"
)

var networkCases = slices.Concat(networkVersionCases, networkNetworkCases, subnetCases, portCases, routerCases, floatingIPCases,
	groupCases, ruleCases, networkListCases, tagCases, networkQuotaCases, revisionCases)

// networks, subnets and the like of a case are made with these; each is removed after the case.
func (s *scene) makeNetwork(name string) {
	s.created(name, "POST /v2.0/networks", "network", `{"network":{"name":"contract-`+name+`"}}`)
}

func (s *scene) makeSubnet(name, network, rest string) Answer {
	return s.created(name, "POST /v2.0/subnets", "subnet", `{"subnet":{"network_id":"{`+network+`}","ip_version":4,`+rest+`}}`)
}

func (s *scene) makePort(name, rest string) Answer {
	return s.created(name, "POST /v2.0/ports", "port", `{"port":{`+rest+`}}`)
}

var networkVersionCases = []Case{
	{Name: "the versions document needs no token", Run: at(Network, func(s *scene) {
		a := s.ask("GET "+s.c.Endpoints[Network]+"/", "", anonymous()).Want(s.t, http.StatusOK)
		a.Equal(s.t, "versions.0.id", "v2.0")
		a.Equal(s.t, "versions.0.status", "CURRENT")
	})},
	{Name: "the version lists its resources", Run: at(Network, func(s *scene) {
		a := s.get("/v2.0/")
		for _, one := range []string{"network", "subnet", "port"} {
			if !slices.Contains(values(a, "resources", "name"), one) {
				s.t.Errorf("%s is not among %s", one, a.Raw)
			}
		}
	})},
	{Name: "extensions are listed, and found by alias", Run: at(Network, func(s *scene) {
		aliases := values(s.get("/v2.0/extensions"), "extensions", "alias")
		for _, one := range []string{
			"allowed-address-pairs", "ext-gw-mode", "external-net", "extraroute", "filter-validation", "fip-port-details", "net-mtu",
			"net-mtu-writable", "pagination", "port-security", "project-id", "quota_details", "quotas", "revision-if-match", "router",
			"security-group", "security-groups-normalized-cidr", "sorting", "standard-attr-description", "standard-attr-revisions",
			"standard-attr-tag", "standard-attr-timestamp",
		} {
			if !slices.Contains(aliases, one) {
				s.t.Errorf("%s is not among %v", one, aliases)
			}
		}
		s.get("/v2.0/extensions/router").Equal(s.t, "extension.alias", "router")
		s.ask("GET /v2.0/extensions/none", "").Want(s.t, http.StatusNotFound)
	})},
	{Name: "a route that is not there is 404, a method that is not there 405", Run: at(Network, func(s *scene) {
		s.refused("GET /v2.0/nothing", "", http.StatusNotFound, "HTTPNotFound", "The resource could not be found.")
		s.refused("PATCH /v2.0/networks/{network}", `{}`, http.StatusMethodNotAllowed, "HTTPMethodNotAllowed")
		s.refused("POST /v2.0/networks/{network}", `{}`, http.StatusMethodNotAllowed, "HTTPMethodNotAllowed")
	})},
}

var networkNetworkCases = []Case{
	{Name: "a network is made, shown, changed, listed and removed", Run: at(Network, func(s *scene) {
		a := s.created("mine", "POST /v2.0/networks", "network", `{"network":{"name":"contract-a","description":"d","admin_state_up":false,"mtu":1400}}`)
		for path, want := range inOrder[string, string]("name", "contract-a", "description", "d", "admin_state_up", "false", "mtu", "1400",
			"status", "ACTIVE", "shared", "false", "router:external", "false", "port_security_enabled", "true", "revision_number", "1",
			"project_id", s.c.ProjectID, "tenant_id", s.c.ProjectID) {
			a.Equal(s.t, "network."+path, want)
		}
		s.get("/v2.0/networks/{mine}").Equal(s.t, "network.name", "contract-a")
		s.get("/v2.0/networks/{mine}.json").Equal(s.t, "network.name", "contract-a")
		a = s.ask("PUT /v2.0/networks/{mine}", `{"network":{"name":"contract-b","description":"e","admin_state_up":true,"mtu":1300}}`).Want(s.t, http.StatusOK)
		for path, want := range inOrder[string, string]("name", "contract-b", "description", "e", "admin_state_up", "true", "mtu", "1300") {
			a.Equal(s.t, "network."+path, want)
		}
		s.get("/v2.0/networks?name=contract-b").Equal(s.t, "networks.0.id", s.names["mine"])
		s.ask("DELETE /v2.0/networks/{mine}", "").Want(s.t, http.StatusNoContent)
	})},
	{Name: "a network that is gone is 404 for every method", Run: at(Network, func(s *scene) {
		for request, body := range inOrder[string, string]("GET /v2.0/networks/{nobody}", "", "DELETE /v2.0/networks/{nobody}", "",
			"PUT /v2.0/networks/{nobody}", `{"network":{"name":"x"}}`, "GET /v2.0/networks/none", "") {
			s.refused(request, body, http.StatusNotFound, "NetworkNotFound", "could not be found.")
		}
	})},
	{Name: "a network needs nothing but a body of the right form", Run: at(Network, func(s *scene) {
		s.created("mine", "POST /v2.0/networks", "network", `{"network":{}}`).Equal(s.t, "network.name", "")
		s.refused("POST /v2.0/networks", `{`, http.StatusBadRequest, "HTTPBadRequest", "Body contains invalid data")
		s.refused("POST /v2.0/networks", `[]`, http.StatusBadRequest, "HTTPBadRequest", "Body contains invalid data")
		s.refused("POST /v2.0/networks", `{"net":{}}`, http.StatusBadRequest, "HTTPBadRequest", "Unable to find 'network' in request body")
		s.refused("POST /v2.0/networks", "", http.StatusBadRequest, "HTTPBadRequest", "Unable to find 'network' in request body")
	})},
	{Name: "a network with wrong attributes is 400 and says which", Run: at(Network, func(s *scene) {
		for body, words := range inOrder[string, []string](
			`{"nothing":true}`, []string{"HTTPBadRequest", "Unrecognized attribute(s) 'nothing'"},
			`{"mtu":"a"}`, []string{"InvalidInput", "Invalid input for operation: 'a' is not an integer."},
			`{"mtu":9999999}`, []string{"InvalidInput", "Requested MTU is too big"},
			`{"name":3}`, []string{"HTTPBadRequest", "Invalid input for name. Reason: '3' is not a valid string."},
			`{"name":"`+tooLong+`"}`, []string{"HTTPBadRequest", "Invalid input for name. Reason: '" + tooLong + "' exceeds maximum length of 255."},
			`{"admin_state_up":"maybe"}`, []string{"InvalidInput", "Invalid input for operation: 'maybe' cannot be converted to boolean."},
			`{"tags":["a"]}`, []string{"HTTPBadRequest", "Attribute 'tags' not allowed in POST"},
			`{"status":"DOWN"}`, []string{"HTTPBadRequest", "Attribute 'status' not allowed in POST"},
		) {
			s.refused("POST /v2.0/networks", `{"network":`+body+`}`, http.StatusBadRequest, words...)
		}
	})},
	{Name: "truth values and numbers may be texts", Run: at(Network, func(s *scene) {
		a := s.created("mine", "POST /v2.0/networks", "network", `{"network":{"admin_state_up":"False","mtu":"1400"}}`)
		a.Equal(s.t, "network.admin_state_up", "false")
		a.Equal(s.t, "network.mtu", "1400")
	})},
	{Name: "what an administrator may do is refused to the project: 403, or 400 for other projects", Run: at(Network, func(s *scene) {
		s.refused("POST /v2.0/networks", `{"network":{"router:external":true}}`, http.StatusForbidden,
			"PolicyNotAuthorized", "(rule:create_network and rule:create_network:router:external) is disallowed by policy")
		s.refused("POST /v2.0/networks", `{"network":{"shared":true}}`, http.StatusForbidden,
			"PolicyNotAuthorized", "(rule:create_network and rule:create_network:shared) is disallowed by policy")
		s.refused("POST /v2.0/networks", `{"network":{"project_id":"{nobody}"}}`, http.StatusBadRequest, "HTTPBadRequest",
			"Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin or advsvc privileges")
		s.created("mine", "POST /v2.0/networks", "network", `{"network":{"tenant_id":"{project}"}}`)
		s.refused("PUT /v2.0/networks/{mine}", `{"network":{"shared":true}}`, http.StatusForbidden,
			"PolicyNotAuthorized", "(rule:update_network and rule:update_network:shared) is disallowed by policy")
	})},
	{Name: "attributes that never change are refused in an update", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		for body, message := range inOrder[string, string](
			`{"id":"x"}`, "Cannot update read-only attribute id", `{"status":"x"}`, "Cannot update read-only attribute status",
			`{"nothing":1}`, "Unrecognized attribute(s) 'nothing'",
		) {
			s.refused("PUT /v2.0/networks/{mine}", `{"network":`+body+`}`, http.StatusBadRequest, "HTTPBadRequest", message)
		}
		s.ask("PUT /v2.0/networks/{mine}", `{"network":{}}`).Want(s.t, http.StatusOK)
	})},
	{Name: "several networks are made in one request, all or none", Run: at(Network, func(s *scene) {
		a := s.ask("POST /v2.0/networks", `{"networks":[{"name":"contract-1"},{"name":"contract-2"}]}`).Want(s.t, http.StatusCreated)
		for _, id := range values(a, "networks", "id") {
			s.t.Cleanup(func() { s.ask("DELETE /v2.0/networks/"+id, "") })
		}
		if names := values(a, "networks", "name"); !slices.Equal(names, []string{"contract-1", "contract-2"}) {
			s.t.Errorf("made %v", names)
		}
		s.refused("POST /v2.0/networks", `{"networks":[{"name":"contract-3"},{"name":"contract-4","nothing":1}]}`, http.StatusBadRequest,
			"HTTPBadRequest", "Unrecognized attribute(s) 'nothing'")
		s.refused("POST /v2.0/networks", `{"networks":[]}`, http.StatusBadRequest, "HTTPBadRequest", "Resources required")
		if left := values(s.get("/v2.0/networks?name=contract-3"), "networks", "id"); len(left) > 0 {
			s.t.Errorf("the first of a refused request was made")
		}
	})},
	{Name: "a network with ports is in use: 409 with their ids", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		s.makePort("port", `"network_id":"{mine}"`)
		s.refused("DELETE /v2.0/networks/{mine}", "", http.StatusConflict, "NetworkInUse",
			"Unable to complete operation on network {mine}. There are one or more ports still in use on the network, id for these ports is: {port}.")
	})},
	{Name: "a network without ports goes with its subnets", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		s.makeSubnet("inner", "mine", `"cidr":"10.77.0.0/24"`)
		s.ask("DELETE /v2.0/networks/{mine}", "").Want(s.t, http.StatusNoContent)
		s.refused("GET /v2.0/subnets/{inner}", "", http.StatusNotFound, "SubnetNotFound")
	})},
	{Name: "an external network is seen and named to all, its subnets are not", Run: at(Network, func(s *scene) {
		a := s.get("/v2.0/networks?router:external=true")
		a.Equal(s.t, "networks.0.id", s.c.ExternalNetworkID)
		s.names["outer"] = a.Text("networks.0.subnets.0")
		if s.names["outer"] == "" {
			s.t.Errorf("no ids of its subnets: %s", a.Raw)
		}
		if subnets := values(s.get("/v2.0/subnets?network_id={external}"), "subnets", "id"); len(subnets) > 0 {
			s.t.Errorf("its subnets are listed: %v", subnets)
		}
		s.refused("GET /v2.0/subnets/{outer}", "", http.StatusNotFound, "SubnetNotFound")
	})},
	{Name: "an external network of others is not changed, removed or given ports and subnets", Run: at(Network, func(s *scene) {
		s.refused("PUT /v2.0/networks/{external}", `{"network":{"name":"mine"}}`, http.StatusForbidden, "PolicyNotAuthorized", "rule:update_network is disallowed by policy")
		s.refused("DELETE /v2.0/networks/{external}", "", http.StatusForbidden, "PolicyNotAuthorized", "rule:delete_network is disallowed by policy")
		s.refused("POST /v2.0/ports", `{"port":{"network_id":"{external}"}}`, http.StatusForbidden, "HTTPForbidden", "Tenant {project} not allowed to create port on this network")
		s.refused("POST /v2.0/subnets", `{"subnet":{"network_id":"{external}","ip_version":4,"cidr":"10.77.0.0/24"}}`, http.StatusForbidden,
			"HTTPForbidden", "Tenant {project} not allowed to create subnet on this network")
	})},
}

// tooLong is longer than names and tags may be.
var tooLong = func() string {
	text := make([]byte, 300)
	for i := range text {
		text[i] = 'x'
	}
	return string(text)
}()

var subnetCases = []Case{
	{Name: "a subnet is made with all it can have", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		a := s.makeSubnet("inner", "mine", `"cidr":"10.77.0.0/24","name":"contract-s","description":"d","gateway_ip":"10.77.0.254","enable_dhcp":false,
			"dns_nameservers":["9.9.9.9"],"host_routes":[{"destination":"10.9.0.0/16","nexthop":"10.77.0.9"}],
			"allocation_pools":[{"start":"10.77.0.10","end":"10.77.0.20"}]`)
		for path, want := range inOrder[string, string]("cidr", "10.77.0.0/24", "name", "contract-s", "description", "d", "gateway_ip", "10.77.0.254",
			"enable_dhcp", "false", "dns_nameservers", `["9.9.9.9"]`, "host_routes.0.nexthop", "10.77.0.9", "allocation_pools.0.start", "10.77.0.10",
			"allocation_pools.0.end", "10.77.0.20", "ip_version", "4", "network_id", s.names["mine"]) {
			a.Equal(s.t, "subnet."+path, want)
		}
		s.get("/v2.0/subnets/{inner}").Equal(s.t, "subnet.cidr", "10.77.0.0/24")
		s.get("/v2.0/networks/{mine}").Equal(s.t, "network.subnets.0", s.names["inner"])
	})},
	{Name: "a subnet's gateway and pool have defaults", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		for body, want := range inOrder[string, [3]string](
			`"cidr":"10.71.0.5/24"`, [3]string{"10.71.0.1", "10.71.0.2", "10.71.0.254"},
			`"cidr":"10.72.0.0/24","gateway_ip":null`, [3]string{"", "10.72.0.1", "10.72.0.254"},
			`"cidr":"10.73.0.0/24","gateway_ip":"10.73.0.254"`, [3]string{"10.73.0.254", "10.73.0.1", "10.73.0.253"},
			`"cidr":"10.74.0.0/24","gateway_ip":"10.99.0.1"`, [3]string{"10.99.0.1", "10.74.0.1", "10.74.0.254"},
		) {
			a := s.makeSubnet("one", "mine", body)
			a.Equal(s.t, "subnet.gateway_ip", want[0])
			a.Equal(s.t, "subnet.allocation_pools.0.start", want[1])
			a.Equal(s.t, "subnet.allocation_pools.0.end", want[2])
		}
	})},
	{Name: "a subnet that cannot be is refused", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		s.makeSubnet("inner", "mine", `"cidr":"10.77.0.0/24"`)
		for body, words := range inOrder[string, []string](
			`"ip_version":4,"cidr":"10.77.0.128/25"`, []string{"400", "InvalidInput", "Requested subnet with cidr: 10.77.0.128/25 for network: {mine} overlaps with another subnet"},
			`"ip_version":4`, []string{"400", "BadRequest", "Bad subnets request: a subnetpool must be specified in the absence of a cidr."},
			`"ip_version":6,"cidr":"10.78.0.0/24"`, []string{"400", "InvalidInput", "cidr '10.78.0.0/24' does not match the ip_version '6'."},
			`"cidr":"10.78.0.0/24"`, []string{"400", "HTTPBadRequest", "Failed to parse request. Required attribute 'ip_version' not specified"},
			`"ip_version":5,"cidr":"10.78.0.0/24"`, []string{"400", "HTTPBadRequest", "Invalid input for ip_version. Reason: 5 is not in valid_values."},
			`"ip_version":4,"cidr":"zork"`, []string{"400", "InvalidInput", "Invalid input for operation: zork is not in a CIDR format."},
			`"ip_version":4,"cidr":"10.78.0.0/24","gateway_ip":"zork"`, []string{"400", "HTTPBadRequest", "Invalid input for gateway_ip. Reason: 'zork' is not a valid IP address."},
			`"ip_version":4,"cidr":"10.78.0.0/24","gateway_ip":"10.78.0.1","allocation_pools":[{"start":"10.78.0.1","end":"10.78.0.9"}]`,
			[]string{"409", "GatewayConflictWithAllocationPools", "Gateway ip 10.78.0.1 conflicts with allocation pool 10.78.0.1-10.78.0.9."},
			`"ip_version":4,"cidr":"10.78.0.0/24","allocation_pools":[{"start":"10.79.0.1","end":"10.79.0.9"}]`,
			[]string{"400", "OutOfBoundsAllocationPool", "The allocation pool 10.79.0.1-10.79.0.9 spans beyond the subnet cidr 10.78.0.0/24."},
			`"ip_version":4,"cidr":"10.78.0.0/24","allocation_pools":[{"start":"10.78.0.9","end":"10.78.0.1"}]`, []string{"400", "InvalidAllocationPool"},
			`"ip_version":4,"cidr":"10.78.0.0/24","allocation_pools":[{"start":"10.78.0.5","end":"10.78.0.10"},{"start":"10.78.0.9","end":"10.78.0.12"}]`,
			[]string{"409", "OverlappingAllocationPools"},
		) {
			status := map[string]int{"400": http.StatusBadRequest, "409": http.StatusConflict}[words[0]]
			s.refused("POST /v2.0/subnets", `{"subnet":{"network_id":"{mine}",`+body+`}}`, status, words[1:]...)
		}
	})},
	{Name: "a subnet needs a network that is there", Run: at(Network, func(s *scene) {
		s.refused("POST /v2.0/subnets", `{"subnet":{"ip_version":4,"cidr":"10.78.0.0/24"}}`, http.StatusBadRequest,
			"HTTPBadRequest", "Failed to parse request. Required attribute 'network_id' not specified")
		s.refused("POST /v2.0/subnets", `{"subnet":{"network_id":"none","ip_version":4,"cidr":"10.78.0.0/24"}}`, http.StatusBadRequest,
			"HTTPBadRequest", "Invalid input for network_id. Reason: 'none' is not a valid UUID.")
		s.refused("POST /v2.0/subnets", `{"subnet":{"network_id":"{nobody}","ip_version":4,"cidr":"10.78.0.0/24"}}`, http.StatusNotFound,
			"NetworkNotFound", "Network {nobody} could not be found.")
	})},
	{Name: "a subnet is changed but for its range and its network", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		s.makeSubnet("inner", "mine", `"cidr":"10.77.0.0/24","dns_nameservers":["9.9.9.9"],"allocation_pools":[{"start":"10.77.0.10","end":"10.77.0.20"}]`)
		a := s.ask("PUT /v2.0/subnets/{inner}", `{"subnet":{"name":"t","description":"e","dns_nameservers":[],"enable_dhcp":false,
			"allocation_pools":[{"start":"10.77.0.10","end":"10.77.0.30"}],"gateway_ip":"10.77.0.2"}}`).Want(s.t, http.StatusOK)
		for path, want := range inOrder[string, string]("name", "t", "description", "e", "dns_nameservers", "[]", "enable_dhcp", "false",
			"allocation_pools.0.end", "10.77.0.30", "gateway_ip", "10.77.0.2") {
			a.Equal(s.t, "subnet."+path, want)
		}
		s.refused("PUT /v2.0/subnets/{inner}", `{"subnet":{"cidr":"10.78.0.0/24"}}`, http.StatusBadRequest, "HTTPBadRequest", "Cannot update read-only attribute cidr")
		s.refused("PUT /v2.0/subnets/{inner}", `{"subnet":{"network_id":"{network}"}}`, http.StatusBadRequest, "HTTPBadRequest", "Cannot update read-only attribute network_id")
	})},
	{Name: "a subnet with addresses in use is 409, a gone one 404", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		s.makeSubnet("inner", "mine", `"cidr":"10.77.0.0/24"`)
		s.makePort("port", `"network_id":"{mine}"`)
		s.refused("DELETE /v2.0/subnets/{inner}", "", http.StatusConflict, "SubnetInUse",
			"Unable to complete operation on subnet {inner}: One or more ports have an IP allocation from this subnet.")
		s.ask("DELETE /v2.0/ports/{port}", "").Want(s.t, http.StatusNoContent)
		s.ask("DELETE /v2.0/subnets/{inner}", "").Want(s.t, http.StatusNoContent)
		s.refused("DELETE /v2.0/subnets/{inner}", "", http.StatusNotFound, "SubnetNotFound", "Subnet {inner} could not be found.")
		s.refused("GET /v2.0/subnets/{inner}", "", http.StatusNotFound, "SubnetNotFound")
		s.refused("PUT /v2.0/subnets/{inner}", `{"subnet":{"name":"x"}}`, http.StatusNotFound, "SubnetNotFound")
	})},
	{Name: "subnets are found by range, gateway, version and network, not by pool", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		s.makeSubnet("inner", "mine", `"cidr":"10.77.0.0/24","gateway_ip":"10.77.0.2","name":"contract-s"`)
		for query, want := range inOrder[string, int]("cidr=10.77.0.0/24", 1, "gateway_ip=10.77.0.2", 1, "ip_version=4", 1, "ip_version=6", 0,
			"enable_dhcp=true", 1, "enable_dhcp=False", 0, "name=contract-s", 1, "name=other", 0, "id={inner}", 1) {
			if found := values(s.get("/v2.0/subnets?network_id={mine}&"+query), "subnets", "id"); len(found) != want {
				s.t.Errorf("%s found %v", query, found)
			}
		}
		s.refused("GET /v2.0/subnets?allocation_pools=x", "", http.StatusBadRequest, "HTTPBadRequest", "['allocation_pools'] is invalid attribute for filtering")
	})},
}
