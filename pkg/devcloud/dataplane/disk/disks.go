// Package disk is the embedded cloud's storage: a volume is a sparse file, an attachment is a loop device over it that
// is shown to one server only.
//
// The kernel keeps the truth. An attachment is bound and named (server and volume, in the loop device's lo_file_name)
// by one ioctl, so no record can disagree with it, whenever the process was killed.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// GiB is the unit of volume sizes in bytes.
const GiB = int64(1) << 30

// serialLength is how much of a volume's id a virtio disk can carry as its serial number.
const serialLength = 20

// Disks are the volumes and attachments below one state directory. All methods are idempotent and may be called again
// after a crash at any point; they need root.
type Disks struct {
	dir string
	// mu keeps two calls from configuring or opening the same loop devices: a device that we hold open ourselves would
	// be seen as in use.
	mu sync.Mutex
}

// New uses the state directory, which it creates if it is missing.
func New(stateDir string) (*Disks, error) {
	if err := os.MkdirAll(filepath.Join(stateDir, "volumes"), 0o700); err != nil {
		return nil, fmt.Errorf("make the volume directory: %w", err)
	}
	dir, err := canonical(stateDir)
	if err != nil {
		return nil, err
	}
	return &Disks{dir: dir}, nil
}

// canonical is the name by which the kernel reports files below dir: absolute, without symbolic links.
func canonical(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("state directory %s: %w", dir, err)
	}
	resolved, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", fmt.Errorf("state directory %s: %w", dir, err)
	}
	return resolved, nil
}

// Create makes the volume's file, all zeros. A volume that exists is only ever grown.
func (d *Disks) Create(_ context.Context, volumeID string, sizeGiB int64) error {
	if err := checkIDs(volumeID); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return grow(d.volumeFile(volumeID), os.O_CREATE, sizeGiB)
}

