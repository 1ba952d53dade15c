// Package service is the Service controller: it keeps one load balancer in the cloud for every Service of type
// LoadBalancer. What to do is decided by package loadbalancer; this package watches, observes, applies and reports.
//
// It stands in for the cloud-provider library's controller and keeps what users see of that one: finalizer, event
// reasons, default class, node predicates. Other than that one it never waits for the cloud inside a worker.
package service

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/observe"
	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

const (
	// DefaultClass is the loadBalancerClass that is ours beside no class at all.
	DefaultClass = "fairlead.io/loadbalancer"

	minRetryDelay = time.Second
	maxRetryDelay = 5 * time.Minute
	// invalidRetryDelay is how soon a Service that asks for what cannot be is tried again: the cloud may have changed.
	invalidRetryDelay = time.Minute
	// factsTTL is how long networks and subnets are remembered, factsMinAge how young they must be to judge a Service
	// invalid.
	factsTTL    = 10 * time.Minute
	factsMinAge = 15 * time.Second
	// listTTL is how long lists of balancers and floating IPs may serve where freshness does not matter.
	listTTL = 30 * time.Second
	// nodeDebounce gathers nodes that come and go together into one round.
	nodeDebounce = time.Second
)

// Cloud is what the controller needs of a cloud.
type Cloud interface {
	cloud.LoadBalancers
	cloud.Networks
}

// Options are what a Controller works with. Zero durations mean the defaults.
type Options struct {
	Client   kubernetes.Interface
	Services coreinformers.ServiceInformer
	Nodes    coreinformers.NodeInformer
	Recorder record.EventRecorder
	Cloud    Cloud
	// Cluster is the UID of the kube-system namespace: the identity of everything made in the cloud.
	Cluster string
	// Class is the loadBalancerClass that is ours; Services without a class are ours too. Empty: DefaultClass.
	Class    string
	Defaults loadbalancer.Defaults
	// Metrics takes the metrics; nil: none are kept.
	Metrics prometheus.Registerer
	// DriftPeriod is how often everything of a Service is read and mended; it is jittered. Default 10 min.
	DriftPeriod time.Duration
	// SweepPeriod is how often one list of the cluster's balancers is compared with what should be. Default 1 min.
	SweepPeriod time.Duration
}

// Controller keeps load balancers in step with Services. Make one with New, and Run it once.
type Controller struct {
	opts     Options
	services corelisters.ServiceLister
	nodes    corelisters.NodeLister
	synced   []cache.InformerSynced
	queue    workqueue.TypedRateLimitingInterface[string]

	balancers   *observe.ListCache[cloud.LoadBalancer]
	floatingIPs *observe.ListCache[cloud.FloatingIP]
	networks    *observe.ListCache[cloud.Network]
	subnets     *observe.ListCache[cloud.Subnet]
	observer    *observe.Observer[cloud.LoadBalancer]
	trees       *trees
	waiters     sync.WaitGroup
	started     time.Time

	mu      sync.Mutex
	records map[string]*serviceRecord // by key
}

// New makes a Controller and registers it with the informers, which the caller starts.
func New(opts Options) (*Controller, error) {
	if opts.Cluster == "" {
		return nil, fmt.Errorf("service controller: %w: the cluster has no id", cloud.ErrInvalid)
	}
	if opts.Class == "" {
		opts.Class = DefaultClass
	}
	if opts.DriftPeriod == 0 {
		opts.DriftPeriod = 10 * time.Minute
	}
	if opts.SweepPeriod == 0 {
		opts.SweepPeriod = time.Minute
	}
	list := func(ctx context.Context) ([]cloud.LoadBalancer, error) {
		return opts.Cloud.ListLoadBalancers(ctx, loadbalancer.ClusterTag(opts.Cluster))
	}
	c := &Controller{
		opts:     opts,
		services: opts.Services.Lister(),
		nodes:    opts.Nodes.Lister(),
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](minRetryDelay, maxRetryDelay),
			workqueue.TypedRateLimitingQueueConfig[string]{Name: "service"}),
		balancers: observe.NewListCache(list, listTTL, clock.RealClock{}),
		floatingIPs: observe.NewListCache(func(ctx context.Context) ([]cloud.FloatingIP, error) {
			return opts.Cloud.ListFloatingIPs(ctx, cloud.FloatingIPFilter{})
		}, listTTL, clock.RealClock{}),
		networks: observe.NewListCache(func(ctx context.Context) ([]cloud.Network, error) {
			return opts.Cloud.ListNetworks(ctx, cloud.NetworkFilter{})
		}, factsTTL, clock.RealClock{}),
		subnets: observe.NewListCache(func(ctx context.Context) ([]cloud.Subnet, error) {
			return opts.Cloud.ListSubnets(ctx, "")
		}, factsTTL, clock.RealClock{}),
		records: map[string]*serviceRecord{},
	}
	c.observer = observe.New(observe.Options[cloud.LoadBalancer]{
		Get: c.look, List: list, ID: func(lb cloud.LoadBalancer) string { return lb.ID },
	})
	var err error
	if c.trees, err = newTrees(opts.Metrics); err != nil {
		return nil, err
	}
	if err := c.watch(); err != nil {
		return nil, err
	}
	return c, nil
}

