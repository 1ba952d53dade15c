package node

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// restartDelay is how long an ended program stays down.
const restartDelay = time.Second

// A supervisor is what PID 1 is for: it starts programs, starts them again when they end, and reaps every child,
// also the orphans that it never started (containerd's shims).
type supervisor struct {
	log io.Writer

	mu       sync.Mutex // held from before a fork until the child is known, so that no exit is missed
	children map[int]chan<- unix.WaitStatus
}

func newSupervisor(log io.Writer) *supervisor {
	return &supervisor{log: log, children: map[int]chan<- unix.WaitStatus{}}
}

// A program is kept running.
type program struct {
	name string
	args []string
	log  string
}

// start starts the program once; the channel gets its exit status.
func (s *supervisor) start(p program) (<-chan unix.WaitStatus, error) {
	if err := os.MkdirAll(filepath.Dir(p.log), 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(p.args[0], p.args[1:]...) //nolint:noctx // it lives as long as the node
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}

	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	exited := make(chan unix.WaitStatus, 1)
	s.children[cmd.Process.Pid] = exited
	return exited, cmd.Process.Release() // reap waits for it
}

// keep starts the program again whenever it has ended. It does not return.
func (s *supervisor) keep(p program) {
	for {
		exited, err := s.start(p)
		if err != nil {
			s.say("%v", err)
		} else {
			status := <-exited
			s.say("%s ended (%s); starting it again", p.name, describe(status))
		}
		time.Sleep(restartDelay)
	}
}

func (s *supervisor) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.log, time.Now().UTC().Format(time.RFC3339)+" "+format+"\n", args...)
}

func describe(status unix.WaitStatus) string {
	if status.Signaled() {
		return status.Signal().String()
	}
	return fmt.Sprintf("exit code %d", status.ExitStatus())
}

// reap waits for children for ever.
func (s *supervisor) reap() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGCHLD)
	for {
		for s.reapOne() {
		}
		<-signals
	}
}

func (s *supervisor) reapOne() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var status unix.WaitStatus
	pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
	if errors.Is(err, unix.EINTR) {
		return true
	}
	if err != nil || pid <= 0 {
		return false
	}
	if exited, ours := s.children[pid]; ours {
		delete(s.children, pid)
		exited <- status
	}
	return true
}
