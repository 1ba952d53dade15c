package disk

import (
	"context"
	"fmt"

	"k8s.io/klog/v2"
)

// growSlack is how much smaller than its disk a file system may stay: ext4 does not use a last block group that is too
// small for its own tables, xfs no last allocation group of a few blocks.
const growSlack = 16 << 20

// needsGrow decides from sizes in bytes whether a file system is to be grown. A size of 0 is unknown.
func needsGrow(fsSize, deviceSize int64) bool {
	return fsSize > 0 && deviceSize-fsSize >= growSlack
}

// Grow makes the file system that is mounted at path (staged or published) use its whole disk, once the kernel sees at
// least minBytes (0: whatever it sees), and returns the disk's size. Growing again is a success. ErrNotMounted when the
// path is no mount of the volume, ErrTooSmall when the disk did not become large enough in time.
func (h *Host) Grow(ctx context.Context, volumeID, path string, minBytes int64) (int64, error) {
	m, err := mountAt(volumeID, path)
	if err != nil {
		return 0, fmt.Errorf("grow: %w", err)
	}
	dev, err := h.Await(ctx, volumeID, minBytes)
	if err != nil {
		return 0, fmt.Errorf("grow: %w", err)
	}
	number, err := deviceNumber(dev.Path)
	if err != nil {
		return 0, fmt.Errorf("grow volume %s: %w", volumeID, err)
	}
	if number != m.device {
		return 0, fmt.Errorf("grow volume %s: %w: device %s is mounted at %s, the volume is %s (%s)",
			volumeID, ErrNotMounted, m.device, m.path, number, dev.Path)
	}
	if err := h.growMounted(ctx, volumeID, dev, m.path, m.fsType); err != nil {
		return 0, err
	}
	klog.FromContext(ctx).V(2).Info("Grown", "volume", volumeID, "device", dev.Path, "bytes", dev.SizeBytes)
	return dev.SizeBytes, nil
}

// growMounted grows a mounted file system; both tools do nothing when there is nothing to do.
func (h *Host) growMounted(ctx context.Context, volumeID string, dev Device, path, fsType string) error {
	var err error
	switch fsType {
	case Ext4:
		err = h.mustRun(ctx, "resize2fs", dev.Path)
	case XFS:
		err = h.mustRun(ctx, "xfs_growfs", "-d", path)
	default:
		err = fmt.Errorf("%w: cannot grow %s", ErrInvalid, fsType)
	}
	if err != nil {
		return fmt.Errorf("grow the file system of volume %s: %w", volumeID, err)
	}
	return nil
}

// growUnmounted grows an ext4 file system that was fully checked just now.
func (h *Host) growUnmounted(ctx context.Context, volumeID string, dev Device) error {
	if err := h.mustRun(ctx, "resize2fs", dev.Path); err != nil {
		return fmt.Errorf("grow the file system of volume %s: %w", volumeID, err)
	}
	klog.FromContext(ctx).V(2).Info("Grown before mounting", "volume", volumeID, "device", dev.Path, "bytes", dev.SizeBytes)
	return nil
}
