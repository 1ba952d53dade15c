// Command openstack runs a real OpenStack on this machine; see package openstack.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/fairlead-io/fairlead/tests/openstack"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := rootCommand().ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "openstack: %v\n", err)
		return 1
	}
	return 0
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "openstack",
		Short:         "A real OpenStack on this machine, without hypervisors",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		&cobra.Command{
			Use:   "up",
			Short: "Start OpenStack, or what of it died",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				self, err := os.Executable()
				if err != nil {
					return err
				}
				return openstack.Up(cmd.Context(), openstack.Options{Program: self, Progress: os.Stderr})
			},
		},
		&cobra.Command{
			Use:   "down",
			Short: "End OpenStack and remove everything but Debian's packages",
			Args:  cobra.NoArgs,
			RunE:  func(cmd *cobra.Command, _ []string) error { return openstack.Down(cmd.Context(), os.Stderr) },
		},
		&cobra.Command{
			Use:   "status",
			Short: "Say which services run; it fails if not all do",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				status, err := openstack.ReadStatus()
				if err != nil {
					return err
				}
				_, _ = fmt.Fprint(cmd.OutOrStdout(), status)
				if !status.Complete() {
					return fmt.Errorf("OpenStack is not up: make openstack-up")
				}
				return nil
			},
		},
		diskCommand(),
		nodeCommand(),
	)
	return root
}
