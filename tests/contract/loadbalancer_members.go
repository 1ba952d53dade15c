package contract

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// withPool has a pool of its own in the shared load balancer, named mine.
func (s *scene) withPool() {
	s.withBalancer()
	s.t.Quietly(func() {
		s.part("mine", "pools", "pool", `{"loadbalancer_id":"{lb}","protocol":"TCP","lb_algorithm":"ROUND_ROBIN"}`)
	})
}

// members are those of the pool: the last number of their addresses, and an attribute.
func (s *scene) members(attribute string) string {
	a := s.get(lbaas + "pools/{mine}/members")
	found := values(a, "members", attribute)
	for i, address := range values(a, "members", "address") {
		found[i] = address[strings.LastIndex(address, ".")+1:] + "=" + found[i]
	}
	slices.Sort(found)
	return strings.Join(found, " ")
}

var memberCases = []Case{
	{Name: "a member is made, changed and removed", Run: at(LoadBalancer, func(s *scene) {
		s.withPool()
		a := s.part("member", "pools/{mine}/members", "member", `{"address":"{prefix}.21","protocol_port":80,"subnet_id":"{subnet}"}`)
		for path, want := range inOrder[string, string]("provisioning_status", "PENDING_CREATE", "operating_status", "NO_MONITOR", "weight", "1", "backup", "false",
			"subnet_id", s.c.SubnetID, "monitor_port", "", "monitor_address", "") {
			a.Equal(s.t, "member."+path, want)
		}
		s.changed("PUT "+lbaas+"pools/{mine}/members/{member}", `{"member":{"name":"n","weight":5,"monitor_port":99,"admin_state_up":false,"tags":["u"]}}`, http.StatusOK)
		a = s.get(lbaas + "pools/{mine}/members/{member}")
		for path, want := range inOrder[string, string]("provisioning_status", "ACTIVE", "name", "n", "weight", "5", "monitor_port", "99", "admin_state_up", "false", "tags", `["u"]`) {
			a.Equal(s.t, "member."+path, want)
		}
		for attribute, value := range inOrder[string, string]("address", `"{prefix}.29"`, "protocol_port", `3`, "subnet_id", `"{subnet}"`) {
			s.refused("PUT "+lbaas+"pools/{mine}/members/{member}", `{"member":{"`+attribute+`":`+value+`}}`, http.StatusBadRequest,
				"Client", "Unknown attribute for argument member_.member: "+attribute)
		}
		s.changed("DELETE "+lbaas+"pools/{mine}/members/{member}", "", http.StatusNoContent)
		s.refused("DELETE "+lbaas+"pools/{mine}/members/{member}", "", http.StatusNotFound, "Client", "Member {member} not found.")
	})},
	{Name: "a member that cannot be is refused", Run: at(LoadBalancer, func(s *scene) {
		s.withPool()
		for body, word := range inOrder[string, string](
			`{"address":"x","protocol_port":80}`, "Invalid input for field/attribute address. Value: 'x'. Value should be IPv4 or IPv6 format",
			`{"protocol_port":80}`, "Invalid input for field/attribute address. Value: 'None'. Mandatory field missing.",
			`{"address":"{prefix}.22"}`, "Invalid input for field/attribute protocol_port. Value: 'None'. Mandatory field missing.",
			`{"address":"{prefix}.22","protocol_port":0}`, "protocol_port",
			`{"address":"{prefix}.22","protocol_port":80,"weight":257}`, "Invalid input for field/attribute weight. Value: '257'. Value should be lower or equal to 256",
			`{"address":"{prefix}.22","protocol_port":80,"weight":-1}`, "Invalid input for field/attribute weight. Value: '-1'. Value should be greater or equal to 0",
			`{"address":"{prefix}.22","protocol_port":80,"subnet_id":"{nobody}"}`, "Subnet {nobody} not found.",
			`{"address":"{prefix}.22","protocol_port":80,"nothing":1}`, "Unknown attribute for argument member_.member: nothing",
		) {
			s.refused("POST "+lbaas+"pools/{mine}/members", `{"member":`+body+`}`, http.StatusBadRequest, "Client", word)
		}
		s.refused("POST "+lbaas+"pools/{nobody}/members", `{"member":{"address":"{prefix}.22","protocol_port":80}}`, http.StatusNotFound, "Pool {nobody} not found.")
		s.refused("GET "+lbaas+"pools/{nobody}/members", "", http.StatusNotFound, "Pool {nobody} not found.")
		s.refused("GET "+lbaas+"pools/{mine}/members/{nobody}", "", http.StatusNotFound, "Client", "Member {nobody} not found.")
	})},
	{Name: "all members are set at once: 202 without a body, new ones made, absent ones removed", Run: at(LoadBalancer, func(s *scene) {
		s.withPool()
		set := func(query, members string) {
			a := s.changed("PUT "+lbaas+"pools/{mine}/members"+query, `{"members":[`+members+`]}`, http.StatusAccepted)
			if len(a.Raw) > 0 {
				s.t.Errorf("the answer is %s", a.Raw)
			}
		}
		member := func(last int, rest string) string {
			return fmt.Sprintf(`{"address":"{prefix}.%d","protocol_port":80%s}`, last, rest)
		}
		set("", member(31, `,"weight":7,"name":"a"`)+","+member(32, `,"subnet_id":"{subnet}"`))
		if got := s.members("weight"); got != "31=7 32=1" {
			s.t.Errorf("two members: %s", got)
		}
		kept := s.members("id")
		set("", member(31, `,"weight":7,"name":"a"`)+","+member(32, `,"subnet_id":"{subnet}"`))
		if got := s.members("id"); got != kept {
			s.t.Errorf("the same again: %s, before %s", got, kept)
		}
		set("", member(31, `,"weight":3`))
		if got := s.members("weight"); got != "31=3" {
			s.t.Errorf("one of them with another weight: %s", got)
		}
		set("?additive_only=true", member(33, ""))
		if got := s.members("weight"); got != "31=3 33=1" {
			s.t.Errorf("one more, additive: %s", got)
		}
		set("?additive_only=true", "")
		if got := s.members("weight"); got != "31=3 33=1" {
			s.t.Errorf("none, additive: %s", got)
		}
		set("", "")
		if got := s.members("weight"); got != "" {
			s.t.Errorf("none: %s", got)
		}
	})},
	{Name: "members that cannot be set at once are refused, all of them", Run: at(LoadBalancer, func(s *scene) {
		s.withPool()
		for body, word := range inOrder[string, string](
			`[{"address":"x","protocol_port":80}]`, "Value should be IPv4 or IPv6 format",
			`[{"address":"{prefix}.31"}]`, "Invalid input for field/attribute protocol_port. Value: 'None'. Mandatory field missing.",
			`[{"address":"{prefix}.31","protocol_port":80},{"address":"{prefix}.32","protocol_port":80,"weight":300}]`, "Invalid input for field/attribute weight. Value: '300'.",
		) {
			s.refused("PUT "+lbaas+"pools/{mine}/members", `{"members":`+body+`}`, http.StatusBadRequest, "Client", word)
		}
		s.refused("PUT "+lbaas+"pools/{nobody}/members", `{"members":[]}`, http.StatusNotFound, "Pool {nobody} not found.")
		if got := s.members("weight"); got != "" {
			s.t.Errorf("members %s", got)
		}
	})},
	{Name: "a monitor is made, changed and removed", Run: at(LoadBalancer, func(s *scene) {
		s.withPool()
		a := s.part("probe", "healthmonitors", "healthmonitor", `{"pool_id":"{mine}","type":"HTTP","delay":5,"timeout":3,"max_retries":3}`)
		for path, want := range inOrder[string, string]("provisioning_status", "PENDING_CREATE", "http_method", "GET", "url_path", "/", "expected_codes", "200",
			"max_retries_down", "3", "pools.0.id", s.names["mine"]) {
			a.Equal(s.t, "healthmonitor."+path, want)
		}
		s.refused("POST "+lbaas+"healthmonitors", `{"healthmonitor":{"pool_id":"{mine}","type":"TCP","delay":5,"timeout":3,"max_retries":3}}`, http.StatusConflict, "Client")
		s.changed("PUT "+lbaas+"healthmonitors/{probe}", `{"healthmonitor":{"name":"z","delay":7,"max_retries_down":2,"url_path":"/y","http_method":"HEAD","expected_codes":"200-204"}}`, http.StatusOK)
		a = s.get(lbaas + "healthmonitors/{probe}")
		for path, want := range inOrder[string, string]("name", "z", "delay", "7", "max_retries_down", "2", "url_path", "/y", "http_method", "HEAD", "expected_codes", "200-204") {
			a.Equal(s.t, "healthmonitor."+path, want)
		}
		s.changed("DELETE "+lbaas+"healthmonitors/{probe}", "", http.StatusNoContent)
		s.refused("GET "+lbaas+"healthmonitors/{probe}", "", http.StatusNotFound, "Client")
	})},
	{Name: "a monitor that cannot be is refused", Run: at(LoadBalancer, func(s *scene) {
		s.withPool()
		for body, word := range inOrder[string, string](
			`"delay":5,"timeout":3,"max_retries":3`, "Invalid input for field/attribute type. Value: 'None'. Mandatory field missing.",
			`"type":"ZORK","delay":5,"timeout":3,"max_retries":3`, "Invalid input for field/attribute type. Value: 'ZORK'. Value should be one of: ",
			`"type":"TCP","timeout":3,"max_retries":3`, "Invalid input for field/attribute delay. Value: 'None'. Mandatory field missing.",
			`"type":"TCP","delay":5,"timeout":3`, "Invalid input for field/attribute max_retries. Value: 'None'. Mandatory field missing.",
			`"type":"TCP","delay":5,"timeout":3,"max_retries":11`, "Invalid input for field/attribute max_retries. Value: '11'. Value should be lower or equal to 10",
			`"type":"TCP","delay":5,"timeout":3,"max_retries":3,"nothing":1`, "Unknown attribute for argument health_monitor_.healthmonitor: nothing",
		) {
			s.refused("POST "+lbaas+"healthmonitors", `{"healthmonitor":{"pool_id":"{mine}",`+body+`}}`, http.StatusBadRequest, "Client", word)
		}
		s.refused("POST "+lbaas+"healthmonitors", `{"healthmonitor":{"pool_id":"{nobody}","type":"TCP","delay":5,"timeout":3,"max_retries":3}}`, http.StatusNotFound, "Client", "Pool {nobody} not found.")
		for attribute, value := range inOrder[string, string]("type", `"HTTP"`, "pool_id", `"{mine}"`) {
			s.refused("PUT "+lbaas+"healthmonitors/{monitor}", `{"healthmonitor":{"`+attribute+`":`+value+`}}`, http.StatusBadRequest, "Client", attribute)
		}
	})},
}

