package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

// errStale means that what is remembered does not suffice for a step: a creation's answer may lack the ids of parts.
var errStale = errors.New("remembered state lacks an id")

// The kinds of waiting, whose times the observer learns.
const (
	kindCreate = "create"
	kindUpdate = "update"
	kindDelete = "delete"
)

// apply carries out steps until one that writes the balancer is under way; what does not need the balancer's peace
// follows it all the same. It reports whether the cloud now has to be waited for. Any error ends what is remembered.
func (c *Controller) apply(ctx context.Context, key string, r *serviceRecord, steps []loadbalancer.Step) (waits bool, err error) {
	for _, step := range steps {
		if waits && step.WritesBalancer() {
			continue
		}
		err := c.do(ctx, r, &step)
		r.lastWrite = time.Now()
		if errors.Is(err, errStale) {
			r.forgetObserved()
			c.queue.Add(key)
			return false, err
		}
		if err != nil {
			r.noteUnsure(step.Action, err)
			r.forgetObserved()
			return false, fmt.Errorf("%s: %w", step.Action, err)
		}
		klog.FromContext(ctx).Info("Applied", "action", step.Action, "part", step.Key, "id", cmp.Or(step.ID, step.Balancer.ID, step.Of), "why", step.Why)
		r.observed = loadbalancer.Apply(r.observed, step)
		if !step.WritesBalancer() {
			continue
		}
		waits = true
		switch step.Action {
		case loadbalancer.CreateBalancer:
			r.lastID = step.Balancer.ID
			c.await(ctx, key, r, step.Balancer.ID, kindCreate)
		case loadbalancer.DeleteBalancer:
			// Its place and its address are free only when it is gone.
			c.await(ctx, key, r, step.ID, kindDelete)
			return true, nil
		default:
			c.await(ctx, key, r, step.Of, kindUpdate)
		}
	}
	return waits, nil
}

// noteUnsure remembers that a request may yet take effect, and that something may yet turn up in the cloud.
func (r *serviceRecord) noteUnsure(action loadbalancer.Action, err error) {
	if !errors.Is(err, cloud.ErrOutcomeUnknown) && !errors.Is(err, context.DeadlineExceeded) {
		return
	}
	r.lost = time.Now()
	if action == loadbalancer.CreateBalancer || action == loadbalancer.CreateFloatingIP {
		r.unsure = r.lost
	}
}

// do carries out one step. It writes the ids of the cloud's answer into the step.
func (c *Controller) do(ctx context.Context, r *serviceRecord, step *loadbalancer.Step) error {
	api := c.opts.Cloud
	switch step.Action {
	case loadbalancer.CreateBalancer:
		return c.createBalancer(ctx, step)
	case loadbalancer.DeleteBalancer:
		return ignoreNotFound(api.DeleteLoadBalancer(ctx, step.ID))
	case loadbalancer.CreateFloatingIP:
		if !r.bindPort(step) {
			return errStale
		}
		made, err := api.CreateFloatingIP(ctx, step.FloatingIP)
		step.ID, step.FloatingIP.Address = made.ID, made.Address
		return err
	case loadbalancer.AssociateFloatingIP:
		if !r.bindPort(step) {
			return errStale
		}
		return api.AssociateFloatingIP(ctx, step.ID, step.FloatingIP.PortID)
	case loadbalancer.ReleaseFloatingIP:
		return ignoreNotFound(api.AssociateFloatingIP(ctx, step.ID, ""))
	case loadbalancer.DeleteFloatingIP:
		return ignoreNotFound(api.DeleteFloatingIP(ctx, step.ID))
	case loadbalancer.SetTags:
		return api.SetLoadBalancerTags(ctx, step.ID, step.Tags)
	}
	for _, lb := range r.observed.Balancers {
		if lb.ID == step.Of {
			return c.doPart(ctx, lb, step)
		}
	}
	return errStale
}

// bindPort points a floating IP at the balancer that was just created, unless the plan knew where to.
func (r *serviceRecord) bindPort(step *loadbalancer.Step) bool {
	if step.Unassociated || step.FloatingIP.PortID != "" {
		return true
	}
	if n := len(r.observed.Balancers); n > 0 {
		step.FloatingIP.PortID = r.observed.Balancers[n-1].VIPPortID
	}
	return step.FloatingIP.PortID != ""
}

