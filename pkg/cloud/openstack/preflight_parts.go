package openstack

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// zones: where there are instances there are disks.
func (r *report) zones() {
	const check = "zones"
	if !r.diskZones.good() || !r.computeZones.good() || r.use.ZoneWithoutDisks == cloud.LevelOK {
		return // the services' own findings say why
	}
	disks, instances := r.diskZones.value, r.computeZones.value
	var without []string
	for _, z := range instances {
		if !slices.Contains(disks, z) {
			without = append(without, z)
		}
	}
	names := fmt.Sprintf("zones for disks: %s; for servers: %s", enumerate(disks), enumerate(instances))
	switch {
	case len(disks) == 0:
		r.add(check, cloud.LevelError, "Cinder has no available zone: no disk can be made. Ask the cloud's operator")
	case len(without) == 0:
		r.add(check, cloud.LevelOK, "%s", names)
	case r.use.ZoneWithoutDisks == cloud.LevelError:
		r.add(check, cloud.LevelError, "%s. Pods on nodes in %s get no disks, because the zones must match", names, enumerate(without))
	case len(without) == len(instances):
		r.add(check, r.use.ZoneWithoutDisks, "%s. They are not the same zones, so disks are not bound to any: every node may use every disk, "+
			"which the cloud must allow (Nova's cross_az_attach)", names)
	default:
		r.add(check, cloud.LevelWarning, "%s. Disks for pods on nodes in %s are made in a zone of Cinder's choice and bound to none: the cloud "+
			"must allow to attach them across zones (Nova's cross_az_attach)", names, enumerate(without))
	}
}

func enumerate(names []string) string { return cmp.Or(strings.Join(names, ", "), "none") }

func (r *report) diskTypes() {
	const check = "disk-types"
	switch {
	case !r.facts.diskTypes.asked:
	case r.facts.diskTypes.err != nil:
		r.add(check, cloud.LevelInfo, "the volume types cannot be read: %v", r.facts.diskTypes.err)
	case len(r.facts.diskTypes.value) == 0:
		r.add(check, cloud.LevelInfo, "this project sees no volume type: leave the parameter type out of StorageClasses")
	default:
		r.add(check, cloud.LevelOK, "%s", enumerate(r.facts.diskTypes.value))
	}
}

// nearlyUsed is the share of a limit from which on it is a warning.
const nearlyUsed = 0.9

// quota judges one limit: what says what there cannot be more of.
func (r *report) quota(check, what string, q quota) {
	said := fmt.Sprintf("%s: %d of %d used", what, q.used, q.limit)
	switch {
	case q.limit < 0:
		r.add(check, cloud.LevelOK, "%s: %d used, no limit", what, q.used)
	case q.limit == 0:
		r.add(check, cloud.LevelError, "%s: the limit is 0, so none can be made. Ask the cloud's operator for more", what)
	case q.used >= q.limit:
		r.add(check, cloud.LevelError, "%s: the next one will be refused. Delete what is not needed, or ask the cloud's operator for more", said)
	case float64(q.used) >= nearlyUsed*float64(q.limit):
		r.add(check, cloud.LevelWarning, "%s. Delete what is not needed, or ask the cloud's operator for more", said)
	default:
		r.add(check, cloud.LevelOK, "%s", said)
	}
}

// diskQuotas: those of all volumes, and those of types that have one.
func (r *report) diskQuotas() {
	if !r.facts.diskQuotas.asked {
		return
	}
	if err := r.facts.diskQuotas.err; err != nil {
		r.add("quota-volumes", cloud.LevelInfo, "the quotas for volumes cannot be read: %v", err)
		return
	}
	set := r.facts.diskQuotas.value
	for _, name := range slices.Sorted(maps.Keys(set)) {
		kind, ofType, typed := strings.Cut(name, "_")
		if kind != "volumes" && kind != "gigabytes" || typed && set[name].limit < 0 {
			continue
		}
		what := "volumes"
		if kind == "gigabytes" {
			what = "GiB of volumes"
		}
		if typed {
			what += " of the type " + ofType
		}
		r.quota("quota-"+kind, what, set[name])
	}
	if q, ok := set["per_volume_gigabytes"]; ok && q.limit >= 0 {
		r.add("quota-gigabytes", cloud.LevelInfo, "a volume may have at most %d GiB", q.limit)
	}
}

// extensions: Neutron's parts that floating IPs need, the description above all, by which we know ours.
func (r *report) extensions() {
	const check = "network-version"
	if !r.networkExtensions.asked {
		return
	}
	if err := r.networkExtensions.err; err != nil {
		r.add(check, cloud.LevelInfo, "Neutron's extensions cannot be read: %v", err)
		return
	}
	var lacking []string
	for _, needed := range []string{"external-net", "router", "standard-attr-description"} {
		if !slices.Contains(r.networkExtensions.value, needed) {
			lacking = append(lacking, needed)
		}
	}
	if len(lacking) > 0 {
		r.add(check, cloud.LevelError, "Neutron lacks the extensions %s: public addresses cannot be given, only internal Services can be "+
			"served. Ask the cloud's operator", enumerate(lacking))
		return
	}
	r.add(check, cloud.LevelOK, "Neutron has the extensions that floating IPs need")
}

