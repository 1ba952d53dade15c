package disk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// xfsLadder is mkfs.xfs's feature options from newest to most compatible. mkfs.xfs enables what its own release thinks
// good, and the node's kernel, which comes from the host and not from our image, may be older and refuse to mount that.
var xfsLadder = [][]string{
	nil, // the defaults of this mkfs.xfs
	{"-m", "bigtime=1,inobtcount=1,rmapbt=0", "-i", "nrext64=0,exchange=0", "-n", "parent=0"}, // Linux 5.15
	{"-m", "bigtime=1,inobtcount=1,rmapbt=0", "-i", "nrext64=0"},                              // the same for an older mkfs
	{"-m", "bigtime=0,inobtcount=0,rmapbt=0", "-i", "nrext64=0,exchange=0", "-n", "parent=0"}, // Linux 5.4
	{"-m", "bigtime=0,inobtcount=0,rmapbt=0", "-i", "nrext64=0"},
	{"-m", "bigtime=0,inobtcount=0,rmapbt=0"},
	{"-m", "reflink=0,rmapbt=0"}, // Linux 4.18
}

// xfsOptions returns the mkfs.xfs options whose result this kernel mounts. It finds out once, on a throw-away image. If
// that cannot be tried (no loop device) it takes the defaults and tries again next time.
func (h *Host) xfsOptions(ctx context.Context) ([]string, error) {
	h.xfs.Lock()
	defer h.xfs.Unlock()
	if h.xfs.known {
		return h.xfs.options, nil
	}
	dir := filepath.Join(h.stateDir, "xfs-probe")
	// A predecessor that was killed may have left its probe mounted.
	if err := unmountAll(filepath.Join(dir, "mnt")); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("probe xfs: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "mnt"), 0o700); err != nil {
		return nil, fmt.Errorf("probe xfs: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var refusal error // of the defaults
	for _, options := range xfsLadder {
		err := h.tryXFS(ctx, dir, options)
		if err == nil {
			h.xfs.known, h.xfs.options = true, options
			klog.FromContext(ctx).V(2).Info("Found the xfs features of this kernel", "mkfsOptions", options)
			return options, nil
		}
		if refusal == nil {
			refusal = err
		}
	}
	klog.FromContext(ctx).Info("Could not try which xfs features this kernel mounts; using mkfs.xfs's defaults", "err", refusal)
	return nil, nil
}

// tryXFS makes a small sparse image and mounts it.
func (h *Host) tryXFS(ctx context.Context, dir string, options []string) error {
	image, mnt := filepath.Join(dir, "image"), filepath.Join(dir, "mnt")
	const smallest = 320 << 20 // mkfs.xfs makes nothing below 300 MiB
	f, err := os.OpenFile(image, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	err = f.Truncate(smallest)
	_ = f.Close()
	if err != nil {
		return err
	}
	if err := h.mustRun(ctx, "mkfs.xfs", append(append([]string{"-q", "-f"}, options...), image)...); err != nil {
		return err
	}
	if err := h.mounter.Mount(image, mnt, XFS, []string{"loop", "nouuid"}); err != nil {
		return err
	}
	if err := unix.Unmount(mnt, unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("unmount %s: %w", mnt, err)
	}
	return nil
}
