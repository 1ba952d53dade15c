package contract

import (
	"net/http"
	"slices"
)

var loadBalancerCases = slices.Concat(loadBalancerCreationCases, loadBalancerPartCases, memberCases, loadBalancerListCases, loadBalancerEndCases, ovnCases)

const lbaas = "/v2.0/lbaas/"

// tree is a load balancer with all its parts, made in one request.
const tree = `{"loadbalancer":{"name":"contract-lb","description":"d","vip_subnet_id":"{subnet}","provider":"{provider}","tags":["red","blue"],
	"listeners":[
		{"name":"contract-80","protocol":"TCP","protocol_port":80,"tags":["listening"],"allowed_cidrs":["10.0.0.0/8"],"timeout_client_data":60000,"connection_limit":100,
			"default_pool":{"name":"contract-80","protocol":"TCP","lb_algorithm":"{algorithm}","tags":["pooled"],"session_persistence":{"type":"SOURCE_IP"},
				"members":[{"name":"one","address":"{prefix}.11","protocol_port":30000,"subnet_id":"{subnet}","weight":1},
					{"address":"{prefix}.12","protocol_port":30000,"monitor_port":10256}],
				"healthmonitor":{"name":"probe","type":"TCP","delay":5,"timeout":3,"max_retries":3}}},
		{"name":"contract-81","protocol":"TCP","protocol_port":81,"default_pool":{"name":"contract-81"}}],
	"pools":[{"name":"contract-81","protocol":"TCP","lb_algorithm":"{algorithm}"}]}}`

// withBalancer has the load balancer that most cases share, because making one takes seconds: it is made by the first of
// them and removed by the last case of the area. The names are lb, listener, pool (with two members and a monitor),
// bare (a listener), empty (a pool without members) and vip (the port).
func (s *scene) withBalancer() {
	s.names["provider"], s.names["algorithm"] = "amphora", "ROUND_ROBIN"
	s.t.Quietly(func() {
		a := s.ask("GET "+lbaas+"loadbalancers?name=contract-lb", "").Want(s.t, http.StatusOK)
		if s.names["lb"] = a.Text("loadbalancers.0.id"); s.names["lb"] == "" {
			s.names["lb"] = s.ask("POST "+lbaas+"loadbalancers", tree).Want(s.t, http.StatusCreated).Text("loadbalancer.id")
		}
		s.settled()
		s.partsOf()
	})
}

// partsOf names the parts of the shared load balancer.
func (s *scene) partsOf() {
	s.names["vip"] = s.get(lbaas + "loadbalancers/{lb}").Text("loadbalancer.vip_port_id")
	for name, path := range inOrder[string, string]("listener", "listeners?name=contract-80", "bare", "listeners?name=contract-81",
		"pool", "pools?name=contract-80", "empty", "pools?name=contract-81") {
		a := s.get(lbaas + path + "&loadbalancer_id={lb}")
		if s.names[name] = a.Text("listeners.0.id"); s.names[name] == "" {
			s.names[name] = a.Text("pools.0.id")
		}
	}
	s.names["monitor"] = s.get(lbaas + "pools/{pool}").Text("pool.healthmonitor_id")
}

// settled waits for the end of a change, and returns the states on the way.
func (s *scene) settled() []string {
	return s.c.Await(s.t, LoadBalancer, s.fill(lbaas+"loadbalancers/{lb}"), "loadbalancer.provisioning_status", "ACTIVE")
}

// changed wants a change to be accepted, and waits for its end.
func (s *scene) changed(request, body string, status int) Answer {
	a := s.ask(request, body).Want(s.t, status)
	if err := only(s.settled(), "PENDING_UPDATE", "ACTIVE"); err != nil {
		s.t.Errorf("%s: %v", request, err)
	}
	return a
}

// part makes a part of the shared load balancer for the time of the case.
func (s *scene) part(name, path, member, body string) Answer {
	a := s.changed("POST "+lbaas+path, `{"`+member+`":`+body+`}`, http.StatusCreated)
	s.names[name] = a.Text(member + ".id")
	full := s.fill(lbaas+path) + "/" + s.names[name]
	s.t.Cleanup(func() {
		if s.c.Do(s.t, LoadBalancer, http.MethodDelete, full, nil).Status == http.StatusNoContent {
			s.settled()
		}
	})
	return a
}