// place: the configured networks exist, and there is an external one.
func (r *report) place() {
	if !r.networks.good() {
		return
	}
	var external []string
	for _, n := range r.networks.value {
		if n.External {
			external = append(external, n.Name+" ("+n.ID+")")
		}
	}
	slices.Sort(external)
	configured := r.use.FloatingNetwork
	const check = "floating-network"
	switch {
	case configured != "":
		r.configured(check, "--floating-network-id", configured, matches(r.networks.value, configured, true), "external network", external)
	case len(external) == 0:
		r.add(check, cloud.LevelWarning, "this project sees no external network: only internal Services can be served. Ask the cloud's operator for one")
	case len(external) > 1:
		r.add(check, cloud.LevelWarning, "there is more than one external network: %s. Services without an annotation that names one are not served: "+
			"set --floating-network-id (in the chart loadBalancer.floatingNetworkID)", enumerate(external))
	default:
		r.add(check, cloud.LevelOK, "%s, the only external network", external[0])
	}
	if r.use.Network != "" {
		r.configured("load-balancer-network", "--network-id", r.use.Network, matches(r.networks.value, r.use.Network, false), "network", nil)
	}
	if r.use.Subnet != "" && r.subnets.good() {
		n := 0
		for _, s := range r.subnets.value {
			if s.ID == r.use.Subnet || s.Name == r.use.Subnet {
				n++
			}
		}
		r.configured("load-balancer-network", "--subnet-id", r.use.Subnet, n, "subnet", nil)
	}
}

// matches counts the networks of that id or name.
func matches(networks []cloud.Network, ref string, external bool) int {
	n := 0
	for _, net := range networks {
		if net.ID == ref {
			return 1
		}
		if net.Name == ref && (net.External || !external) {
			n++
		}
	}
	return n
}

func (r *report) configured(check, flag, ref string, found int, kind string, there []string) {
	has := ""
	if len(there) > 0 {
		has = "; there is " + enumerate(there)
	}
	switch found {
	case 1:
		r.add(check, cloud.LevelOK, "%s %s exists", kind, ref)
	case 0:
		r.add(check, cloud.LevelError, "%s: this project sees no %s %q: correct it%s", flag, kind, ref, has)
	default:
		r.add(check, cloud.LevelError, "%s: %d %ss have the name %q: use the id", flag, found, kind, ref)
	}
}

func (r *report) networkQuotas() {
	if !r.facts.networkQuotas.asked {
		return
	}
	if err := r.facts.networkQuotas.err; err != nil {
		r.add("quota-floating-ips", cloud.LevelInfo, "the quotas of Neutron cannot be read: %v", err)
		return
	}
	for _, q := range []struct{ name, check, what string }{
		{"floatingip", "quota-floating-ips", "floating IPs"},
		{"port", "quota-ports", "ports (a load balancer has one)"},
	} {
		if have, ok := r.facts.networkQuotas.value[q.name]; ok {
			r.quota(q.check, q.what, have)
		}
	}
}

func (r *report) balancingVersion() {
	const check = string(loadBalancer) + "-version"
	s := r.offers[loadBalancer]
	have := s.versions.value.max
	if s.versions.good() && have.less(versionTags) {
		r.add(check, cloud.LevelError, "the API is %s; Fairlead needs %s, because it knows its load balancers by their tags. Octavia has it since Stein",
			have, versionTags)
		return
	}
	r.version(loadBalancer, versionAllowedCIDRs, cloud.LevelWarning, func(apiVersion) string {
		return "Services with loadBalancerSourceRanges are refused; the others are served. Octavia has it since Train"
	})
}

// balancingRole: reading was allowed, or there would be no such answer.
func (r *report) balancingRole() {
	const check = "load-balancer-role"
	if r.offers[loadBalancer].endpoint == "" || r.offers[loadBalancer].reached != nil {
		return
	}
	switch {
	case !r.mayBalance.asked || r.mayBalance.good() && r.mayBalance.value:
		r.add(check, cloud.LevelOK, "load balancers may be read and made")
	case r.mayBalance.err != nil:
		r.add(check, cloud.LevelInfo, "it is not known whether load balancers may be made: %v", r.mayBalance.err)
	default:
		r.add(check, cloud.LevelError, "load balancers may be read but not made. Give the user the role load-balancer_member in this project "+
			"and make a new application credential with it")
	}
}

// balancingQuotas: Octavia tells limits only; of load balancers we know the number.
func (r *report) balancingQuotas() {
	if !r.balancerQuota.asked {
		return
	}
	const check = "quota-load-balancers"
	if err := r.balancerQuota.err; err != nil {
		r.add(check, cloud.LevelInfo, "the quotas of Octavia cannot be read: %v", err)
		return
	}
	limits := r.balancerQuota.value
	for _, name := range []string{"load_balancer", "loadbalancer"} { // the latter until Rocky
		if limit, ok := limits[name]; ok {
			r.quota(check, "load balancers", quota{limit: limit, used: int64(r.balancers.value)})
			break
		}
	}
	for _, name := range []string{"listener", "pool", "member", "health_monitor"} {
		if limit, ok := limits[name]; ok && limit == 0 {
			r.quota(check, strings.ReplaceAll(name, "_", " ")+"s", quota{})
		}
	}
}
