package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/fairlead-io/fairlead/tests/openstack"
)

// nodeCommand is what Nova's driver calls for servers that are nodes of the lab.
func nodeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "node", Short: "Start and stop nodes of the lab; Nova's driver calls this", Hidden: true}
	cmd.AddCommand(
		&cobra.Command{
			Use:   "start",
			Short: "Power the node on that standard input describes",
			Args:  cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				var node openstack.Node
				if err := json.NewDecoder(cmd.InOrStdin()).Decode(&node); err != nil {
					return fmt.Errorf("read the server's description on standard input: %w", err)
				}
				return openstack.StartNode(cmd.Context(), node)
			},
		},
		&cobra.Command{
			Use:   "stop SERVER",
			Short: "Cut the node's power",
			Args:  cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return openstack.StopNode(cmd.Context(), args[0])
			},
		},
		&cobra.Command{
			Use:   "status SERVER",
			Short: "Print up or down",
			Args:  cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				runs, err := openstack.NodeRuns(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				word := "down"
				if runs {
					word = "up"
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), word)
				return err
			},
		},
		&cobra.Command{
			Use:   "metadata SERVER PROJECT ADDRESS NETNS",
			Short: "Serve Nova's metadata inside the node",
			Args:  cobra.ExactArgs(4),
			RunE: func(cmd *cobra.Command, args []string) error {
				node := openstack.Node{ID: args[0], Project: args[1], Address: args[2]}
				return openstack.ServeMetadata(cmd.Context(), node, args[3], os.NewFile(3, "ready"))
			},
		},
	)
	return cmd
}
