package devcloud

import (
	"context"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
)

// faultyDisks are disks whose operations fail when an injected fault says so.
type faultyDisks struct {
	blockstorage.Disks
	faults *api.Faults
}

// Create implements blockstorage.Disks.
func (d faultyDisks) Create(ctx context.Context, volumeID string, sizeGiB int64) error {
	if err := d.faults.Strike("volume.create"); err != nil {
		return err
	}
	return d.Disks.Create(ctx, volumeID, sizeGiB)
}

// Delete implements blockstorage.Disks.
func (d faultyDisks) Delete(ctx context.Context, volumeID string) error {
	if err := d.faults.Strike("volume.delete"); err != nil {
		return err
	}
	return d.Disks.Delete(ctx, volumeID)
}

// Extend implements blockstorage.Disks.
func (d faultyDisks) Extend(ctx context.Context, volumeID string, sizeGiB int64) error {
	if err := d.faults.Strike("volume.extend"); err != nil {
		return err
	}
	return d.Disks.Extend(ctx, volumeID, sizeGiB)
}

// Attach implements blockstorage.Disks.
func (d faultyDisks) Attach(ctx context.Context, volumeID, serverID string) error {
	if err := d.faults.Strike("volume.attach"); err != nil {
		return err
	}
	return d.Disks.Attach(ctx, volumeID, serverID)
}

// Detach implements blockstorage.Disks.
func (d faultyDisks) Detach(ctx context.Context, volumeID, serverID string) (inUse string, err error) {
	if err := d.faults.Strike("volume.detach"); err != nil {
		return "", err
	}
	return d.Disks.Detach(ctx, volumeID, serverID)
}
