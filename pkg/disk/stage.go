package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"k8s.io/klog/v2"
)

// StageRequest asks for a volume's file system to be mounted once on this machine, for all its users.
type StageRequest struct {
	VolumeID string
	// Path is the absolute path to mount at.
	Path string
	// FSType is ext4 or xfs; empty: ext4, or what the disk holds already.
	FSType string
	// MountFlags are options of mount(8), in addition to our own.
	MountFlags []string
}

func (r StageRequest) validate() error {
	if err := CheckFSType(r.FSType); err != nil {
		return err
	}
	return CheckMountFlags(r.MountFlags)
}

// CheckFSType returns ErrInvalid for a file system type that cannot be made here.
func CheckFSType(fsType string) error {
	if !slices.Contains([]string{"", Ext4, XFS}, fsType) {
		return fmt.Errorf("%w: fsType %q: allowed are %s and %s", ErrInvalid, fsType, Ext4, XFS)
	}
	return nil
}

// CheckMountFlags returns ErrInvalid for mount options that would turn the mount into something else.
func CheckMountFlags(flags []string) error {
	for _, f := range flags {
		for option := range strings.SplitSeq(f, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(option), "=")
			if slices.Contains([]string{"bind", "rbind", "move", "remount", "loop", "offset", "sizelimit"}, name) {
				return fmt.Errorf("%w: mount option %q is not allowed: the volume's own disk is mounted, as it is", ErrInvalid, name)
			}
		}
	}
	return nil
}

// Stage finds the volume's device, formats it if it is empty, checks it, mounts it, and grows the file system if the
// disk has become larger. Staging again at the same path is a success.
// ErrNoDevice when the device does not appear, ErrForeignData when the disk holds something else, ErrDamaged when the
// file system needs a person, ErrInUse when the path or the device is taken.
func (h *Host) Stage(ctx context.Context, r StageRequest) error {
	if err := r.validate(); err != nil {
		return err
	}
	dev, err := h.Await(ctx, r.VolumeID, 0)
	if err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	path, err := resolve(r.Path)
	if err != nil {
		return err
	}
	staged, err := h.staged(ctx, r.VolumeID, dev, path)
	if err != nil || staged {
		return err
	}
	fsType, grow, err := h.prepare(ctx, r, dev)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return fmt.Errorf("stage volume %s: %w", r.VolumeID, err)
	}
	options := slices.Clone(r.MountFlags)
	if fsType == XFS {
		// A clone or a restored snapshot has the UUID of its origin, and both may be wanted on one node.
		options = append(options, "nouuid")
	}
	if err := h.mounter.Mount(dev.Path, path, fsType, options); err != nil {
		return fmt.Errorf("mount volume %s from %s (%s; the node's kernel log may say more): %w", r.VolumeID, dev.Path, fsType, err)
	}
	if grow {
		if err := h.growMounted(ctx, r.VolumeID, dev, path, fsType); err != nil {
			return errors.Join(err, unmountAll(path)) // so that the next attempt does it all again
		}
	}
	klog.FromContext(ctx).V(2).Info("Staged", "volume", r.VolumeID, "device", dev.Path, "fsType", fsType, "path", path)
	return nil
}

// staged tells whether the volume is mounted at path already. What a lost device left mounted there is removed. Any
// other use of the path or of the device is an error.
func (h *Host) staged(ctx context.Context, volumeID string, dev Device, path string) (bool, error) {
	number, err := deviceNumber(dev.Path)
	if err != nil {
		return false, fmt.Errorf("volume %s: %w", volumeID, err)
	}
	table, err := readMounts()
	if err != nil {
		return false, err
	}
	if m, ok := table.at(path); ok {
		switch {
		case m.device == number:
			return true, nil
		case h.deviceExists(m.device):
			return false, fmt.Errorf("stage volume %s at %s: %w: device %s is mounted there, the volume is %s (%s)",
				volumeID, path, ErrInUse, m.device, number, dev.Path)
		}
		klog.FromContext(ctx).Info("Removing the mount of a device that is gone", "volume", volumeID, "path", path, "device", m.device.String())
		if err := unmountAll(path); err != nil {
			return false, fmt.Errorf("stage volume %s: %w", volumeID, err)
		}
	}
	if elsewhere := table.others(number, path); len(elsewhere) > 0 {
		return false, fmt.Errorf("stage volume %s at %s: %w: %s is mounted at %s", volumeID, path, ErrInUse, dev.Path, elsewhere[0].path)
	}
	return false, nil
}

// prepare makes the file system ready to be mounted, and tells its type and whether it is to be grown once mounted.
func (h *Host) prepare(ctx context.Context, r StageRequest, dev Device) (fsType string, grow bool, err error) {
	readOnly := isReadOnly(r.MountFlags)
	if inUse, err := claimed(dev.Path); err != nil || inUse {
		if err == nil {
			err = fmt.Errorf("%w: mounted in another mount namespace, or held by another program", ErrInUse)
		}
		return "", false, fmt.Errorf("stage volume %s on %s: %w", r.VolumeID, dev.Path, err)
	}
	found, err := h.ensureFileSystem(ctx, r.VolumeID, dev, r.FSType, readOnly)
	if err != nil || readOnly {
		return found.what, false, err
	}
	grow = needsGrow(found.fsSize, dev.SizeBytes)
	if found.what != Ext4 {
		return found.what, grow, nil
	}
	if err := h.check(ctx, r.VolumeID, dev, grow); err != nil {
		return "", false, err
	}
	if grow { // unmounted, ext4 grows without a privilege that a container may lack
		if err := h.growUnmounted(ctx, r.VolumeID, dev); err != nil {
			return "", false, err
		}
	}
	return found.what, false, nil
}

func isReadOnly(flags []string) bool {
	return slices.ContainsFunc(flags, func(f string) bool { return slices.Contains(strings.Split(f, ","), "ro") })
}

// Unstage writes out and unmounts what Stage mounted. It is a success when nothing is mounted there, or the device is
// gone. ErrInUse as long as the volume is published, or its device is held by anyone: detaching it then would lose data.
func (h *Host) Unstage(ctx context.Context, volumeID, path string) error {
	path, err := resolve(path)
	if err != nil {
		return err
	}
	table, err := readMounts()
	if err != nil {
		return err
	}
	if m, ok := table.at(path); ok {
		if elsewhere := table.others(m.device, path); len(elsewhere) > 0 {
			return fmt.Errorf("unstage volume %s: %w: still mounted at %s", volumeID, ErrInUse, elsewhere[0].path)
		}
		if err := syncFS(path); err != nil {
			klog.FromContext(ctx).Error(err, "Could not write out the file system; unmounting it all the same", "volume", volumeID, "path", path)
		}
		if err := unmountAll(path); err != nil {
			return fmt.Errorf("unstage volume %s: %w", volumeID, err)
		}
	}
	if err := h.released(ctx, volumeID); err != nil {
		return err
	}
	return h.formatEnded(volumeID) // a format that failed here is not to be remembered when the volume comes back
}

// released makes sure that nobody holds the device any more: the mount may live on in another mount namespace.
func (h *Host) released(ctx context.Context, volumeID string) error {
	dev, err := h.Find(volumeID)
	if errors.Is(err, ErrNoDevice) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("unstage: %w", err)
	}
	inUse, err := claimed(dev.Path)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Could not tell whether the device is still in use", "volume", volumeID, "device", dev.Path)
		return nil // it is unmounted, and going away
	}
	if inUse {
		return fmt.Errorf("unstage volume %s: %w: %s is unmounted here, but another mount namespace or program holds it", volumeID, ErrInUse, dev.Path)
	}
	return nil
}
