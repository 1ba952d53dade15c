package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/mount-utils"
)

// devNumber is the kernel's number of a device.
type devNumber struct{ major, minor int }

func (d devNumber) String() string { return fmt.Sprintf("%d:%d", d.major, d.minor) }

// deviceNumber reads the number of a block device node.
func deviceNumber(path string) (devNumber, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return devNumber{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return devNumber{}, fmt.Errorf("%s is not a block device: %w", path, ErrInvalid)
	}
	return devNumber{int(unix.Major(st.Rdev)), int(unix.Minor(st.Rdev))}, nil
}

// mountPoint is one mount of this process's mount namespace.
type mountPoint struct {
	path     string
	root     string // which directory of the file system is shown
	device   devNumber
	fsType   string
	readOnly bool // of this mount; the file system itself may still be writable through another
}

// mountTable is all mounts, in the order in which they were made.
type mountTable []mountPoint

// readMounts reads the mount table. It never touches the mounted file systems, which may be dead.
func readMounts() (mountTable, error) {
	infos, err := mount.ParseMountInfo("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	table := make(mountTable, 0, len(infos))
	for _, i := range infos {
		table = append(table, mountPoint{
			path:     unescape(i.MountPoint),
			root:     unescape(i.Root),
			device:   devNumber{i.Major, i.Minor},
			fsType:   i.FsType,
			readOnly: slices.Contains(i.MountOptions, "ro"),
		})
	}
	return table, nil
}

// mountAt returns the mount of a volume at a path, or ErrNotMounted.
func mountAt(volumeID, path string) (mountPoint, error) {
	if !filepath.IsAbs(path) {
		return mountPoint{}, fmt.Errorf("volume %s: %w: %q is no absolute path", volumeID, ErrNotMounted, path)
	}
	path, err := resolve(path)
	if err != nil {
		return mountPoint{}, err
	}
	table, err := readMounts()
	if err != nil {
		return mountPoint{}, err
	}
	m, ok := table.at(path)
	if !ok {
		return mountPoint{}, fmt.Errorf("volume %s: %w: %s", volumeID, ErrNotMounted, path)
	}
	return m, nil
}

// unescape undoes the octal escapes of /proc/self/mountinfo (space, tab, newline, backslash).
func unescape(s string) string {
	for i := 0; i+3 < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
			s = s[:i] + string([]byte{byte(c)}) + s[i+4:]
		}
	}
	return s
}

// at returns the uppermost mount on a path: mounts can be stacked.
func (t mountTable) at(path string) (mountPoint, bool) {
	for _, m := range slices.Backward(t) {
		if m.path == path {
			return m, true
		}
	}
	return mountPoint{}, false
}

// others returns where else the device is mounted.
func (t mountTable) others(device devNumber, path string) []mountPoint {
	var found []mountPoint
	for _, m := range t {
		if m.device == device && m.path != path {
			found = append(found, m)
		}
	}
	return found
}

// wholeMounts returns where else the device's root directory is shown to a workload. The kubelet's subPath mounts are
// part of a publication, not publications of their own.
func (t mountTable) wholeMounts(device devNumber, except ...string) []string {
	var paths []string
	for _, m := range t {
		if m.device == device && m.root == "/" && !slices.Contains(except, m.path) &&
			!strings.Contains(m.path, "/volume-subpaths/") {
			paths = append(paths, m.path)
		}
	}
	return paths
}

// resolve returns a path as the mount table names it. Only the parents are resolved: the last element may be the root of
// a dead file system, on which every system call fails.
func resolve(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("path %q: %w: must be absolute", path, ErrInvalid)
	}
	path = filepath.Clean(path)
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return path, nil // then nothing is mounted there either
		}
		return "", fmt.Errorf("resolve %s: %w", path, err)
	}
	return filepath.Join(parent, filepath.Base(path)), nil
}

// unmountAll removes every mount stacked on the path. Nothing mounted there is a success.
func unmountAll(path string) error {
	const deepest = 64
	for range deepest {
		table, err := readMounts()
		if err != nil {
			return err
		}
		if _, ok := table.at(path); !ok {
			return nil
		}
		err = unix.Unmount(path, unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("unmount %s: %w: a process has files open there", path, ErrInUse)
		}
		if err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: somebody else was faster
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
	return fmt.Errorf("unmount %s: %w: still mounted after %d times", path, ErrInUse, deepest)
}

// deviceExists tells whether the kernel still has the device of a mount. A file system without a device (tmpfs) has the
// major number 0 and cannot lose it.
func (h *Host) deviceExists(d devNumber) bool {
	if d.major == 0 {
		return true
	}
	_, err := os.Stat(filepath.Join(h.sysDir, "dev", "block", d.String()))
	return err == nil
}

// claimed tells whether anything holds the device exclusively: a mount in any mount namespace, a volume manager, another
// mkfs.
func claimed(path string) (bool, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EBUSY) {
		return true, nil
	}
	if err != nil {
		return false, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return false, unix.Close(fd)
}
