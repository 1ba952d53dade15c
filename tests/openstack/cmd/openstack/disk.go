package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/fairlead-io/fairlead/tests/openstack"
)

// diskCommand is what Nova's driver calls: attachments are loop devices.
func diskCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "disk", Short: "Attach volumes to servers; Nova's driver calls this", Hidden: true}
	cmd.AddCommand(
		&cobra.Command{
			Use:  "attach VOLUME SERVER",
			Args: cobra.ExactArgs(2),
			RunE: func(cmd *cobra.Command, args []string) error {
				return openstack.AttachDisk(cmd.Context(), args[0], args[1])
			},
		},
		&cobra.Command{
			Use:  "detach VOLUME SERVER",
			Args: cobra.ExactArgs(2),
			RunE: func(cmd *cobra.Command, args []string) error {
				return openstack.DetachDisk(cmd.Context(), args[0], args[1])
			},
		},
		&cobra.Command{
			Use:  "extend VOLUME GIB",
			Args: cobra.ExactArgs(2),
			RunE: func(cmd *cobra.Command, args []string) error {
				gib, err := strconv.ParseInt(args[1], 10, 64)
				if err != nil {
					return fmt.Errorf("size of volume %s: %w", args[0], err)
				}
				return openstack.ExtendDisk(cmd.Context(), args[0], gib)
			},
		},
		&cobra.Command{
			Use:  "remove-server SERVER",
			Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return openstack.RemoveServer(cmd.Context(), args[0])
			},
		},
	)
	return cmd
}
