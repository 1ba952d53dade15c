// Package devcloud is the embedded cloud: an OpenStack-compatible API on one machine with real disks and real load
// balancing behind it. Here its parts are put together; package engine keeps the state, package api speaks HTTP, package
// dataplane does the work.
package devcloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/identity"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/loadbalancer"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

// Cloud is one embedded cloud.
type Cloud struct {
	URL    string // where its APIs are: the identity endpoint is URL + "/identity/v3"
	Engine *engine.Engine
	Core   *api.Core

	config   Config
	listener net.Listener
	plane    *dataPlane

	identity      *identity.Service
	volumes       *blockstorage.Service
	network       *network.Service
	compute       *compute.Service
	loadBalancers *loadbalancer.Service
}

// New opens the state and the listener; nothing is answered before Run. Close it, also when Run was never called.
// clk is the time that operations take; nil is the real one.
func New(ctx context.Context, config Config, clk clock.WithTicker) (_ *Cloud, err error) {
	c := &Cloud{config: config}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	times, err := config.Times.Over(engine.Times{Default: engine.DefaultTime})
	if err != nil {
		return nil, err
	}
	state := ""
	if config.StateDir != "" {
		if err := os.MkdirAll(config.StateDir, 0o700); err != nil {
			return nil, fmt.Errorf("stateDir: %w", err)
		}
		state = filepath.Join(config.StateDir, "state.db")
	}
	if c.Engine, err = engine.New(engine.Options{Path: state, Clock: clk, Times: times}); err != nil {
		return nil, fmt.Errorf("%w (does another devcloud use this stateDir?)", err)
	}
	faults := api.NewFaults(clk)
	if err := c.assemble(ctx, faults); err != nil {
		return nil, err
	}
	listen := net.ListenConfig{}
	if c.listener, err = listen.Listen(ctx, "tcp", config.Listen); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	c.URL = cmp.Or(config.PublicURL, "http://"+c.listener.Addr().String())
	c.Core = api.NewCore(c.tokens(), c.URL, clk)
	c.Core.Faults = faults
	if c.Core.Newest, err = config.newest(); err != nil {
		return nil, fmt.Errorf("microversions: %w", err)
	}
	return c, nil
}

// assemble makes the services and what stands behind them, and brings back what was there before a restart.
func (c *Cloud) assemble(ctx context.Context, faults *api.Faults) (err error) {
	if c.plane, err = newDataPlane(ctx, c.config, c.describe); err != nil {
		return err
	}
	if c.identity, err = identity.New(c.Engine, c.config.identity()); err != nil {
		return err
	}
	if c.network, err = network.New(c.Engine, c.config.Quotas.Network); err != nil {
		return err
	}
	if c.volumes, err = blockstorage.New(c.Engine, faultyDisks{c.plane.disks, faults}, c.config.blockStorage()); err != nil {
		return err
	}
	if c.compute, err = compute.New(c.Engine, c.volumes, c.network, c.plane.host, c.config.compute()); err != nil {
		return err
	}
	if c.loadBalancers, err = loadbalancer.New(c.Engine, c.network, c.plane.balancer, c.config.Quotas.LoadBalancer); err != nil {
		return err
	}
	c.loadBalancers.ForgetParts(func() bool { return faults.Strike(api.PopulateOperation) != nil })
	err = c.Engine.Update(func(tx *engine.Tx) error {
		seed := network.Config{Networks: c.config.Networks, Routers: c.config.Routers}
		if err := c.network.Seed(tx, seed, c.config.projectID(c.config.Projects[0].Name)); err != nil {
			return err
		}
		return errors.Join(c.loadBalancers.Restore(tx), c.compute.Resume(tx))
	})
	if err != nil {
		return err
	}
	c.volumes.Resume(ctx)
	return nil
}

// stopTime is how long requests in flight may take to end.
const stopTime = 5 * time.Second

// Run answers requests and carries out tasks until ctx ends. Disks, nodes and virtual addresses stay as they are.
func (c *Cloud) Run(ctx context.Context) error {
	server := &http.Server{
		Handler: c.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	klog.FromContext(ctx).Info("The cloud is up", "identity", c.URL+"/identity/v3", "stateDir", c.config.StateDir)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.Engine.Run(ctx) })
	group.Go(func() error {
		if err := server.Serve(c.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if server.Shutdown(limited) != nil {
			return server.Close()
		}
		return nil
	})
	return group.Wait()
}

// Close releases the state, the listener and the data plane. Call it after Run has returned.
func (c *Cloud) Close() error {
	if c.listener != nil {
		_ = c.listener.Close() // the server may have done it
	}
	if c.plane != nil {
		c.plane.close()
	}
	if c.Engine == nil {
		return nil
	}
	return c.Engine.Close()
}
