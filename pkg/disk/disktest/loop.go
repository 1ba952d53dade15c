// Package disktest makes real block devices for tests: loop devices over sparse files, with udev's links to them, all
// gone when the test ends.
package disktest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// Loop is a loop device over a sparse file.
type Loop struct {
	Path string // "/dev/loop3"
	File string
}

// Open makes a loop device of the given size over file, which is created if it does not exist. The caller closes it.
func Open(file string, size int64) (*Loop, error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("loop device: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := f.Truncate(size); err != nil {
		return nil, fmt.Errorf("loop device: %w", err)
	}
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("loop device: %w", err)
	}
	defer func() { _ = control.Close() }()
	const attempts = 100 // others take free devices too: between the question and the answer, somebody may be faster
	for range attempts {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("loop device: no free one: %w", err)
		}
		path := "/dev/loop" + strconv.Itoa(n)
		err = configure(path, f)
		if errors.Is(err, unix.EBUSY) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &Loop{Path: path, File: file}, nil
	}
	return nil, fmt.Errorf("loop device: %d free ones were taken by others", attempts)
}

func configure(path string, backing *os.File) error {
	dev, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("loop device: %w", err)
	}
	defer func() { _ = dev.Close() }()
	if err := unix.IoctlLoopConfigure(int(dev.Fd()), &unix.LoopConfig{Fd: uint32(backing.Fd())}); err != nil {
		return fmt.Errorf("configure %s: %w", path, err)
	}
	return nil
}

// Resize changes the size of the file and of the device.
func (l *Loop) Resize(size int64) error {
	if err := os.Truncate(l.File, size); err != nil {
		return err
	}
	return l.ioctl(unix.LOOP_SET_CAPACITY)
}

// Close removes the device; the file stays. Closing again is a success.
func (l *Loop) Close() error {
	err := l.ioctl(unix.LOOP_CLR_FD)
	if errors.Is(err, unix.ENXIO) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (l *Loop) ioctl(request uint) error {
	f, err := os.OpenFile(l.Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := unix.IoctlSetInt(int(f.Fd()), request, 0); err != nil {
		return fmt.Errorf("%s: %w", l.Path, err)
	}
	return nil
}

// Link makes udev's link of a virtio disk with the volume's id below devDir.
func (l *Loop) Link(devDir, volumeID string) error {
	link := LinkPath(devDir, volumeID)
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	return os.Symlink(l.Path, link)
}

// Unlink removes what Link made.
func Unlink(devDir, volumeID string) error {
	err := os.Remove(LinkPath(devDir, volumeID))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// LinkPath is the link that Link makes.
func LinkPath(devDir, volumeID string) string {
	return filepath.Join(devDir, "disk", "by-id", "virtio-"+volumeID[:min(len(volumeID), 20)])
}

// New makes a loop device for the length of a test. The test is skipped where loop devices cannot be made.
func New(t testing.TB, size int64) *Loop {
	t.Helper()
	Require(t)
	l, err := Open(filepath.Join(t.TempDir(), "disk"), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("remove the loop device: %v", err)
		}
	})
	return l
}

// Require skips a test that needs loop devices and mounts where the process may not make them.
func Require(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for loop devices and mounts")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skipf("needs loop devices: %v", err)
	}
}