var loadBalancerCreationCases = []Case{
	{Name: "the versions document needs no token, and both spellings of the version work", Run: at(LoadBalancer, func(s *scene) {
		a := s.ask("GET "+s.c.Root(LoadBalancer)+"/", "", anonymous()).Want(s.t, http.StatusOK)
		if states := values(a, "versions", "status"); !slices.Contains(states, "CURRENT") || !slices.Contains(states, "SUPPORTED") {
			s.t.Errorf("states %v", states)
		}
		for _, path := range []string{"/v2.0/lbaas/providers", "/v2/lbaas/providers"} {
			if providers := values(s.get(path), "providers", "name"); !slices.Contains(providers, "amphora") || !slices.Contains(providers, "octavia") {
				s.t.Errorf("%s: %v", path, providers)
			}
		}
	})},
	{Name: "a load balancer that cannot be is refused", Run: at(LoadBalancer, func(s *scene) {
		for body, words := range inOrder[string, []string](
			`{}`, []string{"Client", "Validation failure: VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id."},
			`{"vip_subnet_id":"{nobody}"}`, []string{"Client", "Subnet {nobody} not found."},
			`{"vip_subnet_id":"x"}`, []string{"Client", "Invalid input for field/attribute vip_subnet_id. Value: 'x'. Value should be UUID format"},
			`{"vip_network_id":"{nobody}"}`, []string{"Client", "Network {nobody} not found."},
			`{"vip_port_id":"{nobody}"}`, []string{"Client", "Port {nobody} not found."},
			`{"vip_subnet_id":"{subnet}","provider":"zork"}`, []string{"Client", "Provider 'zork' is not enabled."},
			`{"vip_subnet_id":"{subnet}","nothing":1}`, []string{"Client", "Unknown attribute for argument load_balancer.loadbalancer: nothing"},
			`{"vip_subnet_id":"{subnet}","vip_address":"x"}`, []string{"Client", "Invalid input for field/attribute vip_address. Value: 'x'. Value should be IPv4 or IPv6 format"},
			`{"vip_subnet_id":"{subnet}","name":3}`, []string{"Client", "Invalid input for field/attribute name. Value: '3'. Value should be string"},
			`{"vip_subnet_id":"{subnet}","tags":[1]}`, []string{"Client", "Invalid input for field/attribute tags. Value: '[1]'. Value should be string"},
		) {
			s.refused("POST "+lbaas+"loadbalancers", `{"loadbalancer":`+body+`}`, http.StatusBadRequest, words...)
		}
		s.refused("POST "+lbaas+"loadbalancers", `{"loadbalancer":{"vip_subnet_id":"{subnet}","vip_address":"192.0.2.1"}}`, http.StatusInternalServerError,
			"Server", "Provider 'amphora' reports error: IP address 192.0.2.1 is not a valid IP for the specified subnet.")
		s.refused("POST "+lbaas+"loadbalancers", `{"loadbalancer":{"vip_subnet_id":"{subnet}","project_id":"{nobody}"}}`, http.StatusForbidden,
			"Client", "Policy does not allow this request to be performed.")
		s.refused("POST "+lbaas+"loadbalancers", `{`, http.StatusBadRequest, "Client", "Request is not in valid JSON format")
	})},
	{Name: "a load balancer is made with all its parts in one request, and nothing changes it meanwhile", Run: at(LoadBalancer, func(s *scene) {
		s.names["provider"], s.names["algorithm"] = "amphora", "ROUND_ROBIN"
		a := s.ask("POST "+lbaas+"loadbalancers", tree).Want(s.t, http.StatusCreated)
		s.names["lb"], s.names["vip"] = a.Text("loadbalancer.id"), a.Text("loadbalancer.vip_port_id")
		for path, want := range inOrder[string, string]("name", "contract-lb", "description", "d", "provisioning_status", "PENDING_CREATE", "operating_status", "OFFLINE",
			"admin_state_up", "true", "vip_subnet_id", s.c.SubnetID, "vip_network_id", s.c.NetworkID, "provider", "amphora", "project_id", s.c.ProjectID, "flavor_id", "") {
			a.Equal(s.t, "loadbalancer."+path, want)
		}
		for list, want := range inOrder[string, []string]("listeners", []string{"contract-80", "contract-81"}, "pools", []string{"contract-80", "contract-81"}) {
			names := values(a, "loadbalancer."+list, "name")
			if slices.Sort(names); !slices.Equal(names, want) {
				s.t.Errorf("%s are %v", list, names)
			}
			for _, state := range values(a, "loadbalancer."+list, "provisioning_status") {
				if state != "PENDING_CREATE" {
					s.t.Errorf("one of the %s is %s", list, state)
				}
			}
		}
		immutable := "Load Balancer {lb} is immutable and cannot be updated."
		pending := "Invalid state PENDING_CREATE of loadbalancer resource {lb}"
		s.refused("POST "+lbaas+"listeners", `{"listener":{"loadbalancer_id":"{lb}","protocol":"TCP","protocol_port":90}}`, http.StatusConflict, "Client", immutable)
		s.refused("PUT "+lbaas+"loadbalancers/{lb}", `{"loadbalancer":{"name":"x"}}`, http.StatusConflict, "Client", pending)
		s.refused("DELETE "+lbaas+"loadbalancers/{lb}?cascade=true", "", http.StatusConflict, "Client", pending)
		s.refused("DELETE "+lbaas+"loadbalancers/{lb}", "", http.StatusBadRequest, "Client", "Validation failure: Cannot delete Load Balancer {lb} - it has children")
		if err := only(s.settled(), "PENDING_CREATE", "ACTIVE"); err != nil {
			s.t.Errorf("%v", err)
		}
	})},
	{Name: "with their load balancer all parts are ACTIVE, and have what was asked for", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		s.get(lbaas+"loadbalancers/{lb}").Equal(s.t, "loadbalancer.provisioning_status", "ACTIVE")
		a := s.get(lbaas + "listeners/{listener}")
		for path, want := range inOrder[string, string]("provisioning_status", "ACTIVE", "protocol", "TCP", "protocol_port", "80", "connection_limit", "100",
			"timeout_client_data", "60000", "timeout_member_data", "50000", "timeout_member_connect", "5000", "timeout_tcp_inspect", "0",
			"allowed_cidrs", `["10.0.0.0/8"]`, "tags", `["listening"]`, "default_pool_id", s.names["pool"], "loadbalancers.0.id", s.names["lb"]) {
			a.Equal(s.t, "listener."+path, want)
		}
		a = s.get(lbaas + "pools/{pool}")
		for path, want := range inOrder[string, string]("provisioning_status", "ACTIVE", "protocol", "TCP", "lb_algorithm", "ROUND_ROBIN", "tags", `["pooled"]`,
			"session_persistence.type", "SOURCE_IP", "listeners.0.id", s.names["listener"], "loadbalancers.0.id", s.names["lb"], "healthmonitor_id", s.names["monitor"]) {
			a.Equal(s.t, "pool."+path, want)
		}
		a = s.get(lbaas + "healthmonitors/{monitor}")
		for path, want := range inOrder[string, string]("provisioning_status", "ACTIVE", "type", "TCP", "delay", "5", "timeout", "3", "max_retries", "3",
			"max_retries_down", "3", "url_path", "", "http_method", "", "expected_codes", "", "pools.0.id", s.names["pool"]) {
			a.Equal(s.t, "healthmonitor."+path, want)
		}
		a = s.get(lbaas + "pools/{pool}/members")
		ports := values(a, "members", "monitor_port")
		if slices.Sort(ports); !slices.Equal(ports, []string{"", "10256"}) {
			s.t.Errorf("monitor ports %v", ports)
		}
	})},
	{Name: "the virtual address is a port of the project that is Octavia's", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		a := s.c.Do(s.t, Network, http.MethodGet, s.fill("/v2.0/ports/{vip}"), nil).Want(s.t, http.StatusOK)
		for path, want := range inOrder[string, string]("name", "octavia-lb-"+s.names["lb"], "device_id", "lb-"+s.names["lb"], "device_owner", "Octavia",
			"project_id", s.c.ProjectID, "network_id", s.c.NetworkID, "admin_state_up", "false", "status", "DOWN") {
			a.Equal(s.t, "port."+path, want)
		}
		s.get(lbaas+"loadbalancers/{lb}").Equal(s.t, "loadbalancer.vip_address", a.Text("port.fixed_ips.0.ip_address"))
	})},
	{Name: "the virtual address takes a floating IP", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		s.service = Network
		a := s.makeFloatingIP("fip", `,"port_id":"{vip}"`)
		a.Equal(s.t, "floatingip.port_id", s.names["vip"])
		s.c.Await(s.t, Network, s.fill("/v2.0/floatingips/{fip}"), "floatingip.status", "ACTIVE")
		s.get("/v2.0/floatingips/{fip}").Equal(s.t, "floatingip.port_details.device_owner", "Octavia")
	})},
	{Name: "the status tree has every part under its parent", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		for _, path := range []string{"status", "statuses"} {
			a := s.get(lbaas + "loadbalancers/{lb}/" + path)
			a.Equal(s.t, "statuses.loadbalancer.id", s.names["lb"])
			a.Equal(s.t, "statuses.loadbalancer.provisioning_status", "ACTIVE")
			listeners := values(a, "statuses.loadbalancer.listeners", "id")
			if slices.Index(listeners, s.names["listener"]) < 0 || slices.Index(listeners, s.names["bare"]) < 0 {
				s.t.Errorf("listeners %v", listeners)
			}
		}
		s.refused("GET "+lbaas+"loadbalancers/{nobody}/status", "", http.StatusNotFound, "Client", "not found.")
	})},
	{Name: "a load balancer is renamed, described, tagged and switched off", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		a := s.changed("PUT "+lbaas+"loadbalancers/{lb}", `{"loadbalancer":{"description":"e","admin_state_up":false,"tags":["green"]}}`, http.StatusOK)
		for path, want := range inOrder[string, string]("provisioning_status", "PENDING_UPDATE", "description", "e", "admin_state_up", "false") {
			a.Equal(s.t, "loadbalancer."+path, want)
		}
		s.get(lbaas+"loadbalancers/{lb}").Equal(s.t, "loadbalancer.tags", `["green"]`)
		s.changed("PUT "+lbaas+"loadbalancers/{lb}", `{"loadbalancer":{"description":null,"admin_state_up":true,"tags":["red","blue"]}}`, http.StatusOK)
		a = s.get(lbaas + "loadbalancers/{lb}")
		a.Equal(s.t, "loadbalancer.description", "")
		a.Equal(s.t, "loadbalancer.tags", `["blue","red"]`)
		s.changed("PUT "+lbaas+"loadbalancers/{lb}", `{"loadbalancer":{}}`, http.StatusOK)
	})},
	{Name: "what a load balancer keeps for its life is unknown to an update", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		for attribute, value := range inOrder[string, string]("vip_subnet_id", `"{subnet}"`, "vip_address", `"192.0.2.1"`, "provider", `"amphora"`,
			"project_id", `"{project}"`, "listeners", `[]`, "id", `"{lb}"`, "nothing", `1`, "provisioning_status", `"ACTIVE"`) {
			s.refused("PUT "+lbaas+"loadbalancers/{lb}", `{"loadbalancer":{"`+attribute+`":`+value+`}}`, http.StatusBadRequest,
				"Client", "Unknown attribute for argument load_balancer.loadbalancer: "+attribute)
		}
	})},
}

