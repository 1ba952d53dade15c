package scenario

import (
	"fmt"
	"strings"
	"time"
)

// Budget is the most calls a step may make of the cloud: docs/architecture.md, "Call budgets".
type Budget struct {
	Disks         Allowance // of fairlead-csi
	LoadBalancers Allowance // of fairlead-ccm to Octavia and Neutron
}

// Allowance is a number of calls, and of operations that are looked at until the cloud has done them.
type Allowance struct{ Calls, Waits int }

const (
	repeat = 2 // by a sidecar
	sweep  = 1 // fairlead-ccm lists the cluster's load balancers once a minute, whatever happens
	// What a program asks when it starts: fairlead-csi whether the cloud answers, fairlead-ccm its three lists; and the
	// preflight of each, Keystone and fairlead-ccm's questions to Nova not counted.
	start     = 3 + preflight
	preflight = 6
)

var (
	starts     = Allowance{Calls: start}
	createDisk = Allowance{Calls: 2, Waits: 1}
	attachDisk = Allowance{Calls: 1 + repeat, Waits: 1}
	detachDisk = Allowance{Calls: 1 + repeat, Waits: 1}
	extendDisk = Allowance{Calls: 2, Waits: 1}
	deleteDisk = Allowance{Calls: 2 + repeat, Waits: 1}
	createLB   = Allowance{Calls: 6, Waits: 1}
	deleteLB   = Allowance{Calls: 4, Waits: 1}
)

func (a Allowance) and(b Allowance) Allowance {
	return Allowance{Calls: a.Calls + b.Calls, Waits: a.Waits + b.Waits}
}

// looks is how many looks at operations are allowed, of as many waits, when the requests took the time from the first
// to the last.
type looks func(waits int, span time.Duration) int

// looksAtOnce is for a cloud that takes 50 ms for everything.
func looksAtOnce(waits int, _ time.Duration) int { return 2 * waits }

// looksWhileItWorks is 1 + T/0.5 s for each operation that takes T.
func looksWhileItWorks(waits int, span time.Duration) int {
	if waits == 0 {
		return 0
	}
	return waits + int(span/(500*time.Millisecond))
}

// Spent is what a program asked of the cloud in a step, and how much of it was allowed.
type Spent struct {
	Requests
	Allowed int
}

func (c *Cluster) spent(r Requests, a Allowance) Spent {
	return Spent{Requests: r, Allowed: a.Calls + c.cloud().looks(a.Waits, r.Span)}
}

// Exceeded says which calls went over the budget, or nothing.
func (o Outcome) Exceeded() string {
	var over []string
	for _, part := range []struct {
		who   string
		spent Spent
		more  int
	}{
		{"fairlead-csi", o.Disks, 0},
		{"fairlead-ccm", o.LoadBalancers, sweep},
	} {
		if n := part.spent.Total(); n > part.spent.Allowed+part.more {
			over = append(over, fmt.Sprintf("%s made %d calls, budget %d: %v", part.who, n, part.spent.Allowed+part.more, part.spent.Counts))
		}
	}
	return strings.Join(over, "; ")
}
