package scenario

import (
	"context"
	"fmt"
	"time"
)

// Step is one step of the main job.
type Step struct {
	Title  string
	Budget Budget
	// Run does the step and says in a few words what came of it.
	Run func(context.Context) (string, error)
}

// Outcome is what a step did.
type Outcome struct {
	Title         string
	Result        string
	Took          time.Duration
	Disks         Spent // by fairlead-csi
	LoadBalancers Spent // by fairlead-ccm, at Octavia and Neutron: the nodes' truth is asked for all the time
}

// Do runs the step and counts the cloud calls it took.
func (c *Cluster) Do(ctx context.Context, s Step) (Outcome, error) {
	requests, err := c.Witness.Watch(ctx)
	if err != nil {
		return Outcome{}, err
	}
	start := time.Now()
	o := Outcome{Title: s.Title}
	if o.Result, err = s.Run(ctx); err != nil {
		return o, fmt.Errorf("%s: %w", s.Title, err)
	}
	o.Took = time.Since(start)
	csi, err := requests(ctx, "fairlead-csi/", "compute", "volume", "network")
	if err != nil {
		return o, err
	}
	ccm, err := requests(ctx, "fairlead-ccm/", "load-balancer", "network")
	if err != nil {
		return o, err
	}
	o.Disks, o.LoadBalancers = c.spent(csi, s.Budget.Disks), c.spent(ccm, s.Budget.LoadBalancers)
	return o, nil
}

// MainJob is the whole job: install, a database on a disk behind a load balancer, move, grow, delete, nothing left.
func (c *Cluster) MainJob() []Step {
	const rows = 1000
	db := &Database{Cluster: c}
	var fingerprint string
	return []Step{
		{Title: "helm installs both charts", Budget: Budget{Disks: starts, LoadBalancers: starts}, Run: func(ctx context.Context) (string, error) {
			return "nodes initialized, driver registered on each", c.Install(ctx)
		}},
		{Title: "database starts on its disk, Service gets an address", Budget: Budget{Disks: createDisk.and(attachDisk), LoadBalancers: createLB},
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
		{Title: "pod deleted, database starts on the other node", Budget: Budget{Disks: detachDisk.and(attachDisk)},
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
		{Title: "disk grows while the database runs", Budget: Budget{Disks: extendDisk}, Run: func(ctx context.Context) (string, error) {
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
		c.deleteStep(),
	}
}

func (c *Cluster) deleteStep() Step {
	return Step{
		Title: "all deleted, nothing left in the cloud", Budget: Budget{Disks: detachDisk.and(deleteDisk), LoadBalancers: deleteLB},
		Run: func(ctx context.Context) (string, error) {
			if err := c.DeleteDatabase(ctx); err != nil {
				return "", err
			}
			return "no disk, attachment, load balancer, port, floating IP, security group; no violation", c.Clean(ctx)
		},
	}
}
