package ccm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/cloud-provider/app"
	"k8s.io/cloud-provider/app/config"
	"k8s.io/cloud-provider/names"
	"k8s.io/cloud-provider/options"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/version/verflag"
	controllermanager "k8s.io/controller-manager/app"
	"k8s.io/controller-manager/controller"
	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/ccm/service"
	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/preflight"
	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

const (
	// defaultWorkers is how many Services are worked on at a time: a worker never waits for the cloud's work.
	defaultWorkers = 5
	// shutdownTimeout is how long steps under way may take to end after SIGTERM.
	shutdownTimeout = 10 * time.Second
	// connectPause is the pause between attempts to reach a cloud that did not answer at the start.
	connectPause = 3 * time.Second
)

// App is one run of the program.
type App struct {
	userAgent       string
	userAgentSuffix string // the administrator's
	options         *options.CloudControllerManagerOptions
	cloudName       string
	clusterID       string
	class           string
	defaults        loadbalancer.Defaults
	preflight       bool

	cloud    cloud.Cloud // nil until it has answered
	noCloud  error       // why it did not at the start
	client   kubernetes.Interface
	stopping context.Context
	led      atomic.Bool // this process became the leader
	running  sync.WaitGroup
}

// NewCommand returns the program. It ends when ctx does; userAgent is sent to the cloud.
func NewCommand(ctx context.Context, userAgent string) (*cobra.Command, error) {
	opts, err := options.NewCloudControllerManagerOptions()
	if err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	opts.KubeCloudShared.CloudProvider.Name = ProviderName
	opts.ServiceController.ConcurrentServiceSyncs = defaultWorkers
	opts.Generic.LeaderElection.ResourceName = "fairlead-ccm"
	a := &App{userAgent: userAgent, options: opts, stopping: ctx}
	aliases := names.CCMControllerAliases()
	delete(aliases, "route")
	cmd := app.NewCloudControllerManagerCommand(opts, a.provider, a.controllers(), aliases, a.flags(), ctx.Done())
	cmd.Use = "fairlead-ccm"
	cmd.Long = "fairlead-ccm tells Kubernetes the truth about the cloud's instances behind its nodes, and makes load\n" +
		"balancers for its Services of type LoadBalancer. The cloud's credentials are read from --cloud-config, a\n" +
		"clouds.yaml or a cloud.conf; without it, from the usual places of clouds.yaml."
	cmd.SilenceUsage = true
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flag("version").Value.String() == string(verflag.VersionTrue) {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.Replace(userAgent, "/", " ", 1))
			return err
		}
		verflag.PrintAndExitIfRequested() // --version=raw, which is about the libraries
		if a.preflight {
			return preflight.Print(cmd.OutOrStdout(), preflight.Run(ctx, ProviderName, a.config(nil), a.use()))
		}
		if err := a.open(ctx); err != nil {
			return err
		}
		if err := run(cmd, args); err != nil {
			return err
		}
		return a.shutdown(context.WithoutCancel(ctx))
	}
	return cmd, nil
}

func (a *App) flags() cliflag.NamedFlagSets {
	var sets cliflag.NamedFlagSets
	fs := sets.FlagSet("fairlead")
	fs.StringVar(&a.cloudName, "cloud", "", "The entry of --cloud-config to use. Default: $OS_CLOUD, or the only one.")
	fs.StringVar(&a.userAgentSuffix, "user-agent", "", "Text that follows the program's name and version in the User-Agent of requests to the cloud, such as the cluster's name.")
	fs.StringVar(&a.clusterID, "cluster-id", "", "Identity of this cluster on everything made in the cloud. Default: the UID of the namespace kube-system.")
	fs.StringVar(&a.class, "load-balancer-class", service.DefaultClass, "The loadBalancerClass of the Services to serve, beside those without a class.")
	fs.StringVar(&a.defaults.Provider, "load-balancer-provider", "", "The cloud's provider of new load balancers: amphora, ovn, or another one's name. Default: the cloud's choice.")
	fs.StringVar(&a.defaults.FloatingNetwork, "floating-network-id", "", "Id or name of the external network for public addresses. Default: the only one there is.")
	fs.StringVar(&a.defaults.Network, "network-id", "", "Id or name of the network for load balancers' own addresses. Default: the nodes' subnet.")
	fs.StringVar(&a.defaults.Subnet, "subnet-id", "", "Id or name of the subnet for load balancers' own addresses. Default: the nodes' subnet.")
	fs.BoolVar(&a.preflight, "preflight", false, "Check the cloud, print what was found, and end: with status 1 if something is wrong. Needs no Kubernetes.")
	return sets
}

