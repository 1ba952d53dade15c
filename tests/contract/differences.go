package contract

import (
	"slices"
	"strings"
)

// Kept is a difference between devcloud's answers and the real ones that stays, with its reason.
type Kept struct {
	Request string // a trailing * matches any end: "GET /servers*"; empty: all
	Path    string // of the body, below lists too: "servers[].accessIPv4"; a leading * matches any beginning
	Reason  string
}

// kept are the differences in the form of answers that stay.
var kept = []Kept{
	{"DELETE /volumes/{id}*", "header X-Compute-Request-Id", "Cinder forgets this header in some answers without a body; X-Openstack-Request-Id is always there"},
	{"", "*___DEFAULT__", "Cinder has a volume type __DEFAULT__ of its own, which stands in where no default is configured"},
	{"", "*.connection_info.device_path", "how a host reaches a volume is each driver's own"},
	{"", "*security_group_rules[].standard_attr_id", "a number of Neutron's database that it shows in the rules of groups only"},
	{"PUT /v2.0/routers/{id}/*", "router.distributed", "the answer to extra routes shows how the router is built, which no other answer does"},
	{"PUT /v2.0/routers/{id}/*", "router.ha", "as above"},
	{"PUT /v2.0/routers/{id}/*", "router.ha_vr_id", "as above"},
	{"", "header Allow", "the services leave out what HTTP asks for in a 405"},
	{"", "*.roles[].links", "Keystone shows roles with links when its process has listed roles before"},
	{"", "*.roles[].links.self", "as above"},
	{"GET /", "header X-Openstack-Request-Id", "Neutron's versions document has none"},
}

func (k Kept) explains(d Difference) bool {
	if k.Request != "" && k.Request != d.Request {
		prefix, wild := strings.CutSuffix(k.Request, "*")
		if !wild || !strings.HasPrefix(d.Request, prefix) {
			return false
		}
	}
	if suffix, wild := strings.CutPrefix(k.Path, "*"); wild {
		return strings.HasSuffix(d.Path, suffix)
	}
	return k.Path == d.Path
}

// unexplained are the differences that no entry of kept explains.
func unexplained(all []Difference) []Difference {
	return slices.DeleteFunc(slices.Clone(all), func(d Difference) bool {
		return slices.ContainsFunc(kept, func(k Kept) bool { return k.explains(d) })
	})
}
