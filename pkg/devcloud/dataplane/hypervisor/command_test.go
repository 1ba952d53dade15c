package hypervisor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var server = Server{ID: "s1", Name: "n1", Address: "10.200.0.11", DiskDir: "/state/servers/s1/disk", Metadata: map[string]string{"lab.fairlead.io:node": ""}}

// script makes a command of shell text, in which $1 is an extra argument, $2 the verb and $3 a directory of the test's.
func script(t *testing.T, text string) (c *Command, dir string) {
	t.Helper()
	dir = t.TempDir()
	file := filepath.Join(dir, "command")
	if err := os.WriteFile(file, []byte("cd "+dir+"\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Argv: []string{"/bin/sh", file, "--lab"}, Dir: filepath.Join(dir, "state")})
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// node is a whole hypervisor in shell: it starts a process apart from us, finds it again and kills it.
const node = `
cat > "$2.json"
running() { [ -s pid ] && kill -0 "$(cat pid)" 2>/dev/null; }
case "$2" in
start) running || { setsid sleep 1000 & echo $! > pid; }; echo '{"netns": "/run/netns/n1"}' ;;
stop) running && kill -9 "$(cat pid)"; rm -f pid ;;
status) running || exit 3 ;;
esac
`

func TestAServerRunsFromStartToStop(t *testing.T) {
	c, dir := script(t, node)
	expectRunning := func(want bool) {
		t.Helper()
		if got, err := c.Running(t.Context(), "s1"); err != nil || got != want {
			t.Errorf("running: %v, %v; want %v", got, err, want)
		}
	}
	expectRunning(false)
	for range 2 {
		started, err := c.Start(t.Context(), server)
		if err != nil || started.NetNS != "/run/netns/n1" {
			t.Fatalf("start: %+v, %v", started, err)
		}
		expectRunning(true)
	}
	const want = `{"id":"s1","name":"n1","address":"10.200.0.11","diskDir":"/state/servers/s1/disk","metadata":{"lab.fairlead.io:node":""}}`
	if diff := cmp.Diff(want, read(t, dir, "start.json")); diff != "" {
		t.Errorf("start got %s", diff)
	}

	again, err := New(Options{Argv: c.argv, Dir: c.dir}) // another process goes on with the server
	if err != nil {
		t.Fatal(err)
	}
	c = again
	expectRunning(true)
	for range 2 {
		if err := c.Stop(t.Context(), "s1"); err != nil {
			t.Fatal(err)
		}
		expectRunning(false)
	}
	if diff := cmp.Diff(read(t, dir, "status.json"), `{"id":"s1","name":"","address":"","diskDir":"","metadata":null}`); diff != "" {
		t.Errorf("status of a stopped server got %s", diff)
	}
}

func TestStopDescribesAServerWhoseStartWasKilled(t *testing.T) {
	c, dir := script(t, `cat > "$2.json"; [ "$2" != start ] || kill -9 $$`)
	if _, err := c.Start(t.Context(), server); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("start: %v", err)
	}
	if err := c.Stop(t.Context(), "s1"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(read(t, dir, "start.json"), read(t, dir, "stop.json")); diff != "" {
		t.Errorf("stop got %s", diff)
	}
}

func TestErrorsSayWhatTheCommandSaid(t *testing.T) {
	tests := []struct {
		name, text string
		call       func(c *Command) error
		want       []string
	}{
		{"start that fails", "echo no bridge fairlead0 >&2; exit 1", start, []string{"start of server s1", "exit status 1", "no bridge fairlead0"}},
		{"start that prints no JSON", "echo started", start, []string{"must print JSON", `"started"`}},
		{"stop that fails", "echo still there >&2; exit 2", stop, []string{"stop of server s1", "still there"}},
		{"status that fails", "echo no such kernel >&2; exit 4", status, []string{"status of server s1", "no such kernel"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := script(t, tt.text)
			err := tt.call(c)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
	t.Run("a command that does not exist", func(t *testing.T) {
		c, err := New(Options{Argv: []string{"/nonexistent/lab"}, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if err := start(c); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
	if _, err := New(Options{Dir: t.TempDir()}); err == nil {
		t.Error("made without a command")
	}
}

func start(c *Command) error  { _, err := c.Start(context.Background(), server); return err }
func stop(c *Command) error   { return c.Stop(context.Background(), server.ID) }
func status(c *Command) error { _, err := c.Running(context.Background(), server.ID); return err }

func TestARunThatTakesTooLongIsKilledWithItsChildren(t *testing.T) {
	c, dir := script(t, `mkfifo hold; sh -c 'echo $$ > child; read forever < hold'; exit 0`)
	c.timeout = 300 * time.Millisecond
	if err := stop(c); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "300ms") {
		t.Errorf("got %v", err)
	}
	mustEnd(t, number(t, read(t, dir, "child")))
}

// mustEnd waits for the end of a process that is not our child.
func mustEnd(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20_000); n != 1 {
		t.Errorf("process %d is still there: %v", pid, err)
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAProcessThatKeepsTheOutputOpenDoesNotHoldStartUp(t *testing.T) {
	c, dir := script(t, `setsid sleep 1000 & echo $! > pid; echo '{}'`)
	began := time.Now()
	if err := start(c); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 100*time.Second {
		t.Errorf("took %s", took)
	}
	if err := syscall.Kill(number(t, read(t, dir, "pid")), syscall.SIGKILL); err != nil {
		t.Errorf("the server's process is gone: %v", err)
	}
}