// Delete removes the volume's file. It refuses while the volume is attached.
func (d *Disks) Delete(_ context.Context, volumeID string) error {
	if err := checkIDs(volumeID); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	loops, err := loopsOver(d.volumeFile(volumeID))
	if err != nil {
		return err
	}
	for _, l := range loops {
		if !l.Released {
			return fmt.Errorf("delete volume %s: it is attached to server %s as %s: detach it first", volumeID, l.ServerID, l.Device)
		}
	}
	if err := os.Remove(d.volumeFile(volumeID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete volume %s: %w", volumeID, err)
	}
	return nil
}

// Extend grows the volume; the kernel sees the new size on every attachment when Extend returns.
func (d *Disks) Extend(_ context.Context, volumeID string, sizeGiB int64) error {
	if err := checkIDs(volumeID); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := grow(d.volumeFile(volumeID), 0, sizeGiB); err != nil {
		return err
	}
	loops, err := loopsOver(d.volumeFile(volumeID))
	if err != nil {
		return err
	}
	for _, l := range loops {
		if err := l.rereadSize(); err != nil {
			return fmt.Errorf("extend volume %s: %w", volumeID, err)
		}
	}
	return nil
}

func grow(file string, flags int, sizeGiB int64) error {
	f, err := os.OpenFile(file, os.O_RDWR|flags, 0o600)
	if err != nil {
		return fmt.Errorf("open volume: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("size of volume: %w", err)
	}
	if info.Size() >= sizeGiB*GiB {
		return nil
	}
	if err := f.Truncate(sizeGiB * GiB); err != nil {
		return fmt.Errorf("grow volume %s to %d GiB: %w", file, sizeGiB, err)
	}
	return nil
}

// Attach binds a loop device of its own to the volume and then shows it to the server.
func (d *Disks) Attach(ctx context.Context, volumeID, serverID string) error {
	if err := checkIDs(volumeID, serverID); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	dev, err := d.bind(ctx, volumeID, serverID)
	if err != nil {
		return fmt.Errorf("attach volume %s to server %s: %w", volumeID, serverID, err)
	}
	if err := d.show(dev, volumeID, serverID); err != nil {
		return fmt.Errorf("attach volume %s to server %s: %w", volumeID, serverID, err)
	}
	return nil
}

// bind returns the attachment's loop device, configuring one if there is none yet.
func (d *Disks) bind(ctx context.Context, volumeID, serverID string) (device string, err error) {
	file := d.volumeFile(volumeID)
	loops, err := loopsOver(file)
	if err != nil {
		return "", err
	}
	for _, l := range loops {
		// A released one still serves whoever kept it open over a detach, and vanishes with them.
		if l.ServerID == serverID && !l.Released {
			return l.Device, nil
		}
	}
	return configureFree(ctx, file, loopName(volumeID, serverID))
}

// show makes the link by which the server knows the device. It appears complete or not at all.
func (d *Disks) show(device, volumeID, serverID string) error {
	link := d.link(volumeID, serverID)
	if target, err := os.Readlink(link); err == nil && target == device {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return fmt.Errorf("make the server's disk directory: %w", err)
	}
	// Outside the directory that the server sees, where a name left by a crash does not matter.
	temporary := filepath.Join(d.serverDir(serverID), ".link-"+volumeID)
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make link: %w", err)
	}
	if err := os.Symlink(device, temporary); err != nil {
		return fmt.Errorf("make link: %w", err)
	}
	if err := os.Rename(temporary, link); err != nil {
		return fmt.Errorf("make link: %w", err)
	}
	return nil
}

// Detach hides the volume from the server and releases its loop device. A device still in use is released all the same,
// as a real cloud would do it; inUse then says who holds it: "mounted at /data by postgres (pid 7)". The kernel frees
// such a device when its last user is gone.
func (d *Disks) Detach(_ context.Context, volumeID, serverID string) (inUse string, err error) {
	if err := checkIDs(volumeID, serverID); err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := os.Remove(d.link(volumeID, serverID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("detach volume %s from server %s: %w", volumeID, serverID, err)
	}
	loops, err := loopsOver(d.volumeFile(volumeID))
	if err != nil {
		return "", err
	}
	var users []string
	for _, l := range loops {
		if l.ServerID != serverID {
			continue
		}
		found, err := l.release()
		if err != nil {
			return "", fmt.Errorf("detach volume %s from server %s: %w", volumeID, serverID, err)
		}
		users = append(users, found...)
	}
	return strings.Join(users, "; "), nil
}

// ServerDiskDir is the directory that the server shall see as /dev/disk; it exists when ServerDiskDir returns.
func (d *Disks) ServerDiskDir(serverID string) (string, error) {
	if err := checkIDs(serverID); err != nil {
		return "", err
	}
	dir := filepath.Join(d.serverDir(serverID), "disk")
	if err := os.MkdirAll(filepath.Join(dir, "by-id"), 0o755); err != nil {
		return "", fmt.Errorf("make the server's disk directory: %w", err)
	}
	return dir, nil
}

// RemoveServer removes what a deleted server leaves. Detach its volumes first.
func (d *Disks) RemoveServer(_ context.Context, serverID string) error {
	if err := checkIDs(serverID); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	loops, err := loopsBelow(d.volumeDir())
	if err != nil {
		return err
	}
	for _, l := range loops {
		if l.ServerID == serverID && !l.Released {
			return fmt.Errorf("remove server %s: volume %s is attached to it: detach it first", serverID, l.VolumeID)
		}
	}
	if err := os.RemoveAll(d.serverDir(serverID)); err != nil {
		return fmt.Errorf("remove server %s: %w", serverID, err)
	}
	return nil
}

func (d *Disks) volumeDir() string { return filepath.Join(d.dir, "volumes") }

func (d *Disks) volumeFile(volumeID string) string {
	return filepath.Join(d.volumeDir(), volumePrefix+volumeID)
}

func (d *Disks) serverDir(serverID string) string { return filepath.Join(d.dir, "servers", serverID) }

func (d *Disks) link(volumeID, serverID string) string {
	return filepath.Join(d.serverDir(serverID), "disk", "by-id", "virtio-"+serial(volumeID))
}

func serial(volumeID string) string { return volumeID[:min(serialLength, len(volumeID))] }

// volumePrefix begins the name of a volume's file, as Cinder's own drivers name them.
const volumePrefix = "volume-"

// Ids become file names and must fit, two together, into the 63 bytes of a loop device's name.
var validID = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,35}$`)

func checkIDs(ids ...string) error {
	for _, id := range ids {
		if !validID.MatchString(id) {
			return fmt.Errorf("id %q: want 1 to 36 letters, digits, '.', '_' or '-'", id)
		}
	}
	return nil
}
