package ensure

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// Created makes the disk that the cluster knows by spec.Name, unless it exists, and waits until it can be used. The
// identity is added to the metadata. An existing disk is returned as it is, whatever its size, type and zone: the
// caller judges whether it will do.
//
// A creation that the cloud gave up, in this call or an earlier one, is cloud.ErrFailed, and what is left of it has been
// deleted: the next call starts anew. cloud.ErrOutcomeUnknown when the request's fate cannot be told yet: call again.
func (d *Disks) Created(ctx context.Context, spec cloud.DiskSpec) (cloud.Disk, error) {
	found, err := d.find(ctx, spec.Name)
	if err != nil {
		return cloud.Disk{}, err
	}
	if len(found) == 0 {
		request := spec
		request.Metadata = maps.Clone(spec.Metadata)
		if request.Metadata == nil {
			request.Metadata = map[string]string{}
		}
		request.Metadata[MetadataCluster], request.Metadata[MetadataVolume] = d.cluster, spec.Name
		receipted, receipt := cloud.WithReceipt(ctx)
		disk, err := d.cloud.CreateDisk(receipted, request)
		if err == nil {
			disk, err = d.usable(ctx, disk, "create disk")
			return disk, accepted(receipt, err)
		}
		if !errors.Is(err, cloud.ErrOutcomeUnknown) || ctx.Err() != nil {
			return cloud.Disk{}, err
		}
		var ferr error
		if found, ferr = d.find(ctx, spec.Name); ferr != nil || len(found) == 0 {
			// It may still appear. Asking again at once could make a second one.
			return cloud.Disk{}, errors.Join(err, ferr)
		}
	}
	disk, err := d.single(ctx, found)
	if err != nil {
		return disk, err
	}
	return d.usable(ctx, disk, "")
}

// find reads the disks that have the identity, normally one or none, from the cloud as it is now. A lone caller asks
// for these only, at once; callers that come soon after another wait a moment and share one list of all the cluster's
// disks.
func (d *Disks) find(ctx context.Context, name string) ([]cloud.Disk, error) {
	arrived := time.Now()
	pause := d.turn(arrived)
	var disks []cloud.Disk
	var err error
	if pause <= 0 {
		disks, err = d.cloud.ListDisks(ctx, cloud.DiskFilter{
			Metadata: map[string]string{MetadataCluster: d.cluster, MetadataVolume: name},
		})
	} else {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("look for disk %s: %w", name, ctx.Err())
		case <-timer.C:
		}
		d.turn(time.Now())
		disks, err = d.shared.Get(ctx, arrived)
	}
	if err != nil {
		return nil, fmt.Errorf("look for disk %s: %w", name, err)
	}
	var found []cloud.Disk
	for _, disk := range disks {
		if disk.Metadata[MetadataCluster] == d.cluster && disk.Metadata[MetadataVolume] == name && disk.State != cloud.DiskDeleting {
			found = append(found, disk)
		}
	}
	return found, nil
}

// turn says how long a look-up has to wait; when not at all, it has taken the turn.
func (d *Disks) turn(now time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	pause := d.lastFind.Add(findPause).Sub(now)
	if pause <= 0 {
		d.lastFind = now
	}
	return pause
}

// single chooses one of the disks that have the same identity and deletes the others: they were made by a request whose
// answer was lost and that took effect only after it had been repeated.
func (d *Disks) single(ctx context.Context, found []cloud.Disk) (cloud.Disk, error) {
	slices.SortFunc(found, better)
	for _, extra := range found[1:] {
		if _, err := d.pursue(ctx, d.deletion(extra.ID), true); err != nil {
			return found[0], fmt.Errorf("delete disk %s, a duplicate of %s: %w", extra.ID, found[0].ID, err)
		}
	}
	return found[0], nil
}

// usable waits until the disk is made. kind is that of the wait.
func (d *Disks) usable(ctx context.Context, disk cloud.Disk, kind string) (cloud.Disk, error) {
	if disk.State == cloud.DiskCreating {
		id := disk.ID
		var err error
		disk, err = d.observer.Await(ctx, kind, id, func(disk cloud.Disk, err error) (bool, error) {
			return err != nil || disk.State != cloud.DiskCreating, err
		})
		if err != nil {
			return disk, unfinished(operation{name: "create disk", id: id}, disk, err)
		}
	}
	switch disk.State {
	case cloud.DiskError:
	case cloud.DiskDeleting: // somebody was faster than the cluster
		return disk, failed("create disk", disk)
	default:
		return disk, nil
	}
	err := failed("create disk", disk)
	if creationFailed(disk) {
		err = &cloud.Error{Kind: cloud.ErrFailed, Op: "create disk", Object: disk.ID, Message: fmt.Sprintf(
			"the cloud accepted the request and could not make the disk: it is %q. Usual reasons: no storage of type %q in "+
				"zone %q with %d GiB free. It was deleted again", disk.RawState, disk.Type, disk.Zone, disk.SizeGiB)}
		if derr := d.Deleted(ctx, disk.ID); derr != nil {
			err = fmt.Errorf("%w, which failed: %w", err, derr)
		}
	}
	return disk, err
}
