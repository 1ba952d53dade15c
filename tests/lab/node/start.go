package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

// initTimeout bounds how long PID 1 may take until the node's programs run.
const initTimeout = 30 * time.Second

// Start powers the node on and returns when its programs are started. A node that runs is left as it is.
func Start(ctx context.Context, server Server, node layout.Node) (Started, error) {
	if err := server.checkStart(node); err != nil {
		return Started{}, err
	}
	unlock, err := lock(ctx, node)
	if err != nil {
		return Started{}, err
	}
	defer unlock()
	started := Started{NetNS: node.NetNS()}
	if _, err := proc.Read(node.InitPIDFile()); err == nil {
		return started, nil
	}
	// What a killed start or a node that died by itself has left.
	if err := powerOff(ctx, node); err != nil {
		return Started{}, err
	}
	if err := prepare(server, node); err != nil {
		return Started{}, err
	}
	if err := boot(ctx, node); err != nil {
		return Started{}, errors.Join(fmt.Errorf("start node %s: %w", node.Name, err), powerOff(ctx, node))
	}
	return started, nil
}

// Stop cuts the node's power. When it returns, no process, link, namespace or cgroup of the node is left, and its
// disks are free. A node that does not run is no error.
func Stop(ctx context.Context, server Server, node layout.Node) error {
	unlock, err := lock(ctx, node)
	if err != nil {
		return err
	}
	defer unlock()
	if err := powerOff(ctx, node); err != nil {
		return err
	}
	return awaitFreeDisks(ctx, server.DiskDir)
}

// Running says whether the node's PID 1 lives.
func Running(node layout.Node) bool {
	_, err := proc.Read(node.InitPIDFile())
	return err == nil
}

// Init is the node's PID 1, by its pid on the host.
func Init(node layout.Node) (proc.ID, error) {
	id, err := proc.Read(node.InitPIDFile())
	if err != nil {
		return proc.ID{}, fmt.Errorf("node %s does not run: %w", node.Name, err)
	}
	return id, nil
}

func lock(ctx context.Context, node layout.Node) (unlock func(), err error) {
	if err := os.MkdirAll(node.Dir(), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(node.Dir(), "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	err = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock node %s: %w", node.Name, err)
	}
	return func() { _ = file.Close() }, nil
}

// prepare makes what PID 1 needs outside its namespaces.
func prepare(server Server, node layout.Node) error {
	raw, err := json.Marshal(server)
	if err != nil {
		return err
	}
	err = errors.Join(
		os.WriteFile(specFile(node), raw, 0o644),
		os.MkdirAll(server.DiskDir, 0o755),
		makeDir(layout.DeviceDir),
		makeDir(layout.NetNSDir),
		makeCgroup(node.Cgroup()),
	)
	if err != nil {
		return err
	}
	if err := makeNetNS(node); err != nil {
		return err
	}
	return plugIn(node)
}

// makeDir makes a directory outside the lab's state and notes that the lab made it.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	made, err := os.OpenFile(layout.MadeFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = made.WriteString(dir + "\n")
	return errors.Join(err, made.Close(), os.MkdirAll(dir, 0o755))
}

// boot starts PID 1 and waits for its word that the programs run.
func boot(ctx context.Context, node layout.Node) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	read, written, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = read.Close() }()
	err = inNetNS(node, func() error {
		_, err := proc.Start(proc.Spec{
			Args:    []string{self, "node", "init", node.Name},
			Env:     []string{layout.MarkVariable + "=" + node.Name},
			Dir:     "/",
			Log:     node.Log("init"),
			PIDFile: node.InitPIDFile(),
			Files:   []*os.File{written},
			Attributes: syscall.SysProcAttr{
				Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
			},
		})
		return err
	})
	_ = written.Close()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(initTimeout)
	if until, ok := ctx.Deadline(); ok && until.Before(deadline) {
		deadline = until
	}
	if err := read.SetReadDeadline(deadline); err != nil {
		return err
	}
	word, err := io.ReadAll(read)
	if err != nil {
		return fmt.Errorf("PID 1 says nothing: %w; see %s", err, node.Log("init"))
	}
	if string(word) != readyWord {
		return fmt.Errorf("PID 1 failed: %s; see %s", word, node.Log("init"))
	}
	return nil
}

// inNetNS runs fn on a thread inside the node's network namespace; what it starts stays there. The thread ends with
// the goroutine, because it stays locked.
func inNetNS(node layout.Node, fn func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- func() error {
			file, err := os.Open(node.NetNS())
			if err != nil {
				return err
			}
			defer func() { _ = file.Close() }()
			if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter %s: %w", node.NetNS(), err)
			}
			return fn()
		}()
	}()
	return <-result
}

// powerOff ends the node's processes and removes everything that start made outside the node's directory.
func powerOff(ctx context.Context, node layout.Node) error {
	id, err := proc.Read(node.InitPIDFile())
	if err == nil {
		err = id.Kill(ctx)
	}
	if err != nil && !errors.Is(err, proc.ErrGone) {
		return err
	}
	// A start that was killed before it wrote the pid file: the cgroup knows its processes.
	err = errors.Join(removeCgroup(ctx, node.Cgroup()), unplug(node), removeNetNS(node))
	if err != nil {
		return fmt.Errorf("stop node %s: %w", node.Name, err)
	}
	return os.RemoveAll(node.InitPIDFile())
}

// awaitFreeDisks waits until the kernel has unmounted the dead node's file systems: it does so a moment after the
// last process, and a detach right after the stop must not find the disk in use.
func awaitFreeDisks(ctx context.Context, diskDir string) error {
	if diskDir == "" {
		return nil
	}
	links, err := filepath.Glob(filepath.Join(diskDir, "by-id", "*"))
	if err != nil {
		return err
	}
	for _, link := range links {
		err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
			fd, err := unix.Open(link, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
			if err == nil {
				err = unix.Close(fd)
			}
			return !errors.Is(err, unix.EBUSY), nil
		})
		if err != nil {
			return fmt.Errorf("%s is still in use after the power cut: %w", link, err)
		}
	}
	return nil
}