// createBalancer keeps of the answer what it has, and of the request what the answer may lack.
func (c *Controller) createBalancer(ctx context.Context, step *loadbalancer.Step) error {
	made, err := c.opts.Cloud.CreateLoadBalancer(ctx, step.Balancer)
	if err != nil {
		return err
	}
	want := step.Balancer
	want.ID, want.VIP, want.VIPPortID = made.ID, made.VIP, made.VIPPortID
	want.VIPSubnetID, want.VIPNetworkID = made.VIPSubnetID, made.VIPNetworkID
	want.Listeners, want.Pools = slices.Clone(want.Listeners), slices.Clone(want.Pools)
	for i := range want.Pools {
		for _, p := range made.Pools {
			if p.Name == want.Pools[i].Name {
				want.Pools[i].ID = p.ID
			}
		}
	}
	for i := range want.Listeners {
		for _, l := range made.Listeners {
			if l.Name == want.Listeners[i].Name {
				want.Listeners[i].ID = l.ID
			}
		}
	}
	want.Provisioning = cloud.ProvisioningPending
	step.Balancer = want
	return nil
}

// doPart carries out a step on a listener, a pool or a monitor: it binds keys to ids.
func (c *Controller) doPart(ctx context.Context, lb cloud.LoadBalancer, step *loadbalancer.Step) error {
	api := c.opts.Cloud
	switch step.Action {
	case loadbalancer.DeleteListener:
		return ignoreNotFound(withID(step.ID, func() error { return api.DeleteListener(ctx, step.ID) }))
	case loadbalancer.DeletePool:
		return ignoreNotFound(withID(step.ID, func() error { return api.DeletePool(ctx, step.ID) }))
	case loadbalancer.CreatePool:
		made, err := api.CreatePool(ctx, lb.ID, step.Pool)
		step.Pool.ID = made.ID
		return err
	case loadbalancer.CreateListener, loadbalancer.UpdateListener:
		return c.doListener(ctx, lb, step)
	}
	i := slices.IndexFunc(lb.Pools, func(p cloud.Pool) bool { return p.Name == step.Key })
	if i < 0 {
		return errStale
	}
	pool := lb.Pools[i]
	return withID(pool.ID, func() error { return c.doPool(ctx, pool, step) })
}

func (c *Controller) doListener(ctx context.Context, lb cloud.LoadBalancer, step *loadbalancer.Step) error {
	for _, p := range lb.Pools {
		if p.Name == step.Listener.Pool {
			step.Listener.DefaultPoolID = p.ID
		}
	}
	return withID(step.Listener.DefaultPoolID, func() error {
		if step.Action == loadbalancer.CreateListener {
			made, err := c.opts.Cloud.CreateListener(ctx, lb.ID, step.Listener)
			step.Listener.ID = made.ID
			return err
		}
		for _, l := range lb.Listeners {
			if l.Name == step.Key {
				step.Listener.ID = l.ID
			}
		}
		return withID(step.Listener.ID, func() error { return c.opts.Cloud.UpdateListener(ctx, step.Listener) })
	})
}

func (c *Controller) doPool(ctx context.Context, pool cloud.Pool, step *loadbalancer.Step) error {
	api := c.opts.Cloud
	monitorID := ""
	if pool.Monitor != nil {
		monitorID = pool.Monitor.ID
	}
	switch step.Action {
	case loadbalancer.UpdatePool:
		step.Pool.ID = pool.ID
		return api.UpdatePool(ctx, step.Pool)
	case loadbalancer.SetMembers:
		return api.SetMembers(ctx, pool.ID, step.Members)
	case loadbalancer.CreateMonitor:
		made, err := api.CreateMonitor(ctx, pool.ID, step.Monitor)
		step.Monitor.ID = made.ID
		return err
	case loadbalancer.UpdateMonitor:
		step.Monitor.ID = monitorID
		return withID(monitorID, func() error { return api.UpdateMonitor(ctx, step.Monitor) })
	case loadbalancer.DeleteMonitor:
		return ignoreNotFound(withID(monitorID, func() error { return api.DeleteMonitor(ctx, monitorID) }))
	default:
		return fmt.Errorf("step %q: %w: not known here", step.Action, cloud.ErrInvalid)
	}
}

func withID(id string, call func() error) error {
	if id == "" {
		return errStale
	}
	return call()
}

