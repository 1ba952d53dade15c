package service

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// finalizer keeps a Service until nothing of its load balancer is left. It is the library's.
const finalizer = "service.kubernetes.io/load-balancer-cleanup"

// Event reasons: the library's.
const (
	reasonEnsuring    = "EnsuringLoadBalancer"
	reasonEnsured     = "EnsuredLoadBalancer"
	reasonUpdated     = "UpdatedLoadBalancer"
	reasonFailed      = "SyncLoadBalancerFailed"
	reasonDeleting    = "DeletingLoadBalancer"
	reasonDeleted     = "DeletedLoadBalancer"
	reasonUnavailable = "UnAvailableLoadBalancer"
)

// patch changes parts of a Service that is still the same one. Everything goes through the status subresource, as the
// library does it: that needs the fewest rights.
func (c *Controller) patch(ctx context.Context, s *corev1.Service, metadata, status map[string]any) error {
	metadata["uid"] = s.UID
	body := map[string]any{"metadata": metadata}
	if status != nil {
		body["status"] = status
	}
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("patch of service %s/%s: %w", s.Namespace, s.Name, err)
	}
	_, err = c.opts.Client.CoreV1().Services(s.Namespace).Patch(ctx, s.Name, types.MergePatchType, data, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("patch service %s/%s: %w", s.Namespace, s.Name, err)
	}
	return nil
}

// addFinalizer adds to the finalizers if nobody else changed the Service meanwhile.
func (c *Controller) addFinalizer(ctx context.Context, s *corev1.Service) error {
	if hasFinalizer(s) {
		return nil
	}
	all := append(slices.Clone(s.Finalizers), finalizer)
	return c.patch(ctx, s, map[string]any{"resourceVersion": s.ResourceVersion, "finalizers": all}, nil)
}

// release takes the address out of the Service's status and lets the Service go, in one request: the second of two
// would meet the version that the first one made. A Service that is gone already is fine.
func (c *Controller) release(ctx context.Context, s *corev1.Service) error {
	if !hasFinalizer(s) {
		return c.publish(ctx, s, "")
	}
	rest := slices.DeleteFunc(slices.Clone(s.Finalizers), func(f string) bool { return f == finalizer })
	err := c.patch(ctx, s, map[string]any{"resourceVersion": s.ResourceVersion, "finalizers": rest}, ingressStatus(nil))
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return nil
}

func ingressStatus(ingress []corev1.LoadBalancerIngress) map[string]any {
	return map[string]any{"loadBalancer": map[string]any{"ingress": ingress}}
}

// publish writes the address into the Service's status; an empty one takes it back.
func (c *Controller) publish(ctx context.Context, s *corev1.Service, address string) error {
	var ingress []corev1.LoadBalancerIngress
	if address != "" {
		mode := corev1.LoadBalancerIPModeVIP
		ingress = []corev1.LoadBalancerIngress{{IP: address, IPMode: &mode}}
	}
	if equality.Semantic.DeepEqual(s.Status.LoadBalancer.Ingress, ingress) {
		return nil
	}
	err := c.patch(ctx, s, map[string]any{}, ingressStatus(ingress))
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return nil
}

func (c *Controller) normal(s *corev1.Service, reason, message string) {
	c.opts.Recorder.Event(s, corev1.EventTypeNormal, reason, message)
}

func (c *Controller) warn(s *corev1.Service, reason, format string, args ...any) {
	c.opts.Recorder.Eventf(s, corev1.EventTypeWarning, reason, format, args...)
}
