package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"k8s.io/klog/v2"
)

// rescanPeriod is how often the wait for a device looks again without being told to: udev's links announce themselves
// through inotify, serial numbers and sizes in sysfs do not.
const rescanPeriod = time.Second

// Await waits until the volume's device is there and has at least minBytes (0: any size), and returns it. When the
// context or the host's device timeout ends it returns why the device is not acceptable yet: ErrNoDevice, ErrAmbiguous
// or ErrTooSmall.
func (h *Host) Await(ctx context.Context, volumeID string, minBytes int64) (Device, error) {
	dev, err := h.findAtLeast(ctx, volumeID, minBytes)
	if err == nil || !worthWaiting(err) {
		return dev, err
	}
	klog.FromContext(ctx).V(2).Info("Waiting for the device", "volume", volumeID, "why", err)
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, h.deviceTimeout)
	defer cancel()
	watch := h.watchLinks(ctx)
	defer watch.close()
	tick := time.NewTicker(rescanPeriod)
	defer tick.Stop()
	for {
		watch.follow()
		dev, err = h.findAtLeast(ctx, volumeID, minBytes)
		if err == nil || !worthWaiting(err) {
			return dev, err
		}
		select {
		case <-ctx.Done():
			return Device{}, fmt.Errorf("waited %s: %w", time.Since(start).Round(time.Millisecond), err)
		case <-watch.events:
		case <-tick.C:
		}
	}
}

func worthWaiting(err error) bool {
	return errors.Is(err, ErrNoDevice) || errors.Is(err, ErrTooSmall) || errors.Is(err, ErrAmbiguous)
}

// findAtLeast is Find plus the check of the size; a SCSI disk is first asked for its present size.
func (h *Host) findAtLeast(ctx context.Context, volumeID string, minBytes int64) (Device, error) {
	dev, err := h.Find(volumeID)
	if err != nil || dev.SizeBytes >= minBytes {
		return dev, err
	}
	// virtio-blk and NVMe disks announce a new size, SCSI disks have to be asked.
	rescan := filepath.Join(h.sysDir, "block", dev.Name, "device", "rescan")
	if err := os.WriteFile(rescan, []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		klog.FromContext(ctx).Info("Could not make the kernel read the disk's size again", "file", rescan, "err", err)
	}
	if dev, err = h.Find(volumeID); err != nil || dev.SizeBytes >= minBytes {
		return dev, err
	}
	return Device{}, fmt.Errorf("volume %s: %w: %s has %d bytes, want at least %d",
		volumeID, ErrTooSmall, dev.Path, dev.SizeBytes, minBytes)
}

// linkWatch tells of changes below /dev/disk/by-id, which may not exist yet.
type linkWatch struct {
	watcher *fsnotify.Watcher
	events  <-chan fsnotify.Event
	dirs    []string // the directory of the links, then its parents
	watched string
}

// watchLinks begins to watch. Where the machine has no inotify instance left, the periodic look must do.
func (h *Host) watchLinks(ctx context.Context) *linkWatch {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		klog.FromContext(ctx).V(2).Info("No inotify; looking for the device periodically", "err", err)
		return &linkWatch{}
	}
	byID := h.byIDDir()
	return &linkWatch{watcher: w, events: w.Events, dirs: []string{byID, filepath.Dir(byID), h.devDir}}
}

// follow watches the directory of the links, or its nearest parent until it exists.
func (w *linkWatch) follow() {
	if w.watcher == nil {
		return
	}
	for _, dir := range w.dirs {
		if dir == w.watched {
			return
		}
		if w.watcher.Add(dir) == nil {
			if w.watched != "" {
				_ = w.watcher.Remove(w.watched) // gone already is as good
			}
			w.watched = dir
			return
		}
	}
}

func (w *linkWatch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close()
	}
}
