// Package disk is the node's side of a disk: it finds the device of a volume id, waits for it, makes and checks its file
// system, mounts, grows, measures and unmounts it. It talks to the kernel and to Debian's own tools (util-linux,
// e2fsprogs, xfsprogs), and knows neither a cloud nor Kubernetes.
//
// Every operation may be repeated, and may meet what a killed predecessor left half done.
package disk

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/mount-utils"
	utilexec "k8s.io/utils/exec"
)

// The file systems that this package makes and mounts.
const (
	Ext4 = "ext4"
	XFS  = "xfs"
)

// The kinds of failure that a caller has to tell apart; test with errors.Is.
var (
	// ErrInvalid: the request cannot be fulfilled as it was written (file system type, mount option).
	ErrInvalid = errors.New("invalid request")
	// ErrNoDevice: the kernel shows no device of the volume. After an attach it may appear a moment later.
	ErrNoDevice = errors.New("no device of this volume")
	// ErrAmbiguous: more than one device claims to be the volume; none of them is touched.
	ErrAmbiguous = errors.New("more than one device of this volume")
	// ErrTooSmall: the kernel does not see the size that the disk should have by now.
	ErrTooSmall = errors.New("device is smaller than expected")
	// ErrForeignData: the disk holds something other than the wanted file system; it is neither formatted nor mounted.
	ErrForeignData = errors.New("disk holds other data")
	// ErrDamaged: the file system has damage that only a person should repair.
	ErrDamaged = errors.New("file system is damaged")
	// ErrInUse: something holds the path, the mount or the device.
	ErrInUse = errors.New("in use")
	// ErrNotMounted: the path is no mount, or not one of the volume.
	ErrNotMounted = errors.New("not mounted")
	// ErrNotStaged: the volume has to be staged before.
	ErrNotStaged = errors.New("not staged")
)

// Options say where a Host finds the machine. Zero fields take the defaults.
type Options struct {
	// DevDir is where device nodes and disk/by-id links are. Default /dev.
	DevDir string
	// SysDir is where sysfs is mounted. Default /sys.
	SysDir string
	// StateDir keeps the records of formats under way and short-lived scratch files. It must outlive the process and
	// the machine's reboot. Required for Stage.
	StateDir string
	// DeviceTimeout bounds the wait for a device to appear or to grow, within the context. Default 30 s.
	DeviceTimeout time.Duration
	// Exec runs the tools. Default: the real ones, found by PATH.
	Exec utilexec.Interface
}

// Host is this machine with its disks. It is safe for concurrent use on different volumes; calls for one volume must be
// serialised by the caller.
type Host struct {
	devDir, sysDir, stateDir string
	deviceTimeout            time.Duration
	exec                     utilexec.Interface
	mounter                  mount.Interface

	xfs struct { // which mkfs.xfs options this kernel can mount, once known
		sync.Mutex
		known   bool
		options []string
	}
}

// NewHost returns the machine that the options describe.
func NewHost(o Options) *Host {
	if o.DevDir == "" {
		o.DevDir = "/dev"
	}
	if o.SysDir == "" {
		o.SysDir = "/sys"
	}
	if o.DeviceTimeout == 0 {
		o.DeviceTimeout = 30 * time.Second
	}
	if o.Exec == nil {
		o.Exec = utilexec.New()
	}
	return &Host{
		devDir: o.DevDir, sysDir: o.SysDir, stateDir: o.StateDir,
		deviceTimeout: o.DeviceTimeout,
		exec:          o.Exec,
		// Device and bind mounts need no systemd scope: no daemon stands behind them.
		mounter: mount.NewWithoutSystemd(""),
	}
}

// run executes a tool and returns its output and exit status; err is only about a tool that could not be run or was
// killed. The tool is deliberately not bound to ctx: a mkfs, e2fsck or resize2fs that is killed half-way leaves the disk
// worse than it was, and the caller's retry would only do the same again. The caller's lock is held until it ends.
func (h *Host) run(ctx context.Context, name string, args ...string) (string, int, error) {
	start := time.Now()
	raw, err := h.exec.Command(name, args...).CombinedOutput()
	out := strings.TrimSpace(string(raw))
	klog.FromContext(ctx).V(4).Info("Ran a tool", "tool", name, "args", args, "took", time.Since(start), "err", err)
	if err == nil {
		return out, 0, nil
	}
	var exit utilexec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return out, exit.ExitStatus(), nil
	}
	return out, 0, fmt.Errorf("run %s %s: %w: %s", name, strings.Join(args, " "), err, out)
}

// mustRun is run for tools of which every exit status but 0 is a failure.
func (h *Host) mustRun(ctx context.Context, name string, args ...string) error {
	out, status, err := h.run(ctx, name, args...)
	if err == nil && status != 0 {
		err = fmt.Errorf("%s %s: exit status %d: %s", name, strings.Join(args, " "), status, out)
	}
	return err
}

func (h *Host) byIDDir() string { return filepath.Join(h.devDir, "disk", "by-id") }
