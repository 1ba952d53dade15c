package disk

import (
	"context"
	"fmt"

	"k8s.io/klog/v2"
)

// e2fsck's exit status is a sum of these (e2fsck(8)).
const (
	fsckCorrected = 1
	fsckReboot    = 2 // only matters for a mounted file system
)

// check makes an ext4 file system fit for mounting: it replays the journal and repairs what can be repaired without a
// person's decision. xfs does the same when it is mounted. A clean file system costs a few reads, unless full is set,
// which resize2fs asks for before it grows.
func (h *Host) check(ctx context.Context, volumeID string, dev Device, full bool) error {
	args := []string{"-p"}
	if full {
		args = append(args, "-f")
	}
	out, status, err := h.run(ctx, "e2fsck", append(args, dev.Path)...)
	if err != nil {
		return fmt.Errorf("check volume %s: %w", volumeID, err)
	}
	if status&^(fsckCorrected|fsckReboot) != 0 {
		return fmt.Errorf("volume %s on %s: %w: e2fsck -p ended with status %d: %s; stop the workload and run e2fsck by hand",
			volumeID, dev.Path, ErrDamaged, status, out)
	}
	if status != 0 {
		klog.FromContext(ctx).Info("Repaired the file system", "volume", volumeID, "device", dev.Path, "output", out)
	}
	return nil
}
