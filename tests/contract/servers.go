package contract

import (
	"net/http"
	"slices"
	"strings"
)

var serverCases = slices.Concat(serverLifeCases, serverRefusalCases(), serverChangeCases, serverListCases, computeFactCases)

// creation is the body of POST /servers.
func creation(name, attrs string) string {
	if attrs != "" {
		attrs = "," + attrs
	}
	return `{"server":{"name":"` + name + `","flavorRef":"{flavor}","imageRef":"{image}","availability_zone":"{zone}","networks":[{"uuid":"{network}"}]` + attrs + `}}`
}

// server makes the ACTIVE server s in the first zone. It is gone after the case.
func (s *scene) server(attrs string) {
	s.t.Quietly(func() {
		s.owned("s", s.ask("POST /servers", creation("s", attrs)).Want(s.t, http.StatusAccepted))
		s.through("/servers/{s}", "server.status", "BUILD", "ACTIVE")
	})
}

// owned keeps the id of a server that was created, and has it gone after the case.
func (s *scene) owned(name string, created Answer) {
	id := created.Text("server.id")
	s.names[name] = id
	s.t.Cleanup(func() {
		s.c.Do(s.t, Compute, http.MethodDelete, "/servers/"+id, nil).Want(s.t, http.StatusNoContent, http.StatusNotFound)
		s.c.Await(s.t, Compute, "/servers/"+id, "server.status", "404")
	})
}

// stop powers a server off.
func (s *scene) stop(name string) {
	s.t.Quietly(func() {
		s.ask("POST /servers/{"+name+"}/action", `{"os-stop":null}`).Want(s.t, http.StatusAccepted)
		s.through("/servers/{"+name+"}", "server.status", "ACTIVE", "SHUTOFF")
	})
}

