package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

// unsureFor is how long the cloud may still be at work on a creation whose answer was lost.
const unsureFor = time.Minute

// Reconcile takes one Service as far towards what it needs as is possible without waiting. It returns when to come back:
// 0 when an event will tell, be it of Kubernetes or of the cloud. An error is to be tried again with back-off.
func (c *Controller) Reconcile(ctx context.Context, key string) (time.Duration, error) {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return 0, fmt.Errorf("service key %q: %w", key, err)
	}
	s, err := c.services.Services(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		// The finalizer kept it until nothing was left.
		c.forget(key)
		c.queue.Forget(key)
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("service %s: %w", key, err)
	}
	r := c.record(key, s.UID)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.waiting:
		return 0, nil
	case c.wants(s):
		return c.ensure(ctx, key, s, r)
	case !c.foreign(s) && (hasFinalizer(s) || r.finalized):
		return c.cleanUp(ctx, key, s, r)
	}
	if !c.foreign(s) && s.Spec.Type != corev1.ServiceTypeLoadBalancer && r.condition(s).Type != "" {
		// It was refused, and nothing was ever made for it.
		if err := c.release(ctx, s, r); err != nil {
			return 0, err
		}
	}
	c.forget(key)
	return 0, nil
}

// ensure works on a Service that shall have a load balancer.
func (c *Controller) ensure(ctx context.Context, key string, s *corev1.Service, r *serviceRecord) (time.Duration, error) {
	if r.removal {
		r.memory = memory{lastID: r.lastID, lastWrite: r.lastWrite, unsure: r.unsure, lost: r.lost}
	}
	spec, err := c.desired(ctx, s)
	if err != nil {
		return c.failed(ctx, s, r, err)
	}
	if hasFinalizer(s) {
		r.finalized = false // the informer has caught up; from now on it tells when somebody takes it away
	}
	first := !hasFinalizer(s) && !r.finalized
	if first {
		if err := c.addFinalizer(ctx, s, r); err != nil {
			return 0, err
		}
		r.finalized = true
	}
	c.tellIgnored(s, r, spec)
	if r.settled == spec.Hash() && time.Now().Before(r.mendAt) {
		return c.rest(ctx, key, s, r, spec)
	}
	if !r.known || (r.settled != "" && !time.Now().Before(r.mendAt)) {
		if err := c.observe(ctx, s, r, spec, first); err != nil {
			return c.failed(ctx, s, r, err)
		}
		if r.settled == spec.Hash() {
			return c.rest(ctx, key, s, r, spec)
		}
	}
	return c.advance(ctx, key, s, r, spec)
}

// advance plans and applies until the cloud has to be waited for or nothing is left to do.
func (c *Controller) advance(ctx context.Context, key string, s *corev1.Service, r *serviceRecord, spec loadbalancer.Spec) (time.Duration, error) {
	for {
		steps, recheck, problem := c.plan(r, spec)
		if recheck > 0 {
			if c.awaitPending(ctx, key, r) {
				return 0, nil
			}
			r.forgetObserved()
			return recheck, nil
		}
		if len(steps) == 0 {
			if problem != nil {
				return c.failed(ctx, s, r, problem)
			}
			return c.fulfilled(ctx, key, s, r, spec)
		}
		if err := c.begin(ctx, s, r, steps); err != nil {
			return 0, err
		}
		c.announce(s, r, steps)
		c.tellUnfinished(ctx, s, r, steps)
		waits, err := c.apply(ctx, key, r, steps)
		switch {
		case errors.Is(err, errStale):
			return 0, nil // the next round, which is enqueued, observes
		case err != nil:
			return c.failed(ctx, s, r, err)
		case waits:
			if problem != nil {
				return c.failed(ctx, s, r, problem)
			}
			return 0, nil
		}
	}
}

// fulfilled publishes the address and tells the user.
func (c *Controller) fulfilled(ctx context.Context, key string, s *corev1.Service, r *serviceRecord, spec loadbalancer.Spec) (time.Duration, error) {
	address := loadbalancer.Endpoint(spec, r.observed)
	fresh := len(s.Status.LoadBalancer.Ingress) == 0
	if err := c.publish(ctx, s, r, address); err != nil {
		return 0, err
	}
	switch {
	case r.created || fresh:
		c.normal(s, reasonEnsured, "Ensured load balancer")
	case r.announced:
		c.normal(s, reasonUpdated, "Updated load balancer with new hosts")
	}
	if r.announced && spec.Members() == 0 {
		c.warn(s, reasonUnavailable, "There are no available nodes for LoadBalancer")
	}
	r.settle(spec.Hash(), r.soon(c.nextMend(false)))
	c.queue.Forget(key)
	return time.Until(r.mendAt), nil
}

