package openstack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

func TestTheTableOfUnitsHoldsTogether(t *testing.T) {
	all := units(newValues("5ec2e7"))
	byName := map[string]unit{}
	for _, u := range all {
		if _, twice := byName[u.name]; twice {
			t.Errorf("%s is there twice", u.name)
		}
		byName[u.name] = u
		if (u.args != nil) == (u.do != nil) && u.ready == nil {
			t.Errorf("%s is neither a service nor a step nor a condition", u.name)
		}
		if u.args != nil && !strings.HasPrefix(u.args[0], "/") {
			t.Errorf("%s: %s is looked for in PATH", u.name, u.args[0])
		}
	}
	var visit func(name string, above []string)
	visit = func(name string, above []string) {
		u, known := byName[name]
		if !known {
			t.Fatalf("%v need %q, which does not exist", above, name)
		}
		for _, earlier := range above {
			if earlier == name {
				t.Fatalf("%s needs itself: %v", name, above)
			}
		}
		for _, need := range u.needs {
			visit(need, append(above[:len(above):len(above)], name))
		}
	}
	for _, u := range all {
		visit(u.name, nil)
	}
}

// recorder makes units that note their order.
type recorder struct {
	mu    sync.Mutex
	order []string
}

func (r *recorder) step(name string, needs ...string) unit {
	return unit{name: name, needs: needs, do: func(context.Context) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.order = append(r.order, name)
		return nil
	}}
}

func quiet() *progress { return &progress{to: io.Discard, started: time.Now()} }

func TestUnitsWaitForWhatTheyNeed(t *testing.T) {
	var r recorder
	err := runUnits(t.Context(), []unit{r.step("third", "first", "second"), r.step("second", "first"), r.step("first")}, true, quiet())
	if got := strings.Join(r.order, " "); err != nil || got != "first second third" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestStepsAreLeftOutOfAStateThatWasUp(t *testing.T) {
	var r recorder
	if err := runUnits(t.Context(), []unit{r.step("first"), r.step("second", "first")}, false, quiet()); err != nil || len(r.order) > 0 {
		t.Errorf("did %v, %v", r.order, err)
	}
}

func TestTheFirstFailureEndsAll(t *testing.T) {
	broken := errors.New("broken")
	err := runUnits(t.Context(), []unit{
		{name: "fails", do: func(context.Context) error { return broken }},
		{name: "waits", do: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		{name: "follows", needs: []string{"fails"}, do: func(context.Context) error { t.Error("began"); return nil }},
	}, true, quiet())
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "fails:") {
		t.Errorf("got %v", err)
	}
	if err := runUnits(t.Context(), []unit{{name: "a", needs: []string{"typo"}}}, true, quiet()); err == nil || !strings.Contains(err.Error(), `"typo"`) {
		t.Errorf("a need that does not exist: %v", err)
	}
}

// script makes a service of a shell script in a state of its own.
func script(t *testing.T, name, text string) unit {
	t.Helper()
	t.Setenv(DirVariable, t.TempDir())
	t.Cleanup(func() {
		if id, err := proc.Read(pidFile(name)); err == nil {
			_ = id.Kill(context.Background())
		}
	})
	return unit{name: name, args: []string{"/bin/sh", "-c", text}}
}

func TestAServiceThatDiesIsReportedWithItsLog(t *testing.T) {
	u := script(t, "test-dies", "echo the disk is full; exit 1")
	u.ready = func(context.Context) bool { return false }
	err := runUnits(t.Context(), []unit{u}, false, quiet())
	if err == nil || !strings.HasPrefix(err.Error(), "test-dies: ") || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("got %v", err)
	}
}

func TestAServiceThatDiesLaterEndsTheWait(t *testing.T) {
	u := script(t, "test-dies-later", "sleep 1; echo no such user; exit 1")
	never := unit{name: "never", needs: []string{u.name}, ready: func(context.Context) bool { return false }}
	err := runUnits(t.Context(), []unit{u, never}, false, quiet())
	if err == nil || !strings.HasPrefix(err.Error(), "test-dies-later: it died") || !strings.Contains(err.Error(), "no such user") {
		t.Errorf("got %v", err)
	}
}

