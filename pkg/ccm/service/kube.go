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

// setFinalizers replaces the finalizers if nobody else changed the Service meanwhile.
func (c *Controller) setFinalizers(ctx context.Context, s *corev1.Service, finalizers []string) error {
	return c.patch(ctx, s, map[string]any{"resourceVersion": s.ResourceVersion, "finalizers": finalizers}, nil)
}

func (c *Controller) addFinalizer(ctx context.Context, s *corev1.Service) error {
	if hasFinalizer(s) {
		return nil
	}
	return c.setFinalizers(ctx, s, append(slices.Clone(s.Finalizers), finalizer))
}

// removeFinalizer lets the Service go; one that is gone already is fine.
func (c *Controller) removeFinalizer(ctx context.Context, s *corev1.Service) error {
	if !hasFinalizer(s) {
		return nil
	}
	rest := slices.DeleteFunc(slices.Clone(s.Finalizers), func(f string) bool { return f == finalizer })
	if err := c.setFinalizers(ctx, s, rest); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return nil
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
	err := c.patch(ctx, s, map[string]any{}, map[string]any{"loadBalancer": map[string]any{"ingress": ingress}})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return nil
}

func (c *Controller) normal(s *corev1.Service, reason, format string, args ...any) {
	c.opts.Recorder.Eventf(s, corev1.EventTypeNormal, reason, format, args...)
}

func (c *Controller) warn(s *corev1.Service, reason, format string, args ...any) {
	c.opts.Recorder.Eventf(s, corev1.EventTypeWarning, reason, format, args...)
}