// rest is the round of a Service that needs nothing. It makes no cloud call.
func (c *Controller) rest(ctx context.Context, key string, s *corev1.Service, r *serviceRecord, spec loadbalancer.Spec) (time.Duration, error) {
	address := unchanged
	if r.known {
		address = loadbalancer.Endpoint(spec, r.observed)
	} else if len(s.Status.LoadBalancer.Ingress) == 0 {
		// Somebody took the address away, and it is not known here.
		r.forgetObserved()
		return time.Millisecond, nil
	}
	if err := c.publish(ctx, s, r, address); err != nil {
		return 0, err
	}
	r.complaint = ""
	c.queue.Forget(key)
	return max(time.Until(r.mendAt), time.Millisecond), nil
}

// announce tells the user that work begins.
func (c *Controller) announce(s *corev1.Service, r *serviceRecord, steps []loadbalancer.Step) {
	for _, step := range steps {
		switch step.Action {
		case loadbalancer.SetTags:
			continue
		case loadbalancer.SetMembers:
			r.announced = true
			continue
		case loadbalancer.DeleteBalancer:
			c.warn(s, reasonFailed, "Deleting load balancer %s: %s", step.ID, step.Why)
		}
		if !r.created {
			c.normal(s, reasonEnsuring, "Ensuring load balancer")
		}
		r.announced, r.created = true, true
	}
}

// tellIgnored tells the user once what of the Service has no effect.
func (c *Controller) tellIgnored(s *corev1.Service, r *serviceRecord, spec loadbalancer.Spec) {
	for _, text := range spec.Ignored {
		if !slices.Contains(r.ignored, text) {
			c.warn(s, reasonIgnored, "%s", text)
		}
	}
	r.ignored = spec.Ignored
}

// serving reports whether there is a balancer that may still carry connections.
func (r *serviceRecord) serving() bool {
	return slices.ContainsFunc(r.observed.Balancers, func(lb cloud.LoadBalancer) bool {
		return lb.Provisioning == cloud.ProvisioningActive
	})
}

// cleanUp works on a Service that shall have nothing in the cloud.
func (c *Controller) cleanUp(ctx context.Context, key string, s *corev1.Service, r *serviceRecord) (time.Duration, error) {
	if r.removed {
		return 0, nil
	}
	spec := loadbalancer.Removal(c.opts.Cluster, s)
	if !r.removal || !r.known {
		if err := c.observeRemoval(ctx, r, spec); err != nil {
			return c.failed(ctx, s, r, err)
		}
		if !r.removal {
			r.removal, r.announced = true, false
		}
	}
	for {
		steps, recheck, _ := loadbalancer.Plan(spec, r.observed)
		if recheck > 0 {
			c.awaitPending(ctx, key, r)
			return 0, nil
		}
		if len(steps) == 0 {
			return c.gone(ctx, key, s, r)
		}
		if err := c.beginRemoval(ctx, s, r); err != nil {
			return 0, err
		}
		if !r.announced {
			c.normal(s, reasonDeleting, "Deleting load balancer")
			r.announced = true
		}
		waits, err := c.apply(ctx, key, r, steps)
		if err != nil {
			return c.failed(ctx, s, r, err)
		}
		if waits {
			return 0, nil
		}
	}
}

// gone lets the Service go, once nothing can turn up any more.
func (c *Controller) gone(ctx context.Context, key string, s *corev1.Service, r *serviceRecord) (time.Duration, error) {
	if !r.unsure.IsZero() {
		if rest := unsureFor - time.Since(r.unsure); rest > 0 {
			r.forgetObserved()
			return min(rest+time.Second, 15*time.Second), nil
		}
	}
	if err := c.release(ctx, s, r); err != nil {
		return 0, err
	}
	r.removed, r.finalized = true, false
	c.normal(s, reasonDeleted, "Deleted load balancer")
	c.queue.Forget(key)
	return 0, nil
}

