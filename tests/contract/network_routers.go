package contract

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// withRouter makes a router with a gateway and an interface in a subnet 10.77.0.0/24, named router, mine and inner.
func (s *scene) withRouter() {
	s.withSubnet()
	s.makeRouter(`"external_gateway_info":{"network_id":"{external}"}`)
	s.connect()
}

func (s *scene) makeRouter(rest string) Answer {
	return s.created("router", "POST /v2.0/routers", "router", `{"router":{"name":"contract-r",`+rest+`}}`)
}

// connect gives the router an interface in the subnet inner for the time of the case.
func (s *scene) connect() Answer {
	path, body := s.fill("/v2.0/routers/{router}/"), s.fill(`{"subnet_id":"{inner}"}`)
	s.t.Cleanup(func() {
		s.ask("PUT "+path, `{"router":{"routes":[]}}`)
		s.ask("PUT "+path+"remove_router_interface", body)
	})
	return s.ask("PUT "+path+"add_router_interface", body).Want(s.t, http.StatusOK)
}

var routerCases = []Case{
	{Name: "a router is made with a gateway, shown, changed and removed", Run: at(Network, func(s *scene) {
		a := s.makeRouter(`"description":"d","external_gateway_info":{"network_id":"{external}"}`)
		for path, want := range inOrder[string, string]("name", "contract-r", "description", "d", "admin_state_up", "true", "status", "ACTIVE",
			"external_gateway_info.network_id", s.c.ExternalNetworkID, "external_gateway_info.enable_snat", "true", "routes", "[]", "project_id", s.c.ProjectID) {
			a.Equal(s.t, "router."+path, want)
		}
		if a.Text("router.external_gateway_info.external_fixed_ips.0.ip_address") == "" {
			s.t.Errorf("no address of the gateway: %s", a.Raw)
		}
		a = s.ask("PUT /v2.0/routers/{router}", `{"router":{"name":"contract-q","description":"e","admin_state_up":false}}`).Want(s.t, http.StatusOK)
		a.Equal(s.t, "router.name", "contract-q")
		a.Equal(s.t, "router.admin_state_up", "false")
		s.ask("PUT /v2.0/routers/{router}", `{"router":{"external_gateway_info":null}}`).Want(s.t, http.StatusOK).Equal(s.t, "router.external_gateway_info", "")
		s.ask("PUT /v2.0/routers/{router}", `{"router":{"external_gateway_info":{"network_id":"{external}"}}}`).Want(s.t, http.StatusOK)
		s.ask("PUT /v2.0/routers/{router}", `{"router":{"external_gateway_info":{}}}`).Want(s.t, http.StatusOK).Equal(s.t, "router.external_gateway_info", "")
		s.ask("DELETE /v2.0/routers/{router}", "").Want(s.t, http.StatusNoContent)
		for request, body := range inOrder[string, string]("GET /v2.0/routers/{router}", "", "DELETE /v2.0/routers/{router}", "",
			"PUT /v2.0/routers/{router}", `{"router":{}}`) {
			s.refused(request, body, http.StatusNotFound, "RouterNotFound", "Router {router} could not be found")
		}
	})},
	{Name: "a gateway must be on an external network, and its details are the administrator's", Run: at(Network, func(s *scene) {
		s.refused("POST /v2.0/routers", `{"router":{"external_gateway_info":{"network_id":"{network}"}}}`, http.StatusBadRequest,
			"BadRequest", "Bad router request: Network {network} is not an external network.")
		s.refused("POST /v2.0/routers", `{"router":{"external_gateway_info":{"network_id":"{nobody}"}}}`, http.StatusNotFound, "NetworkNotFound")
		s.refused("POST /v2.0/routers", `{"router":{"external_gateway_info":{"network_id":"{external}","enable_snat":false}}}`, http.StatusForbidden, "PolicyNotAuthorized")
		s.refused("POST /v2.0/routers", `{"router":{"external_gateway_info":{"network_id":"{external}","external_fixed_ips":[{"ip_address":"1.1.1.1"}]}}}`,
			http.StatusForbidden, "PolicyNotAuthorized")
		s.refused("POST /v2.0/routers", `{"router":{"nothing":1}}`, http.StatusBadRequest, "HTTPBadRequest", "Unrecognized attribute(s) 'nothing'")
	})},
	{Name: "an interface takes the subnet's gateway address by a port of its own, which only the router removes", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makeRouter(`"admin_state_up":true`)
		a := s.connect()
		a.Equal(s.t, "id", s.names["router"])
		a.Equal(s.t, "subnet_id", s.names["inner"])
		a.Equal(s.t, "network_id", s.names["mine"])
		s.names["port"] = a.Text("port_id")
		a = s.get("/v2.0/ports?device_id={router}")
		a.Equal(s.t, "ports.0.id", s.names["port"])
		a.Equal(s.t, "ports.0.device_owner", "network:router_interface")
		a.Equal(s.t, "ports.0.fixed_ips.0.ip_address", "10.77.0.1")
		s.refused("DELETE /v2.0/ports/{port}", "", http.StatusConflict, "ServicePortInUse",
			"Port {port} cannot be deleted directly via the port API: has device owner network:router_interface.")
		s.refused("DELETE /v2.0/routers/{router}", "", http.StatusConflict, "RouterInUse", "Router {router} has ports still attached: {port}")
		s.refused("DELETE /v2.0/subnets/{inner}", "", http.StatusConflict, "SubnetInUse")
		s.ask("PUT /v2.0/routers/{router}/remove_router_interface", `{"subnet_id":"{inner}"}`).Want(s.t, http.StatusOK).Equal(s.t, "port_id", s.names["port"])
		s.refused("PUT /v2.0/routers/{router}/remove_router_interface", `{"subnet_id":"{inner}"}`, http.StatusNotFound,
			"RouterInterfaceNotFoundForSubnet", "Router {router} has no interface on subnet {inner}")
	})},
	{Name: "an interface that cannot be is refused", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makeRouter(`"admin_state_up":true`)
		s.connect()
		s.makeNetwork("second")
		s.makeSubnet("overlapping", "second", `"cidr":"10.77.0.0/25"`)
		s.makeSubnet("closed", "second", `"cidr":"10.78.0.0/24","gateway_ip":null`)
		for body, words := range inOrder[string, []string](
			`{"subnet_id":"{inner}"}`, []string{"BadRequest", "Bad router request: Router already has a port on subnet {inner}."},
			`{"subnet_id":"{overlapping}"}`, []string{"BadRequest", "of subnet {overlapping} overlaps with cidr 10.77.0.0/24 of subnet {inner}."},
			`{"subnet_id":"{closed}"}`, []string{"BadRequest", "Bad router request: Subnet for router interface must have a gateway IP."},
			`{}`, []string{"BadRequest", "Bad router request: Either subnet_id or port_id must be specified."},
			`{"subnet_id":"x"}`, []string{"BadRequest", "Bad router request: 'x' is not a valid UUID."},
			`{"subnet_id":"{inner}","port_id":"{nobody}"}`, []string{"BadRequest", "Bad router request: Cannot specify both subnet-id and port-id."},
		) {
			s.refused("PUT /v2.0/routers/{router}/add_router_interface", body, http.StatusBadRequest, words...)
		}
		s.refused("PUT /v2.0/routers/{router}/add_router_interface", `{"subnet_id":"{nobody}"}`, http.StatusNotFound, "SubnetNotFound")
		s.refused("PUT /v2.0/routers/{router}/add_router_interface", `{"port_id":"{nobody}"}`, http.StatusNotFound, "PortNotFound")
		s.refused("PUT /v2.0/routers/{nobody}/add_router_interface", `{"subnet_id":"{inner}"}`, http.StatusNotFound, "RouterNotFound")
		s.refused("PUT /v2.0/routers/{router}/remove_router_interface", `{"subnet_id":"{nobody}"}`, http.StatusNotFound, "SubnetNotFound")
		s.refused("PUT /v2.0/routers/{router}/remove_router_interface", `{"port_id":"{nobody}"}`, http.StatusNotFound,
			"RouterInterfaceNotFound", "Router {router} does not have an interface with id {nobody}")
		s.refused("PUT /v2.0/routers/{router}/remove_router_interface", `{}`, http.StatusBadRequest, "BadRequest", "Either subnet_id or port_id must be specified.")
	})},
	{Name: "an interface may take a port that is there, and removes it with itself", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makePort("port", `"network_id":"{mine}"`)
		s.makeRouter(`"admin_state_up":true`)
		s.t.Cleanup(func() { s.ask("PUT /v2.0/routers/{router}/remove_router_interface", `{"port_id":"{port}"}`) })
		s.ask("PUT /v2.0/routers/{router}/add_router_interface", `{"port_id":"{port}"}`).Want(s.t, http.StatusOK).Equal(s.t, "subnet_id", s.names["inner"])
		s.get("/v2.0/ports/{port}").Equal(s.t, "port.device_owner", "network:router_interface")
		s.refused("PUT /v2.0/routers/{router}/add_router_interface", `{"port_id":"{port}"}`, http.StatusConflict, "PortInUse",
			"Unable to complete operation on port {port} for network {mine}. Port already has an attached device {router}.")
		s.ask("PUT /v2.0/routers/{router}/remove_router_interface", `{"port_id":"{port}"}`).Want(s.t, http.StatusOK)
		s.refused("GET /v2.0/ports/{port}", "", http.StatusNotFound, "PortNotFound")
	})},
	{Name: "routes need a next hop that the router reaches, and hold their interface", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makeRouter(`"admin_state_up":true`)
		s.connect()
		route := func(destination, hop string) string {
			return fmt.Sprintf(`{"destination":%q,"nexthop":%q}`, destination, hop)
		}
		put := func(routes ...string) (request, body string) {
			return "PUT /v2.0/routers/{router}", `{"router":{"routes":[` + strings.Join(routes, ",") + `]}}`
		}
		request, body := put(route("10.201.0.0/24", "10.77.0.9"))
		s.ask(request, body).Want(s.t, http.StatusOK).Equal(s.t, "router.routes.0.nexthop", "10.77.0.9")
		for one, words := range inOrder[string, []string](
			route("10.201.0.0/24", "10.99.0.9"), []string{"InvalidRoutes",
				"Invalid format for routes: [{'destination': '10.201.0.0/24', 'nexthop': '10.99.0.9'}], the nexthop is not connected with router"},
			route("10.201.0.0/24", "10.77.0.1"), []string{"InvalidRoutes", "the nexthop is used by router"},
			route("10.201.0.0/24", "x"), []string{"HTTPBadRequest", "Invalid input for routes. Reason: 'x' is not a valid IP address."},
			route("x", "10.77.0.9"), []string{"HTTPBadRequest", "Invalid input for routes. Reason: 'x' is not a valid CIDR."},
			route("10.201.0.7/24", "10.77.0.9"), []string{"HTTPBadRequest", "'10.201.0.7/24' is not a recognized CIDR, '10.201.0.0/24' is recommended."},
			route("10.201.0.0/24", "10.77.0.9")+","+route("10.201.0.0/24", "10.77.0.9"), []string{"HTTPBadRequest", "Duplicate hostroute"},
		) {
			request, body := put(one)
			s.refused(request, body, http.StatusBadRequest, words...)
		}
		s.refused("PUT /v2.0/routers/{router}/remove_router_interface", `{"subnet_id":"{inner}"}`, http.StatusConflict, "RouterInterfaceInUseByRoute",
			"Router interface for subnet {inner} on router {router} cannot be deleted, as it is required by one or more routes.")
		request, body = put()
		s.ask(request, body).Want(s.t, http.StatusOK).Equal(s.t, "router.routes", "[]")
	})},
	{Name: "single routes are added and removed without the others, repeatedly", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makeRouter(`"admin_state_up":true`)
		s.connect()
		one := `{"router":{"routes":[{"destination":"10.201.0.0/24","nexthop":"10.77.0.9"}]}}`
		two := `{"router":{"routes":[{"destination":"10.202.0.0/24","nexthop":"10.77.0.9"}]}}`
		for request, body := range inOrder[string, string]("add_extraroutes", one, "add_extraroutes", two, "add_extraroutes", two,
			"remove_extraroutes", one, "remove_extraroutes", one) {
			s.ask("PUT /v2.0/routers/{router}/"+request, body).Want(s.t, http.StatusOK)
		}
		if left := values(s.get("/v2.0/routers/{router}"), "router.routes", "destination"); !slices.Equal(left, []string{"10.202.0.0/24"}) {
			s.t.Errorf("left are %v", left)
		}
		s.refused("PUT /v2.0/routers/{router}/add_extraroutes", `{"router":{"routes":[{"destination":"10.203.0.0/24","nexthop":"10.99.0.9"}]}}`,
			http.StatusBadRequest, "InvalidRoutes", "the nexthop is not connected with router")
	})},
}

