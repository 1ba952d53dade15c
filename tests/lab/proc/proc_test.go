package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	tail := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"
	tests := []struct {
		name, stat string
		bad        bool
	}{
		{"an ordinary name", "12 (sleep)" + tail, false},
		{"a name with spaces and brackets", "12 (a) b (c))" + tail, false},
		{"no brackets", "12 sleep S", true},
		{"cut short", "12 (sleep) S 1 2 3", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, start, err := parseStat([]byte(tt.stat))
			if tt.bad {
				if err == nil {
					t.Error("no error")
				}
				return
			}
			if err != nil || state != 'S' || start != 4711 {
				t.Errorf("got %c %d %v", state, start, err)
			}
		})
	}
}

func TestHasVariable(t *testing.T) {
	environ := []byte("A=1\x00XMARK=1\x00B=MARK=1\x00")
	if hasVariable(environ, "MARK") {
		t.Error("a part of a name or a value matched")
	}
	if !hasVariable(append(environ, []byte("MARK=\x00")...), "MARK") {
		t.Error("not found")
	}
	if !hasVariable(environ, "A=1") || hasVariable(environ, "A=2") || hasVariable(environ, "A=") {
		t.Error("a value that was asked for must be the whole value")
	}
}

func start(t *testing.T, script string, env ...string) (ID, string) {
	t.Helper()
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "run", "p.pid")
	id, err := Start(Spec{Args: []string{"sh", "-c", script}, Env: env, Log: filepath.Join(dir, "log"), PIDFile: pidFile})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = id.Kill(context.Background()) })
	return id, pidFile
}

func TestAStartedProcessIsFoundAndKilled(t *testing.T) {
	variable := "PROC_TEST_" + strings.ToUpper(filepath.Base(t.TempDir()))
	id, pidFile := start(t, "exec sleep 1000", variable+"=1")

	if got, err := Read(pidFile); err != nil || got != id {
		t.Errorf("pid file says %+v, %v; started %+v", got, err, id)
	}
	eventually(t, "it is found by its environment", func() bool { // which is empty while it becomes another program
		got, err := Marked(variable)
		return err == nil && len(got) == 1 && got[0] == id
	})
	if err := id.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if id.Alive() {
		t.Error("alive after Kill")
	}
	if _, err := Identify(id.PID); !errors.Is(err, ErrGone) {
		t.Errorf("identify: %v", err)
	}
	if _, err := Read(pidFile); !errors.Is(err, ErrGone) {
		t.Errorf("the pid file of a dead process: %v", err)
	}
	if err := id.Kill(t.Context()); err != nil {
		t.Errorf("killing again: %v", err)
	}
}

func TestAProcessCanGetAnEnvironmentOfItsOwn(t *testing.T) {
	t.Setenv("PROC_TEST_OF_OURS", "1")
	dir := t.TempDir()
	id, err := Start(Spec{
		Args: []string{"sleep", "1000"}, Env: []string{"A=1"}, EnvAlone: true,
		Log: filepath.Join(dir, "log"), PIDFile: filepath.Join(dir, "pid"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = id.Kill(context.Background()) })
	var environ []byte
	eventually(t, "its environment can be read", func() bool {
		environ, err = os.ReadFile(fmt.Sprintf("/proc/%d/environ", id.PID))
		return err == nil && len(environ) > 0
	})
	if string(environ) != "A=1\x00" {
		t.Errorf("its environment is %q", environ)
	}
}

// eventually looks until it holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func TestKillMarkedKillsWhatIsForkedMeanwhile(t *testing.T) {
	variable := "PROC_TEST_" + strings.ToUpper(filepath.Base(t.TempDir()))
	start(t, "while true; do sleep 1000 & sleep 0.001; done", variable+"=1")
	if err := KillMarked(t.Context(), variable); err != nil {
		t.Fatal(err)
	}
	if got, err := Marked(variable); err != nil || len(got) > 0 {
		t.Errorf("left: %v, %v", got, err)
	}
}

func TestAPidThatWasUsedAgainIsLeftAlone(t *testing.T) {
	id, _ := start(t, "exec sleep 1000")
	earlier := ID{PID: id.PID, Start: id.Start - 1}
	if earlier.Alive() {
		t.Error("another process passes for the dead one")
	}
	if err := earlier.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !id.Alive() {
		t.Error("the wrong process was killed")
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	id, _ := start(t, "trap '' TERM; exec sleep 1000")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for !ignoresTerm(t, id) {
		time.Sleep(time.Millisecond)
	}
	if err := id.Terminate(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if !id.Alive() {
		t.Error("it was killed")
	}
}

// ignoresTerm says that the process ignores SIGTERM by now.
func ignoresTerm(t *testing.T, id ID) bool {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(id.PID), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if mask, ok := strings.CutPrefix(line, "SigIgn:"); ok {
			// Other signals may be ignored too: a parent under nohup hands that down.
			ignored, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return ignored&(1<<(uint(syscall.SIGTERM)-1)) != 0
		}
	}
	return false
}

func TestAProgramThatIsMissingIsNamed(t *testing.T) {
	dir := t.TempDir()
	_, err := Start(Spec{Args: []string{"/no/such/program"}, Log: filepath.Join(dir, "log"), PIDFile: filepath.Join(dir, "pid")})
	if err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("got %v", err)
	}
}
