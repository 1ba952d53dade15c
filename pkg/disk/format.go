package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// ensureFileSystem makes the disk hold a complete file system of the wanted type ("" : ext4, or what is there already)
// and returns what it holds. It formats only a disk that is empty, or that a format of ours left unfinished.
func (h *Host) ensureFileSystem(ctx context.Context, volumeID string, dev Device, want string, readOnly bool) (content, error) {
	found, err := h.probe(ctx, dev.Path)
	if err != nil {
		return content{}, fmt.Errorf("volume %s: %w", volumeID, err)
	}
	unfinished := found.kind == contentUnfinished
	switch found.kind {
	case contentFileSystem:
		if want != "" && want != found.what {
			return content{}, fmt.Errorf("volume %s on %s: %w: it has an %s file system, %s was asked for; set fsType to %s",
				volumeID, dev.Path, ErrForeignData, found.what, want, found.what)
		}
		return found, h.formatEnded(volumeID)
	case contentOther:
		return content{}, fmt.Errorf("volume %s on %s: %w: found %s; only ext4 and xfs directly on the disk can be mounted",
			volumeID, dev.Path, ErrForeignData, found.what)
	case contentUnknown:
		if unfinished, err = h.formatBegun(volumeID); err != nil {
			return content{}, err
		}
		if !unfinished {
			return content{}, fmt.Errorf("volume %s on %s: %w: found %s; if nothing on it is needed, wipe its first MiB (blkdiscard -f) to have it formatted",
				volumeID, dev.Path, ErrForeignData, found.what)
		}
	}
	if readOnly {
		return content{}, fmt.Errorf("volume %s on %s: %w: it has no file system yet and is to be mounted read-only", volumeID, dev.Path, ErrInvalid)
	}
	if want == "" {
		want = Ext4
	}
	if unfinished {
		klog.FromContext(ctx).Info("Formatting again: the last format did not end", "volume", volumeID, "device", dev.Path)
	}
	if err := h.format(ctx, volumeID, dev, want, unfinished); err != nil {
		return content{}, err
	}
	return content{kind: contentFileSystem, what: want, fsSize: dev.SizeBytes}, nil
}

// format makes a file system. A record in the state directory tells a later call, of this process or its successor, that
// what it finds on the disk is our own half-done work and nobody's data.
func (h *Host) format(ctx context.Context, volumeID string, dev Device, fsType string, again bool) error {
	if err := h.beginFormat(volumeID); err != nil {
		return err
	}
	klog.FromContext(ctx).Info("Formatting an empty disk", "volume", volumeID, "device", dev.Path, "fsType", fsType)
	if err := h.makeFileSystem(ctx, dev.Path, fsType, again); err != nil {
		return fmt.Errorf("format volume %s as %s: %w", volumeID, fsType, err)
	}
	if err := syncDevice(dev.Path); err != nil {
		return fmt.Errorf("format volume %s as %s: %w", volumeID, fsType, err)
	}
	return h.formatEnded(volumeID)
}

func (h *Host) makeFileSystem(ctx context.Context, path, fsType string, again bool) error {
	if fsType == Ext4 {
		// -F: a whole disk instead of a partition is what we mean (a mounted one is refused all the same).
		// -m0: no blocks kept for root, as the field does; the reserve protects a root file system, not a data disk.
		// nodiscard: a fresh disk has nothing to discard, and discarding terabytes over a network takes minutes.
		return h.mustRun(ctx, "mkfs.ext4", "-F", "-m0", "-E", "nodiscard", path)
	}
	options, err := h.xfsOptions(ctx)
	if err != nil {
		return err
	}
	args := append([]string{"-K"}, options...) // -K: no discard
	if again {
		args = append(args, "-f") // without it mkfs.xfs refuses a disk with any signature: keep that for the first time
	}
	return h.mustRun(ctx, "mkfs.xfs", append(args, path)...)
}

// syncDevice makes sure that what was written to a device is on it: mkfs does not always.
func syncDevice(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

const recordPrefix = "volume-"

// formatRecord is the file that exists while a format of the volume is under way.
func (h *Host) formatRecord(volumeID string) string {
	return filepath.Join(h.stateDir, "formatting", recordPrefix+url.PathEscape(volumeID))
}

func (h *Host) beginFormat(volumeID string) error {
	if h.stateDir == "" {
		return fmt.Errorf("format volume %s: %w: no state directory configured", volumeID, ErrInvalid)
	}
	record := h.formatRecord(volumeID)
	dir := filepath.Dir(record)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("record the format of volume %s: %w", volumeID, err)
	}
	if err := os.WriteFile(record, nil, 0o600); err != nil {
		return fmt.Errorf("record the format of volume %s: %w", volumeID, err)
	}
	// The record must be on the machine's disk before the first change is on the volume's.
	if err := syncFS(dir); err != nil {
		return fmt.Errorf("record the format of volume %s: %w", volumeID, err)
	}
	return nil
}

func (h *Host) formatBegun(volumeID string) (bool, error) {
	_, err := os.Stat(h.formatRecord(volumeID))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (h *Host) formatEnded(volumeID string) error {
	if err := os.Remove(h.formatRecord(volumeID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end the format of volume %s: %w", volumeID, err)
	}
	return nil
}

// ForgetFormats forgets the formats under way of volumes that are not on this machine any more. Call it when a process
// begins: while it, or its machine, was down, a volume may have gone elsewhere and got data.
func (h *Host) ForgetFormats(ctx context.Context) error {
	records, err := os.ReadDir(filepath.Dir(h.formatRecord("")))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the records of formats: %w", err)
	}
	for _, record := range records {
		volumeID, err := url.PathUnescape(strings.TrimPrefix(record.Name(), recordPrefix))
		if err != nil {
			continue // not one of ours
		}
		if _, err := h.Find(volumeID); !errors.Is(err, ErrNoDevice) {
			continue
		}
		klog.FromContext(ctx).Info("Forgetting a format that did not end: the volume has left", "volume", volumeID)
		if err := h.formatEnded(volumeID); err != nil {
			return err
		}
	}
	return nil
}

// syncFS writes out the whole file system that a path is on.
func syncFS(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: path, Err: err}
	}
	return nil
}
