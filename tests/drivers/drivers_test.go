// Package drivers runs the real programs, fairlead-csi and fairlead-ccm, against a real OpenStack through the interfaces
// by which Kubernetes uses them. What the embedded cloud can play runs there too.
package drivers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-io/fairlead/tests/openstack"
	"github.com/fairlead-io/fairlead/tests/tenant"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := os.RemoveAll(programs.dir); err != nil {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// newTenant makes a project on the real OpenStack that goes with the test and must be empty by then. Without -openstack
// the test is skipped.
func newTenant(t *testing.T, o tenant.Options) *tenant.Tenant {
	t.Helper()
	openstack.Need(t)
	o.CloudsFile = openstack.CloudsFile()
	own, err := tenant.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Close(cleanup(t)); err != nil {
			t.Error(err)
		}
	})
	return own
}

// cleanup is a context for clean-up: it outlives the test's.
func cleanup(t *testing.T) context.Context { return context.WithoutCancel(t.Context()) }

// eventually looks until it holds, or fails the test.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	pause := 50 * time.Millisecond
	for deadline := time.Now().Add(within); !holds(); time.Sleep(pause) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
		pause = min(2*pause, time.Second) // each look may cost a real cloud a tenth of a second of CPU
	}
}

var programs struct {
	sync.Mutex
	dir  string
	path map[string]string
}

// program is the path of one of the programs of cmd. They are built once, unless FAIRLEAD_BIN says where they are.
func program(t *testing.T, name string) string {
	t.Helper()
	if dir := os.Getenv("FAIRLEAD_BIN"); dir != "" {
		return filepath.Join(dir, name)
	}
	programs.Lock()
	defer programs.Unlock()
	if path, ok := programs.path[name]; ok {
		return path
	}
	if programs.dir == "" {
		dir, err := os.MkdirTemp("", "fairlead-drivers-")
		if err != nil {
			t.Fatal(err)
		}
		programs.dir, programs.path = dir, map[string]string{}
	}
	path := filepath.Join(programs.dir, name)
	build := exec.Command("go", "build", "-o", path, "github.com/fairlead-io/fairlead/cmd/"+name)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	programs.path[name] = path
	return path
}

// process is a running program.
type process struct {
	cmd   *exec.Cmd
	log   *buffer
	ended chan struct{} // closed when it has ended
	err   error         // how; valid once ended is closed
}

// startProcess runs a program until the test ends; unless it was killed, it must stop cleanly then.
func startProcess(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(path, args...), log: &buffer{}, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that panics cleans up nothing
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { p.stop(t) })
	return p
}

// stop ends the program and judges how it ended, unless it was killed before.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if p.cmd.Process.Signal(syscall.SIGTERM) == nil {
		select {
		case <-p.ended:
		case <-time.After(time.Minute):
			t.Error("the program did not stop within a minute")
			p.kill()
		}
		if p.err != nil {
			t.Errorf("the program ended with %v", p.err)
		}
	}
	if t.Failed() {
		t.Logf("%s said:\n%s", filepath.Base(p.cmd.Path), p.log)
	}
}

// kill ends the program as kill -9 does, and returns when it has ended.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// buffer is a program's output, to be read while it runs.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is all that was written so far.
func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