var serverLifeCases = []Case{
	{Name: "a server goes from BUILD to ACTIVE, and is gone after its deletion", Run: at(Compute, func(s *scene) {
		a := s.ask("POST /servers", creation("s", `"metadata":{"a":"b"}`)).Want(s.t, http.StatusAccepted)
		s.owned("s", a)
		if got := a.Header.Get("Location"); !strings.HasSuffix(got, "/servers/"+s.names["s"]) {
			s.t.Errorf("Location is %q", got)
		}
		s.through("/servers/{s}", "server.status", "BUILD", "ACTIVE")
		s.is(s.get("/servers/{s}"), "server.name", "s", "server.id", "{s}", "server.metadata", `{"a":"b"}`, "server.tenant_id", "{project}", "server.user_id", "{user}",
			"server.flavor.id", "{flavor}", "server.image.id", "{image}", "server.OS-EXT-AZ:availability_zone", "{zone}", "server.OS-EXT-STS:power_state", "1",
			"server.OS-EXT-STS:vm_state", "active", "server.OS-EXT-STS:task_state", "", "server.security_groups", `[{"name":"default"}]`, "server.key_name", "")
		s.ask("DELETE /servers/{s}", "").Want(s.t, http.StatusNoContent)
		s.through("/servers/{s}", "server.status", "ACTIVE", "DELETED", "404")
		s.refused("DELETE /servers/{s}", "", 404, "itemNotFound", "Instance {s} could not be found.")
		s.refused("GET /servers/{s}", "", 404, "itemNotFound", "Instance {s} could not be found.")
	})},
	{Name: "stop and start, each refused in the state it leads to", Run: at(Compute, func(s *scene) {
		s.server("")
		act := func(action string) Answer { return s.ask("POST /servers/{s}/action", `{"`+action+`":null}`) }
		s.refused("POST /servers/{s}/action", `{"os-start":null}`, 409, "conflictingRequest", "Cannot 'start' instance {s} while it is in vm_state active")
		act("os-stop").Want(s.t, http.StatusAccepted)
		s.through("/servers/{s}", "server.status", "ACTIVE", "SHUTOFF")
		s.is(s.get("/servers/{s}"), "server.OS-EXT-STS:power_state", "4", "server.OS-EXT-STS:vm_state", "stopped")
		s.refused("POST /servers/{s}/action", `{"os-stop":null}`, 409, "conflictingRequest", "Cannot 'stop' instance {s} while it is in vm_state stopped")
		act("os-start").Want(s.t, http.StatusAccepted)
		s.through("/servers/{s}", "server.status", "SHUTOFF", "ACTIVE")
	})},
	{Name: "a server has one port on its network, which goes with it", Run: at(Compute, func(s *scene) {
		s.server("")
		a := s.get("/servers/{s}/os-interface")
		s.is(a, "interfaceAttachments.0.net_id", "{network}", "interfaceAttachments.0.fixed_ips.0.subnet_id", "{subnet}")
		s.names["port"] = a.Text("interfaceAttachments.0.port_id")
		s.is(s.get("/servers/{s}/os-interface/{port}"), "interfaceAttachment.port_id", "{port}")
		s.version("2.70").get("/servers/{s}/os-interface")
		port := s.on(Network)
		s.is(port.get("/v2.0/ports/{port}"), "port.device_id", "{s}", "port.device_owner", "compute:"+s.c.Zones[0])
		s.t.Quietly(func() {
			s.ask("DELETE /servers/{s}", "").Want(s.t, http.StatusNoContent)
			s.through("/servers/{s}", "server.status", "ACTIVE", "DELETED", "404")
		})
		port.refused("GET /v2.0/ports/{port}", "", 404, "PortNotFound")
	})},
	{Name: "a server on a port of its own leaves it behind", Run: at(Compute, func(s *scene) {
		n := s.on(Network)
		s.t.Quietly(func() {
			n.created("port", "POST /v2.0/ports", "port", `{"port":{"network_id":"{network}","name":"kept"}}`)
		})
		a := s.ask("POST /servers", `{"server":{"name":"s","flavorRef":"{flavor}","imageRef":"{image}","networks":[{"port":"{port}"}]}}`).Want(s.t, http.StatusAccepted)
		s.owned("s", a)
		s.through("/servers/{s}", "server.status", "BUILD", "ACTIVE")
		s.is(s.get("/servers/{s}/os-interface"), "interfaceAttachments.0.port_id", "{port}")
		s.t.Quietly(func() {
			s.ask("DELETE /servers/{s}", "").Want(s.t, http.StatusNoContent)
			s.through("/servers/{s}", "server.status", "ACTIVE", "DELETED", "404")
		})
		s.is(n.get("/v2.0/ports/{port}"), "port.device_id", "", "port.name", "kept")
	})},
}

var serverRefused = inOrder[string, []string](
	"no JSON", []string{`{`, "Malformed request body"},
	"no server", []string{`{}`, "'server' is a required property"},
	"an empty server", []string{`{"server":{}}`, "'name' is a required property"},
	"an unknown flavor", []string{creation("n", `"flavorRef":"marble"`), "Flavor marble could not be found."},
	"a flavor that is null", []string{creation("n", `"flavorRef":null`), "field/attribute flavorRef"},
	"an unknown image", []string{creation("n", `"imageRef":"{nobody}"`), "Can not find requested image"},
	"an image that is no id", []string{creation("n", `"imageRef":"x"`), "field/attribute imageRef"},
	"an empty name", []string{creation("", ""), "field/attribute name"},
	"a name of 256 characters", []string{creation(long, ""), "is too long"},
	"an unknown zone", []string{creation("n", `"availability_zone":"nowhere"`), "The requested availability zone is not available"},
	"an unknown network", []string{creation("n", `"networks":[{"uuid":"{nobody}"}]`), "Network {nobody} could not be found."},
	"an unknown port", []string{creation("n", `"networks":[{"port":"{nobody}"}]`), "Port id {nobody} could not be found."},
	"networks in a word before microversion 2.37", []string{creation("n", `"networks":"none"`), "field/attribute networks"},
	"an unknown security group", []string{creation("n", `"security_groups":[{"name":"marble"}]`), "Unable to find security_group with name or id 'marble'"},
	"an unknown key", []string{creation("n", `"key_name":"marble"`), "Invalid key_name provided."},
	"a value of metadata that is a number", []string{creation("n", `"metadata":{"a":1}`), "is not of type 'string'"},
	"an empty key of metadata", []string{creation("n", `"metadata":{"":"x"}`), "field/attribute metadata"},
	"a key of metadata with a slash", []string{creation("n", `"metadata":{"a/b":"x"}`), "field/attribute metadata"},
	"an unknown attribute", []string{creation("n", `"colour":"red"`), "('colour' was unexpected)"},
	"a description before microversion 2.19", []string{creation("n", `"description":"x"`), "('description' was unexpected)"},
	"tags before microversion 2.52", []string{creation("n", `"tags":["x"]`), "('tags' was unexpected)"},
	"fewer at most than at least", []string{creation("n", `"min_count":2,"max_count":1`), "min_count must be <= max_count"},
)

