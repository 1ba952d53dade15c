package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
)

// Step is one step of the main job.
type Step struct {
	Title  string
	Budget Budget
	// Run does the step and says in a few words what came of it.
	Run func(context.Context) (string, error)
}

// Budget is the most calls a step may make of the cloud: docs/architecture.md, "Call budgets", with the cloud's polls for
// each awaited operation and 2 calls for each repeat by a sidecar.
type Budget struct {
	Disks         int // of fairlead-csi
	LoadBalancers int // of fairlead-ccm to Octavia and Neutron
}

const (
	repeat = 2
	sweep  = 1 // fairlead-ccm lists the cluster's load balancers once a minute, whatever happens
	// What a program asks when it starts: fairlead-csi whether the cloud answers, fairlead-ccm its three lists; and the
	// preflight of each, Keystone and fairlead-ccm's questions to Nova not counted.
	start     = 3 + preflight
	preflight = 6
)

// polls are how often an operation may be looked at until the cloud has done it.
type polls struct{ disk, loadBalancer int }

// budgets of the operations on a cloud.
type budgets struct {
	createDisk, attachDisk, detachDisk, extendDisk, deleteDisk int
	createLB, deleteLB                                         int
}

func budgetsWith(w polls) budgets {
	return budgets{
		createDisk: 2 + w.disk,
		attachDisk: 1 + w.disk + repeat,
		detachDisk: 1 + w.disk + repeat,
		extendDisk: 2 + w.disk,
		deleteDisk: 2 + w.disk + repeat,
		createLB:   6 + w.loadBalancer,
		deleteLB:   4 + w.loadBalancer,
	}
}

// Outcome is what a step did.
type Outcome struct {
	Title         string
	Result        string
	Took          time.Duration
	Budget        Budget
	Disks         []api.Count // calls of fairlead-csi
	LoadBalancers []api.Count // calls of fairlead-ccm to Octavia and Neutron
}

// Do runs the step and counts the cloud calls it took.
func (c *Cluster) Do(ctx context.Context, s Step) (Outcome, error) {
	calls, err := c.Witness.Watch(ctx)
	if err != nil {
		return Outcome{}, err
	}
	start := time.Now()
	o := Outcome{Title: s.Title, Budget: s.Budget}
	if o.Result, err = s.Run(ctx); err != nil {
		return o, fmt.Errorf("%s: %w", s.Title, err)
	}
	o.Took = time.Since(start)
	if o.Disks, err = calls(ctx, "fairlead-csi/"); err != nil {
		return o, err
	}
	ccm, err := calls(ctx, "fairlead-ccm/")
	if err != nil {
		return o, err
	}
	for _, call := range ccm {
		if call.Service != "compute" { // the nodes' truth is asked for all the time
			o.LoadBalancers = append(o.LoadBalancers, call)
		}
	}
	return o, nil
}

// Exceeded says which calls went over the budget, or nothing.
func (o Outcome) Exceeded() string {
	var over []string
	for _, part := range []struct {
		who    string
		budget int
		calls  []api.Count
	}{
		{"fairlead-csi", o.Budget.Disks, o.Disks},
		{"fairlead-ccm", o.Budget.LoadBalancers + sweep, o.LoadBalancers},
	} {
		if n := Total(part.calls); n > part.budget {
			over = append(over, fmt.Sprintf("%s made %d calls, budget %d: %v", part.who, n, part.budget, part.calls))
		}
	}
	return strings.Join(over, "; ")
}

// Total is the number of calls.
func Total(calls []api.Count) int {
	n := 0
	for _, c := range calls {
		n += c.Count
	}
	return n
}

// MainJob is the whole job: install, a database on a disk behind a load balancer, move, grow, delete, nothing left.
func (c *Cluster) MainJob() []Step {
	const rows = 1000
	allowed := budgetsWith(c.cloud().polls)
	db := &Database{Cluster: c}
	var fingerprint string
	return []Step{
		{Title: "helm installs both charts", Budget: Budget{Disks: start, LoadBalancers: start}, Run: func(ctx context.Context) (string, error) {
			return "nodes initialized, driver registered on each", c.Install(ctx)
		}},
		{Title: "database starts on its disk, Service gets an address", Budget: Budget{Disks: allowed.createDisk + allowed.attachDisk, LoadBalancers: allowed.createLB},
			Run: func(ctx context.Context) (string, error) {
				started, err := c.StartDatabase(ctx)
				if err != nil {
					return "", err
				}
				*db = *started
				return fmt.Sprintf("on %s, at %s", db.Pod.Spec.NodeName, db.Address), nil
			}},
		{Title: "psql writes rows", Run: func(ctx context.Context) (_ string, err error) {
			if err := db.Answers(ctx); err != nil {
				return "", err
			}
			fingerprint, err = db.Fill(ctx, rows)
			return fmt.Sprintf("%s, at %s", fingerprint, db.host()), err
		}},
		{Title: "pod deleted, database starts on the other node", Budget: Budget{Disks: allowed.detachDisk + allowed.attachDisk},
			Run: func(ctx context.Context) (string, error) {
				from := db.Pod.Spec.NodeName
				err := db.Move(ctx)
				return fmt.Sprintf("from %s to %s", from, db.Pod.Spec.NodeName), err
			}},
		{Title: "psql reads the same rows", Run: func(ctx context.Context) (string, error) {
			if err := db.Answers(ctx); err != nil {
				return "", err
			}
			got, err := db.Fingerprint(ctx)
			if err == nil && got != fingerprint {
				err = fmt.Errorf("rows were %q and are %q", fingerprint, got)
			}
			return got, err
		}},
		{Title: "disk grows while the database runs", Budget: Budget{Disks: allowed.extendDisk}, Run: func(ctx context.Context) (string, error) {
			before, err := db.Size(ctx)
			if err != nil {
				return "", err
			}
			if err := db.Grow(ctx, "2Gi"); err != nil {
				return "", err
			}
			after, err := db.Size(ctx)
			if err == nil && after == before {
				err = fmt.Errorf("df said %s before and says %s after", before, after)
			}
			return fmt.Sprintf("df: %s, then %s", before, after), err
		}},
		c.deleteStep(allowed),
	}
}

func (c *Cluster) deleteStep(allowed budgets) Step {
	return Step{
		Title: "all deleted, nothing left in the cloud", Budget: Budget{Disks: allowed.detachDisk + allowed.deleteDisk, LoadBalancers: allowed.deleteLB},
		Run: func(ctx context.Context) (string, error) {
			if err := c.DeleteDatabase(ctx); err != nil {
				return "", err
			}
			return "no disk, attachment, load balancer, port, floating IP, security group; no violation", c.Clean(ctx)
		},
	}
}
