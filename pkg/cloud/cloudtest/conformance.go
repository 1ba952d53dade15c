package cloudtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// Fixture is a cloud under test and what the suite may use of it. What the suite creates it deletes.
type Fixture struct {
	Cloud cloud.Cloud
	// Instances are two running instances without disks.
	Instances [2]string
	// DiskType is a type whose disks attach to one instance only; MultiattachType one whose disks attach to many, or
	// empty: those cases are skipped. Zone is a zone of disks in which the instances can use them.
	DiskType, MultiattachType, Zone string
	// OverQuotaGiB is a disk size that the quota refuses; 0: those cases are skipped.
	OverQuotaGiB int64
	// SubnetID is where virtual addresses come from, on a network that is routed to ExternalNetworkID.
	SubnetID, ExternalNetworkID string
	// Members are two addresses in the subnet.
	Members [2]string

	// Fail makes the cloud give up the next operation of a kind that it has accepted; nil: those cases are skipped.
	Fail func(t *testing.T, op Op)
	// Hold keeps a balancer pending whose tags are changed next, until release or for some seconds; nil: it stays so
	// until Pause.
	Hold func(t *testing.T) (release func())
	// Pause lets time pass between two looks at the cloud; nil sleeps 20 ms.
	Pause func()
	// Timeout bounds every wait; 0 is 30 s.
	Timeout time.Duration
	// Requests is how many requests the cloud has received from Cloud so far; nil: they are not counted.
	Requests func() int
}

// Run checks every sentence of package cloud's contract on the clouds that fixture makes, one for each part of it.
func Run(t *testing.T, fixture func(t *testing.T) Fixture) {
	for name, cases := range map[string]map[string]func(*testing.T, *suite){
		"Disks": diskCases, "Failures": failureCases, "Instances": instanceCases, "Networks": networkCases, "LoadBalancers": loadBalancerCases,
	} {
		t.Run(name, func(t *testing.T) {
			s := &suite{Fixture: fixture(t), identity: "conformance-" + uuid.NewString()}
			if s.Pause == nil {
				s.Pause = func() { <-time.After(20 * time.Millisecond) }
			}
			if s.Timeout == 0 {
				s.Timeout = 30 * time.Second
			}
			for _, name := range sorted(cases) {
				t.Run(name, func(t *testing.T) { cases[name](t, s) })
			}
		})
	}
}

// suite is a fixture in use.
type suite struct {
	Fixture
	identity string // marks what the suite creates
}

// absent is an id that no object has.
const absent = "00000000-0000-4000-8000-000000000000"

// eventually looks until ok, or fails.
func (s *suite) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(s.Timeout)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		s.Pause()
	}
}

// fails checks that an error is of a kind, and complete.
func fails(t *testing.T, what string, err error, kinds ...error) {
	t.Helper()
	var e *cloud.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: got %v, want a *cloud.Error", what, err)
		return
	}
	if e.Op == "" {
		t.Errorf("%s: %v names no operation", what, err)
	}
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return
		}
	}
	t.Errorf("%s: got %v, want one of %v", what, err, kinds)
}

// costs checks how many requests a call makes.
func (s *suite) costs(t *testing.T, what string, most int, call func()) {
	t.Helper()
	if s.Requests == nil {
		call()
		return
	}
	before := s.Requests()
	call()
	if n := s.Requests() - before; n < 1 || n > most {
		t.Errorf("%s cost %d requests, want at most %d", what, n, most)
	}
}

// cleanup is a context for clean-up: it outlives the test's.
func cleanup(t *testing.T) context.Context { return context.WithoutCancel(t.Context()) }

// gone makes sure that an object is deleted, whatever the test did to it.
func (s *suite) gone(t *testing.T, what string, remove func() error) {
	t.Helper()
	s.eventually(t, what+" to be deleted", func() bool { return errors.Is(remove(), cloud.ErrNotFound) })
}
