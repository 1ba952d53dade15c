// Command fairlead-ccm is the cloud-controller-manager of Fairlead.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // metrics of the Kubernetes client
	_ "k8s.io/component-base/metrics/prometheus/version"  // the build as a metric

	"github.com/fairlead-io/fairlead/pkg/ccm"
	_ "github.com/fairlead-io/fairlead/pkg/cloud/openstack" // the provider
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd, err := ccm.NewCommand(ctx, "fairlead-ccm/"+version)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return cli.Run(cmd)
}