func serverRefusalCases() (cases []Case) {
	for why, row := range serverRefused {
		cases = append(cases, Case{Name: "a server is refused: " + why, Run: at(Compute, func(s *scene) {
			s.refused("POST /servers", row[0], http.StatusBadRequest, append([]string{"badRequest"}, row[1:]...)...)
		})})
	}
	return append(cases,
		Case{Name: "a server over the quota is refused with 403", Run: at(Compute, func(s *scene) {
			s.refused("POST /servers", creation("n", `"min_count":11,"max_count":11`), http.StatusForbidden, "forbidden", "Quota exceeded for instances")
		}), Differs: "devcloud makes one server per request (min_count and max_count above 1 are refused)"},
		Case{Name: "a server without an image is refused", Run: at(Compute, func(s *scene) {
			a := s.ask("POST /servers", creation("n", `"imageRef":""`))
			if a.Status == http.StatusAccepted {
				s.owned("n", a)
			}
			s.is(a.Want(s.t, http.StatusBadRequest), "badRequest.message", "Missing imageRef attribute")
		}), Differs: "devcloud's images have no data, and its servers need none"},
		Case{Name: "a server that is not there is 404 in every request", Run: at(Compute, func(s *scene) {
			for _, id := range []string{"{nobody}", "nonsense"} {
				message := "Instance " + id + " could not be found."
				s.refused("GET /servers/"+id, "", 404, "itemNotFound", message)
				s.refused("DELETE /servers/"+id, "", 404, "itemNotFound", message)
				s.refused("PUT /servers/"+id, `{"server":{"name":"x"}}`, 404, "itemNotFound", message)
				s.refused("GET /servers/"+id+"/metadata", "", 404, "itemNotFound", message)
				s.refused("GET /servers/"+id+"/os-interface", "", 404, "itemNotFound", message)
				s.refused("GET /servers/"+id+"/ips", "", 404, "itemNotFound", message)
				s.refused("POST /servers/"+id+"/action", `{"os-stop":null}`, 404, "itemNotFound", "Instance "+id)
			}
		})},
		Case{Name: "an action is refused: unknown, two at once, none, an administrator's", Run: at(Compute, func(s *scene) {
			s.refused("POST /servers/{server}/action", `{"colour":null}`, 400, "badRequest", "There is no such action: colour")
			s.refused("POST /servers/{server}/action", `{"os-stop":null,"os-start":null}`, 400, "badRequest", "Malformed request body")
			s.refused("POST /servers/{server}/action", `{}`, 400, "badRequest", "Malformed request body")
			s.refused("POST /servers/{server}/action", `{"os-resetState":{"state":"active"}}`, 403, "forbidden", "Policy doesn't allow os_compute_api:os-admin-actions:reset_state to be performed.")
		})},
	)
}