func TestAServiceThatRunsIsLeftAlone(t *testing.T) {
	u := script(t, "test-stays", "exec sleep 1000")
	if err := runUnits(t.Context(), []unit{u}, false, quiet()); err != nil {
		t.Fatal(err)
	}
	first, err := proc.Read(pidFile(u.name))
	if err != nil {
		t.Fatal(err)
	}
	if err := runUnits(t.Context(), []unit{u}, false, quiet()); err != nil {
		t.Fatal(err)
	}
	if now, err := proc.Read(pidFile(u.name)); err != nil || now != first {
		t.Errorf("was %v and is %v, %v", first, now, err)
	}
}

func TestAServiceIsStartedAnewWithoutItsOldWorkers(t *testing.T) {
	u := script(t, "test-workers", "sleep 1000 & echo started; exec sleep 1000")
	u.ready = saysSinceStart(u.name, "started")
	if err := runUnits(t.Context(), []unit{u}, false, quiet()); err != nil {
		t.Fatal(err)
	}
	first, err := proc.Read(pidFile(u.name))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := runUnits(t.Context(), []unit{u}, false, quiet()); err != nil {
		t.Fatal(err)
	}
	count := 0
	err = wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		marked, err := proc.Marked(markVariable + "=" + u.name) // a process shows no environment while it becomes another program
		count = len(marked)
		return count == 2, err
	})
	if err != nil {
		t.Errorf("%d processes, want a master and a worker: %v", count, err)
	}
	if err := proc.KillMarked(t.Context(), markVariable+"="+u.name); err != nil {
		t.Fatal(err)
	}
}

func TestALogCountsOnlySinceTheStart(t *testing.T) {
	t.Setenv(DirVariable, t.TempDir())
	if err := os.MkdirAll(path("log"), 0o755); err != nil {
		t.Fatal(err)
	}
	ready := saysSinceStart("x", "Starting consumer")
	for _, tt := range []struct {
		line string
		want bool
	}{{startLine, false}, {"INFO Starting consumer...", true}, {startLine, false}, {"INFO Starting consumer...", true}} {
		if err := appendLine(logFile("x"), tt.line); err != nil {
			t.Fatal(err)
		}
		if got := ready(t.Context()); got != tt.want {
			t.Errorf("after %q: %t", tt.line, got)
		}
	}
}

func TestListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	check := listens(listener.Addr().String())
	if !check(t.Context()) {
		t.Error("a listener is not seen")
	}
	_ = listener.Close()
	if check(t.Context()) {
		t.Error("a closed listener is seen")
	}
}

func TestOnlyOneUpOrDownRunsAtATime(t *testing.T) {
	unlock, err := lock()
	if err != nil {
		t.Skipf("somebody uses the lock: %v", err)
	}
	if _, err := lock(); err == nil || !strings.Contains(err.Error(), "another openstack up or down") {
		t.Errorf("a second lock: %v", err)
	}
	unlock()
	unlock, err = lock()
	if err != nil {
		t.Errorf("after the unlock: %v", err)
	} else {
		unlock()
	}
}

func TestAForeignDirectoryIsLeftAlone(t *testing.T) {
	t.Setenv(DirVariable, t.TempDir())
	if err := os.WriteFile(path("thesis.tex"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func() error{"up": makeState, "down": func() error { return down(t.Context()) }} {
		if err := do(); err == nil || !strings.Contains(err.Error(), "was not made by this program") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProgressSaysHowLong(t *testing.T) {
	var out bytes.Buffer
	(&progress{to: &out, started: time.Now().Add(-90 * time.Second)}).done("keystone")
	if !strings.Contains(out.String(), "90.0 s  keystone") {
		t.Errorf("got %q", out.String())
	}
}
