package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"k8s.io/klog/v2"
)

// PublishRequest asks for a staged volume to be shown to one workload.
type PublishRequest struct {
	VolumeID    string
	StagingPath string // where Stage mounted it
	TargetPath  string
	ReadOnly    bool
	// MountFlags are options of mount(8); those of the file system itself took effect when staging.
	MountFlags []string
	// Exclusive refuses the request while the volume is published at another path.
	Exclusive bool
}

// Publish shows a staged volume at the target path. Publishing again is a success, and corrects a publication that was
// interrupted between its two steps. ErrNotStaged when nothing is mounted at the staging path, ErrInUse when the target
// shows something else, or the volume is published elsewhere and the request is exclusive.
func (h *Host) Publish(ctx context.Context, r PublishRequest) error {
	if err := CheckMountFlags(r.MountFlags); err != nil {
		return err
	}
	staging, err := resolve(r.StagingPath)
	if err != nil {
		return err
	}
	target, err := resolve(r.TargetPath)
	if err != nil {
		return err
	}
	table, err := readMounts()
	if err != nil {
		return err
	}
	staged, ok := table.at(staging)
	if !ok {
		return fmt.Errorf("publish volume %s: %w: nothing is mounted at %s", r.VolumeID, ErrNotStaged, staging)
	}
	if !h.deviceExists(staged.device) {
		return fmt.Errorf("publish volume %s: %w: device %s, mounted at %s, is gone; delete the pod to have the volume staged again",
			r.VolumeID, ErrNotStaged, staged.device, staging)
	}
	readOnly := r.ReadOnly || isReadOnly(r.MountFlags)
	if r.Exclusive {
		if paths := table.wholeMounts(staged.device, staging, target); len(paths) > 0 {
			return fmt.Errorf("publish volume %s: %w: only one workload may use it, and it is published at %s", r.VolumeID, ErrInUse, paths[0])
		}
	}
	if m, ok := table.at(target); ok {
		switch {
		case m.device == staged.device && m.readOnly == readOnly:
			return nil
		case m.device != staged.device && h.deviceExists(m.device):
			return fmt.Errorf("publish volume %s at %s: %w: device %s is mounted there", r.VolumeID, target, ErrInUse, m.device)
		}
		if err := unmountAll(target); err != nil {
			return fmt.Errorf("publish volume %s: %w", r.VolumeID, err)
		}
	}
	if err := os.MkdirAll(target, 0o750); err != nil {
		return fmt.Errorf("publish volume %s: %w", r.VolumeID, err)
	}
	if err := h.mounter.Mount(staging, target, "", bindOptions(r.MountFlags, readOnly)); err != nil {
		return errors.Join(fmt.Errorf("publish volume %s: %w", r.VolumeID, err), unmountAll(target))
	}
	klog.FromContext(ctx).V(2).Info("Published", "volume", r.VolumeID, "path", target, "readOnly", readOnly)
	return nil
}

// perMount are the options that one mount of a file system can have for itself.
var perMount = []string{
	"nosuid", "suid", "nodev", "dev", "noexec", "exec",
	"noatime", "atime", "nodiratime", "diratime", "relatime", "norelatime", "strictatime", "nostrictatime", "nosymfollow",
}

// bindOptions are the options for showing a mounted file system a second time.
func bindOptions(flags []string, readOnly bool) []string {
	options := []string{"bind"}
	for _, f := range flags {
		for option := range strings.SplitSeq(f, ",") {
			if slices.Contains(perMount, option) {
				options = append(options, option)
			}
		}
	}
	if readOnly {
		options = append(options, "ro")
	}
	return options
}

// Unpublish ends a publication and removes the target path. It is a success when nothing is there. ErrInUse while a
// process holds files there.
func (h *Host) Unpublish(ctx context.Context, volumeID, targetPath string) error {
	target, err := resolve(targetPath)
	if err != nil {
		return err
	}
	if err := unmountAll(target); err != nil {
		return fmt.Errorf("unpublish volume %s: %w", volumeID, err)
	}
	// Remove, never RemoveAll: what is left in the directory was written while nothing was mounted, and is not ours.
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unpublish volume %s: %w", volumeID, err)
	}
	klog.FromContext(ctx).V(2).Info("Unpublished", "volume", volumeID, "path", target)
	return nil
}
