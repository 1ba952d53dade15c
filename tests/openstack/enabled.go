package openstack

import (
	"context"
	"flag"
	"fmt"
	"time"
)

var enabled = flag.Bool("openstack", false, "run the tests on the real OpenStack that make openstack-up starts")

// Enabled says whether the flag -openstack was given. Call it after flag.Parse.
func Enabled() bool { return *enabled }

// T is what Need uses of a *testing.T.
type T interface {
	Helper()
	Context() context.Context
	Skip(args ...any)
	Fatal(args ...any)
}

// Need skips a test without -openstack, and fails it if OpenStack does not answer.
func Need(t T) {
	t.Helper()
	if !Enabled() {
		t.Skip("without -openstack no real OpenStack is used")
	}
	if err := Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Check is an error that says what to do unless OpenStack answers.
func Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, _, err := Admin(ctx); err != nil {
		return fmt.Errorf("no OpenStack of %s works here: make openstack-up: %w", Dir(), err)
	}
	return nil
}
