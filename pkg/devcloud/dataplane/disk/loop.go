package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Loop is a loop device over a volume's file: one attachment.
type Loop struct {
	Device   string // "/dev/loop3"
	VolumeID string
	ServerID string // empty when the device was not configured by this package
	Released bool   // detached while in use: the kernel frees it with its last user
}

// loopName identifies an attachment in the loop device itself. The backing file says which volume it is, so the part of
// the volume's id is for people who run losetup.
func loopName(volumeID, serverID string) string { return serverID + "/" + serial(volumeID) }

// loopsOver finds the loop devices over one file.
func loopsOver(file string) ([]Loop, error) {
	return findLoops(func(backing string) bool { return backing == file })
}

// loopsBelow finds the loop devices over all files of a directory, removed files included.
func loopsBelow(dir string) ([]Loop, error) {
	return findLoops(func(backing string) bool { return strings.HasPrefix(backing, dir+"/") })
}

func findLoops(match func(backing string) bool) ([]Loop, error) {
	entries, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, fmt.Errorf("list loop devices: %w", err)
	}
	var loops []Loop
	for _, entry := range entries {
		content, err := os.ReadFile(entry)
		if gone(err) {
			continue // released since the directory was read
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", entry, err)
		}
		backing := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), " (deleted)")
		if !match(backing) {
			continue
		}
		device := filepath.Join("/dev", filepath.Base(filepath.Dir(filepath.Dir(entry))))
		l, bound, err := readLoop(device)
		if err != nil {
			return nil, err
		}
		if bound {
			l.VolumeID = strings.TrimPrefix(filepath.Base(backing), volumePrefix)
			loops = append(loops, l)
		}
	}
	return loops, nil
}

// gone reports the errors of a loop device that was released while we looked at it.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV)
}

func readLoop(device string) (l Loop, bound bool, err error) {
	f, err := os.OpenFile(device, os.O_RDONLY, 0)
	if gone(err) {
		return Loop{}, false, nil
	}
	if err != nil {
		return Loop{}, false, fmt.Errorf("open %s: %w", device, err)
	}
	defer f.Close()
	info, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
	if gone(err) {
		return Loop{}, false, nil
	}
	if err != nil {
		return Loop{}, false, fmt.Errorf("status of %s: %w", device, err)
	}
	server, _, _ := strings.Cut(unix.ByteSliceToString(info.File_name[:]), "/")
	return Loop{Device: device, ServerID: server, Released: info.Flags&unix.LO_FLAGS_AUTOCLEAR != 0}, true, nil
}

// configureFree binds the file to a free loop device under the given name.
func configureFree(ctx context.Context, file, name string) (device string, err error) {
	backing, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return "", fmt.Errorf("open volume: %w", err)
	}
	defer backing.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", fmt.Errorf("loop devices need root and the kernel's loop driver: %w", err)
	}
	defer control.Close()
	for {
		if err := ctx.Err(); err != nil {
			return "", fmt.Errorf("find a free loop device: %w", err)
		}
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return "", fmt.Errorf("find a free loop device: %w", err)
		}
		device := fmt.Sprintf("/dev/loop%d", number)
		err = configure(device, backing, name)
		if errors.Is(err, unix.EBUSY) {
			continue // another process of this machine was faster
		}
		return device, err
	}
}

// configure binds, names and sizes the device in one step, or changes nothing.
func configure(device string, backing *os.File, name string) error {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", device, err)
	}
	defer f.Close()
	// 512-byte sectors, as a virtio disk has them. Direct I/O spares the second copy in the page cache.
	config := unix.LoopConfig{Fd: uint32(backing.Fd()), Size: 512}
	config.Info.Flags = unix.LO_FLAGS_DIRECT_IO
	copy(config.Info.File_name[:len(config.Info.File_name)-1], name)
	err = unix.IoctlLoopConfigure(int(f.Fd()), &config)
	if errors.Is(err, unix.EINVAL) {
		config.Info.Flags = 0 // a file system that cannot do direct I/O
		err = unix.IoctlLoopConfigure(int(f.Fd()), &config)
	}
	if err != nil {
		return fmt.Errorf("configure %s over %s: %w", device, backing.Name(), err)
	}
	return nil
}

// rereadSize makes the kernel take over the file's new size.
func (l Loop) rereadSize() error {
	f, err := os.OpenFile(l.Device, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", l.Device, err)
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), unix.LOOP_SET_CAPACITY, 0); err != nil && !gone(err) {
		return fmt.Errorf("new size of %s: %w", l.Device, err)
	}
	return nil
}

// release unbinds the device, at once or with its last user, and returns its users.
func (l Loop) release() (users []string, err error) {
	users, err = usersOf(l.Device)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(l.Device, os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", l.Device, err)
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), unix.LOOP_CLR_FD, 0); err != nil && !gone(err) {
		return nil, fmt.Errorf("release %s: %w", l.Device, err)
	}
	return users, nil
}
