// Command fairlead-csi is the CSI driver of Fairlead: the controller service, which talks to the cloud, or the node
// service, which mounts disks.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json

	"github.com/fairlead-io/fairlead/pkg/csi"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd := newCommand()
	cmd.SetArgs(args)
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "fairlead-csi:", err)
		return 1
	}
	return 0
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "fairlead-csi",
		Short:         "CSI driver for the disks of OpenStack clouds",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newControllerCommand(), newNodeCommand())
	return root
}

// commonFlags are those of both services.
type commonFlags struct {
	endpoint     string
	httpEndpoint string
	driverName   string
	kubeconfig   string
	logging      *logsapi.LoggingConfiguration
}

func (f *commonFlags) add(fs *pflag.FlagSet, httpEndpoint string) {
	fs.StringVar(&f.endpoint, "endpoint", "unix:///csi/csi.sock", "Unix socket on which the CSI services are served")
	fs.StringVar(&f.httpEndpoint, "http-endpoint", httpEndpoint, "Address on which /healthz, /readyz and /metrics are served; empty: nowhere")
	fs.StringVar(&f.driverName, "driver-name", csi.DefaultDriverName, "Name of the CSI driver, as in StorageClass.provisioner")
	fs.StringVar(&f.kubeconfig, "kubeconfig", "", "Credentials file for the Kubernetes API; empty: those of the pod")
	f.logging = logsapi.NewLoggingConfiguration()
	logsapi.AddFlags(f.logging, fs)
}

// apply checks the flags and sets up logging; nothing is logged before.
func (f *commonFlags) apply() error {
	if csi.SocketPath(f.endpoint) == "" {
		return fmt.Errorf("--endpoint %q: want a unix socket, as in unix:///csi/csi.sock", f.endpoint)
	}
	if f.driverName == "" {
		return fmt.Errorf("--driver-name is empty; the default is %s", csi.DefaultDriverName)
	}
	if err := logsapi.ValidateAndApply(f.logging, nil); err != nil {
		return fmt.Errorf("logging flags: %w", err)
	}
	return nil
}