var serverChangeCases = []Case{
	{Name: "a server's name is changed, its description from microversion 2.19 on", Run: at(Compute, func(s *scene) {
		s.server("")
		s.is(s.ask("PUT /servers/{s}", `{"server":{"name":"renamed"}}`).Want(s.t, http.StatusOK), "server.name", "renamed")
		s.ask("PUT /servers/{s}", `{"server":{}}`).Want(s.t, http.StatusOK)
		s.is(s.version("2.19").ask("PUT /servers/{s}", `{"server":{"description":"told"}}`).Want(s.t, http.StatusOK), "server.description", "told")
		s.is(s.version("2.93").ask("PUT /servers/{s}", `{"server":{"description":null}}`).Want(s.t, http.StatusOK), "server.description", "", "server.name", "renamed")
		s.refused("PUT /servers/{s}", `{"server":{"description":"x"}}`, 400, "badRequest", "('description' was unexpected)")
		s.refused("PUT /servers/{s}", `{"server":{"colour":"red"}}`, 400, "badRequest", "('colour' was unexpected)")
		s.refused("PUT /servers/{s}", `{"server":{"name":""}}`, 400, "badRequest", "field/attribute name")
		s.refused("PUT /servers/{s}", `{"server":{"name":"`+long+`"}}`, 400, "badRequest", "is too long")
	})},
	{Name: "a server's metadata is merged by POST and replaced by PUT", Run: at(Compute, func(s *scene) {
		s.server(`"metadata":{"a":"1"}`)
		s.is(s.ask("POST /servers/{s}/metadata", `{"metadata":{"b":"2"}}`).Want(s.t, http.StatusOK), "metadata", `{"a":"1","b":"2"}`)
		s.is(s.get("/servers/{s}/metadata"), "metadata", `{"a":"1","b":"2"}`)
		s.is(s.ask("PUT /servers/{s}/metadata", `{"metadata":{"c":"3"}}`).Want(s.t, http.StatusOK), "metadata", `{"c":"3"}`)
		s.is(s.get("/servers/{s}/metadata/c"), "meta.c", "3")
		s.is(s.ask("PUT /servers/{s}/metadata/c", `{"meta":{"c":"4"}}`).Want(s.t, http.StatusOK), "meta.c", "4")
		s.refused("PUT /servers/{s}/metadata/c", `{"meta":{"d":"4"}}`, 400, "badRequest", "Request body and URI mismatch")
		s.refused("GET /servers/{s}/metadata/d", "", 404, "itemNotFound", "Metadata item was not found")
		s.ask("DELETE /servers/{s}/metadata/c", "").Want(s.t, http.StatusNoContent)
		s.refused("DELETE /servers/{s}/metadata/c", "", 404, "itemNotFound", "Metadata item was not found")
		for _, body := range []string{`{}`, `{"metadata":{"a":1}}`, `{"metadata":{"":"x"}}`, `{"metadata":{"a/b":"x"}}`} {
			s.refused("POST /servers/{s}/metadata", body, 400, "badRequest")
		}
		s.is(s.ask("PUT /servers/{s}/metadata", `{"metadata":{}}`).Want(s.t, http.StatusOK), "metadata", `{}`)
	})},
	{Name: "a server shows its addresses by network", Run: at(Compute, func(s *scene) {
		a := s.get("/servers/{server}")
		s.is(a, "server.addresses.contract.0.version", "4", "server.addresses.contract.0.OS-EXT-IPS:type", "fixed")
		address := a.Text("server.addresses.contract.0.addr")
		s.is(s.get("/servers/{server}/ips"), "addresses.contract.0.addr", address)
		s.is(s.get("/servers/{server}/ips/contract"), "contract.0.addr", address)
		s.refused("GET /servers/{server}/ips/nowhere", "", 404, "itemNotFound", "Instance is not a member of specified network")
		s.is(s.get("/servers/{server}/os-interface"), "interfaceAttachments.0.fixed_ips.0.ip_address", address)
		s.refused("GET /servers/{server}/os-interface/{nobody}", "", 404, "itemNotFound", "Port id {nobody} could not be found.")
	})},
	{Name: "a server gains fields with microversions, and its flavor changes its form", Run: at(Compute, func(s *scene) {
		for _, version := range []string{"2.1", "2.9", "2.19", "2.26", "2.46", "2.47", "2.63", "2.69", "2.71", "2.73", "2.79", "2.90", "2.93"} {
			s.version(version).get("/servers/{server}")
			s.version(version).get("/servers/detail?limit=1")
		}
		s.is(s.version("2.46").get("/servers/{server}"), "server.flavor.id", "{flavor}")
		s.is(s.version("2.47").get("/servers/{server}"), "server.flavor.original_name", "m1.tiny", "server.flavor.vcpus", "1", "server.flavor.ram", "512")
	})},
}

