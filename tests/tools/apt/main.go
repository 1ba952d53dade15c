// Command apt installs the named Debian packages if they are missing, starting no services:
//
//	go run ./tests/tools/apt nftables xfsprogs
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/fairlead-io/fairlead/tests/tools"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := tools.InstallPackages(ctx, os.Stderr, os.Args[1:]...); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "apt: %v\n", err)
		return 1
	}
	return 0
}
