// Command demo runs Fairlead's main job on this machine and tells what it does: an embedded cloud, a real Kubernetes of
// two nodes, both charts, a database on a disk behind a load balancer, moved to the other node, grown, and deleted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fairlead-io/fairlead/tests/lab"
	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/scenario"
	"github.com/fairlead-io/fairlead/tests/tools"
)

const logFile = "bin/demo.log"

func main() {
	keep := flag.Bool("keep", false, "leave the lab and the database running")
	flag.Parse()
	if err := run(*keep); err != nil {
		fmt.Fprintf(os.Stderr, "\nThe demo failed: %v\n\nIts log: %s; the lab's logs: %s\nThe lab still runs: look around with KUBECONFIG=%s, then make lab-down\n",
			err, logFile, layout.LogDir, layout.Kubeconfig)
		os.Exit(1)
	}
}

func run(keep bool) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log, err := os.Create(logFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()

	start := time.Now()
	if err := tools.InstallPackages(ctx, os.Stdout, "postgresql-client"); err != nil {
		return err
	}
	fmt.Println("Starting the embedded cloud and a Kubernetes of two nodes ...")
	if err := lab.Up(ctx, lab.Options{Nodes: 2, Bin: "bin", Progress: log}); err != nil {
		return err
	}
	fmt.Printf("  both nodes are ready  (%.0f s)\n", time.Since(start).Seconds())

	cluster, err := scenario.Connect(".", log)
	if err != nil {
		return err
	}
	steps := cluster.MainJob()
	if keep {
		steps = steps[:len(steps)-1]
	}
	var outcomes []scenario.Outcome
	for i, step := range steps {
		fmt.Printf("%d/%d %s ...\n", i+1, len(steps), step.Title)
		outcome, err := cluster.Do(ctx, step)
		if err != nil {
			return err
		}
		fmt.Printf("  %s  (%.1f s)\n", outcome.Result, outcome.Took.Seconds())
		outcomes = append(outcomes, outcome)
	}
	report(outcomes, time.Since(start))
	if keep {
		howToLook()
		return nil
	}
	return lab.Down(ctx, log)
}

func report(outcomes []scenario.Outcome, total time.Duration) {
	fmt.Printf("\n%-57s %8s %12s %12s\n", "What happened", "seconds", "disk calls", "LB calls")
	for _, o := range outcomes {
		fmt.Printf("  %-55s %8.1f %12s %12s\n", o.Title, o.Took.Seconds(),
			ofBudget(o.Disks), ofBudget(o.LoadBalancers))
	}
	fmt.Printf("\nCalls are requests to the cloud's API, of the most that the design allows.\nAll in %.0f s.\n", total.Seconds())
}

func ofBudget(s scenario.Spent) string {
	if s.Total() == 0 && s.Allowed == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d", s.Total(), s.Allowed)
}

func howToLook() {
	fmt.Printf(`
Everything is left running. Look around:

  export KUBECONFIG=%s
  export PATH=$PATH:%s
  kubectl get nodes,pods,pvc,svc -A
  kubectl -n demo exec -it postgres-0 -- psql -U postgres -c 'select count(*) from ships'
  OS_CLIENT_CONFIG_FILE=%s OS_CLOUD=%s openstack volume list      # Debian's python3-openstackclient
  curl -s %s/admin/violations

Remove everything with: make lab-down
`, layout.Kubeconfig, layout.ToolsDir+"/kubernetes", layout.CloudsYAML, layout.CloudName, scenario.Devcloud().URL)
}
