package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/node"
	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

// Down ends the lab and removes every trace of it, also of one that was started or removed by halves. It fails if
// something is left all the same.
func Down(ctx context.Context, progress io.Writer) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	steps := newSteps(progress)
	if err := down(ctx); err != nil {
		return err
	}
	steps.done("the lab is down, nothing is left")
	return nil
}

// down removes first what the lab made in a cloud that outlives it, then kills the host's processes, the embedded cloud
// among them, so that nobody starts a node again meanwhile.
func down(ctx context.Context) error {
	steps := []func(context.Context) error{
		func(context.Context) error { return os.RemoveAll(layout.UpFile) }, // from here on it is no lab
		removeFromCloud, killProcesses, stopNodes, detachLoops, unmountAll, removeBridge, removeMade,
		func(context.Context) error { return os.RemoveAll(layout.StateDir) },
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	left, err := Leftovers()
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("left behind:\n  %s", strings.Join(left, "\n  "))
	}
	return nil
}

// killProcesses kills at once: nothing they keep outlives the lab.
func killProcesses(ctx context.Context) error { return proc.KillMarked(ctx, layout.MarkVariable) }

func stopNodes(ctx context.Context) error {
	for i := 1; i <= layout.MaxNodes; i++ {
		place := layout.NodeAt(i)
		if err := node.Stop(ctx, node.Server{Name: place.Name}, place); err != nil {
			return err
		}
	}
	return nil
}

// detachLoops frees the loop devices over files of our state.
func detachLoops(ctx context.Context) error {
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		devices, err := loops()
		if err != nil {
			return false, err
		}
		for device := range devices {
			if err := detachLoop(device); err != nil {
				return false, err
			}
		}
		return len(devices) == 0, nil
	})
}

func detachLoop(device string) error {
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", device, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.IoctlSetInt(fd, unix.LOOP_CLR_FD, 0); err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("detach %s: %w", device, err)
	}
	return nil
}

// unmountAll unmounts what is mounted in this namespace from or onto the lab's state, the deepest first.
func unmountAll(context.Context) error {
	mounts, err := labMounts()
	if err != nil {
		return err
	}
	for _, target := range slices.Backward(mounts) {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", target, err)
		}
	}
	return nil
}

func removeBridge(context.Context) error {
	link, err := netlink.LinkByName(layout.Bridge)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("remove bridge %s: %w", layout.Bridge, err)
	}
	return nil
}

// removeMade removes the directories that the lab had to make elsewhere, unless others use them now.
func removeMade(context.Context) error {
	raw, err := os.ReadFile(layout.MadeFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for dir := range strings.Lines(string(raw)) {
		err := os.Remove(filepath.Clean(strings.TrimSpace(dir)))
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			return err
		}
	}
	return nil
}