var loadBalancerPartCases = []Case{
	{Name: "a listener is made, changed, set back and removed", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		a := s.part("mine", "listeners", "listener", `{"loadbalancer_id":"{lb}","protocol":"TCP","protocol_port":91,"default_pool_id":"{empty}","connection_limit":0}`)
		for path, want := range inOrder[string, string]("provisioning_status", "PENDING_CREATE", "default_pool_id", s.names["empty"], "connection_limit", "0",
			"allowed_cidrs", "", "timeout_client_data", "50000", "loadbalancers.0.id", s.names["lb"]) {
			a.Equal(s.t, "listener."+path, want)
		}
		a = s.changed("PUT "+lbaas+"listeners/{mine}", `{"listener":{"name":"y","description":"e","connection_limit":5,"timeout_client_data":1000,
			"allowed_cidrs":["10.0.0.0/8","192.168.0.0/16"],"tags":["q"],"default_pool_id":null,"admin_state_up":false}}`, http.StatusOK)
		for path, want := range inOrder[string, string]("provisioning_status", "PENDING_UPDATE", "name", "y", "connection_limit", "5", "timeout_client_data", "1000",
			"default_pool_id", "", "admin_state_up", "false", "tags", `["q"]`) {
			a.Equal(s.t, "listener."+path, want)
		}
		s.changed("PUT "+lbaas+"listeners/{mine}", `{"listener":{"connection_limit":null,"timeout_client_data":null,"allowed_cidrs":null}}`, http.StatusOK)
		a = s.get(lbaas + "listeners/{mine}")
		for path, want := range inOrder[string, string]("connection_limit", "-1", "timeout_client_data", "50000", "allowed_cidrs", "") {
			a.Equal(s.t, "listener."+path, want)
		}
		s.changed("DELETE "+lbaas+"listeners/{mine}", "", http.StatusNoContent)
		for request, body := range inOrder[string, string]("GET "+lbaas+"listeners/{mine}", "", "DELETE "+lbaas+"listeners/{mine}", "",
			"PUT "+lbaas+"listeners/{mine}", `{"listener":{"name":"x"}}`) {
			s.refused(request, body, http.StatusNotFound, "Client", "Listener {mine} not found.")
		}
	})},
	{Name: "a listener that cannot be is refused", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		for body, words := range inOrder[string, []string](
			`"protocol":"TCP","protocol_port":0`, []string{"Invalid input for field/attribute protocol_port. Value: '0'. Value should be greater or equal to 1"},
			`"protocol":"TCP","protocol_port":70000`, []string{"Invalid input for field/attribute protocol_port. Value: '70000'. Value should be lower or equal to 65535"},
			`"protocol":"TCP"`, []string{"Invalid input for field/attribute protocol_port. Value: 'None'. Mandatory field missing."},
			`"protocol_port":92`, []string{"Invalid input for field/attribute protocol. Value: 'None'. Mandatory field missing."},
			`"protocol":"ZORK","protocol_port":92`, []string{"Invalid input for field/attribute protocol. Value: 'ZORK'. Value should be one of: "},
			`"protocol":"TCP","protocol_port":92,"allowed_cidrs":["x"]`, []string{"Invalid input for field/attribute allowed_cidrs. Value: '['x']'. Value should be IPv4 or IPv6 CIDR format"},
			`"protocol":"TCP","protocol_port":92,"allowed_cidrs":["fd00::/8"]`, []string{"Validation failure: CIDR fd00::/8 IP version incompatible with VIP "},
			`"protocol":"TCP","protocol_port":93,"timeout_client_data":-1`, []string{"Invalid input for field/attribute timeout_client_data. Value: '-1'. Value should be greater or equal to 0"},
			`"protocol":"TCP","protocol_port":93,"timeout_client_data":31536000001`, []string{"Invalid input for field/attribute timeout_client_data. Value: '31536000001'. Value should be lower or equal to "},
			`"protocol":"TCP","protocol_port":93,"connection_limit":-2`, []string{"Invalid input for field/attribute connection_limit. Value: '-2'. Value should be greater or equal to -1"},
			`"protocol":"TCP","protocol_port":94,"insert_headers":{"X-Forwarded-For":"true"}`, []string{"insert-headers is not a valid option for a TCP protocol listener."},
			`"protocol":"TCP","protocol_port":94,"nothing":1`, []string{"Unknown attribute for argument listener_.listener: nothing"},
		) {
			s.refused("POST "+lbaas+"listeners", `{"listener":{"loadbalancer_id":"{lb}",`+body+`}}`, http.StatusBadRequest, append(words, "Client")...)
		}
		s.refused("POST "+lbaas+"listeners", `{"listener":{"protocol":"TCP","protocol_port":92}}`, http.StatusBadRequest,
			"Invalid input for field/attribute loadbalancer_id. Value: 'None'. Mandatory field missing.")
		s.refused("POST "+lbaas+"listeners", `{"listener":{"loadbalancer_id":"{nobody}","protocol":"TCP","protocol_port":92}}`, http.StatusNotFound, "Load Balancer {nobody} not found.")
		s.refused("POST "+lbaas+"listeners", `{"listener":{"loadbalancer_id":"{lb}","protocol":"TCP","protocol_port":92,"default_pool_id":"{nobody}"}}`, http.StatusNotFound, "Pool {nobody} not found.")
		s.refused("POST "+lbaas+"listeners", `{"listener":{"loadbalancer_id":"{lb}","protocol":"TCP","protocol_port":80}}`, http.StatusConflict,
			"Another Listener on this Load Balancer is already using protocol TCP and protocol_port 80")
	})},
	{Name: "what a listener keeps for its life is unknown to an update", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		for attribute, value := range inOrder[string, string]("protocol", `"UDP"`, "protocol_port", `99`, "loadbalancer_id", `"{lb}"`, "nothing", `1`) {
			s.refused("PUT "+lbaas+"listeners/{bare}", `{"listener":{"`+attribute+`":`+value+`}}`, http.StatusBadRequest,
				"Client", "Unknown attribute for argument listener_.listener: "+attribute)
		}
		s.refused("PUT "+lbaas+"listeners/{bare}", `{"listener":{"default_pool_id":"{nobody}"}}`, http.StatusNotFound, "Client", "Pool {nobody} not found.")
		s.refused("PUT "+lbaas+"listeners/{bare}", `{"listener":{"allowed_cidrs":["x"]}}`, http.StatusBadRequest, "Client", "allowed_cidrs")
	})},
	{Name: "a pool is made, changed and removed", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		a := s.part("mine", "pools", "pool", `{"loadbalancer_id":"{lb}","protocol":"TCP","lb_algorithm":"ROUND_ROBIN","name":"np","tags":["x"]}`)
		for path, want := range inOrder[string, string]("provisioning_status", "PENDING_CREATE", "session_persistence", "", "members", "[]", "loadbalancers.0.id", s.names["lb"]) {
			a.Equal(s.t, "pool."+path, want)
		}
		a = s.changed("PUT "+lbaas+"pools/{mine}", `{"pool":{"name":"z","description":"e","lb_algorithm":"LEAST_CONNECTIONS","session_persistence":{"type":"SOURCE_IP"},"tags":["k"]}}`, http.StatusOK)
		for path, want := range inOrder[string, string]("provisioning_status", "PENDING_UPDATE", "lb_algorithm", "LEAST_CONNECTIONS", "session_persistence.type", "SOURCE_IP", "tags", `["k"]`) {
			a.Equal(s.t, "pool."+path, want)
		}
		s.changed("PUT "+lbaas+"pools/{mine}", `{"pool":{"session_persistence":null}}`, http.StatusOK)
		s.get(lbaas+"pools/{mine}").Equal(s.t, "pool.session_persistence", "")
		s.changed("DELETE "+lbaas+"pools/{mine}", "", http.StatusNoContent)
		s.refused("GET "+lbaas+"pools/{mine}", "", http.StatusNotFound, "Client", "Pool {mine} not found.")
	})},
	{Name: "a pool that cannot be is refused", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		for body, words := range inOrder[string, []string](
			`"protocol":"ZORK","lb_algorithm":"ROUND_ROBIN"`, []string{"Invalid input for field/attribute protocol. Value: 'ZORK'. Value should be one of: "},
			`"protocol":"TCP","lb_algorithm":"ZORK"`, []string{"Invalid input for field/attribute lb_algorithm. Value: 'ZORK'. Value should be one of: "},
			`"protocol":"TCP"`, []string{"Invalid input for field/attribute lb_algorithm. Value: 'None'. Mandatory field missing."},
			`"lb_algorithm":"ROUND_ROBIN"`, []string{"Invalid input for field/attribute protocol. Value: 'None'. Mandatory field missing."},
			`"protocol":"TCP","lb_algorithm":"ROUND_ROBIN","session_persistence":{"type":"APP_COOKIE"}`,
			[]string{`Validation failure: Field "cookie_name" must be specified when using the "APP_COOKIE" session persistence type.`},
			`"protocol":"TCP","lb_algorithm":"ROUND_ROBIN","session_persistence":{"type":"ZORK"}`, []string{"Invalid input for field/attribute type. Value: 'ZORK'. Value should be one of: "},
			`"protocol":"TCP","lb_algorithm":"ROUND_ROBIN","session_persistence":{"type":"SOURCE_IP","cookie_name":"x"}`,
			[]string{`Validation failure: Field "cookie_name" can only be specified with session persistence of type "APP_COOKIE".`},
			`"protocol":"TCP","lb_algorithm":"ROUND_ROBIN","nothing":1`, []string{"Unknown attribute for argument pool_.pool: nothing"},
		) {
			s.refused("POST "+lbaas+"pools", `{"pool":{"loadbalancer_id":"{lb}",`+body+`}}`, http.StatusBadRequest, append(words, "Client")...)
		}
		s.refused("POST "+lbaas+"pools", `{"pool":{"loadbalancer_id":"{lb}","protocol":"TCP","lb_algorithm":"SOURCE_IP_PORT"}}`, http.StatusNotImplemented, "Server",
			"Provider 'amphora' does not support a requested option: Amphora provider does not support SOURCE_IP_PORT algorithm.")
		s.refused("POST "+lbaas+"pools", `{"pool":{"protocol":"TCP","lb_algorithm":"ROUND_ROBIN"}}`, http.StatusBadRequest, "Must provide at least one of: loadbalancer_id, listener_id")
		s.refused("POST "+lbaas+"pools", `{"pool":{"loadbalancer_id":"{nobody}","protocol":"TCP","lb_algorithm":"ROUND_ROBIN"}}`, http.StatusNotFound, "Load Balancer {nobody} not found.")
		s.refused("POST "+lbaas+"pools", `{"pool":{"listener_id":"{listener}","protocol":"TCP","lb_algorithm":"ROUND_ROBIN"}}`, http.StatusConflict, "This listener already has a default pool")
		for attribute, value := range inOrder[string, string]("protocol", `"UDP"`, "loadbalancer_id", `"{lb}"`, "members", `[]`) {
			s.refused("PUT "+lbaas+"pools/{empty}", `{"pool":{"`+attribute+`":`+value+`}}`, http.StatusBadRequest, "Client", "Unknown attribute for argument pool_.pool: "+attribute)
		}
	})},
	{Name: "parts within parts are for the creation of load balancers only: 500", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		for request, body := range inOrder[string, string](
			"pools", `{"pool":{"loadbalancer_id":"{lb}","protocol":"TCP","lb_algorithm":"ROUND_ROBIN","members":[{"address":"{prefix}.4","protocol_port":1}]}}`,
			"pools", `{"pool":{"loadbalancer_id":"{lb}","protocol":"TCP","lb_algorithm":"ROUND_ROBIN","healthmonitor":{"type":"TCP","delay":1,"timeout":1,"max_retries":1}}}`,
			"listeners", `{"listener":{"loadbalancer_id":"{lb}","protocol":"TCP","protocol_port":92,"default_pool":{"name":"x","protocol":"TCP","lb_algorithm":"ROUND_ROBIN"}}}`,
		) {
			s.refused("POST "+lbaas+request, body, http.StatusInternalServerError, "Server", "'dict' object has no attribute '_sa_instance_state'")
			s.settled()
		}
	})},
}
