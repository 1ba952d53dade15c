package service

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// finalizer keeps a Service until nothing of its load balancer is left. It is the library's.
const finalizer = "service.kubernetes.io/load-balancer-cleanup"

// Event reasons: the library's, and our own for what has no effect and for what the cloud leaves undone.
const (
	reasonEnsuring    = "EnsuringLoadBalancer"
	reasonEnsured     = "EnsuredLoadBalancer"
	reasonUpdated     = "UpdatedLoadBalancer"
	reasonFailed      = "SyncLoadBalancerFailed"
	reasonDeleting    = "DeletingLoadBalancer"
	reasonDeleted     = "DeletedLoadBalancer"
	reasonUnavailable = "UnAvailableLoadBalancer"
	reasonIgnored     = "SettingIgnored"
	reasonUnfinished  = "LoadBalancerPartsUnfinished"
	reasonStuck       = "LoadBalancerPendingTooLong"
)

// What may stand for an address in report.
const (
	unchanged = "unchanged" // the one in the status stays
	none      = ""          // it is taken away
)

// patch changes parts of a Service that is still the same one. Everything goes through the status subresource, as the
// library does it: that needs the fewest rights. The patch is a strategic one: lists are merged, not replaced.
func (c *Controller) patch(ctx context.Context, s *corev1.Service, metadata, status map[string]any) error {
	metadata["uid"] = s.UID
	data, err := json.Marshal(map[string]any{"metadata": metadata, "status": status})
	if err != nil {
		return fmt.Errorf("patch of service %s/%s: %w", s.Namespace, s.Name, err)
	}
	_, err = c.opts.Client.CoreV1().Services(s.Namespace).Patch(ctx, s.Name, types.StrategicMergePatchType, data, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("patch service %s/%s: %w", s.Namespace, s.Name, err)
	}
	return nil
}

// addFinalizer keeps the Service from now on, and says that its load balancer is to come. Where somebody took the
// finalizer of a Service away that is at rest, it only comes back.
func (c *Controller) addFinalizer(ctx context.Context, s *corev1.Service, r *serviceRecord) error {
	if r.settled != "" {
		return c.patch(ctx, s, map[string]any{"finalizers": []string{finalizer}}, map[string]any{})
	}
	condition, _ := r.nextCondition(s, conditionCreating, "The load balancer is being created")
	return r.write(condition, c.patch(ctx, s, map[string]any{"finalizers": []string{finalizer}},
		map[string]any{"conditions": []metav1.Condition{condition}}))
}

// release takes address and condition out of the Service's status and lets the Service go, in one request. One that may
// ask for a load balancer again must not have changed meanwhile. A Service that is gone already is fine.
func (c *Controller) release(ctx context.Context, s *corev1.Service, r *serviceRecord) error {
	metadata, status := map[string]any{}, map[string]any{}
	if hasFinalizer(s) || r.finalized { // the informer may not show it yet
		metadata["$deleteFromPrimitiveList/finalizers"] = []string{finalizer}
	}
	if len(s.Status.LoadBalancer.Ingress) > 0 {
		status["loadBalancer"] = ingressStatus(none)
	}
	if meta.FindStatusCondition(s.Status.Conditions, ConditionCurrent) != nil {
		status["conditions"] = []map[string]any{{"$patch": "delete", "type": ConditionCurrent}}
	}
	if len(metadata)+len(status) == 0 {
		return nil
	}
	if s.DeletionTimestamp.IsZero() {
		metadata["resourceVersion"] = s.ResourceVersion
	}
	if err := c.patch(ctx, s, metadata, status); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	r.noted = &metav1.Condition{}
	return nil
}

func ingressStatus(address string) map[string]any {
	return map[string]any{"ingress": ingressOf(address)}
}

func ingressOf(address string) []corev1.LoadBalancerIngress {
	if address == none {
		return nil
	}
	mode := corev1.LoadBalancerIPModeVIP
	return []corev1.LoadBalancerIngress{{IP: address, IPMode: &mode}}
}

// report writes address and condition into the Service's status, as far as they differ from what is there.
func (c *Controller) report(ctx context.Context, s *corev1.Service, r *serviceRecord, address, reason, message string) error {
	status := map[string]any{}
	if address != unchanged && !equality.Semantic.DeepEqual(s.Status.LoadBalancer.Ingress, ingressOf(address)) {
		status["loadBalancer"] = ingressStatus(address)
	}
	condition, differs := r.nextCondition(s, reason, message)
	if differs {
		status["conditions"] = []metav1.Condition{condition}
	}
	if len(status) == 0 {
		return nil
	}
	return r.write(condition, c.patch(ctx, s, map[string]any{}, status))
}

// write remembers the condition that a request wrote. After an error it is not known which one stands.
func (r *serviceRecord) write(condition metav1.Condition, err error) error {
	if err != nil {
		condition = metav1.Condition{}
	}
	r.noted = &condition
	return err
}

// publish tells that the Service is fulfilled, and under which address. A Service that is gone is fine.
func (c *Controller) publish(ctx context.Context, s *corev1.Service, r *serviceRecord, address string) error {
	err := c.report(ctx, s, r, address, conditionCurrent, r.currentMessage())
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
