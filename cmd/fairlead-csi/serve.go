package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/csi"
)

// newMetrics returns a registry with the process's own metrics.
func newMetrics() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// serveHTTP serves health, readiness and metrics until ctx ends.
func serveHTTP(ctx context.Context, address string, ready func(context.Context) error, metrics prometheus.Gatherer) error {
	if address == "" {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("--http-endpoint: %w", err)
	}
	server := &http.Server{Handler: csi.NewHTTPHandler(ready, metrics), ReadHeaderTimeout: 10 * time.Second}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		<-gctx.Done()
		return server.Close() // nothing that it serves is worth waiting for
	})
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %s: %w", address, err)
		}
		return nil
	})
	return group.Wait()
}

// serveCSI serves the CSI services until ctx ends.
func serveCSI(ctx context.Context, endpoint string, o csi.ServerOptions) error {
	server, err := csi.NewServer(o)
	if err != nil {
		return err
	}
	listener, err := csi.Listen(ctx, endpoint)
	if err != nil {
		return err
	}
	klog.FromContext(ctx).Info("Serving", "driver", o.Identity.DriverName, "version", o.Identity.Version, "endpoint", endpoint)
	return server.Serve(ctx, listener)
}

// insist calls f until it succeeds, fails for good, or ctx ends.
func insist(ctx context.Context, pause time.Duration, forGood func(error) bool, f func(context.Context) error) error {
	for {
		err := f(ctx)
		if err == nil || forGood(err) || ctx.Err() != nil {
			return err
		}
		klog.FromContext(ctx).Error(err, "Trying again", "pause", pause)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}
