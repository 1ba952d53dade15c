package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-io/fairlead/pkg/csi"
	"github.com/fairlead-io/fairlead/pkg/disk"
)

type nodeFlags struct {
	commonFlags
	nodeName        string
	registrationDir string
	stateDir        string
	metadataURL     string
	sources         []string
	maxVolumes      int64
	deviceTimeout   time.Duration
}

func newNodeCommand() *cobra.Command {
	var f nodeFlags
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Serve the node: find, format, mount and grow the disks of this machine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.apply(); err != nil {
				return err
			}
			return runNode(cmd.Context(), f)
		},
	}
	fs := cmd.Flags()
	f.add(fs, ":9809")
	fs.StringVar(&f.nodeName, "node-name", os.Getenv("NODE_NAME"), "Name of this machine's Node object; default: $NODE_NAME")
	fs.StringVar(&f.registrationDir, "registration-dir", "/var/lib/kubelet/plugins_registry",
		"The kubelet's directory of registration sockets; empty: do not register")
	fs.StringVar(&f.stateDir, "state-dir", "", "Where records of formats under way outlive a reboot; empty: beside the endpoint's socket")
	fs.StringVar(&f.metadataURL, "metadata-url", csi.DefaultMetadataURL, "The cloud's metadata service")
	fs.StringSliceVar(&f.sources, "identity-sources", csi.DefaultIdentitySources, "Where the machine's instance and zone are looked up, in this order")
	fs.Int64Var(&f.maxVolumes, "max-volumes", csi.DefaultMaxVolumes, "How many volumes the scheduler may place on this machine")
	fs.DurationVar(&f.deviceTimeout, "device-timeout", 30*time.Second, "How long to wait for an attached disk's device to appear")
	return cmd
}

// runNode serves until ctx ends.
func runNode(ctx context.Context, f nodeFlags) error {
	socket := csi.SocketPath(f.endpoint)
	if f.stateDir == "" {
		f.stateDir = filepath.Join(filepath.Dir(socket), "state")
	}
	host := disk.NewHost(disk.Options{StateDir: f.stateDir, DeviceTimeout: f.deviceTimeout})
	identifier, err := f.identifier(host)
	if err != nil {
		return err
	}
	node, err := csi.NewNode(csi.NodeOptions{
		Host: host, Identify: identifier.Identify, TopologyKey: csi.TopologyZone, MaxVolumes: f.maxVolumes,
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.stateDir, 0o700); err != nil {
		return fmt.Errorf("--state-dir: %w", err)
	}
	if err := host.ForgetFormats(ctx); err != nil {
		return fmt.Errorf("--state-dir: %w", err)
	}
	metrics := newMetrics()
	ready := func(context.Context) error { return nil }
	group, ctx := errgroup.WithContext(ctx)
	if f.registrationDir != "" {
		registration, err := csi.NewRegistration(csi.RegistrationOptions{
			DriverName: f.driverName, Dir: f.registrationDir, Endpoint: socket,
			Ready: func(ctx context.Context) error { _, err := identifier.Identify(ctx); return err },
		})
		if err != nil {
			return err
		}
		ready = func(context.Context) error { return registration.Registered() }
		group.Go(func() error { return registration.Run(ctx) })
	}
	group.Go(func() error { return serveHTTP(ctx, f.httpEndpoint, ready, metrics) })
	group.Go(func() error {
		return serveCSI(ctx, f.endpoint, csi.ServerOptions{
			Identity: &csi.Identity{DriverName: f.driverName, Version: version}, Node: node, Registerer: metrics,
		})
	})
	return group.Wait()
}

// identifier makes the sources of the node's identity. The Kubernetes API is needed only for one of them.
func (f *nodeFlags) identifier(host *disk.Host) (*csi.NodeIdentifier, error) {
	for _, name := range f.sources {
		if !slices.Contains(csi.DefaultIdentitySources, name) {
			return nil, fmt.Errorf("--identity-sources: %q is unknown; allowed are %s", name, strings.Join(csi.DefaultIdentitySources, ", "))
		}
	}
	available := []csi.IdentitySource{csi.MetadataSource(f.metadataURL), csi.ConfigDriveSource(host), csi.DMISource("/sys")}
	if slices.Contains(f.sources, csi.SourceNode) {
		config, err := clientcmd.BuildConfigFromFlags("", f.kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("--identity-sources has %s, but there is no Kubernetes API (set --kubeconfig): %w", csi.SourceNode, err)
		}
		node, err := csi.NodeObjectSource(config, f.nodeName)
		if err != nil {
			return nil, fmt.Errorf("--node-name: %w", err)
		}
		available = append(available, node)
	}
	sources, err := csi.ConfiguredIdentitySources(f.sources, available...)
	if err != nil {
		return nil, fmt.Errorf("--identity-sources: %w", err)
	}
	return csi.NewNodeIdentifier(sources...), nil
}