func ignoreNotFound(err error) error {
	if errors.Is(err, cloud.ErrNotFound) {
		return nil
	}
	return err
}

// awaitPending waits for the balancers that somebody set to work: a predecessor of ours, or other hands. It reports false
// when there is none.
func (c *Controller) awaitPending(ctx context.Context, key string, r *serviceRecord) bool {
	for _, lb := range r.observed.Balancers {
		if lb.Provisioning == cloud.ProvisioningPending {
			r.forgetObserved()
			r.lastWrite = time.Now() // not ours, but no list from before it ends will do
			c.await(ctx, key, r, lb.ID, "")
			return true
		}
	}
	return false
}

// stuckAfter is how long a balancer may be pending before the user hears of it. Octavia itself gives one up after a quarter
// of an hour (amp_active_retries of 10 s for an amphora's boot, and connection_max_retries of 5 s for its first answer).
const stuckAfter = 10 * time.Minute

// tellStuck tells the user what is waited for. Octavia refuses every change of a pending balancer, its deletion too.
func (c *Controller) tellStuck(ctx context.Context, key string, lb cloud.LoadBalancer) {
	klog.FromContext(ctx).Info("The cloud works on a load balancer for unusually long; it is waited for", "id", lb.ID, "status", lb.RawState)
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return
	}
	if s, err := c.services.Services(namespace).Get(name); err == nil {
		c.warn(s, reasonStuck, "Load balancer %s has been %s for %s. Until the cloud is done it takes no change; it is waited for. "+
			"If it stays so, only the cloud's operator can help", lb.ID, lb.RawState, stuckAfter)
	}
}

// await has the key enqueued when the cloud is done with a balancer. kind is empty when it is not known what it does.
func (c *Controller) await(ctx context.Context, key string, r *serviceRecord, id, kind string) {
	if r.waiting {
		return
	}
	r.waiting = true
	c.waiters.Go(func() {
		var unfinished time.Time
		began, told := time.Now(), false
		lb, err := c.observer.Await(ctx, kind, id, func(lb cloud.LoadBalancer, err error) (bool, error) {
			if err == nil && lb.Provisioning == cloud.ProvisioningPending && !told && time.Since(began) >= stuckAfter {
				told = true
				c.tellStuck(ctx, key, lb)
			}
			switch {
			case err != nil || lb.Provisioning == cloud.ProvisioningDeleted:
				return true, cloud.ErrNotFound
			case kind != kindCreate || len(loadbalancer.Unfinished(lb)) == 0:
				return lb.Provisioning != cloud.ProvisioningPending, nil
			case unfinished.IsZero():
				unfinished = time.Now()
			}
			return time.Since(unfinished) >= loadbalancer.PartGrace, nil
		})
		if err == nil && kind == kindCreate {
			lb = c.proof(ctx, lb)
			c.learn(lb)
		}
		r.mu.Lock()
		r.waiting = false
		if r.unfinished.IsZero() {
			r.unfinished = unfinished
		}
		good := r.arrived(id, lb, err, kind)
		r.mu.Unlock()
		switch {
		case ctx.Err() != nil:
		case good:
			c.queue.Add(key)
		default:
			c.queue.AddRateLimited(key)
		}
	})
}

// arrived takes over what a wait ended with. It reports false for an end that speaks for trying again later: a balancer
// that the cloud gave up would otherwise be built anew as fast as it fails.
func (r *serviceRecord) arrived(id string, lb cloud.LoadBalancer, err error, kind string) bool {
	if errors.Is(err, cloud.ErrNotFound) {
		// What comes after a removal is made, and for that the cloud is looked at anew; nothing comes after the last.
		if kind != kindDelete || !r.removal {
			r.forgetObserved()
		}
		if r.lastID == id {
			r.lastID = ""
		}
		return true
	}
	if err != nil || kind == kindDelete || lb.Provisioning != cloud.ProvisioningActive {
		r.forgetObserved()
		return false
	}
	for i := range r.observed.Balancers {
		if have := &r.observed.Balancers[i]; have.ID == id {
			*have = loadbalancer.Overlay(*have, lb)
			have.VIP, have.VIPPortID = cmp.Or(lb.VIP, have.VIP), cmp.Or(lb.VIPPortID, have.VIPPortID)
		}
	}
	r.noteUnfinished()
	return true
}
