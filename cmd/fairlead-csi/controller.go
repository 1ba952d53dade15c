package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	_ "github.com/fairlead-io/fairlead/pkg/cloud/openstack" // the provider
	"github.com/fairlead-io/fairlead/pkg/cloud/preflight"
	"github.com/fairlead-io/fairlead/pkg/csi"
)

// connectPause is the pause between attempts to reach what the controller needs.
const connectPause = 3 * time.Second

type controllerFlags struct {
	commonFlags
	cloudConfig     string
	cloudName       string
	userAgentSuffix string
	clusterID       string
	zones           string
	policy          csi.ZonePolicy
	qps             float64
	burst           int
	preflight       bool
}

func newControllerCommand() *cobra.Command {
	var f controllerFlags
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Serve the controller: create, delete, attach, detach and extend disks",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if f.policy, err = csi.ParseZonePolicy(f.zones); err != nil {
				return fmt.Errorf("--volume-zones: %w", err)
			}
			if err := f.apply(); err != nil {
				return err
			}
			if f.preflight {
				found := preflight.Run(cmd.Context(), "openstack", f.config(nil), f.use())
				return preflight.Print(cmd.OutOrStdout(), found)
			}
			return runController(cmd.Context(), f)
		},
	}
	fs := cmd.Flags()
	f.add(fs, ":9808")
	fs.StringVar(&f.cloudConfig, "cloud-config", "", "Credentials file of the cloud, clouds.yaml or cloud.conf; empty: the usual places of clouds.yaml")
	fs.StringVar(&f.cloudName, "cloud", "", "Entry of clouds.yaml to use; empty: that of OS_CLOUD, or the only one")
	fs.StringVar(&f.userAgentSuffix, "user-agent", "", "Text that follows the program's name and version in the User-Agent of requests to the cloud, such as the cluster's name")
	fs.StringVar(&f.clusterID, "cluster-id", "", "Identity of this cluster, by which it knows its disks; empty: the UID of the namespace kube-system")
	fs.StringVar(&f.zones, "volume-zones", string(csi.ZonesAuto),
		"Whether disks can be used only in the zone of their name: auto (if the cloud has disks in the node's zone), match (yes), ignore (no)")
	fs.Float64Var(&f.qps, "cloud-api-qps", 0, "Requests per second to the cloud's API; 0: no limit")
	fs.IntVar(&f.burst, "cloud-api-burst", 20, "Requests at once to the cloud's API, with --cloud-api-qps")
	fs.BoolVar(&f.preflight, "preflight", false, "Check the cloud, print what was found, and end: with status 1 if something is wrong. Needs no Kubernetes")
	return cmd
}

// config is where the cloud is found; metrics may be nil.
func (f *controllerFlags) config(metrics prometheus.Registerer) cloud.Config {
	return cloud.Config{
		File: f.cloudConfig, Name: f.cloudName, QPS: f.qps, Burst: f.burst, Metrics: metrics,
		UserAgent: strings.TrimSpace("fairlead-csi/" + version + " " + f.userAgentSuffix),
	}
}

// use is what the controller wants of the cloud.
func (f *controllerFlags) use() cloud.Use {
	missing := map[csi.ZonePolicy]cloud.Level{csi.ZonesIgnore: cloud.LevelOK, csi.ZonesMatch: cloud.LevelError, csi.ZonesAuto: cloud.LevelInfo}
	return cloud.Use{Disks: true, ZoneWithoutDisks: missing[f.policy]}
}

// runController serves until ctx ends. Health is served from the start; the rest when the cloud has answered.
func runController(ctx context.Context, f controllerFlags) error {
	metrics := newMetrics()
	var opened atomic.Pointer[cloud.Cloud]
	ready := csi.NewReadiness(func(ctx context.Context) error {
		c := opened.Load()
		if c == nil {
			return errors.New("the cloud has not answered yet")
		}
		return (*c).Ping(ctx)
	})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveHTTP(ctx, f.httpEndpoint, ready.Check, metrics) })
	group.Go(func() error {
		c, clusterID, err := f.connect(ctx, metrics)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // told to stop: whatever was under way does not matter
		case err != nil:
			return err
		}
		opened.Store(&c)
		controller := csi.NewController(c, csi.ControllerOptions{ClusterID: clusterID, Zones: f.policy})
		controller.Warm(ctx)
		group.Go(func() error { return preflight.Watch(ctx, c, f.use(), metrics) })
		return serveCSI(ctx, f.endpoint, csi.ServerOptions{
			Identity:   &csi.Identity{DriverName: f.driverName, Version: version, Controller: true, Ready: ready.Check},
			Controller: controller,
			Registerer: metrics,
		})
	})
	return group.Wait()
}

// connect opens the cloud and learns the cluster's identity. What the cloud refuses or does not answer is tried again,
// because it can be put right without a restart; a mistake in the configuration is an error at once.
func (f *controllerFlags) connect(ctx context.Context, metrics prometheus.Registerer) (c cloud.Cloud, clusterID string, err error) {
	forGood := func(err error) bool {
		return !errors.Is(err, cloud.ErrUnavailable) && !errors.Is(err, cloud.ErrUnauthorized)
	}
	err = insist(ctx, connectPause, forGood, func(ctx context.Context) (err error) {
		c, err = cloud.Open(ctx, "openstack", f.config(metrics))
		return err
	})
	if err != nil || f.clusterID != "" {
		return c, f.clusterID, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", f.kubeconfig)
	if err != nil {
		return c, "", fmt.Errorf("the Kubernetes API (set --kubeconfig, or --cluster-id to do without): %w", err)
	}
	never := func(error) bool { return false }
	err = insist(ctx, connectPause, never, func(ctx context.Context) (err error) {
		clusterID, err = csi.ClusterID(ctx, config)
		return err
	})
	return c, clusterID, err
}
