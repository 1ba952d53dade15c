package loadbalancer

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// toBeDeletedTaint is what the cluster autoscaler puts on a node that it is about to remove.
const toBeDeletedTaint = "ToBeDeletedByClusterAutoscaler"

// Eligible reports whether a node takes part in load balancing: the same predicates as the cloud-provider library's.
// Readiness is not among them: the health monitor sees a dead node long before the API server does.
func Eligible(node *corev1.Node) bool {
	if !node.DeletionTimestamp.IsZero() {
		return false
	}
	if v, ok := node.Labels[corev1.LabelNodeExcludeBalancers]; ok {
		if exclude, err := strconv.ParseBool(v); err != nil || exclude {
			return false
		}
	}
	return !slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == toBeDeletedTaint })
}

// internalIPv4 is the node's own address; the zero Addr when nobody wrote it yet.
func internalIPv4(node *corev1.Node) netip.Addr {
	for _, a := range node.Status.Addresses {
		if a.Type != corev1.NodeInternalIP {
			continue
		}
		if addr, err := netip.ParseAddr(a.Address); err == nil && addr.Is4() {
			return addr
		}
	}
	return netip.Addr{}
}

// backend is a node that gets connections.
type backend struct {
	name string
	addr netip.Addr
}

// backends are the eligible nodes that the selector chooses, by address. A node without an address is left out until it
// has one; the providerID plays no part.
func backends(nodes []*corev1.Node, selector labels.Selector) []backend {
	var out []backend
	for _, n := range nodes {
		if !Eligible(n) || !selector.Matches(labels.Set(n.Labels)) {
			continue
		}
		if addr := internalIPv4(n); addr.IsValid() {
			out = append(out, backend{name: n.Name, addr: addr})
		}
	}
	slices.SortFunc(out, func(a, b backend) int { return cmp.Or(a.addr.Compare(b.addr), cmp.Compare(a.name, b.name)) })
	return slices.CompactFunc(out, func(a, b backend) bool { return a.addr == b.addr })
}
