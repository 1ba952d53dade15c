package contract

import (
	"net/http"
	"slices"
	"strings"
)

func (s *scene) makeGroup(name string) Answer {
	return s.created(name, "POST /v2.0/security-groups", "security_group", `{"security_group":{"name":"contract-`+name+`","description":"d"}}`)
}

func (s *scene) makeRule(rest string) Answer {
	return s.created("rule", "POST /v2.0/security-group-rules", "security_group_rule", `{"security_group_rule":{"security_group_id":"{group}",`+rest+`}}`)
}

func (s *scene) refusedRule(body string, status int, words ...string) {
	s.refused("POST /v2.0/security-group-rules", `{"security_group_rule":{"security_group_id":"{group}",`+body+`}}`, status, words...)
}

var groupCases = []Case{
	{Name: "a security group lets everything out and nothing in", Run: at(Network, func(s *scene) {
		a := s.makeGroup("group")
		a.Equal(s.t, "security_group.name", "contract-group")
		a.Equal(s.t, "security_group.description", "d")
		a.Equal(s.t, "security_group.stateful", "true")
		kinds := values(a, "security_group.security_group_rules", "ethertype")
		if slices.Sort(kinds); !slices.Equal(kinds, []string{"IPv4", "IPv6"}) {
			s.t.Errorf("it has rules for %v", kinds)
		}
		for _, direction := range values(a, "security_group.security_group_rules", "direction") {
			if direction != "egress" {
				s.t.Errorf("it has a rule %s", direction)
			}
		}
		a.Equal(s.t, "security_group.security_group_rules.0.description", "")
		s.get("/v2.0/security-groups/{group}").Equal(s.t, "security_group.name", "contract-group")
	})},
	{Name: "a security group is renamed, found and removed; names repeat", Run: at(Network, func(s *scene) {
		s.makeGroup("group")
		s.created("second", "POST /v2.0/security-groups", "security_group", `{"security_group":{"name":"contract-group"}}`)
		a := s.ask("PUT /v2.0/security-groups/{group}", `{"security_group":{"name":"contract-renamed","description":"e"}}`).Want(s.t, http.StatusOK)
		a.Equal(s.t, "security_group.name", "contract-renamed")
		s.get("/v2.0/security-groups?name=contract-renamed").Equal(s.t, "security_groups.0.id", s.names["group"])
		s.get("/v2.0/security-groups?description=e").Equal(s.t, "security_groups.0.id", s.names["group"])
		s.ask("DELETE /v2.0/security-groups/{group}", "").Want(s.t, http.StatusNoContent)
		for request, body := range inOrder[string, string]("GET /v2.0/security-groups/{group}", "", "DELETE /v2.0/security-groups/{group}", "",
			"PUT /v2.0/security-groups/{group}", `{"security_group":{}}`) {
			s.refused(request, body, http.StatusNotFound, "SecurityGroupNotFound", "Security group {group} does not exist")
		}
	})},
	{Name: "every project has one default group, which stays", Run: at(Network, func(s *scene) {
		a := s.get("/v2.0/security-groups?name=default")
		s.names["default"] = a.Text("security_groups.0.id")
		if rules := values(a, "security_groups.0.security_group_rules", "remote_group_id"); len(rules) != 4 || !slices.Contains(rules, s.names["default"]) {
			s.t.Errorf("its rules name the groups %v", rules)
		}
		s.makeGroup("group")
		for request, body := range inOrder[string, string]("POST /v2.0/security-groups", `{"security_group":{"name":"default"}}`,
			"PUT /v2.0/security-groups/{group}", `{"security_group":{"name":"default"}}`) {
			s.refused(request, body, http.StatusConflict, "SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
		}
		s.refused("PUT /v2.0/security-groups/{default}", `{"security_group":{"name":"x"}}`, http.StatusConflict,
			"SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
		// The servers' ports are in it, which counts first.
		s.refused("DELETE /v2.0/security-groups/{default}", "", http.StatusConflict, "SecurityGroupInUse", "Security Group {default} in use.")
	})},
	{Name: "a security group that a port is in is in use: 409", Run: at(Network, func(s *scene) {
		s.makeGroup("group")
		s.makeNetwork("mine")
		s.makePort("port", `"network_id":"{mine}","security_groups":["{group}"]`)
		s.refused("DELETE /v2.0/security-groups/{group}", "", http.StatusConflict, "SecurityGroupInUse", "Security Group {group} in use.")
		s.get("/v2.0/ports?security_groups={group}").Equal(s.t, "ports.0.id", s.names["port"])
	})},
	{Name: "a removed group takes the rules of others that name it along", Run: at(Network, func(s *scene) {
		s.makeGroup("other")
		s.makeGroup("group")
		s.makeRule(`"direction":"ingress","remote_group_id":"{other}"`)
		s.ask("DELETE /v2.0/security-groups/{other}", "").Want(s.t, http.StatusNoContent)
		if rules := values(s.get("/v2.0/security-group-rules?security_group_id={group}"), "security_group_rules", "remote_group_id"); len(rules) != 2 {
			s.t.Errorf("its rules name %v", rules)
		}
	})},
	{Name: "security groups are found by name and description, not by their rules", Run: at(Network, func(s *scene) {
		for _, attribute := range []string{"security_group_rules", "stateful"} {
			s.refused("GET /v2.0/security-groups?"+attribute+"=true", "", http.StatusBadRequest, "HTTPBadRequest", "['"+attribute+"'] is invalid attribute for filtering")
		}
	})},
}

var ruleCases = []Case{
	{Name: "a rule is made, shown, found and removed", Run: at(Network, func(s *scene) {
		s.makeGroup("group")
		a := s.makeRule(`"direction":"ingress","protocol":"tcp","port_range_min":80,"port_range_max":90,"remote_ip_prefix":"10.1.2.3/16","description":"d"`)
		for path, want := range inOrder[string, string]("direction", "ingress", "ethertype", "IPv4", "protocol", "tcp", "port_range_min", "80", "port_range_max", "90",
			"remote_ip_prefix", "10.1.2.3/16", "normalized_cidr", "10.1.0.0/16", "remote_group_id", "", "description", "d", "security_group_id", s.names["group"]) {
			a.Equal(s.t, "security_group_rule."+path, want)
		}
		s.get("/v2.0/security-group-rules/{rule}").Equal(s.t, "security_group_rule.port_range_max", "90")
		for query, want := range inOrder[string, int]("protocol=tcp", 1, "direction=ingress", 1, "direction=egress", 2, "ethertype=IPv6", 1, "port_range_min=80", 1,
			"remote_ip_prefix=10.1.2.3/16", 1, "description=d", 1, "remote_group_id={nobody}", 0, "id={rule}", 1) {
			if found := values(s.get("/v2.0/security-group-rules?security_group_id={group}&"+query), "security_group_rules", "id"); len(found) != want {
				s.t.Errorf("%s found %v", query, found)
			}
		}
		for _, attribute := range []string{"name", "nothing"} {
			s.refused("GET /v2.0/security-group-rules?"+attribute+"=x", "", http.StatusBadRequest, "HTTPBadRequest", "['"+attribute+"'] is invalid attribute for filtering")
		}
		s.ask("DELETE /v2.0/security-group-rules/{rule}", "").Want(s.t, http.StatusNoContent)
		s.refused("DELETE /v2.0/security-group-rules/{rule}", "", http.StatusNotFound, "SecurityGroupRuleNotFound", "Security group rule {rule} does not exist")
		s.refused("GET /v2.0/security-group-rules/{rule}", "", http.StatusNotFound, "SecurityGroupRuleNotFound")
	})},
	{Name: "a rule for the same traffic exists once, however it is written: 409 with its id", Run: at(Network, func(s *scene) {
		s.makeGroup("group")
		s.makeRule(`"direction":"ingress","protocol":"tcp","port_range_min":80,"port_range_max":90,"remote_ip_prefix":"10.1.0.0/16"`)
		for _, body := range []string{
			`"direction":"ingress","protocol":"tcp","port_range_min":80,"port_range_max":90,"remote_ip_prefix":"10.1.0.0/16","description":"other"`,
			`"direction":"ingress","protocol":"TCP","port_range_min":80,"port_range_max":90,"remote_ip_prefix":"10.1.0.0/16"`,
			`"direction":"ingress","protocol":"6","port_range_min":80,"port_range_max":90,"remote_ip_prefix":"10.1.0.0/16"`,
			`"direction":"ingress","protocol":6,"port_range_min":"80","port_range_max":"90","remote_ip_prefix":"10.1.0.0/16"`,
		} {
			s.refusedRule(body, http.StatusConflict, "SecurityGroupRuleExists", "Security group rule already exists. Rule id is {rule}.")
		}
		s.refusedRule(`"direction":"egress"`, http.StatusConflict, "SecurityGroupRuleExists")
		s.makeRule(`"direction":"ingress","protocol":"tcp","port_range_min":80,"port_range_max":90,"remote_ip_prefix":"10.1.2.3/16"`)
	})},
	{Name: "what a rule does not say matches everything", Run: at(Network, func(s *scene) {
		s.makeGroup("group")
		for body, want := range inOrder[string, [2]string](
			`"direction":"ingress","protocol":null`, [2]string{"protocol", ""}, `"direction":"ingress","protocol":"icmp"`, [2]string{"protocol", "icmp"},
			`"direction":"ingress","protocol":"icmp","port_range_min":8,"port_range_max":0`, [2]string{"port_range_max", "0"},
			`"direction":"ingress","protocol":"udp","ethertype":"ipv6"`, [2]string{"ethertype", "IPv6"},
			`"direction":"ingress","protocol":"udp","remote_ip_prefix":"10.1.2.3"`, [2]string{"remote_ip_prefix", "10.1.2.3/32"},
			`"direction":"ingress","protocol":"udp","remote_ip_prefix":"0.0.0.0/0"`, [2]string{"normalized_cidr", "0.0.0.0/0"},
			`"direction":"ingress","protocol":"tcp","remote_group_id":"{group}"`, [2]string{"remote_group_id", "{group}"},
			`"direction":"ingress","protocol":"112"`, [2]string{"protocol", "112"},
		) {
			s.makeRule(body).Equal(s.t, "security_group_rule."+want[0], s.fill(want[1]))
		}
	})},
	{Name: "a rule that cannot be is refused", Run: at(Network, func(s *scene) {
		s.makeGroup("group")
		for body, words := range inOrder[string, []string](
			`"protocol":"tcp","port_range_min":80`, []string{"SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= port_range_max"},
			`"protocol":"tcp","port_range_min":90,"port_range_max":80`, []string{"SecurityGroupInvalidPortRange"},
			`"port_range_min":90,"port_range_max":90`, []string{"SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range is given."},
			`"protocol":"tcp","port_range_min":0,"port_range_max":1`, []string{"SecurityGroupInvalidPortValue", "Invalid value for port 0"},
			`"protocol":"tcp","port_range_min":1,"port_range_max":70000`, []string{"SecurityGroupInvalidPortValue", "Invalid value for port 70000"},
			`"protocol":"icmp","port_range_max":0`, []string{"SecurityGroupMissingIcmpType"},
			`"protocol":"icmp","port_range_min":300`, []string{"SecurityGroupInvalidIcmpValue"},
			`"protocol":"zork"`, []string{"SecurityGroupRuleInvalidProtocol", "Security group rule protocol zork not supported."},
			`"protocol":"300"`, []string{"SecurityGroupRuleInvalidProtocol"},
			`"ethertype":"IPv5"`, []string{"SecurityGroupRuleInvalidEtherType", "Security group rule for ethertype 'IPv5' not supported. Allowed values are ['IPv4', 'IPv6']."},
			`"remote_ip_prefix":"x"`, []string{"InvalidCIDR", "Invalid CIDR x given as IP prefix."},
			`"remote_ip_prefix":"fd00::/8"`, []string{"SecurityGroupRuleParameterConflict", "Conflicting value ethertype IPv4 for CIDR fd00::/8"},
			`"remote_ip_prefix":"10.0.0.0/8","remote_group_id":"{group}"`, []string{"SecurityGroupMultipleRemoteEntites",
				"Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided."},
			`"nothing":1`, []string{"HTTPBadRequest", "Unrecognized attribute(s) 'nothing'"},
		) {
			s.refusedRule(`"direction":"ingress",`+body, http.StatusBadRequest, words...)
		}
		s.refusedRule(`"direction":"up"`, http.StatusBadRequest, "HTTPBadRequest", "Invalid input for direction. Reason: up is not in valid_values.")
		s.refusedRule(`"ethertype":"IPv4"`, http.StatusBadRequest, "HTTPBadRequest", "Failed to parse request. Required attribute 'direction' not specified")
		s.refusedRule(`"direction":"ingress","remote_group_id":"{nobody}"`, http.StatusNotFound, "SecurityGroupNotFound", "Security group {nobody} does not exist")
		s.refused("POST /v2.0/security-group-rules", `{"security_group_rule":{"direction":"ingress"}}`, http.StatusBadRequest,
			"HTTPBadRequest", "Failed to parse request. Required attribute 'security_group_id' not specified")
		s.refused("POST /v2.0/security-group-rules", `{"security_group_rule":{"direction":"ingress","security_group_id":"{nobody}"}}`, http.StatusNotFound,
			"SecurityGroupNotFound", "Security group {nobody} does not exist")
	})},
	{Name: "several rules are made in one request, all or none", Run: at(Network, func(s *scene) {
		s.makeGroup("group")
		rule := func(port string) string {
			return `{"security_group_id":"{group}","direction":"ingress","protocol":"tcp","port_range_min":` + port + `,"port_range_max":` + port + `}`
		}
		a := s.ask("POST /v2.0/security-group-rules", `{"security_group_rules":[`+rule("1")+","+rule("2")+`]}`).Want(s.t, http.StatusCreated)
		if ports := values(a, "security_group_rules", "port_range_min"); !slices.Equal(ports, []string{"1", "2"}) {
			s.t.Errorf("made %v", ports)
		}
		s.refused("POST /v2.0/security-group-rules", `{"security_group_rules":[`+rule("3")+","+rule("2")+`]}`, http.StatusConflict, "SecurityGroupRuleExists")
		if left := values(s.get("/v2.0/security-group-rules?security_group_id={group}&port_range_min=3"), "security_group_rules", "id"); len(left) > 0 {
			s.t.Errorf("the first of a refused request was made")
		}
	})},
	{Name: "a rule shows in its group and raises the group's revision", Run: at(Network, func(s *scene) {
		before := s.makeGroup("group").Text("security_group.revision_number")
		s.makeRule(`"direction":"ingress","protocol":"tcp"`)
		a := s.get("/v2.0/security-groups/{group}")
		if !slices.Contains(values(a, "security_group.security_group_rules", "id"), s.names["rule"]) || a.Text("security_group.revision_number") == before {
			s.t.Errorf("before %s, after %s", before, a.Raw)
		}
	})},
}

// threeNetworks are made for the cases about lists; the query finds them alone.
func (s *scene) threeNetworks() (query string) {
	for _, name := range []string{"b", "a", "c"} {
		s.created(name, "POST /v2.0/networks", "network", `{"network":{"name":"contract-`+name+`","description":"listed","mtu":1400}}`)
	}
	return "description=listed"
}

var networkListCases = []Case{
	{Name: "a list shows the fields asked for, and so does one", Run: at(Network, func(s *scene) {
		query := s.threeNetworks()
		for i, keys := range inOrder[string, []string]("fields=nothing", []string(nil), "fields=id&fields=name", []string{"id", "name"}) {
			if got := s.get("/v2.0/networks?" + query + "&" + i).Keys("networks.0"); !slices.Equal(got, keys) {
				s.t.Errorf("%s: %v", i, got)
			}
		}
		if got := s.get("/v2.0/networks/{a}?fields=id").Keys("network"); !slices.Equal(got, []string{"id"}) {
			s.t.Errorf("one has %v", got)
		}
	})},
	{Name: "a filter may have several values, all filters hold, unknown ones are 400", Run: at(Network, func(s *scene) {
		query := s.threeNetworks()
		for more, want := range inOrder[string, int]("", 3, "&name=contract-a", 1, "&name=contract-a&name=contract-b", 2, "&name=contract-a&id={b}", 0,
			"&mtu=1400", 3, "&mtu=1300", 0, "&admin_state_up=true", 3, "&admin_state_up=1", 3, "&admin_state_up=False", 0, "&shared=true", 0,
			"&status=ACTIVE", 3, "&router:external=false", 3, "&project_id={project}", 3, "&tenant_id={nobody}", 0, "&name=", 3) {
			if found := values(s.get("/v2.0/networks?"+query+more), "networks", "name"); len(found) != want {
				s.t.Errorf("%s found %v", more, found)
			}
		}
		s.refused("GET /v2.0/networks?nothing=1", "", http.StatusBadRequest, "HTTPBadRequest", "['nothing'] is invalid attribute for filtering")
		s.refused("GET /v2.0/networks?subnets=1", "", http.StatusBadRequest, "HTTPBadRequest", "['subnets'] is invalid attribute for filtering")
		s.refused("GET /v2.0/networks?admin_state_up=zork", "", http.StatusBadRequest, "InvalidInput", "Invalid input for operation: 'zork' cannot be converted to boolean.")
		s.refused("GET /v2.0/networks?mtu=x", "", http.StatusBadRequest, "InvalidInput", "Invalid input for operation: 'x' is not an integer.")
	})},
	{Name: "a list is sorted by keys and directions, of which there are as many", Run: at(Network, func(s *scene) {
		query := s.threeNetworks()
		for order, want := range inOrder[string, string]("sort_key=name&sort_dir=asc", "a b c", "sort_key=name&sort_dir=desc", "c b a",
			"sort_key=mtu&sort_dir=asc&sort_key=name&sort_dir=desc", "c b a") {
			names := strings.ReplaceAll(strings.Join(values(s.get("/v2.0/networks?"+query+"&"+order), "networks", "name"), " "), "contract-", "")
			if names != want {
				s.t.Errorf("%s gives %s", order, names)
			}
		}
		for _, order := range []string{"sort_key=name", "sort_dir=asc", "sort_key=name&sort_key=id&sort_dir=asc"} {
			s.refused("GET /v2.0/networks?"+order, "", http.StatusBadRequest, "HTTPBadRequest", "The number of sort_keys and sort_dirs must be same")
		}
		s.refused("GET /v2.0/networks?sort_key=name&sort_dir=up", "", http.StatusBadRequest, "HTTPBadRequest",
			"['up'] is invalid value for sort_dirs, valid value is 'asc' and 'desc'")
	})},
	{Name: "a list is read page by page, forwards and backwards", Run: at(Network, func(s *scene) {
		query := s.threeNetworks()
		links := func(a Answer) map[string]string {
			found := map[string]string{}
			rels := values(a, "networks_links", "rel")
			for i, href := range values(a, "networks_links", "href") {
				found[rels[i]] = href
			}
			return found
		}
		first := s.get("/v2.0/networks?" + query + "&sort_key=name&sort_dir=asc&limit=2")
		if names := values(first, "networks", "name"); !slices.Equal(names, []string{"contract-a", "contract-b"}) || links(first)["previous"] == "" {
			s.t.Errorf("the first page is %v, links %v", names, links(first))
		}
		var second, back Answer
		s.t.Quietly(func() { // the order of a link's parameters says nothing
			second = s.get(links(first)["next"])
			back = s.get(links(second)["previous"])
		})
		if names := values(second, "networks", "name"); !slices.Equal(names, []string{"contract-c"}) || links(second)["next"] != "" {
			s.t.Errorf("the second page is %v, links %v", names, links(second))
		}
		if names := values(back, "networks", "name"); !slices.Equal(names, []string{"contract-a", "contract-b"}) {
			s.t.Errorf("back is %v", names)
		}
		if all := values(s.get("/v2.0/networks?"+query+"&limit=0"), "networks", "name"); len(all) != 3 {
			s.t.Errorf("limit=0 gives %v", all)
		}
	})},
	{Name: "a limit that is no number is 400, a marker that is not there 404", Run: at(Network, func(s *scene) {
		for _, limit := range []string{"-1", "x"} {
			s.refused("GET /v2.0/networks?limit="+limit, "", http.StatusBadRequest, "BadRequest", "Bad limit request: Limit must be an integer 0 or greater and not '"+limit+"'.")
		}
		s.refused("GET /v2.0/networks?limit=1&marker={nobody}", "", http.StatusNotFound, "NetworkNotFound", "Network {nobody} could not be found.")
		s.refused("GET /v2.0/ports?limit=1&marker={nobody}", "", http.StatusNotFound, "PortNotFound")
	})},
}

var tagCases = []Case{
	{Name: "everything that has tags has them set, read, tested and removed alike", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makePort("port", `"network_id":"{mine}"`)
		s.makeGroup("group")
		s.makeRouter(`"admin_state_up":true`)
		s.makeFloatingIP("fip", "")
		for _, path := range []string{"networks/{mine}", "subnets/{inner}", "ports/{port}", "security-groups/{group}", "routers/{router}", "floatingips/{fip}"} {
			path = "/v2.0/" + path
			s.get(path+"/tags").Equal(s.t, "tags", "[]")
			s.ask("PUT "+path+"/tags", `{"tags":["b","a"]}`).Want(s.t, http.StatusOK)
			tags := s.get(path + "/tags").Text("tags")
			if tags != `["a","b"]` && tags != `["b","a"]` {
				s.t.Errorf("%s has %s", path, tags)
			}
			s.ask("GET "+path+"/tags/a", "").Want(s.t, http.StatusNoContent)
			s.refused("GET "+path+"/tags/z", "", http.StatusNotFound, "TagNotFound", "Tag z could not be found.")
			s.ask("PUT "+path+"/tags/c", "").Want(s.t, http.StatusCreated)
			s.ask("PUT "+path+"/tags/c", "").Want(s.t, http.StatusCreated)
			s.ask("DELETE "+path+"/tags/c", "").Want(s.t, http.StatusNoContent)
			s.refused("DELETE "+path+"/tags/c", "", http.StatusNotFound, "TagNotFound", "Tag c could not be found.")
			s.ask("DELETE "+path+"/tags", "").Want(s.t, http.StatusNoContent)
			s.get(path+"/tags").Equal(s.t, "tags", "[]")
		}
	})},
	{Name: "tags are found: all of them, any of them, not all, none", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		s.ask("PUT /v2.0/networks/{mine}/tags", `{"tags":["red","blue"]}`).Want(s.t, http.StatusOK)
		for query, want := range inOrder[string, int]("tags=red", 1, "tags=red,blue", 1, "tags=red,green", 0, "tags-any=red,green", 1, "tags-any=green", 0,
			"not-tags=red", 0, "not-tags=red,green", 1, "not-tags-any=red,green", 0, "not-tags-any=green", 1) {
			if found := values(s.get("/v2.0/networks?id={mine}&"+query), "networks", "id"); len(found) != want {
				s.t.Errorf("%s found %v", query, found)
			}
		}
	})},
	{Name: "tags of the wrong form are 400, tags of nothing 404", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		for body, message := range inOrder[string, string](
			`{}`, "Invalid tags body.", `{"tags":"x"}`, "'x' is not a list.", `{"tags":[1]}`, "'1' is not a valid string.",
			`{"tags":["`+tooLong+`"]}`, "exceeds maximum length of 255.", `{"tags":["a","a"]}`, "Duplicate items in the list: 'a'.",
		) {
			s.refused("PUT /v2.0/networks/{mine}/tags", body, http.StatusBadRequest, "InvalidInput", "Invalid input for operation: ", message)
		}
		s.refused("GET /v2.0/networks/{nobody}/tags", "", http.StatusNotFound, "TagResourceNotFound", "Resource networks {nobody} could not be found.")
		s.refused("PUT /v2.0/networks/{nobody}/tags", `{"tags":["a"]}`, http.StatusNotFound, "TagResourceNotFound")
		s.refused("GET /v2.0/security-group-rules/{nobody}/tags", "", http.StatusNotFound, "HTTPNotFound", "The resource could not be found.")
	})},
}