// config is where the cloud is found; metrics may be nil.
func (a *App) config(metrics prometheus.Registerer) cloud.Config {
	return cloud.Config{
		File: a.options.KubeCloudShared.CloudProvider.CloudConfigFile, Name: a.cloudName, Metrics: metrics,
		UserAgent: strings.TrimSpace(a.userAgent + " " + a.userAgentSuffix),
	}
}

// use is what the controllers that run want of the cloud.
func (a *App) use() cloud.Use {
	var controllers []string
	for _, name := range a.options.Generic.Controllers {
		name, off := strings.CutPrefix(name, "-")
		name = cmp.Or(names.CCMControllerAliases()[name], name)
		if off {
			name = "-" + name
		}
		controllers = append(controllers, name)
	}
	service := controllermanager.IsControllerEnabled(names.ServiceLBController, app.ControllersDisabledByDefault, controllers)
	return cloud.Use{
		LoadBalancers: service, FloatingNetwork: a.defaults.FloatingNetwork, Network: a.defaults.Network, Subnet: a.defaults.Subnet,
	}
}

// open connects to the cloud before anything else happens, so that a bad configuration is the first line of the log. What
// the cloud refuses or does not answer can be put right without a restart: the leader tries again.
func (a *App) open(ctx context.Context) error {
	if name := a.options.KubeCloudShared.CloudProvider.Name; name != ProviderName {
		return fmt.Errorf("--cloud-provider: %q: allowed is %s", name, ProviderName)
	}
	err := a.connect(ctx)
	if errors.Is(err, cloud.ErrUnavailable) || errors.Is(err, cloud.ErrUnauthorized) {
		a.noCloud = err
		return nil
	}
	return err
}

// connect sets a.cloud.
func (a *App) connect(ctx context.Context) error {
	c, err := cloud.Open(ctx, ProviderName, a.config(legacyregistry.Registerer()))
	if err != nil {
		return fmt.Errorf("--cloud-config: %w", err)
	}
	a.cloud = c
	return nil
}

// connected is the provider of a cloud that may have to be waited for.
type connected struct {
	*Provider
	app *App
}

// provider is what the library works with. It asks for it when logging is set up.
func (a *App) provider(*config.CompletedConfig) cloudprovider.Interface {
	if a.noCloud != nil {
		klog.FromContext(a.stopping).Error(a.noCloud, "The cloud cannot be used yet; the leader will try again")
	}
	return &connected{Provider: NewProvider(unconnected{}, ""), app: a}
}

// Initialize implements cloudprovider.Interface. The library calls it in the leader, when health is served already and
// before any controller starts: this is the place to wait for the cloud. It returns without one when the program ends.
func (p *connected) Initialize(cloudprovider.ControllerClientBuilder, <-chan struct{}) {
	a := p.app
	a.led.Store(true)
	_ = wait.PollUntilContextCancel(a.stopping, connectPause, true, func(ctx context.Context) (bool, error) {
		if a.cloud != nil {
			return true, nil
		}
		if err := a.connect(ctx); err != nil {
			klog.FromContext(ctx).Error(err, "Trying again", "pause", connectPause)
			return false, nil
		}
		return true, nil
	})
	if a.cloud != nil {
		p.Provider = NewProvider(a.cloud, a.cloud.Region())
		a.running.Go(func() {
			if err := preflight.Watch(a.stopping, a.cloud, a.use(), legacyregistry.Registerer()); err != nil {
				klog.FromContext(a.stopping).Error(err, "The cloud is not checked")
			}
		})
	}
}

// unconnected is the cloud of a program that ends before it reached one.
type unconnected struct{ cloud.Instances }

func (unconnected) ListInstances(context.Context) ([]cloud.Instance, error) {
	return nil, &cloud.Error{Kind: cloud.ErrUnavailable, Op: "list instances", Message: "the program ends"}
}

