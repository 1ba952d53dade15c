package main

import (
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/node"
)

// notRunning is the exit code of `node status` that the cloud's hypervisor understands.
const notRunning = exitCode(3)

// nodeCommand is what the cloud's hypervisor calls for servers that are nodes of the lab.
func nodeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Start and stop a node; the cloud calls this with the server's description on standard input",
	}
	cmd.AddCommand(
		&cobra.Command{
			Use:   "start",
			Short: "Power the node on",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				server, place, err := node.ReadServer(cmd.InOrStdin())
				if err != nil {
					return err
				}
				started, err := node.Start(cmd.Context(), server, place)
				if err != nil {
					return err
				}
				return json.NewEncoder(cmd.OutOrStdout()).Encode(started)
			},
		},
		&cobra.Command{
			Use:   "stop",
			Short: "Cut the node's power",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				server, place, err := node.ReadServer(cmd.InOrStdin())
				if errors.Is(err, node.ErrUnknown) {
					return nil
				}
				if err != nil {
					return err
				}
				return node.Stop(cmd.Context(), server, place)
			},
		},
		&cobra.Command{
			Use:   "status",
			Short: "Exit 0 if the node runs, 3 if not",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				_, place, err := node.ReadServer(cmd.InOrStdin())
				if errors.Is(err, node.ErrUnknown) {
					return notRunning
				}
				if err != nil {
					return err
				}
				if !node.Running(place) {
					return notRunning
				}
				return nil
			},
		},
		&cobra.Command{
			Use:    "init NODE",
			Short:  "PID 1 of a node",
			Hidden: true,
			Args:   cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				place, err := layout.ParseNode(args[0])
				if err != nil {
					return err
				}
				return node.RunInit(place)
			},
		},
	)
	return cmd
}