var serverListCases = []Case{
	{Name: "servers are filtered, sorted and cut", Run: at(Compute, func(s *scene) {
		for _, f := range []struct{ query, want string }{
			{"?name=server-0", "server-0"},
			{"?name=^server-1$", "server-1"},
			{"?name=nobody", ""},
			{"?name=server&limit=0", ""},
			{"?status=ACTIVE&name=server-0", "server-0"},
			{"?status=active&name=server-0", "server-0"},
			{"?status=SHUTOFF", ""},
			{"?status=nonsense", ""},
			{"?flavor=1&name=server-0", "server-0"},
			{"?flavor=nonsense", ""},
			{"?image=nonsense", ""},
			{"?ip=no", ""},
			{"?colour=red&name=server-0", "server-0"},
			{"?name=server&sort_key=display_name&sort_dir=asc", "server-0 server-1"},
			{"?name=server&sort_key=display_name&sort_dir=desc", "server-1 server-0"},
			{"?name=server&sort_key=display_name&sort_dir=asc&limit=1", "server-0"},
			{"?name=server&sort_key=display_name&sort_dir=asc&marker={server}", "server-1"},
		} {
			same(s.t, "servers"+f.query, values(s.get("/servers"+f.query), "servers", "name"), strings.Fields(f.want)...)
		}
	})},
	{Name: "a full page of servers links to the next one", Run: at(Compute, func(s *scene) {
		all, path := []string(nil), "/servers/detail?limit=1&sort_key=display_name&sort_dir=asc"
		for path != "" {
			page := s.get(path)
			all, path = append(all, values(page, "servers", "name")...), page.Text("servers_links.0.href")
		}
		same(s.t, "all pages", all, "server-0", "server-1")
	})},
	{Name: "unknown filters of servers are refused from microversion 2.75 on", Run: at(Compute, func(s *scene) {
		s.version("2.74").get("/servers?colour=red")
		s.version("2.75").refused("GET /servers?colour=red", "", 400, "badRequest", "'colour' does not match any of the regexes: '^_'")
		s.version("2.93").refused("GET /flavors?colour=red", "", 400, "badRequest", "('colour' was unexpected)")
		same(s.t, "by zone", values(s.version("2.93").get("/servers?name=server-0&availability_zone=az1"), "servers", "name"), "server-0")
		same(s.t, "by tag", values(s.version("2.93").get("/servers?tags=nothing"), "servers", "name"))
	})},
	{Name: "a list of servers is refused: limit, marker, order, pattern or project", Run: at(Compute, func(s *scene) {
		s.refused("GET /servers?limit=-1", "", 400, "badRequest", "'-1' does not match '^[0-9]*$'")
		s.refused("GET /servers?limit=x", "", 400, "badRequest", "'x' does not match '^[0-9]*$'")
		s.refused("GET /servers?marker={nobody}", "", 400, "badRequest", "marker [{nobody}] not found")
		s.refused("GET /servers?sort_key=colour", "", 400, "badRequest", "'colour' is not one of ['access_ip_v4'")
		s.refused("GET /servers?sort_dir=up", "", 400, "badRequest", "Unknown sort direction")
		s.refused("GET /servers?name=[", "", 400, "badRequest", "'[' is not a 'regex'")
		s.refused("GET /servers?all_tenants=1", "", 403, "forbidden", "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed.")
	})},
}

