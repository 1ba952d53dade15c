// Command lab runs a real two-node Kubernetes on this machine; see package lab.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := rootCommand().ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 { // a program's own code: exec passes it on
		return exit.ExitCode()
	}
	var coded exitCode
	if errors.As(err, &coded) {
		return int(coded)
	}
	_, _ = fmt.Fprintf(os.Stderr, "lab: %v\n", err)
	return 1
}

// exitCode ends the program with a code that means something to the caller.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "lab",
		Short:         "A real Kubernetes on this machine, on the embedded cloud",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(upCommand(), downCommand(), statusCommand(), execCommand(), imagesCommand(), cloudCommand(), nodeCommand())
	return root
}