// limited sets quotas of the project for the time of the case, as the administrator.
func (s *scene) limited(quota string) {
	s.t.Quietly(func() {
		s.ask("PUT /v2.0/quotas/{project}", `{"quota":`+quota+`}`, s.admin()).Want(s.t, http.StatusOK)
	})
	s.t.Cleanup(func() { s.ask("DELETE /v2.0/quotas/{project}", "", s.admin()) })
}

var networkQuotaCases = []Case{
	{Name: "a project reads its quotas, their defaults and their use", Run: at(Network, func(s *scene) {
		quota := s.get("/v2.0/quotas/{project}")
		defaults := s.get("/v2.0/quotas/{project}/default")
		s.makeNetwork("mine")
		for _, path := range []string{"/v2.0/quotas/{project}/details.json", "/v2.0/quotas/{project}/details"} {
			details := s.get(path)
			if used := details.Text("quota.network.used"); used == "0" || used == "" {
				s.t.Errorf("%s networks are used", used)
			}
			details.Equal(s.t, "quota.network.limit", quota.Text("quota.network"))
			details.Equal(s.t, "quota.network.reserved", "0")
		}
		for _, one := range []string{"network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule"} {
			if quota.Text("quota."+one) == "" || defaults.Text("quota."+one) == "" {
				s.t.Errorf("no quota of %s: %s", one, quota.Raw)
			}
		}
	})},
	{Name: "quotas are the administrator's: 403", Run: at(Network, func(s *scene) {
		for request, words := range inOrder[string, []string]("GET /v2.0/quotas", []string{"", "rule:get_quota"}, "GET /v2.0/quotas/{nobody}", []string{"", "rule:get_quota"},
			"PUT /v2.0/quotas/{project}", []string{`{"quota":{"network":5}}`, "rule:update_quota"}, "DELETE /v2.0/quotas/{project}", []string{"", "rule:delete_quota"}) {
			s.refused(request, words[0], http.StatusForbidden, "PolicyNotAuthorized", words[1]+" is disallowed by policy")
		}
	})},
	{Name: "what is over quota is 409 OverQuota and names the resource", Run: at(Network, func(s *scene) {
		s.withSubnet()
		s.makeGroup("group")
		s.limited(`{"network":0,"port":0,"security_group":0,"floatingip":0,"subnet":0,"router":0,"security_group_rule":0}`)
		for resource, requestBody := range inOrder[string, [2]string](
			"network", [2]string{"networks", `{"network":{}}`}, "port", [2]string{"ports", `{"port":{"network_id":"{mine}"}}`},
			"security_group", [2]string{"security-groups", `{"security_group":{"name":"contract-x"}}`},
			"floatingip", [2]string{"floatingips", `{"floatingip":{"floating_network_id":"{external}"}}`},
			"subnet", [2]string{"subnets", `{"subnet":{"network_id":"{mine}","ip_version":4,"cidr":"10.78.0.0/24"}}`},
			"router", [2]string{"routers", `{"router":{}}`},
			"security_group_rule", [2]string{"security-group-rules", `{"security_group_rule":{"security_group_id":"{group}","direction":"ingress"}}`},
		) {
			s.refused("POST /v2.0/"+requestBody[0], requestBody[1], http.StatusConflict, "OverQuota", "Quota exceeded for resources: ['"+resource+"'].")
		}
	})},
	{Name: "an administrator sets quotas, and takes them back", Run: at(Network, func(s *scene) {
		was := s.get("/v2.0/quotas/{project}").Text("quota.network")
		s.limited(`{"network":7}`)
		s.get("/v2.0/quotas/{project}").Equal(s.t, "quota.network", "7")
		s.ask("DELETE /v2.0/quotas/{project}", "", s.admin()).Want(s.t, http.StatusNoContent)
		s.get("/v2.0/quotas/{project}").Equal(s.t, "quota.network", was)
		s.ask("PUT /v2.0/quotas/{project}", `{"quota":{"nothing":1}}`, s.admin()).Want(s.t, http.StatusBadRequest)
		s.ask("PUT /v2.0/quotas/{project}", `{"quota":{"network":-2}}`, s.admin()).Want(s.t, http.StatusBadRequest)
	})},
}

var revisionCases = []Case{
	{Name: "a change under the condition of a revision is refused when there was another: 412", Run: at(Network, func(s *scene) {
		s.makeNetwork("mine")
		s.ask("PUT /v2.0/networks/{mine}", `{"network":{"name":"contract-z"}}`).Want(s.t, http.StatusOK)
		now := s.get("/v2.0/networks/{mine}").Text("network.revision_number")
		old := Header("If-Match", "revision_number=1")
		for request, body := range inOrder[string, string]("PUT /v2.0/networks/{mine}", `{"network":{"name":"contract-y"}}`, "DELETE /v2.0/networks/{mine}", "") {
			a := s.ask(request, body, old).Want(s.t, http.StatusPreconditionFailed)
			a.Equal(s.t, "NeutronError.type", "RevisionNumberConstraintFailed")
			a.Equal(s.t, "NeutronError.message", "Constrained to 1, but current revision is "+now)
		}
		a := s.ask("PUT /v2.0/networks/{mine}", `{"network":{"name":"contract-y"}}`, Header("If-Match", "revision_number="+now)).Want(s.t, http.StatusOK)
		if a.Text("network.revision_number") == now {
			s.t.Errorf("the revision is still %s", now)
		}
	})},
}
