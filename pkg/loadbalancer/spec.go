// Package loadbalancer decides what a Service of type LoadBalancer needs in the cloud. It is pure: no I/O, no clock, no
// goroutine. Needs says what must be looked up, Desired turns a Service and its nodes into a Spec, Plan turns a Spec and
// what was observed into steps. Create, update, node change, drift repair and delete are all the same two functions.
package loadbalancer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// Tags and descriptions that carry identity. They are part of the creating requests.
const (
	clusterTagPrefix = "fairlead/cluster="
	serviceTagPrefix = "fairlead/service="
	specTagPrefix    = "fairlead/spec="
)

// ClusterTag is the tag of every load balancer of a cluster.
func ClusterTag(cluster string) string { return clusterTagPrefix + cluster }

// ServiceOf reads the UID of the Service that a load balancer belongs to from its tags; empty when it has none.
func ServiceOf(lb cloud.LoadBalancer) string { return tagValue(lb.Tags, serviceTagPrefix) }

// HashOf reads from a load balancer's tags the hash of the Spec that was last brought about completely.
func HashOf(lb cloud.LoadBalancer) string { return tagValue(lb.Tags, specTagPrefix) }

func tagValue(tags []string, prefix string) string {
	for _, t := range tags {
		if v, ok := strings.CutPrefix(t, prefix); ok {
			return v
		}
	}
	return ""
}

// Identity is whose load balancer it is. Names are not unique in a cloud, so nothing is ever found by name.
type Identity struct {
	Cluster string // UID of the cluster's kube-system namespace
	Service string // UID of the Service
}

// Owns reports whether the load balancer belongs to the Service of this cluster.
func (i Identity) Owns(lb cloud.LoadBalancer) bool {
	return tagValue(lb.Tags, clusterTagPrefix) == i.Cluster && ServiceOf(lb) == i.Service
}

// FloatingIPDescription is the description of the Service's own floating IP.
func (i Identity) FloatingIPDescription() string {
	return "fairlead/" + i.Cluster + "/floatingip/" + i.Service
}

// Spec is what a Service needs in the cloud.
type Spec struct {
	Identity Identity
	// Remove means that nothing shall be left; of the other fields only Identity and KeepFloatingIP then count.
	Remove bool
	// Balancer has name, description, provider, listeners and pools. Listeners and pools are named by their key, "80-tcp".
	// A pool without Algorithm has the one of the balancer's provider.
	Balancer cloud.LoadBalancer
	// VIP is where the virtual address lies.
	VIP VIP
	// FloatingIP is the public address; nil for an internal load balancer.
	FloatingIP *FloatingIP
	// KeepFloatingIP leaves the public address in the project when the Service no longer needs it.
	KeepFloatingIP bool
	// Ignored is what the Service asks for and no cloud can do, for people. It refuses nothing: it may have its effect
	// inside the cluster.
	Ignored []string
}

// VIP is the place of the virtual address. It is chosen once: a cloud cannot move it.
type VIP struct {
	SubnetID  string // preferred over NetworkID
	NetworkID string
	Address   string // empty: the cloud's choice
	// Pinned means that the Service itself names the place: a load balancer elsewhere is built anew. A place that was
	// defaulted or guessed from the nodes never makes a working load balancer move.
	Pinned bool
	// Problem says why no place is known. It matters only when a load balancer has to be created.
	Problem error
}

// FloatingIP is a public address.
type FloatingIP struct {
	NetworkID string
	SubnetID  string
	// SubnetCIDR is the range of SubnetID; empty when the project may not see it.
	SubnetCIDR string
	// Address is the one that the Service asks for; empty: the cloud's choice.
	Address string
	// Pinned means that the Service itself names network or subnet: an address elsewhere is replaced.
	Pinned bool
	// Problem says why no network is known. It matters only when an address has to be created.
	Problem error
}

// accepts reports whether an existing floating IP lies where it should.
func (f *FloatingIP) accepts(have cloud.FloatingIP) bool {
	if f.Address != "" {
		return have.Address == f.Address
	}
	if !f.Pinned {
		return true
	}
	if f.NetworkID != "" && have.NetworkID != f.NetworkID {
		return false
	}
	if f.SubnetCIDR == "" {
		return true
	}
	prefix, err1 := netip.ParsePrefix(f.SubnetCIDR)
	addr, err2 := netip.ParseAddr(have.Address)
	return err1 != nil || err2 != nil || prefix.Contains(addr)
}

// accepts reports whether an existing load balancer lies where it should.
func (v VIP) accepts(have cloud.LoadBalancer) bool {
	if v.Address != "" && v.Address != have.VIP {
		return false
	}
	if !v.Pinned {
		return true
	}
	if v.SubnetID != "" {
		return v.SubnetID == have.VIPSubnetID
	}
	return v.NetworkID == "" || v.NetworkID == have.VIPNetworkID
}

// Members is the number of nodes behind the load balancer.
func (s Spec) Members() int {
	if len(s.Balancer.Pools) == 0 {
		return 0
	}
	return len(s.Balancer.Pools[0].Members)
}

// Hash identifies what the Spec demands of the cloud: equal hashes mean that there is nothing to do. It covers what
// Plan compares and nothing else, so a guess that comes out differently, or a new field of package cloud, changes no
// hash and causes no call.
func (s Spec) Hash() string {
	h := sha256.New()
	s.write(h)
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// write renders what Hash covers. hash.Hash never returns an error.
func (s Spec) write(w io.Writer) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	if s.VIP.Pinned {
		p("vip subnet=%s network=%s", s.VIP.SubnetID, s.VIP.NetworkID)
	}
	p("vip address=%s", s.VIP.Address)
	if f := s.FloatingIP; f != nil {
		p("floating address=%s", f.Address)
		if f.Pinned {
			p("floating network=%s subnet=%s", f.NetworkID, f.SubnetID)
		}
	}
	for _, l := range s.Balancer.Listeners {
		p("listener %s %s %d limit=%d cidrs=%v timeouts=%v pool=%s", l.Name, l.Protocol, l.Port, l.ConnectionMax,
			l.AllowedCIDRs, timeouts(l), l.Pool)
	}
	for _, pool := range s.Balancer.Pools {
		p("pool %s %s %s %s", pool.Name, pool.Protocol, cmp.Or(pool.Algorithm, defaultAlgorithm), pool.Persistence)
		for _, m := range pool.Members {
			p("member %s %d %d %d", m.Address, m.Port, m.Weight, monitorPort(m))
		}
		if m := pool.Monitor; m != nil {
			p("monitor %s %d %d %d %d %s %s %s", m.Type, m.Delay, m.Timeout, m.MaxRetries, m.MaxRetriesDown, m.Path,
				m.HTTPMethod, m.ExpectedCodes)
		}
	}
}

// tags is what the load balancer's tags should be: ours, and those of others that it has already.
func (s Spec) tags(have []string) []string {
	tags := []string{ClusterTag(s.Identity.Cluster), serviceTagPrefix + s.Identity.Service, specTagPrefix + s.Hash()}
	for _, t := range have {
		ours := strings.HasPrefix(t, clusterTagPrefix) || strings.HasPrefix(t, serviceTagPrefix) ||
			strings.HasPrefix(t, specTagPrefix)
		if !ours {
			tags = append(tags, t)
		}
	}
	return tags
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}
