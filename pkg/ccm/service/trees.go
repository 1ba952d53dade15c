package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

// treeQuality is whether a cloud finishes the parts that are created with their balancer. Every process learns it anew:
// an operator mends it.
type treeQuality int

const (
	treesUnknown treeQuality = iota
	treesWhole
	treesUnfinished
)

// trees is what was learned of the cloud.
type trees struct {
	mu      sync.Mutex
	quality treeQuality
	asking  chan struct{} // holds an element while one balancer is asked for on behalf of all
	counter prometheus.Counter
}

func newTrees(reg prometheus.Registerer) (*trees, error) {
	t := &trees{asking: make(chan struct{}, 1), counter: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "fairlead_load_balancers_unfinished_total",
		Help: "Load balancers that the cloud made active and whose parts it left unfinished.",
	})}
	if reg == nil {
		return t, nil
	}
	if err := reg.Register(t.counter); err != nil {
		return nil, fmt.Errorf("service controller: register the metrics: %w", err)
	}
	return t, nil
}

func (t *trees) are(q treeQuality) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.quality == q
}

// proven notes that a whole tree was finished.
func (t *trees) proven() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.quality == treesUnknown {
		t.quality = treesWhole
	}
}

// disproven notes that one was not. It reports whether that is news.
func (t *trees) disproven() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	news := t.quality != treesUnfinished
	t.quality = treesUnfinished
	return news
}

// look reads one balancer that is waited for. As long as it is not known that the cloud finishes what it began, the parts'
// states are read instead: that is one request too.
func (c *Controller) look(ctx context.Context, id string) (cloud.LoadBalancer, error) {
	if c.trees.are(treesWhole) {
		return c.opts.Cloud.GetLoadBalancerState(ctx, id)
	}
	return c.opts.Cloud.GetLoadBalancerParts(ctx, id)
}

func hasParts(lb cloud.LoadBalancer) bool { return len(lb.Listeners)+len(lb.Pools) > 0 }

// proof adds the states of its parts to a new balancer that was seen active in a list. Of many that come at once one is
// enough where all is well.
func (c *Controller) proof(ctx context.Context, lb cloud.LoadBalancer) cloud.LoadBalancer {
	if hasParts(lb) || lb.Provisioning != cloud.ProvisioningActive {
		return lb
	}
	select {
	case c.trees.asking <- struct{}{}:
		defer func() { <-c.trees.asking }()
	case <-ctx.Done():
		return lb
	}
	if c.trees.are(treesWhole) {
		return lb
	}
	parts, err := c.opts.Cloud.GetLoadBalancerParts(ctx, lb.ID)
	if err != nil {
		klog.FromContext(ctx).Info("Whether the cloud finished a load balancer's parts was not seen", "id", lb.ID, "err", err)
		return lb
	}
	c.learn(parts)
	lb.Listeners, lb.Pools = parts.Listeners, parts.Pools
	return lb
}

// learn draws the good conclusion from a balancer that was created whole; the bad one takes time.
func (c *Controller) learn(lb cloud.LoadBalancer) {
	if hasParts(lb) && lb.Provisioning == cloud.ProvisioningActive && len(loadbalancer.Unfinished(lb)) == 0 {
		c.trees.proven()
	}
}

// noteUnfinished remembers since when parts are unfinished in an active balancer.
func (r *serviceRecord) noteUnfinished() {
	for _, lb := range r.observed.Balancers {
		if len(loadbalancer.Unfinished(lb)) == 0 {
			continue
		}
		if r.unfinished.IsZero() {
			r.unfinished = time.Now()
		}
		return
	}
	r.unfinished = time.Time{}
}

// plan asks the core, with what time and the process know.
func (c *Controller) plan(r *serviceRecord, spec loadbalancer.Spec) ([]loadbalancer.Step, time.Duration, error) {
	r.observed.Unfinished = 0
	if !r.unfinished.IsZero() {
		r.observed.Unfinished = time.Since(r.unfinished)
	}
	r.observed.PartByPart = c.trees.are(treesUnfinished)
	steps, recheck, err := loadbalancer.Plan(spec, r.observed)
	var unfinished *loadbalancer.UnfinishedError
	if errors.As(err, &unfinished) {
		r.observed.Finished = nil // the next try, some time later, writes to them again
	}
	return steps, recheck, err
}

// tellUnfinished tells the user, the operator and the process itself that the cloud left parts unfinished, pools among
// them: that is how the defect in the creation of whole trees looks.
func (c *Controller) tellUnfinished(ctx context.Context, s *corev1.Service, r *serviceRecord, steps []loadbalancer.Step) {
	var parts []string
	id, pools := "", false
	for _, step := range steps {
		if step.Finishes != "" {
			parts = append(parts, step.Finishes)
			id, pools = step.Of, pools || step.Action == loadbalancer.UpdatePool
		}
	}
	if len(parts) == 0 || r.toldUnfinished {
		return
	}
	klog.FromContext(ctx).Info("The cloud left parts of an active load balancer unfinished; they are written to again", "id", id, "parts", parts)
	if !pools {
		return // ovn leaves listeners so when it changes a monitor; they serve all the same
	}
	r.toldUnfinished = true
	c.trees.counter.Inc()
	next := ""
	if c.trees.disproven() {
		next = " From now on load balancers are created part by part."
	}
	c.warn(s, reasonUnfinished, "The cloud says that load balancer %s is active, but left parts of it unfinished: %s. It does not serve so. "+
		"Each of them is now written to again.%s This is a defect of the cloud (OpenStack: Octavia 11.0.0, as in Debian 12, has it): "+
		"have the operator update it", id, strings.Join(parts, ", "), next)
}