// controllers are the ones that are real here: two of the library's and our own.
func (a *App) controllers() map[string]app.ControllerInitFuncConstructor {
	return map[string]app.ControllerInitFuncConstructor{
		names.CloudNodeController:          app.DefaultInitFuncConstructors[names.CloudNodeController],
		names.CloudNodeLifecycleController: app.DefaultInitFuncConstructors[names.CloudNodeLifecycleController],
		names.ServiceLBController: {
			InitContext: app.ControllerInitContext{ClientName: "service-controller"},
			Constructor: a.serviceController,
		},
	}
}

func (a *App) serviceController(init app.ControllerInitContext, completed *config.CompletedConfig, _ cloudprovider.Interface) app.InitFunc {
	a.client = completed.Client
	return func(ctx context.Context, manager controllermanager.ControllerContext) (controller.Interface, bool, error) {
		if a.cloud == nil {
			return nil, false, nil // the program ends
		}
		client, err := completed.ClientBuilder.Client(init.ClientName)
		if err != nil {
			return nil, false, fmt.Errorf("service controller: %w", err)
		}
		cluster, err := a.cluster(ctx, client)
		if err != nil {
			return nil, false, err
		}
		c, err := service.New(service.Options{
			Client:   client,
			Services: completed.SharedInformers.Core().V1().Services(),
			Nodes:    completed.SharedInformers.Core().V1().Nodes(),
			Recorder: completed.EventBroadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "service-controller"}),
			Cloud:    a.cloud,
			Cluster:  cluster,
			Class:    a.class,
			Defaults: a.defaults,
			Metrics:  legacyregistry.Registerer(),
		})
		if err != nil {
			return nil, false, err
		}
		ctx, cancel := context.WithCancel(ctx)
		context.AfterFunc(a.stopping, cancel) //nolint:contextcheck // it ends with the leadership or with the program
		workers := int(completed.ComponentConfig.ServiceController.ConcurrentServiceSyncs)
		a.running.Go(func() {
			defer cancel()
			manager.ControllerManagerMetrics.ControllerStarted("service")
			defer manager.ControllerManagerMetrics.ControllerStopped("service")
			c.Run(ctx, workers)
		})
		return nil, true, nil
	}
}

// cluster is the cluster's identity.
func (a *App) cluster(ctx context.Context, client kubernetes.Interface) (string, error) {
	if a.clusterID != "" {
		return a.clusterID, nil
	}
	ns, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("the cluster's identity, which is the UID of the namespace %s: %w: allow it to be read, or set --cluster-id",
			metav1.NamespaceSystem, err)
	}
	return string(ns.UID), nil
}

// shutdown lets steps under way end and gives the leadership away: otherwise the next leader waits until it expires.
func (a *App) shutdown(ctx context.Context) error {
	done := make(chan struct{})
	go func() { a.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(shutdownTimeout):
		return errors.New("shutdown: steps under way did not end in time")
	}
	election := a.options.Generic.LeaderElection
	if !election.LeaderElect || a.client == nil || !a.led.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	if err := releaseLease(ctx, a.client, election.ResourceNamespace, election.ResourceName); err != nil {
		klog.FromContext(ctx).Info("The leadership was not given away; the next leader waits until it expires", "err", err)
	}
	return nil
}

// releaseLease gives up a Lease that this process holds. The library's elector, which offers no way to do it, begins its
// holder's name with the host's; another process on the same host may hold it, so this is for one that has led.
func releaseLease(ctx context.Context, client kubernetes.Interface, namespace, name string) error {
	lease, err := client.CoordinationV1().Leases(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("lease %s/%s: %w", namespace, name, err)
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if lease.Spec.HolderIdentity == nil || !strings.HasPrefix(*lease.Spec.HolderIdentity, host+"_") {
		return nil
	}
	nobody, second, now := "", int32(1), metav1.NowMicro()
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds = &nobody, &second
	lease.Spec.RenewTime, lease.Spec.AcquireTime = &now, &now
	if _, err := client.CoordinationV1().Leases(namespace).Update(ctx, lease, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("lease %s/%s: %w", namespace, name, err)
	}
	return nil
}
