package loadbalancer

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// Query is something that must be looked up in the cloud before Desired can decide.
type Query string

// The queries.
const (
	QueryNetworks Query = "networks" // all that the project can see
	QuerySubnets  Query = "subnets"  // all that the project can see
)

// Facts are the answers to the queries.
type Facts struct {
	Networks []cloud.Network
	Subnets  []cloud.Subnet
}

// Defaults is what the operator configured for Services that do not say it themselves. Networks and subnets are ids or
// unique names.
type Defaults struct {
	// Provider is who makes load balancers; empty: the cloud's choice.
	Provider        string
	FloatingNetwork string
	Network         string
	Subnet          string
}

// Needs says what must be looked up for a Service. Annotations that do not parse are Desired's business.
func Needs(service *corev1.Service, defaults Defaults) []Query {
	s, _ := parseAnnotations(service.Annotations)
	named := s.subnet != "" || (s.network == "" && defaults.Subnet != "")
	if s.internal && named {
		return []Query{QuerySubnets}
	}
	return []Query{QueryNetworks, QuerySubnets}
}

// network finds a network by id or unique name.
func (f Facts) network(ref string, external bool) (cloud.Network, error) {
	var byName []cloud.Network
	for _, n := range f.Networks {
		if external && !n.External {
			continue
		}
		if n.ID == ref {
			return n, nil
		}
		if n.Name == ref {
			byName = append(byName, n)
		}
	}
	kind := "network"
	if external {
		kind = "external network"
	}
	switch len(byName) {
	case 1:
		return byName[0], nil
	case 0:
		return cloud.Network{}, fmt.Errorf("no such %s: %w: allowed are %s", kind, cloud.ErrInvalid, f.networkNames(external))
	default:
		return cloud.Network{}, fmt.Errorf("%w: %d %ss have this name: use the id", cloud.ErrInvalid, len(byName), kind)
	}
}

func (f Facts) networkNames(external bool) string {
	var names []string
	for _, n := range f.Networks {
		if n.External == external {
			names = append(names, describe(n.Name, n.ID))
		}
	}
	return enumerate(names)
}

// subnet finds a subnet by id or unique name.
func (f Facts) subnet(ref string) (cloud.Subnet, error) {
	var byName []cloud.Subnet
	for _, s := range f.Subnets {
		if s.ID == ref {
			return s, nil
		}
		if s.Name == ref {
			byName = append(byName, s)
		}
	}
	switch len(byName) {
	case 1:
		return byName[0], nil
	case 0:
		var names []string
		for _, s := range f.tenantSubnets() {
			names = append(names, describe(s.Name, s.ID))
		}
		return cloud.Subnet{}, fmt.Errorf("no such subnet: %w: allowed are %s", cloud.ErrInvalid, enumerate(names))
	default:
		return cloud.Subnet{}, fmt.Errorf("%w: %d subnets have this name: use the id", cloud.ErrInvalid, len(byName))
	}
}

// tenantSubnets are the IPv4 subnets that do not belong to external networks.
func (f Facts) tenantSubnets() []cloud.Subnet {
	external := map[string]bool{}
	for _, n := range f.Networks {
		external[n.ID] = n.External
	}
	var out []cloud.Subnet
	for _, s := range f.Subnets {
		if !external[s.NetworkID] && s.IPVersion != 6 {
			out = append(out, s)
		}
	}
	return out
}

func describe(name, id string) string {
	if name == "" {
		return id
	}
	return name + " (" + id + ")"
}

// enumerate lists for an error message; a project may have hundreds.
func enumerate(names []string) string {
	if len(names) == 0 {
		return "none that this project can see"
	}
	slices.Sort(names)
	const most = 10
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
