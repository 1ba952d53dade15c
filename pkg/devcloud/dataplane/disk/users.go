package disk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// usersOf says who uses a block device, in any mount namespace; none: nobody.
func usersOf(device string) ([]string, error) {
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err != nil {
		return nil, fmt.Errorf("stat %s: %w", device, err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var users []string
	namespaces := map[string]bool{}
	for _, process := range processes {
		// Processes come and go while we look: what cannot be read is gone.
		if ns, err := os.Readlink(process + "/ns/mnt"); err == nil && !namespaces[ns] {
			namespaces[ns] = true
			for _, point := range mountPoints(process, st.Rdev) {
				users = append(users, fmt.Sprintf("mounted at %s, seen by %s", point, describe(process)))
			}
		}
		if opens(process, st.Rdev) {
			users = append(users, "open in "+describe(process))
		}
	}
	holders, err := os.ReadDir(filepath.Join("/sys/block", filepath.Base(device), "holders"))
	if err == nil {
		for _, holder := range holders {
			users = append(users, "held by device "+holder.Name())
		}
	}
	if len(users) > 0 {
		return users, nil
	}
	// A file system that was unmounted lazily shows up nowhere, but its claim does.
	f, err := os.OpenFile(device, os.O_RDONLY|unix.O_EXCL, 0)
	if errors.Is(err, unix.EBUSY) {
		return []string{"claimed by a file system that no process sees (unmounted lazily?)"}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", device, err)
	}
	return nil, f.Close()
}

// mountPoints lists where the process's mount namespace has the device mounted.
func mountPoints(process string, rdev uint64) []string {
	f, err := os.Open(process + "/mountinfo")
	if err != nil {
		return nil
	}
	defer f.Close()
	return parseMountPoints(f, fmt.Sprintf("%d:%d", unix.Major(rdev), unix.Minor(rdev)))
}

// parseMountPoints reads mountinfo (proc_pid_mountinfo(5)): the third field is the device, the fifth the mount point.
func parseMountPoints(mountinfo io.Reader, majorMinor string) []string {
	var points []string
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 4 && fields[2] == majorMinor {
			points = append(points, unescape(fields[4]))
		}
	}
	return points
}

// unescape turns the octal escapes of mountinfo (\040 is a space) back.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// deviceManagers look into every device that appears or was written to, for a moment and only to read.
var deviceManagers = []string{"systemd-udevd", "(udev-worker)", "udevd"}

// opens reports whether the process has the device open under whatever name.
func opens(process string, rdev uint64) bool {
	descriptors, err := os.ReadDir(process + "/fd")
	if err != nil {
		return false
	}
	for _, d := range descriptors {
		path := filepath.Join(process, "fd", d.Name())
		// Only names of files are worth a stat; sockets and pipes are most of the rest.
		if target, err := os.Readlink(path); err != nil || !strings.HasPrefix(target, "/") {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK && st.Rdev == rdev {
			return !slices.Contains(deviceManagers, command(process))
		}
	}
	return false
}

func describe(process string) string {
	return fmt.Sprintf("%s (pid %s)", command(process), filepath.Base(process))
}

func command(process string) string {
	name, err := os.ReadFile(process + "/comm")
	if err != nil {
		return "a process that just ended"
	}
	return strings.TrimSpace(string(name))
}