var loadBalancerListCases = []Case{
	{Name: "load balancers are found by tags, name, address and more; unknown filters are refused", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		for query, want := range inOrder[string, int]("tags=red", 1, "tags=red,blue", 1, "tags=red,green", 0, "tags-any=red,green", 1, "not-tags=red", 0,
			"not-tags-any=green", 1, "name=contract-lb", 1, "name=other", 0, "vip_subnet_id={subnet}", 1, "vip_port_id={vip}", 1, "vip_network_id={network}", 1,
			"provider=amphora", 1, "provisioning_status=ACTIVE", 1, "admin_state_up=True", 1, "project_id={project}", 1) {
			if found := values(s.get(lbaas+"loadbalancers?id={lb}&"+query), "loadbalancers", "id"); len(found) != want {
				s.t.Errorf("%s found %v", query, found)
			}
		}
		s.refused("GET "+lbaas+"loadbalancers?nothing=1", "", http.StatusBadRequest, "Client", "One or more arguments are either duplicate or invalid")
	})},
	{Name: "parts are found by their load balancer, pool and attributes", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		for path, want := range inOrder[string, int]("listeners?loadbalancer_id={lb}", 2, "listeners?loadbalancer_id={nobody}", 0, "listeners?protocol_port=80&loadbalancer_id={lb}", 1,
			"listeners?tags=listening", 1, "listeners?default_pool_id={pool}", 1, "pools?loadbalancer_id={lb}", 2, "pools?loadbalancer_id={lb}&tags=pooled", 1,
			"pools?loadbalancer_id={lb}&lb_algorithm=SOURCE_IP", 0, "healthmonitors?pool_id={pool}", 1, "healthmonitors?pool_id={empty}", 0,
			"pools/{pool}/members?protocol_port=30000", 2, "pools/{pool}/members?monitor_port=10256", 1) {
			list, _, _ := strings.Cut(path, "?")
			list = list[strings.LastIndex(list, "/")+1:]
			if found := values(s.get(lbaas+path), list, "id"); len(found) != want {
				s.t.Errorf("%s found %v", path, found)
			}
		}
	})},
	{Name: "lists are sorted, cut into pages and reduced to fields", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		for order, want := range inOrder[string, string]("sort=name", "contract-80 contract-81", "sort=name:desc", "contract-81 contract-80") {
			if names := strings.Join(values(s.get(lbaas+"pools?loadbalancer_id={lb}&"+order), "pools", "name"), " "); names != want {
				s.t.Errorf("%s gives %s", order, names)
			}
		}
		first := s.get(lbaas + "pools?loadbalancer_id={lb}&sort=name&limit=1")
		first.Equal(s.t, "pools.0.name", "contract-80")
		if rel := values(first, "pools_links", "rel"); !slices.Contains(rel, "next") {
			s.t.Errorf("links %v", rel)
		}
		s.names["marker"] = first.Text("pools.0.id")
		s.get(lbaas+"pools?loadbalancer_id={lb}&sort=name&limit=1&marker={marker}").Equal(s.t, "pools.0.name", "contract-81")
		if keys := s.get(lbaas + "loadbalancers/{lb}?fields=name&fields=tags").Keys("loadbalancer"); !slices.Equal(keys, []string{"name", "tags"}) {
			s.t.Errorf("fields %v", keys)
		}
	})},
	{Name: "a project reads its quotas; changing them is the administrator's", Run: at(LoadBalancer, func(s *scene) {
		a := s.get(lbaas + "quotas/{project}")
		for _, one := range []string{"load_balancer", "listener", "pool", "member", "health_monitor"} {
			if a.Text("quota."+one) == "" {
				s.t.Errorf("no %s in %s", one, a.Raw)
			}
		}
		s.refused("GET "+lbaas+"quotas/defaults", "", http.StatusForbidden, "Client", "Policy does not allow this request to be performed.")
		s.refused("PUT "+lbaas+"quotas/{project}", `{"quota":{"load_balancer":1}}`, http.StatusForbidden, "Client", "Policy does not allow this request to be performed.")
		s.refused("DELETE "+lbaas+"quotas/{project}", "", http.StatusForbidden, "Client", "Policy does not allow this request to be performed.")
	})},
	{Name: "what is over quota is 403 and names the resource", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		s.t.Quietly(func() {
			s.ask("PUT "+lbaas+"quotas/{project}", `{"quota":{"load_balancer":1,"listener":0,"pool":0,"member":0,"health_monitor":0}}`, s.admin()).Want(s.t, http.StatusAccepted)
		})
		s.t.Cleanup(func() { s.ask("DELETE "+lbaas+"quotas/{project}", "", s.admin()) })
		for path, words := range inOrder[string, [2]string](
			"loadbalancers", [2]string{`{"loadbalancer":{"vip_subnet_id":"{subnet}"}}`, "Load Balancer"},
			"listeners", [2]string{`{"listener":{"loadbalancer_id":"{lb}","protocol":"TCP","protocol_port":4000}}`, "Listener"},
			"pools", [2]string{`{"pool":{"loadbalancer_id":"{lb}","protocol":"TCP","lb_algorithm":"ROUND_ROBIN"}}`, "Pool"},
			"pools/{empty}/members", [2]string{`{"member":{"address":"{prefix}.77","protocol_port":1}}`, "Member"},
			"healthmonitors", [2]string{`{"healthmonitor":{"pool_id":"{empty}","type":"TCP","delay":5,"timeout":3,"max_retries":3}}`, "Health Monitor"},
		) {
			s.refused("POST "+lbaas+path, words[0], http.StatusForbidden, "Client", "Quota has been met for resources: "+words[1])
			s.settled()
		}
	})},
}

