// Command build makes the named tools and prints the directory of each:
//
//	go run ./tests/tools/build kubernetes etcd
//	go run ./tests/tools/build all
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/fairlead-io/fairlead/tests/tools"
)

func main() { os.Exit(run()) }

func run() int {
	names := os.Args[1:]
	if len(names) == 0 {
		_, _ = fmt.Fprintf(os.Stderr, "usage: build NAME...|all, where NAME is one of %s\n", strings.Join(tools.Names(), ", "))
		return 2
	}
	if len(names) == 1 && names[0] == "all" {
		names = tools.Names()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, name := range names {
		dir, err := tools.Build(ctx, name, os.Stderr)
		if err != nil {
			_, _ = fmt.Fprintf(os.Stderr, "build: %v\n", err)
			return 1
		}
		fmt.Println(dir)
	}
	return 0
}
