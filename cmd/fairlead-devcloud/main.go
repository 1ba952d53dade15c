// Command fairlead-devcloud is the embedded cloud: an OpenStack-compatible API on one machine, with real disks and real
// load balancing behind it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/devcloud"
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/address"
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/disk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "fairlead-devcloud:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "fairlead-devcloud",
		Short: "An OpenStack-compatible cloud on one machine, with real disks and real load balancing",
		Example: `  fairlead-devcloud default-config > devcloud.yaml
  fairlead-devcloud serve --config devcloud.yaml

  export OS_AUTH_URL=http://127.0.0.1:8780/identity/v3 OS_USERNAME=demo OS_PASSWORD=demo OS_PROJECT_NAME=demo
  export OS_USER_DOMAIN_NAME=Default OS_PROJECT_DOMAIN_NAME=Default OS_REGION_NAME=RegionOne
  openstack volume create --size 1 hello`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	root.PersistentFlags().AddGoFlag(flags.Lookup("v"))
	root.AddCommand(serve(), defaultConfig(), cleanup())
	return root
}

func serve() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the cloud until SIGTERM; disks, nodes and addresses stay as they are for the next start",
		Args:  cobra.NoArgs,
		Example: `  fairlead-devcloud serve --config devcloud.yaml
  curl http://127.0.0.1:8780/admin/violations   # what went wrong so far`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := devcloud.LoadConfig(path)
			if err != nil {
				return err
			}
			cloud, err := devcloud.New(cmd.Context(), config, nil)
			if err != nil {
				return err
			}
			return errors.Join(cloud.Run(cmd.Context()), cloud.Close())
		},
	}
	requireConfig(cmd, &path)
	return cmd
}

func requireConfig(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "config", "", "configuration file; see default-config")
	if err := cmd.MarkFlagRequired("config"); err != nil {
		panic(err) //nolint:forbidigo // the flag was just defined
	}
}

func defaultConfig() *cobra.Command {
	return &cobra.Command{
		Use:   "default-config",
		Short: "Print an example configuration",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprint(cmd.OutOrStdout(), devcloud.DefaultConfigYAML())
		},
	}
}

func cleanup() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "cleanup",
		Short: "Give back what a stopped cloud left on this machine: loop devices and virtual addresses; its state stays",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := devcloud.LoadConfig(path)
			if err != nil {
				return err
			}
			addresses, err := address.New(nil, config.AddressRecords())
			if err != nil {
				return err
			}
			return errors.Join(disk.Cleanup(cmd.Context(), config.StateDir), addresses.Cleanup(cmd.Context()))
		},
	}
	requireConfig(cmd, &path)
	return cmd
}
