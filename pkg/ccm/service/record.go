package service

import (
	"math/rand/v2"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-io/fairlead/pkg/loadbalancer"
)

// serviceRecord is what the controller remembers of a Service. Losing it costs calls, never correctness.
type serviceRecord struct {
	mu    sync.Mutex // a worker, a waiter and the sweep meet here
	uid   types.UID
	noted *metav1.Condition // that was last written; the informer may still show an older one. nil: none yet
	// ignored is what the user was told to have no effect.
	ignored []string
	memory
}

type memory struct {
	// known means that observed is complete; any error ends it.
	known    bool
	observed loadbalancer.Observed
	removal  bool // observed was read in order to remove everything

	waiting bool   // a waiter is at work; it enqueues the key
	settled string // hash of the Spec that is fulfilled; empty: work to do
	mendAt  time.Time

	lastID    string    // of the balancer that was last seen: a list that lacks it is no proof of its absence
	lastWrite time.Time // lists asked for before are stale
	unsure    time.Time // when the outcome of a creation was last unknown
	lost      time.Time // when the outcome of any request was: it may take effect after it was looked for in vain

	unfinished time.Time // since when parts are seen at work in an active balancer; zero: none are

	announced bool // the event that work has begun is out
	created   bool // that work is more than a change of members
	finalized bool // the finalizer was set, and the informer does not show it yet
	removed   bool // everything is gone and the finalizer with it
	complaint string

	toldUnfinished bool // the event that the cloud left parts unfinished is out
}

// forgetObserved makes the next round observe anew.
func (r *serviceRecord) forgetObserved() {
	r.known, r.observed, r.settled = false, loadbalancer.Observed{Finished: r.observed.Finished}, ""
}

// settle marks the Spec as fulfilled, and plans the next full look.
func (r *serviceRecord) settle(hash string, mendAt time.Time) {
	r.settled, r.mendAt = hash, mendAt
	r.announced, r.created, r.complaint = false, false, ""
	r.unfinished, r.toldUnfinished, r.observed.Finished = time.Time{}, false, nil
}

func (c *Controller) record(key string, uid types.UID) *serviceRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.records[key]
	if !ok || r.uid != uid {
		r = &serviceRecord{uid: uid}
		c.records[key] = r
	}
	return r
}

func (c *Controller) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.records, key)
}

// nextMend spreads the full looks, so that a restart does not make them all come at once.
func (c *Controller) nextMend(first bool) time.Time {
	period := c.opts.DriftPeriod
	if first {
		return time.Now().Add(period/10 + rand.N(period))
	}
	return time.Now().Add(period*9/10 + rand.N(period/5))
}

// soon brings the next full look forward when a request may yet take effect whose answer was lost.
func (r *serviceRecord) soon(mendAt time.Time) time.Time {
	if again := r.lost.Add(unsureFor); again.After(time.Now()) && again.Before(mendAt) {
		return again
	}
	return mendAt
}