// watch makes the informers fill the queue.
func (c *Controller) watch() error {
	services, err := c.opts.Services.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { c.enqueue(obj) },
		UpdateFunc: func(old, cur any) {
			if concerns(old.(*corev1.Service), cur.(*corev1.Service)) {
				c.enqueue(cur)
			}
		},
		DeleteFunc: func(obj any) { c.enqueue(obj) },
	})
	if err != nil {
		return fmt.Errorf("watch services: %w", err)
	}
	nodes, err := c.opts.Nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { c.enqueueAll() },
		UpdateFunc: func(old, cur any) {
			if nodeMatters(old.(*corev1.Node), cur.(*corev1.Node)) {
				c.enqueueAll()
			}
		},
		DeleteFunc: func(any) { c.enqueueAll() },
	})
	if err != nil {
		return fmt.Errorf("watch nodes: %w", err)
	}
	c.synced = []cache.InformerSynced{services.HasSynced, nodes.HasSynced}
	return nil
}

func (c *Controller) enqueue(obj any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj)
	if err != nil {
		utilruntime.HandleError(fmt.Errorf("key of %T: %w", obj, err))
		return
	}
	c.queue.Add(key)
}

// enqueueAll has every Service of ours looked at again, soon: a Service whose nodes are the same costs no call.
func (c *Controller) enqueueAll() {
	services, err := c.services.List(labels.Everything())
	if err != nil {
		utilruntime.HandleError(fmt.Errorf("list services: %w", err))
		return
	}
	for _, s := range services {
		if c.wants(s) {
			c.queue.AddAfter(s.Namespace+"/"+s.Name, nodeDebounce)
		}
	}
}

// Run works until ctx ends, and returns when everything it started has ended.
func (c *Controller) Run(ctx context.Context, workers int) {
	defer utilruntime.HandleCrashWithContext(ctx)
	logger := klog.FromContext(ctx).WithName("service-controller")
	ctx = klog.NewContext(ctx, logger)
	logger.Info("Starting", "workers", workers, "cluster", c.opts.Cluster, "class", c.opts.Class)
	c.started = time.Now().Add(-1) // a list that is asked for in this very instant will do
	if !cache.WaitForCacheSync(ctx.Done(), c.synced...) {
		c.queue.ShutDown()
		return
	}
	var group sync.WaitGroup
	for range workers {
		group.Go(func() { c.work(ctx) })
	}
	group.Go(func() {
		wait.JitterUntilWithContext(ctx, c.sweep, c.opts.SweepPeriod, 0.2, true)
	})
	<-ctx.Done()
	c.queue.ShutDown()
	group.Wait()
	c.waiters.Wait()
	logger.Info("Stopped")
}

func (c *Controller) work(ctx context.Context) {
	for {
		key, quit := c.queue.Get()
		if quit {
			return
		}
		c.handle(ctx, key)
	}
}

// handle reconciles one key and says when it comes up again.
func (c *Controller) handle(ctx context.Context, key string) {
	defer c.queue.Done(key)
	logger := klog.FromContext(ctx).WithValues("service", key)
	again, err := c.Reconcile(klog.NewContext(ctx, logger), key)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		logger.Info("Will try again", "failures", c.queue.NumRequeues(key)+1, "err", err)
		c.queue.AddRateLimited(key)
	case again > 0:
		c.queue.AddAfter(key, again)
	}
}

// wants reports whether the Service shall have a load balancer of ours.
func (c *Controller) wants(s *corev1.Service) bool {
	if s.Spec.Type != corev1.ServiceTypeLoadBalancer || !s.DeletionTimestamp.IsZero() {
		return false
	}
	return s.Spec.LoadBalancerClass == nil || *s.Spec.LoadBalancerClass == c.opts.Class
}

// foreign reports whether the Service belongs to the controller of another class, finalizer and all.
func (c *Controller) foreign(s *corev1.Service) bool {
	return s.Spec.LoadBalancerClass != nil && *s.Spec.LoadBalancerClass != c.opts.Class
}

func hasFinalizer(s *corev1.Service) bool { return slices.Contains(s.Finalizers, finalizer) }
