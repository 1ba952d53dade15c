package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

// ConditionCurrent is the type of the condition in a Service's status that tells people whether its load balancer is as
// the Service asks. It is also what makes the hash in the balancer's tags believable: the hash says what was last brought
// about completely, and nothing of a change that was begun after that. So the condition is False before the first request
// of a change, and only a Service whose condition is True is taken for fulfilled without reading its balancer.
const ConditionCurrent = "fairlead.io/LoadBalancerCurrent"

// Reasons of the condition. Current is the only one with status True.
const (
	conditionCurrent  = "Current"
	conditionCreating = "Creating"
	conditionUpdating = "Updating"
	conditionRemoving = "Removing"
	conditionInvalid  = "Invalid" // the Service has to be changed
	conditionFailed   = "Failed"  // it is tried again
)

// maxConditionMessage bounds what a cloud's answer may put into a Service.
const maxConditionMessage = 4096

// condition is the one that the Service has. What was last written counts more than what the informer shows.
func (r *serviceRecord) condition(s *corev1.Service) metav1.Condition {
	if r.noted != nil {
		return *r.noted
	}
	if have := meta.FindStatusCondition(s.Status.Conditions, ConditionCurrent); have != nil {
		return *have
	}
	return metav1.Condition{}
}

// current reports whether the Service was fulfilled and no change was begun since.
func (r *serviceRecord) current(s *corev1.Service) bool {
	return r.condition(s).Status == metav1.ConditionTrue
}

// nextCondition is the condition to write; false when the Service has it already. It carries no observedGeneration: that
// would have to be written for every change of the Service that its load balancer does not care about.
func (r *serviceRecord) nextCondition(s *corev1.Service, reason, message string) (metav1.Condition, bool) {
	if len(message) > maxConditionMessage {
		message = strings.ToValidUTF8(message[:maxConditionMessage], "")
	}
	have, status := r.condition(s), metav1.ConditionFalse
	if reason == conditionCurrent {
		status = metav1.ConditionTrue
	}
	if have.Status == status && have.Reason == reason && have.Message == message {
		return have, false
	}
	since := have.LastTransitionTime
	if have.Status != status || since.IsZero() {
		since = metav1.NewTime(time.Now())
	}
	return metav1.Condition{Type: ConditionCurrent, Status: status, Reason: reason, Message: message, LastTransitionTime: since}, true
}

// begin notes that the cloud is about to be changed, and takes back an address that nothing serves any more. No step may
// be taken before the note is written. It costs nothing when an earlier note still stands.
func (c *Controller) begin(ctx context.Context, s *corev1.Service, r *serviceRecord, steps []loadbalancer.Step) error {
	reason, address := conditionUpdating, unchanged
	var what []string
	for _, step := range steps {
		if step.Action == loadbalancer.CreateBalancer {
			reason = conditionCreating
			if !r.serving() {
				address = none
			}
		}
		if !slices.Contains(what, string(step.Action)) {
			what = append(what, string(step.Action))
		}
	}
	message := "Under way: " + strings.Join(what, ", ")
	if have := r.condition(s); have.Status == metav1.ConditionFalse && have.Reason != conditionInvalid {
		reason, message = have.Reason, have.Message
	}
	return c.report(ctx, s, r, address, reason, message)
}

// beginRemoval does the same for a Service that shall have none: it may yet ask for one again.
func (c *Controller) beginRemoval(ctx context.Context, s *corev1.Service, r *serviceRecord) error {
	if r.condition(s).Status == metav1.ConditionFalse {
		return nil
	}
	return c.report(ctx, s, r, unchanged, conditionRemoving, "The load balancer is being removed")
}

// currentMessage is what the condition says of a fulfilled Service.
func (r *serviceRecord) currentMessage() string {
	id := r.lastID
	if len(r.observed.Balancers) > 0 {
		id = r.observed.Balancers[0].ID
	}
	return fmt.Sprintf("Load balancer %s is as the Service asks", id)
}

// noteFailure makes the condition say what went wrong. A look that the cloud did not answer says nothing about a load
// balancer that was fine. The note is for people, so that it cannot be written is no further failure.
func (c *Controller) noteFailure(ctx context.Context, s *corev1.Service, r *serviceRecord, err error, text string) {
	if isCloudAnswer(err) && r.current(s) {
		return
	}
	reason := conditionFailed
	var invalid *loadbalancer.InvalidError
	if errors.As(err, &invalid) {
		reason = conditionInvalid
	}
	if err := c.report(ctx, s, r, unchanged, reason, text); err != nil {
		klog.FromContext(ctx).Info("The Service's condition could not be written", "err", err)
	}
}
