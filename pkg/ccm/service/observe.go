package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

// observe reads what there is of a Service. After a restart the shared list alone settles a Service whose balancer is
// active and carries the hash of what it needs, if the Service says that no change was begun since. Where one was, the
// process that began it may have died with a request under way.
func (c *Controller) observe(ctx context.Context, s *corev1.Service, r *serviceRecord, spec loadbalancer.Spec, first bool) error {
	now := time.Now()
	restarted := !first && r.settled == "" && r.lastWrite.IsZero() && r.mendAt.IsZero()
	r.forgetObserved()
	since := now
	if restarted {
		since = c.started
	}
	mine, err := c.mine(ctx, r, spec.Identity, since)
	if err != nil {
		return err
	}
	if len(mine) == 0 && restarted {
		if mine, err = c.mine(ctx, r, spec.Identity, now); err != nil {
			return err
		}
	}
	switch {
	case !restarted:
	case !r.current(s):
		r.lost = now
	case len(mine) == 1 && fulfils(mine[0], spec, s.Status.LoadBalancer.Ingress):
		r.settle(spec.Hash(), c.nextMend(true))
		r.lastID = mine[0].ID
		return nil
	}
	for i, lb := range mine {
		if lb.Provisioning != cloud.ProvisioningActive {
			continue
		}
		tree, err := c.opts.Cloud.GetLoadBalancer(ctx, lb.ID)
		if errors.Is(err, cloud.ErrNotFound) {
			mine[i].Provisioning = cloud.ProvisioningDeleted
			continue
		}
		if err != nil {
			return fmt.Errorf("read load balancer %s: %w", lb.ID, err)
		}
		mine[i] = tree
	}
	return c.remember(ctx, r, mine, since)
}

// fulfils reports whether a balancer, as a list shows it, and the address that was published are what the Spec asks for.
func fulfils(lb cloud.LoadBalancer, spec loadbalancer.Spec, published []corev1.LoadBalancerIngress) bool {
	return lb.Provisioning == cloud.ProvisioningActive && loadbalancer.HashOf(lb) == spec.Hash() && len(published) > 0 &&
		(spec.FloatingIP != nil || published[0].IP == lb.VIP)
}

// observeRemoval reads what is left of a Service. Trees do not matter then.
func (c *Controller) observeRemoval(ctx context.Context, r *serviceRecord, spec loadbalancer.Spec) error {
	now := time.Now()
	r.forgetObserved()
	mine, err := c.mine(ctx, r, spec.Identity, now)
	if err != nil {
		return err
	}
	return c.remember(ctx, r, mine, now)
}

// mine lists the balancers of the Service. The one that was there before and is not in the list is asked for by id:
// only a not-found is proof.
func (c *Controller) mine(ctx context.Context, r *serviceRecord, identity loadbalancer.Identity, since time.Time) ([]cloud.LoadBalancer, error) {
	if since.Before(r.lastWrite) {
		since = r.lastWrite
	}
	all, err := c.balancers.Get(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("list load balancers: %w", err)
	}
	var mine []cloud.LoadBalancer
	for _, lb := range all {
		if identity.Owns(lb) {
			mine = append(mine, lb)
		}
	}
	last := r.lastID
	if last == "" || slices.ContainsFunc(mine, func(lb cloud.LoadBalancer) bool { return lb.ID == last }) {
		return mine, nil
	}
	lb, err := c.opts.Cloud.GetLoadBalancerState(ctx, last)
	switch {
	case errors.Is(err, cloud.ErrNotFound):
		r.lastID = ""
		return mine, nil
	case err != nil:
		return nil, fmt.Errorf("read load balancer %s: %w", last, err)
	case identity.Owns(lb):
		mine = append(mine, lb)
	}
	return mine, nil
}

// remember completes the observation with the floating IPs.
func (c *Controller) remember(ctx context.Context, r *serviceRecord, mine []cloud.LoadBalancer, since time.Time) error {
	if since.Before(r.lastWrite) {
		since = r.lastWrite
	}
	fips, err := c.floatingIPs.Get(ctx, since)
	if err != nil {
		return fmt.Errorf("list floating IPs: %w", err)
	}
	if len(mine) > 0 {
		r.lastID = mine[len(mine)-1].ID
	}
	r.known, r.observed = true, loadbalancer.Observed{Balancers: mine, FloatingIPs: fips, Finished: r.observed.Finished}
	r.noteUnfinished()
	return nil
}

// sweep compares every settled Service with one list of the cluster's balancers. What was removed, broken or changed
// behind our back is looked at closely.
func (c *Controller) sweep(ctx context.Context) {
	asked := time.Now()
	settled := map[string]*serviceRecord{}
	c.mu.Lock()
	for key, r := range c.records {
		settled[key] = r
	}
	c.mu.Unlock()
	for key, r := range settled {
		if !r.atRest() {
			delete(settled, key)
		}
	}
	if len(settled) == 0 {
		return
	}
	all, err := c.balancers.Get(ctx, asked)
	if err != nil {
		return // the next sweep tries again; whatever needs the cloud meanwhile reports
	}
	byService := map[string][]cloud.LoadBalancer{}
	for _, lb := range all {
		service := loadbalancer.ServiceOf(lb)
		byService[service] = append(byService[service], lb)
	}
	for key, r := range settled {
		if r.strayed(byService[string(r.uid)], asked) {
			c.queue.Add(key)
		}
	}
}

// atRest reports whether the Service is fulfilled and nobody works on it.
func (r *serviceRecord) atRest() bool {
	if !r.mu.TryLock() {
		return false
	}
	defer r.mu.Unlock()
	return r.settled != "" && !r.waiting
}

// strayed reports whether a settled Service no longer looks so, and has it observed anew.
func (r *serviceRecord) strayed(mine []cloud.LoadBalancer, asked time.Time) bool {
	if !r.mu.TryLock() {
		return false
	}
	defer r.mu.Unlock()
	if r.settled == "" || r.waiting || r.lastWrite.After(asked) {
		return false
	}
	if len(mine) == 1 && mine[0].Provisioning == cloud.ProvisioningActive && loadbalancer.HashOf(mine[0]) == r.settled {
		return false
	}
	r.forgetObserved()
	return true
}
