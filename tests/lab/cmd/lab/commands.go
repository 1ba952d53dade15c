package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/fairlead-io/fairlead/tests/lab"
)

func upCommand() *cobra.Command {
	opts := lab.Options{Progress: os.Stderr}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the lab, removing first what an interrupted run left",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.Bin == "" {
				self, err := os.Executable()
				if err != nil {
					return err
				}
				opts.Bin = filepath.Dir(self)
			}
			return lab.Up(cmd.Context(), opts)
		},
	}
	cmd.Flags().IntVar(&opts.Nodes, "nodes", 2, "number of nodes, 0 to 9; 0 is the control plane alone, without a cloud")
	cmd.Flags().StringVar(&opts.Cloud, "cloud", lab.Devcloud, "what the nodes are servers of: devcloud, or the openstack that `make openstack-up` started")
	cmd.Flags().StringVar(&opts.Bin, "bin", "", "directory with the programs lab and fairlead-devcloud (default: where this program is)")
	return cmd
}

func downCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End the lab and remove every trace of it",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return lab.Down(cmd.Context(), os.Stderr) },
	}
}

func statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say which parts of the lab run; exit code 3 if not all do",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := lab.ReadStatus()
			if err != nil {
				return err
			}
			_, _ = fmt.Fprint(cmd.OutOrStdout(), status)
			if !status.Complete() {
				return exitCode(3)
			}
			return nil
		},
	}
}

func execCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "exec NODE -- COMMAND...",
		Short:   "Run a program inside a node",
		Example: "  lab exec n1 -- ctr --namespace=k8s.io containers list",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			program, err := lab.Command(cmd.Context(), args[0], args[1:]...)
			if err != nil {
				return err
			}
			program.Stdin, program.Stdout, program.Stderr = os.Stdin, os.Stdout, os.Stderr
			return program.Run()
		},
	}
}

func imagesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "images", Short: "Container images of the nodes"}
	cmd.AddCommand(&cobra.Command{
		Use:   "load",
		Short: "Import new images into the running nodes",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return lab.LoadImages(cmd.Context(), os.Stderr) },
	})
	return cmd
}

func cloudCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "devcloud", Short: "The embedded cloud's process"}
	cmd.AddCommand(
		&cobra.Command{
			Use:   "kill",
			Short: "End the embedded cloud with SIGKILL; its disks and nodes stay",
			Args:  cobra.NoArgs,
			RunE:  func(cmd *cobra.Command, _ []string) error { return lab.KillDevcloud(cmd.Context()) },
		},
		&cobra.Command{
			Use:   "start",
			Short: "Start the embedded cloud again on its state",
			Args:  cobra.NoArgs,
			RunE:  func(cmd *cobra.Command, _ []string) error { return lab.StartDevcloud(cmd.Context()) },
		},
	)
	return cmd
}
