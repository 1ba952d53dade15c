// Package proc starts, finds and ends processes that outlive the program that started them.
package proc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// ID names one process for ever: pids are used again, a pid together with a start time is not.
type ID struct {
	PID int `json:"pid"`
	// Start is when it started, in clock ticks since boot.
	Start uint64 `json:"start"`
}

// ErrGone says that the process has ended.
var ErrGone = errors.New("process has ended")

// Identify names the running process that has this pid; a zombie has ended.
func Identify(pid int) (ID, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return ID{}, fmt.Errorf("pid %d: %w", pid, ErrGone)
	}
	if err != nil {
		return ID{}, err
	}
	state, start, err := parseStat(raw)
	if err != nil {
		return ID{}, fmt.Errorf("pid %d: %w", pid, err)
	}
	if state == 'Z' || state == 'X' {
		return ID{}, fmt.Errorf("pid %d: %w", pid, ErrGone)
	}
	return ID{PID: pid, Start: start}, nil
}

// parseStat reads the state and the start time of /proc/PID/stat; the program's name may hold spaces and brackets.
func parseStat(raw []byte) (state byte, start uint64, err error) {
	end := bytes.LastIndexByte(raw, ')')
	if end < 0 {
		return 0, 0, fmt.Errorf("unexpected stat %q", raw)
	}
	fields := strings.Fields(string(raw[end+1:])) // from field 3, the state; the start time is field 22
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("unexpected stat %q", raw)
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return fields[0][0], start, err
}

// Alive says whether the process still runs.
func (id ID) Alive() bool {
	now, err := Identify(id.PID)
	return err == nil && now == id
}

// Kill ends the process without asking (SIGKILL) and returns when it is gone. A process that is gone already is no error.
func (id ID) Kill(ctx context.Context) error { return id.signal(ctx, unix.SIGKILL) }

// Terminate asks the process to end (SIGTERM) and returns when it is gone.
func (id ID) Terminate(ctx context.Context) error { return id.signal(ctx, unix.SIGTERM) }

func (id ID) signal(ctx context.Context, signal unix.Signal) error {
	fd, err := unix.PidfdOpen(id.PID, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open pid %d: %w", id.PID, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if !id.Alive() { // asked after the open: fd is the process we mean, or one we leave alone
		id.reap()
		return nil
	}
	if err := unix.PidfdSendSignal(fd, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal pid %d: %w", id.PID, err)
	}
	const sliceMillis = 50 // how late a cancelled wait is noticed
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, sliceMillis)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for pid %d: %w", id.PID, err)
		}
		if n > 0 {
			id.reap()
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("pid %d has not ended after %s: %w", id.PID, signal, ctx.Err())
		}
	}
}

// reap takes the exit status if the process was our child, so that no zombie stays in a test's process.
func (id ID) reap() { _, _ = unix.Wait4(id.PID, nil, unix.WNOHANG, nil) }

// Write records the process in a pid file; the file appears whole.
func (id ID) Write(pidFile string) error {
	raw, err := json.Marshal(id)
	if err != nil {
		return err
	}
	temp := pidFile + ".new"
	if err := os.WriteFile(temp, raw, 0o644); err != nil {
		return err
	}
	return os.Rename(temp, pidFile)
}

// Read returns the living process that a pid file names. The error is ErrGone if there is no file or no process.
func Read(pidFile string) (ID, error) {
	raw, err := os.ReadFile(pidFile)
	if errors.Is(err, os.ErrNotExist) {
		return ID{}, fmt.Errorf("%s: %w", pidFile, ErrGone)
	}
	if err != nil {
		return ID{}, err
	}
	var id ID
	if err := json.Unmarshal(raw, &id); err != nil {
		return ID{}, fmt.Errorf("%s: %w", pidFile, err)
	}
	if !id.Alive() {
		return ID{}, fmt.Errorf("%s: pid %d: %w", pidFile, id.PID, ErrGone)
	}
	return id, nil
}

// Name is the name of the program that the process runs.
func (id ID) Name() string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", id.PID))
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(raw))
}

// Marked finds the processes whose environment had the variable when they started; "NAME=value" asks for that value.
func Marked(variable string) ([]ID, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []ID
	for _, dir := range dirs {
		raw, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !hasVariable(raw, variable) { // ended meanwhile, or a kernel thread
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if id, err := Identify(pid); err == nil {
			found = append(found, id)
		}
	}
	return found, nil
}

// KillMarked kills those processes at once, and again what was being forked or showed no environment because it just became
// another program, until none was seen twice.
func KillMarked(ctx context.Context, variable string) error {
	quiet := 0
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		marked, err := Marked(variable)
		if err != nil {
			return false, err
		}
		var errs []error
		for _, id := range marked {
			errs = append(errs, id.Kill(ctx))
		}
		if quiet++; len(marked) > 0 {
			quiet = 0
		}
		return quiet == 2, errors.Join(errs...)
	})
}

func hasVariable(environ []byte, variable string) bool {
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if name, _, ok := bytes.Cut(entry, []byte{'='}); ok && string(name) == variable || string(entry) == variable {
			return true
		}
	}
	return false
}
