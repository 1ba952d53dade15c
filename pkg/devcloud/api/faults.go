package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Before and After say whether a fault strikes before the request takes effect, or instead of its answer.
const (
	Before = "before"
	After  = "after"
)

// PopulateOperation is the making of the parts that a load balancer is created with. When it fails they stay
// PENDING_CREATE, though the load balancer becomes ACTIVE.
const PopulateOperation = "loadbalancer.populate"

// Operations are those that can be made to fail after their request was accepted.
var Operations = []string{"volume.create", "volume.delete", "volume.extend", "volume.attach", "volume.detach", PopulateOperation}

// Fault is a disturbance of the requests it matches, empty match fields match all; or of accepted operations of a kind.
type Fault struct {
	ID        string `json:"id"`
	Operation string `json:"operation,omitempty"` // one of Operations, which fails; goes with Count and Probability only
	Service   string `json:"service,omitempty"`   // "volume"
	Method    string `json:"method,omitempty"`    // "POST"
	Route     string `json:"route,omitempty"`     // the pattern as GET /admin/calls shows it
	UserAgent string `json:"userAgent,omitempty"` // a prefix

	When        string   `json:"when,omitempty"`        // Before (default) or After
	Delay       Duration `json:"delay,omitempty"`       // waited in any case, then Status or Drop, if given
	Status      int      `json:"status,omitempty"`      // answered in the service's error form
	RetryAfter  string   `json:"retryAfter,omitempty"`  // header beside Status
	Drop        bool     `json:"drop,omitempty"`        // the connection is closed without an answer
	Count       int      `json:"count,omitempty"`       // strikes this often, then is gone; 0: for ever
	Probability float64  `json:"probability,omitempty"` // of striking a matching request; 0: always
}

// Duration is a time.Duration that is "1.5s" in JSON.
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is a string like \"1.5s\": %w", err)
	}
	v, err := time.ParseDuration(s)
	*d = Duration(v)
	return err
}

// Faults are the disturbances in force.
type Faults struct {
	clock clock.Clock

	mu   sync.Mutex
	list []Fault
	next int
}

// NewFaults makes an empty set. clk times delays; nil is the real clock.
func NewFaults(clk clock.Clock) *Faults {
	if clk == nil {
		clk = clock.RealClock{}
	}
	return &Faults{clock: clk}
}

// Add puts a fault in force and returns it with its id.
func (f *Faults) Add(fault Fault) (Fault, error) {
	switch {
	case fault.When != "" && fault.When != Before && fault.When != After:
		return fault, fmt.Errorf("when: %q is neither %q nor %q", fault.When, Before, After)
	case fault.Delay < 0:
		return fault, fmt.Errorf("delay: %s is negative", time.Duration(fault.Delay))
	case fault.Probability < 0 || fault.Probability > 1:
		return fault, fmt.Errorf("probability: %v is not within 0 and 1", fault.Probability)
	case fault.Count < 0:
		return fault, fmt.Errorf("count: %d is negative", fault.Count)
	case fault.Status != 0 && (fault.Status < 200 || fault.Status > 599):
		return fault, fmt.Errorf("status: %d is no HTTP status of an answer", fault.Status)
	case fault.Operation != "":
		if err := fault.checkOperation(); err != nil {
			return fault, err
		}
	case fault.Delay == 0 && fault.Status == 0 && !fault.Drop:
		return fault, fmt.Errorf("a fault needs at least one of operation, delay, status and drop")
	}
	fault.Method = strings.ToUpper(fault.Method)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	fault.ID = strconv.Itoa(f.next)
	f.list = append(f.list, fault)
	return fault, nil
}

func (f Fault) checkOperation() error {
	if !slices.Contains(Operations, f.Operation) {
		return fmt.Errorf("operation: %q is none of %s", f.Operation, strings.Join(Operations, ", "))
	}
	if f != (Fault{Operation: f.Operation, Count: f.Count, Probability: f.Probability}) {
		return fmt.Errorf("operation: an operation's fault takes count and probability only")
	}
	return nil
}

// List returns the faults in force, oldest first.
func (f *Faults) List() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Fault{}, f.list...)
}

// Remove ends the fault with that id, or all for an empty id, and reports whether there was one.
func (f *Faults) Remove(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.list)
	f.list = slices.DeleteFunc(f.list, func(x Fault) bool { return id == "" || x.ID == id })
	return len(f.list) < before
}

// Strike is the error that an accepted operation of that kind ends with, or nil.
func (f *Faults) Strike(operation string) error {
	fault := f.drawIf(func(x Fault) bool { return x.Operation == operation })
	if fault == nil {
		return nil
	}
	return fmt.Errorf("injected fault %s of %s", fault.ID, operation)
}

// draw returns the first fault that strikes the call, or nil.
func (f *Faults) draw(c Call) *Fault {
	return f.drawIf(func(x Fault) bool { return x.Operation == "" && x.matches(c) })
}

func (f *Faults) drawIf(strikes func(Fault) bool) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, x := range f.list {
		if !strikes(x) || x.Probability != 0 && rand.Float64() >= x.Probability {
			continue
		}
		if x.Count == 1 {
			f.list = slices.Delete(f.list, i, i+1)
		} else if x.Count > 1 {
			f.list[i].Count--
		}
		return &x
	}
	return nil
}

func (f Fault) matches(c Call) bool {
	return (f.Service == "" || f.Service == c.Service) &&
		(f.Method == "" || f.Method == c.Method) &&
		(f.Route == "" || f.Route == c.Route) &&
		strings.HasPrefix(c.UserAgent, f.UserAgent)
}

// delay waits the fault's delay; an error says that the client went away.
func (f *Faults) delay(ctx context.Context, fault *Fault) error {
	if fault.Delay == 0 {
		return nil
	}
	timer := f.clock.NewTimer(time.Duration(fault.Delay))
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
