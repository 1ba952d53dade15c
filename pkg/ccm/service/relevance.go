package service

import (
	"k8s.io/apimachinery/pkg/api/equality"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

// concerns reports whether an update of a Service may change what it needs. An informer's resync does not, nor does
// what others keep in its metadata.
func concerns(old, cur *corev1.Service) bool {
	return old.UID != cur.UID || old.DeletionTimestamp.IsZero() != cur.DeletionTimestamp.IsZero() ||
		hasFinalizer(old) != hasFinalizer(cur) ||
		!equality.Semantic.DeepEqual(old.Spec, cur.Spec) ||
		!equality.Semantic.DeepEqual(old.Annotations, cur.Annotations) ||
		!equality.Semantic.DeepEqual(old.Status.LoadBalancer, cur.Status.LoadBalancer)
}

// nodeMatters reports whether an update of a node may change a pool: heartbeats do not.
func nodeMatters(old, cur *corev1.Node) bool {
	return loadbalancer.Eligible(old) != loadbalancer.Eligible(cur) ||
		!equality.Semantic.DeepEqual(old.Labels, cur.Labels) ||
		!equality.Semantic.DeepEqual(old.Status.Addresses, cur.Status.Addresses)
}