func (s *scene) makeFloatingIP(name, rest string) Answer {
	return s.created(name, "POST /v2.0/floatingips", "floatingip", `{"floatingip":{"floating_network_id":"{external}"`+rest+`}}`)
}

var floatingIPCases = []Case{
	{Name: "a floating IP is made, described, shown and removed", Run: at(Network, func(s *scene) {
		a := s.makeFloatingIP("fip", `,"description":"d"`)
		for path, want := range inOrder[string, string]("description", "d", "status", "DOWN", "port_id", "", "fixed_ip_address", "", "router_id", "",
			"port_details", "", "floating_network_id", s.c.ExternalNetworkID, "project_id", s.c.ProjectID) {
			a.Equal(s.t, "floatingip."+path, want)
		}
		s.ask("PUT /v2.0/floatingips/{fip}", `{"floatingip":{"description":"e"}}`).Want(s.t, http.StatusOK).Equal(s.t, "floatingip.description", "e")
		s.ask("PUT /v2.0/floatingips/{fip}", `{"floatingip":{}}`).Want(s.t, http.StatusOK)
		s.get("/v2.0/floatingips/{fip}").Equal(s.t, "floatingip.description", "e")
		s.ask("DELETE /v2.0/floatingips/{fip}", "").Want(s.t, http.StatusNoContent)
		for request, body := range inOrder[string, string]("GET /v2.0/floatingips/{fip}", "", "DELETE /v2.0/floatingips/{fip}", "",
			"PUT /v2.0/floatingips/{fip}", `{"floatingip":{}}`) {
			s.refused(request, body, http.StatusNotFound, "FloatingIPNotFound", "Floating IP {fip} could not be found")
		}
	})},
	{Name: "a floating IP may be of a named subnet of the external network", Run: at(Network, func(s *scene) {
		s.names["outer"] = s.get("/v2.0/networks/{external}").Text("network.subnets.0")
		s.makeFloatingIP("fip", `,"subnet_id":"{outer}"`)
		s.refused("POST /v2.0/floatingips", `{"floatingip":{"floating_network_id":"{external}","subnet_id":"{nobody}"}}`, http.StatusNotFound, "SubnetNotFound")
		s.refused("POST /v2.0/floatingips", `{"floatingip":{"floating_network_id":"{external}","subnet_id":"{subnet}"}}`, http.StatusBadRequest, "InvalidInput",
			"Failed to create port on network {external}, because fixed_ips included invalid subnet {subnet}.")
	})},
	{Name: "a floating IP that cannot be is refused", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		for body, words := range inOrder[string, []string](
			`{}`, []string{"HTTPBadRequest", "Failed to parse request. Required attribute 'floating_network_id' not specified"},
			`{"floating_network_id":"{mine}"}`, []string{"BadRequest", "Bad floatingip request: Network {mine} is not a valid external network."},
			`{"floating_network_id":"x"}`, []string{"HTTPBadRequest", "Invalid input for floating_network_id. Reason: 'x' is not a valid UUID."},
			`{"floating_network_id":"{external}","name":"x"}`, []string{"HTTPBadRequest", "Unrecognized attribute(s) 'name'"},
			`{"floating_network_id":"{external}","tags":["x"]}`, []string{"HTTPBadRequest", "Attribute 'tags' not allowed in POST"},
			`{"floating_network_id":"{external}","fixed_ip_address":"10.77.0.5"}`, []string{"BadRequest",
				"Bad floatingip request: fixed_ip_address cannot be specified without a port_id."},
		) {
			s.refused("POST /v2.0/floatingips", `{"floatingip":`+body+`}`, http.StatusBadRequest, words...)
		}
		s.refused("POST /v2.0/floatingips", `{"floatingip":{"floating_network_id":"{nobody}"}}`, http.StatusNotFound, "NetworkNotFound")
		s.refused("POST /v2.0/floatingips", `{"floatingip":{"floating_network_id":"{external}","port_id":"{nobody}"}}`, http.StatusNotFound, "PortNotFound")
		s.refused("POST /v2.0/floatingips", `{"floatingip":{"floating_network_id":"{external}","floating_ip_address":"192.0.2.1"}}`, http.StatusForbidden,
			"PolicyNotAuthorized", "(rule:create_floatingip and rule:create_floatingip:floating_ip_address) is disallowed by policy")
	})},
	{Name: "a floating IP points at a port, tells which, and moves to another", Run: at(Network, func(s *scene) {
		s.withRouter()
		s.makePort("a", `"network_id":"{mine}","name":"contract-a"`)
		s.makePort("b", `"network_id":"{mine}","name":"contract-b"`)
		a := s.makeFloatingIP("fip", `,"port_id":"{a}"`)
		a.Equal(s.t, "floatingip.port_id", s.names["a"])
		a.Equal(s.t, "floatingip.router_id", s.names["router"])
		a.Equal(s.t, "floatingip.fixed_ip_address", s.get("/v2.0/ports/{a}").Text("port.fixed_ips.0.ip_address"))
		s.c.Await(s.t, Network, s.fill("/v2.0/floatingips/{fip}"), "floatingip.status", "ACTIVE")
		a = s.get("/v2.0/floatingips/{fip}")
		a.Equal(s.t, "floatingip.port_details.name", "contract-a")
		a.Equal(s.t, "floatingip.port_details.network_id", s.names["mine"])
		s.ask("PUT /v2.0/floatingips/{fip}", `{"floatingip":{"port_id":"{a}"}}`).Want(s.t, http.StatusOK).Equal(s.t, "floatingip.port_id", s.names["a"])
		s.ask("PUT /v2.0/floatingips/{fip}", `{"floatingip":{"port_id":"{b}"}}`).Want(s.t, http.StatusOK).Equal(s.t, "floatingip.port_id", s.names["b"])
		s.get("/v2.0/floatingips?port_id={b}").Equal(s.t, "floatingips.0.id", s.names["fip"])
		a = s.ask("PUT /v2.0/floatingips/{fip}", `{"floatingip":{"port_id":null}}`).Want(s.t, http.StatusOK)
		for _, path := range []string{"port_id", "fixed_ip_address", "router_id", "port_details"} {
			a.Equal(s.t, "floatingip."+path, "")
		}
		s.c.Await(s.t, Network, s.fill("/v2.0/floatingips/{fip}"), "floatingip.status", "DOWN")
	})},
	{Name: "a port without a way to the external network gets no floating IP: 404", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makePort("port", `"network_id":"{mine}"`)
		message := "External network {external} is not reachable from subnet {inner}.  Therefore, cannot associate Port {port} with a Floating IP."
		s.refused("POST /v2.0/floatingips", `{"floatingip":{"floating_network_id":"{external}","port_id":"{port}"}}`, http.StatusNotFound,
			"ExternalGatewayForFloatingIPNotFound", message)
		s.makeFloatingIP("fip", "")
		s.refused("PUT /v2.0/floatingips/{fip}", `{"floatingip":{"port_id":"{port}"}}`, http.StatusNotFound, "ExternalGatewayForFloatingIPNotFound", message)
	})},
	{Name: "an address of a port has one floating IP: 409", Run: at(Network, func(s *scene) {
		s.withRouter()
		s.makePort("port", `"network_id":"{mine}","fixed_ips":[{"ip_address":"10.77.0.15"}]`)
		s.makeFloatingIP("first", `,"port_id":"{port}"`)
		s.makeFloatingIP("second", "")
		s.refused("PUT /v2.0/floatingips/{second}", `{"floatingip":{"port_id":"{port}"}}`, http.StatusConflict, "FloatingIPPortAlreadyAssociated",
			"with port {port} using fixed IP 10.77.0.15, as that fixed IP already has a floating IP on external network {external}.")
		s.refused("POST /v2.0/floatingips", `{"floatingip":{"floating_network_id":"{external}","port_id":"{port}"}}`, http.StatusConflict, "FloatingIPPortAlreadyAssociated")
	})},
	{Name: "a floating IP points at no address that the port does not have", Run: at(Network, func(s *scene) {
		s.withRouter()
		s.makePort("port", `"network_id":"{mine}"`)
		s.makePort("bare", `"network_id":"{mine}","fixed_ips":[]`)
		s.makeFloatingIP("fip", "")
		for body, message := range inOrder[string, string](
			`{"port_id":"{port}","fixed_ip_address":"10.77.0.250"}`, "Bad floatingip request: Port {port} does not have fixed ip 10.77.0.250.",
			`{"port_id":"{bare}"}`, "Bad floatingip request: Cannot add floating IP to port {bare} that has no fixed IPv4 addresses.",
			`{"fixed_ip_address":"10.77.0.250"}`, "Bad floatingip request: fixed_ip_address cannot be specified without a port_id.",
		) {
			s.refused("PUT /v2.0/floatingips/{fip}", `{"floatingip":`+body+`}`, http.StatusBadRequest, "BadRequest", message)
		}
		for body, words := range inOrder[string, []string](
			`{"port_id":"x"}`, []string{"Invalid input for port_id. Reason: 'x' is not a valid UUID."},
			`{"floating_ip_address":"192.0.2.1"}`, []string{"Cannot update read-only attribute floating_ip_address"},
			`{"floating_network_id":"{mine}"}`, []string{"Cannot update read-only attribute floating_network_id"},
		) {
			s.refused("PUT /v2.0/floatingips/{fip}", `{"floatingip":`+body+`}`, http.StatusBadRequest, append(words, "HTTPBadRequest")...)
		}
		s.refused("PUT /v2.0/floatingips/{fip}", `{"floatingip":{"port_id":"{nobody}"}}`, http.StatusNotFound, "PortNotFound")
	})},
	{Name: "what a floating IP needs stays: interface, gateway and router are in use", Run: at(Network, func(s *scene) {
		s.withRouter()
		s.makePort("port", `"network_id":"{mine}"`)
		s.makeFloatingIP("fip", `,"port_id":"{port}"`)
		s.refused("PUT /v2.0/routers/{router}/remove_router_interface", `{"subnet_id":"{inner}"}`, http.StatusConflict, "RouterInterfaceInUseByFloatingIP",
			"Router interface for subnet {inner} on router {router} cannot be deleted, as it is required by one or more floating IPs.")
		s.refused("PUT /v2.0/routers/{router}", `{"router":{"external_gateway_info":null}}`, http.StatusConflict, "RouterExternalGatewayInUseByFloatingIp",
			"Gateway cannot be updated for router {router}, since a gateway to external network {external} is required by one or more floating IPs.")
		s.refused("DELETE /v2.0/routers/{router}", "", http.StatusConflict, "RouterInUse")
	})},
	{Name: "a port's floating IP outlives it", Run: at(Network, func(s *scene) {
		s.withRouter()
		s.makePort("port", `"network_id":"{mine}"`)
		s.makeFloatingIP("fip", `,"port_id":"{port}"`)
		s.ask("DELETE /v2.0/ports/{port}", "").Want(s.t, http.StatusNoContent)
		s.c.Await(s.t, Network, s.fill("/v2.0/floatingips/{fip}"), "floatingip.status", "DOWN")
		a := s.get("/v2.0/floatingips/{fip}")
		a.Equal(s.t, "floatingip.port_id", "")
		a.Equal(s.t, "floatingip.fixed_ip_address", "")
	})},
	{Name: "floating IPs are found by port, network, address, state and description, not by name", Run: at(Network, func(s *scene) {
		address := s.makeFloatingIP("fip", `,"description":"contract-f"`).Text("floatingip.floating_ip_address")
		for query, want := range inOrder[string, int]("description=contract-f", 1, "description=other", 0, "floating_network_id={external}", 1,
			"floating_network_id={network}", 0, "floating_ip_address="+address, 1, "port_id={nobody}", 0, "status=DOWN", 1, "status=ACTIVE", 0,
			"router_id={nobody}", 0, "fixed_ip_address=10.77.0.1", 0, "project_id={project}", 1) {
			s.t.Quietly(func() { // addresses differ
				if found := values(s.get("/v2.0/floatingips?id={fip}&"+query), "floatingips", "id"); len(found) != want {
					s.t.Errorf("%s found %v", query, found)
				}
			})
		}
		for _, attribute := range []string{"name", "port_details"} {
			s.refused("GET /v2.0/floatingips?"+attribute+"=x", "", http.StatusBadRequest, "HTTPBadRequest", "['"+attribute+"'] is invalid attribute for filtering")
		}
	})},
}