var loadBalancerEndCases = []Case{
	{Name: "a load balancer on a port of the project leaves the port", Run: at(LoadBalancer, func(s *scene) {
		s.service = Network
		s.makePort("own", `"network_id":"{network}","name":"contract-vip"`)
		s.service = LoadBalancer
		s.names["lb"] = s.ask("POST "+lbaas+"loadbalancers", `{"loadbalancer":{"vip_port_id":"{own}","name":"contract-own"}}`).Want(s.t, http.StatusCreated).Text("loadbalancer.id")
		s.settled()
		s.get(lbaas+"loadbalancers/{lb}").Equal(s.t, "loadbalancer.vip_port_id", s.names["own"])
		s.ask("DELETE "+lbaas+"loadbalancers/{lb}", "").Want(s.t, http.StatusNoContent)
		s.gone()
		s.c.Do(s.t, Network, http.MethodGet, s.fill("/v2.0/ports/{own}"), nil).Want(s.t, http.StatusOK)
	})},
	{Name: "a cascading deletion takes all parts and the port; what is gone is 404", Run: at(LoadBalancer, func(s *scene) {
		s.withBalancer()
		s.refused("DELETE "+lbaas+"loadbalancers/{lb}", "", http.StatusBadRequest, "Client", "Validation failure: Cannot delete Load Balancer {lb} - it has children")
		s.ask("DELETE "+lbaas+"loadbalancers/{lb}?cascade=true", "").Want(s.t, http.StatusNoContent)
		if err := only(s.gone(), "PENDING_DELETE", "404"); err != nil {
			s.t.Errorf("%v", err)
		}
		for request, body := range inOrder[string, string]("GET "+lbaas+"loadbalancers/{lb}", "", "DELETE "+lbaas+"loadbalancers/{lb}?cascade=true", "",
			"DELETE "+lbaas+"loadbalancers/{lb}", "", "PUT "+lbaas+"loadbalancers/{lb}", `{"loadbalancer":{"name":"x"}}`) {
			s.refused(request, body, http.StatusNotFound, "Client", "{lb} not found.")
		}
		s.refused("GET "+lbaas+"listeners/{listener}", "", http.StatusNotFound, "Client", "Listener {listener} not found.")
		s.refused("GET "+lbaas+"pools/{pool}", "", http.StatusNotFound, "Client", "Pool {pool} not found.")
		s.refused("PUT "+lbaas+"pools/{pool}/members", `{"members":[]}`, http.StatusNotFound, "Pool {pool} not found.")
		s.get(lbaas+"loadbalancers?id={lb}").Equal(s.t, "loadbalancers", "[]")
		s.c.Do(s.t, Network, http.MethodGet, s.fill("/v2.0/ports/{vip}"), nil).Want(s.t, http.StatusNotFound)
	})},
}

