package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
)

// A tree is a detached copy of a part of the file system, taken before other mounts cover it.
type tree struct{ fd int }

func takeTree(path string) (tree, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return tree{}, fmt.Errorf("open tree %s: %w", path, err)
	}
	return tree{fd}, nil
}

func (t tree) mountAt(path string) error {
	defer func() { _ = unix.Close(t.fd) }()
	if err := unix.MoveMount(t.fd, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount at %s: %w", path, err)
	}
	return nil
}

func mount(source, target, fstype string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %s at %s: %w", source, target, err)
	}
	return nil
}

// mountAll gives the node its own view of the machine's file systems. It writes to the node's directory only.
// Afterwards mounts propagate inside the node (Bidirectional volumes), and nothing reaches the host.
func mountAll(server Server, node layout.Node) error {
	if err := mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := dropNetNSMounts(); err != nil {
		return err
	}
	disks, err := takeTree(server.DiskDir)
	if err != nil {
		return err
	}
	steps := []func() error{
		func() error { return mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "") },
		mountSys,
		func() error { return mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755") },
		func() error { return os.MkdirAll("/run/lock", 0o755) },
		func() error { return mount("tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "") },
		func() error { return overlay(node, "/etc") },
		func() error { return overlay(node, "/opt") },
		func() error { return mountVar(node) },
		func() error { return disks.mountAt(layout.DeviceDir) },
		shadowSysctls,
		func() error { return shadowProductUUID(server.ID) },
		func() error { return mount("none", "/", "", unix.MS_REC|unix.MS_SHARED, "") },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// dropNetNSMounts lets go of the namespaces of other nodes, which our copy of the mounts would keep alive.
func dropNetNSMounts() error {
	files, err := filepath.Glob(filepath.Join(layout.NetNSDir, "*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := unix.Unmount(file, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", file, err)
		}
	}
	return nil
}

// mountSys mounts /sys anew, so that it shows this network namespace, and the cgroups on it again.
func mountSys() error {
	cgroups, err := takeTree("/sys/fs/cgroup")
	if err != nil {
		return err
	}
	if err := mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	return cgroups.mountAt("/sys/fs/cgroup")
}

// overlay lets the node write to a directory of the host without the host seeing it.
func overlay(node layout.Node, dir string) error {
	upper := filepath.Join(node.Dir(), "overlay", filepath.Base(dir))
	work := upper + ".work"
	if err := errors.Join(os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
		return err
	}
	return mount("overlay", dir, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work))
}

// mountVar replaces /var/lib and /var/log by the node's own. /var/lib is no overlay: it is where the lab's state is,
// and containerd could not put overlays on it.
func mountVar(node layout.Node) error {
	lib, log := filepath.Join(node.Dir(), "lib"), filepath.Join(node.Dir(), "log")
	for _, dir := range []string{"kubelet", "containerd", "cni", filepath.Base(layout.StateDir)} {
		if err := os.MkdirAll(filepath.Join(lib, dir), 0o755); err != nil {
			return err
		}
	}
	state, err := takeTree(layout.StateDir)
	if err != nil {
		return err
	}
	if err := mount(log, "/var/log", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := mount(lib, "/var/lib", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return state.mountAt(layout.StateDir)
}

// machineWide are sysctls that the kubelet insists on and that no namespace separates: it is shown files that read
// as it wants, so that the machine's own values stay.
var machineWide = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

func shadowSysctls() error {
	for name, value := range machineWide {
		target := filepath.Join("/proc/sys", name)
		raw, err := os.ReadFile(target)
		if errors.Is(err, os.ErrNotExist) || strings.TrimSpace(string(raw)) == value {
			continue
		}
		if err != nil {
			return err
		}
		if err := shadow(target, value+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// shadowProductUUID makes the firmware tell the server's id, as a cloud's virtual machine does.
func shadowProductUUID(id string) error {
	target, err := filepath.EvalSymlinks("/sys/class/dmi/id/product_uuid")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return shadow(target, id+"\n")
}

// shadow covers a file by one with the given text.
func shadow(target, text string) error {
	source := filepath.Join("/run/shadow", target)
	if err := os.MkdirAll(filepath.Dir(source), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
		return err
	}
	return mount(source, target, "", unix.MS_BIND, "")
}