// desired asks the cloud what has to be known and decides. Before it judges a Service invalid it looks again: the
// network that the Service names may be new.
func (c *Controller) desired(ctx context.Context, s *corev1.Service) (loadbalancer.Spec, error) {
	nodes, err := c.nodes.List(labels.Everything())
	if err != nil {
		return loadbalancer.Spec{}, fmt.Errorf("list nodes: %w", err)
	}
	in := loadbalancer.Input{Cluster: c.opts.Cluster, Service: s, Nodes: nodes, Defaults: c.opts.Defaults}
	if in.Facts, err = c.facts(ctx, s, time.Time{}); err != nil {
		return loadbalancer.Spec{}, err
	}
	spec, err := loadbalancer.Desired(in)
	if err == nil && spec.VIP.Problem == nil && (spec.FloatingIP == nil || spec.FloatingIP.Problem == nil) {
		return spec, nil
	}
	if in.Facts, err = c.facts(ctx, s, time.Now().Add(-factsMinAge)); err != nil {
		return loadbalancer.Spec{}, err
	}
	return loadbalancer.Desired(in)
}

func (c *Controller) facts(ctx context.Context, s *corev1.Service, notOlderThan time.Time) (loadbalancer.Facts, error) {
	var facts loadbalancer.Facts
	var err error
	needs := loadbalancer.Needs(s, c.opts.Defaults)
	if slices.Contains(needs, loadbalancer.QueryNetworks) {
		if facts.Networks, err = c.networks.Get(ctx, notOlderThan); err != nil {
			return facts, fmt.Errorf("networks: %w", err)
		}
	}
	if slices.Contains(needs, loadbalancer.QuerySubnets) {
		if facts.Subnets, err = c.subnets.Get(ctx, notOlderThan); err != nil {
			return facts, fmt.Errorf("subnets: %w", err)
		}
	}
	return facts, nil
}

// failed tells the user what went wrong and what to do, and decides when to try again.
func (c *Controller) failed(ctx context.Context, s *corev1.Service, r *serviceRecord, err error) (time.Duration, error) {
	if errors.Is(err, context.Canceled) || apierrors.IsConflict(err) {
		return 0, err
	}
	var unfinished *loadbalancer.UnfinishedError
	if errors.As(err, &unfinished) {
		r.forgetObserved() // somebody may set it right
	}
	var invalid *loadbalancer.InvalidError
	slow := errors.As(err, &invalid) || !isCloudAnswer(err)
	text := err.Error() + advice(err)
	if complaint := withoutRequestID(text, err); complaint != r.complaint && !errors.Is(err, cloud.ErrBusy) {
		c.warn(s, reasonFailed, "Error syncing load balancer: %s", text)
		r.complaint = complaint
		c.noteFailure(ctx, s, r, err, text)
	}
	if slow {
		return invalidRetryDelay, nil
	}
	return 0, err
}

// withoutRequestID makes the texts of the same failure equal: every request has an id of its own.
func withoutRequestID(text string, err error) string {
	var ce *cloud.Error
	if errors.As(err, &ce) && ce.RequestID != "" {
		return strings.ReplaceAll(text, ce.RequestID, "")
	}
	return text
}

// isCloudAnswer tells what the cloud answered from what we know without asking it.
func isCloudAnswer(err error) bool {
	var ce *cloud.Error
	return errors.As(err, &ce)
}

// advice is what a user can do about a failure; empty where the error says it itself.
func advice(err error) string {
	var refused *cloud.Error
	switch {
	case errors.Is(err, cloud.ErrExhausted):
		return ": delete what is no longer needed, or have the project's quota raised; it is tried again by itself"
	case errors.Is(err, cloud.ErrUnauthorized):
		return ": check the cloud credentials of fairlead-ccm, and that they have the role load-balancer_member"
	case errors.Is(err, cloud.ErrUnavailable), errors.Is(err, cloud.ErrOutcomeUnknown):
		return ": nothing to do; it is tried again by itself"
	case errors.As(err, &refused) && refused.Status == http.StatusNotImplemented:
		return ": the provider of load balancers lacks this: if it is ovn, start fairlead-ccm with --load-balancer-provider=ovn"
	default:
		return ""
	}
}