// gone waits for the end of a deletion.
func (s *scene) gone() []string {
	return s.c.Await(s.t, LoadBalancer, s.fill(lbaas+"loadbalancers/{lb}"), "loadbalancer.provisioning_status", "404")
}

const oneProvider = "devcloud has one provider, which answers as amphora does"

var ovnCases = []Case{
	{Name: "the provider ovn makes the whole tree, with its own algorithm", Differs: oneProvider, Run: at(LoadBalancer, func(s *scene) {
		s.names["provider"], s.names["algorithm"] = "ovn", "SOURCE_IP_PORT"
		body := strings.Replace(tree, `"session_persistence":{"type":"SOURCE_IP"},`, "", 1)
		body = strings.NewReplacer(`contract-lb`, "contract-ovn", `"allowed_cidrs":["10.0.0.0/8"],`, "", `"timeout_client_data":60000,"connection_limit":100,`, "", `{"address":"{prefix}.12"`, `{"subnet_id":"{subnet}","address":"{prefix}.12"`, `,"monitor_port":10256`, "").Replace(body)
		s.names["lb"] = s.ask("POST "+lbaas+"loadbalancers", body).Want(s.t, http.StatusCreated).Text("loadbalancer.id")
		s.t.Cleanup(func() {
			s.ask("DELETE "+lbaas+"loadbalancers/{lb}?cascade=true", "")
			s.gone()
		})
		s.settled()
		s.t.Quietly(s.partsOf)
		s.names["vip"] = s.get(lbaas + "loadbalancers/{lb}").Text("loadbalancer.vip_port_id")
		for _, path := range []string{"listeners", "pools"} {
			for _, state := range values(s.get(lbaas+path+"?loadbalancer_id={lb}"), path, "provisioning_status") {
				if state != "ACTIVE" {
					s.t.Errorf("one of the %s is %s", path, state)
				}
			}
		}
		s.ask("GET "+lbaas+"pools?loadbalancer_id={lb}", "").Want(s.t, http.StatusOK).Equal(s.t, "pools.0.lb_algorithm", "SOURCE_IP_PORT")
		s.refused("POST "+lbaas+"pools", `{"pool":{"loadbalancer_id":"{lb}","protocol":"TCP","lb_algorithm":"ROUND_ROBIN"}}`, http.StatusNotImplemented, "Server", "algorithm")
	})},
}