var computeFactCases = []Case{
	{Name: "the flavors, with and without details, in several microversions", Run: at(Compute, func(s *scene) {
		for _, version := range []string{"2.1", "2.54", "2.55", "2.61", "2.75", "2.93"} {
			v := s.version(version)
			v.get("/flavors")
			v.get("/flavors/detail")
			s.is(v.get("/flavors/{flavor}"), "flavor.name", "m1.tiny", "flavor.ram", "512", "flavor.vcpus", "1", "flavor.disk", "1")
		}
		s.is(s.get("/flavors/{flavor}/os-extra_specs"), "extra_specs", "{}")
		s.refused("GET /flavors/nonsense", "", 404, "itemNotFound", "Flavor nonsense could not be found.")
		s.refused("GET /flavors/nonsense/os-extra_specs", "", 404, "itemNotFound", "Flavor nonsense could not be found.")
	})},
	{Name: "flavors are cut and filtered by memory and disk", Run: at(Compute, func(s *scene) {
		a := s.get("/flavors?limit=1")
		same(s.t, "first", values(a, "flavors", "name"), "m1.tiny")
		same(s.t, "next", values(s.get(a.Text("flavors_links.0.href")), "flavors", "name"), "m1.small")
		same(s.t, "by memory", values(s.get("/flavors?minRam=1000"), "flavors", "name"), "m1.small")
		same(s.t, "by disk", values(s.get("/flavors?minDisk=2"), "flavors", "name"))
		s.refused("GET /flavors?minRam=x", "", 400, "badRequest", "Invalid minRam filter [x]")
		s.refused("GET /flavors?limit=x", "", 400, "badRequest", "'x' does not match '^[0-9]*$'")
		s.refused("GET /flavors?marker=nonsense", "", 400, "badRequest", "marker [nonsense] not found")
	})},
	{Name: "the zones of servers", Run: at(Compute, func(s *scene) {
		same(s.t, "zones", values(s.get("/os-availability-zone"), "availabilityZoneInfo", "zoneName"), s.c.Zones[:]...)
		s.refused("GET /os-availability-zone/detail", "", 403, "forbidden", "Policy doesn't allow os_compute_api:os-availability-zone:detail to be performed.")
	})},
	{Name: "limits and quota of servers, in several microversions", Run: at(Compute, func(s *scene) {
		for _, version := range []string{"2.1", "2.35", "2.36", "2.38", "2.39", "2.56", "2.57", "2.93"} {
			s.is(s.version(version).get("/limits"), "limits.absolute.maxTotalInstances", "10", "limits.absolute.maxTotalCores", "20",
				"limits.absolute.maxTotalRAMSize", "51200", "limits.absolute.totalInstancesUsed", "2", "limits.absolute.totalCoresUsed", "2", "limits.absolute.totalRAMUsed", "1024")
			s.is(s.version(version).get("/os-quota-sets/{project}"), "quota_set.instances", "10", "quota_set.id", "{project}")
		}
		s.is(s.get("/os-quota-sets/{project}/detail"), "quota_set.instances", `{"in_use":2,"limit":10,"reserved":0}`)
		s.get("/os-quota-sets/{project}/defaults")
		s.refused("GET /os-quota-sets/00000000000000000000000000000000", "", 403, "forbidden", "Policy doesn't allow os_compute_api:os-quota-sets:show to be performed.")
	})},
	{Name: "what is an administrator's to see is forbidden", Run: at(Compute, func(s *scene) {
		s.refused("GET /os-services", "", http.StatusForbidden, "forbidden", "Policy doesn't allow os_compute_api:os-services:list to be performed.")
		s.refused("GET /os-hypervisors", "", http.StatusForbidden, "forbidden", "Policy doesn't allow os_compute_api:os-hypervisors:list to be performed.")
	})},
}
