package openstack

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/disk"
)

// withDisks opens the storage of the embedded cloud on our state: volumes are files of Cinder's driver. Other processes
// are kept out meanwhile, for a device that one of them holds open would pass for one in use.
func withDisks(use func(*disk.Disks) error) (err error) {
	lock, err := os.OpenFile(path("run", "disks.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	disks, err := disk.New(Dir())
	if err != nil {
		return err
	}
	return use(disks)
}

// AttachDisk shows the volume to the server as a loop device of its own. Repeated, it changes nothing.
func AttachDisk(ctx context.Context, volumeID, serverID string) error {
	return withDisks(func(disks *disk.Disks) error { return disks.Attach(ctx, volumeID, serverID) })
}

// ExtendDisk makes the volume's devices see its new size.
func ExtendDisk(ctx context.Context, volumeID string, sizeGiB int64) error {
	return withDisks(func(disks *disk.Disks) error { return disks.Extend(ctx, volumeID, sizeGiB) })
}

// DetachDisk takes the volume from the server. A device that is in use is taken all the same, and recorded.
func DetachDisk(ctx context.Context, volumeID, serverID string) error {
	return withDisks(func(disks *disk.Disks) error { return detach(ctx, disks, volumeID, serverID) })
}

func detach(ctx context.Context, disks *disk.Disks, volumeID, serverID string) error {
	inUse, err := disks.Detach(ctx, volumeID, serverID)
	if err != nil || inUse == "" {
		return err
	}
	return recordViolation(Violation{Kind: "detach-in-use", Volume: volumeID, Server: serverID, Detail: inUse})
}

// RemoveServer takes all volumes from a server that is deleted, and its directory.
func RemoveServer(ctx context.Context, serverID string) error {
	return withDisks(func(disks *disk.Disks) error {
		loops, err := disk.Leftovers(Dir())
		if err != nil {
			return err
		}
		for _, l := range loops {
			if l.ServerID == serverID && !l.Released {
				if err := detach(ctx, disks, l.VolumeID, serverID); err != nil {
					return err
				}
			}
		}
		return disks.RemoveServer(ctx, serverID)
	})
}
