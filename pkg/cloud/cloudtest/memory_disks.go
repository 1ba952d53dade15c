package cloudtest

import (
	"context"
	"maps"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

func copyDisk(d *cloud.Disk) cloud.Disk {
	c := *d
	c.Metadata = maps.Clone(d.Metadata)
	c.Attachments = slices.Clone(d.Attachments)
	return c
}

// setDisk gives a disk a state in the words of the field's most common cloud.
func setDisk(d *cloud.Disk, s cloud.DiskState) {
	d.State = s
	d.RawState = map[cloud.DiskState]string{cloud.DiskAttached: "in-use"}[s]
	if d.RawState == "" {
		d.RawState = string(s)
	}
}

// rest is the state of a disk on which nothing is under way.
func rest(d *cloud.Disk) cloud.DiskState {
	if len(d.Attachments) > 0 {
		return cloud.DiskAttached
	}
	return cloud.DiskAvailable
}

// atRest reports whether the disk's state is neither a transition nor an error.
func atRest(d *cloud.Disk) bool {
	return d.State == cloud.DiskAvailable || d.State == cloud.DiskAttached
}

func hasAttachment(d *cloud.Disk, instanceID string) bool {
	return slices.ContainsFunc(d.Attachments, func(a cloud.Attachment) bool { return a.InstanceID == instanceID })
}

// workOnDisk is work for a disk that may be gone, or have been put into another state, when it ends.
func (m *Memory) workOnDisk(op Op, d *cloud.Disk, done func(d *cloud.Disk, failed bool)) {
	id, state := d.ID, d.State
	m.work(op, func(failed bool) {
		if d, ok := m.disks[id]; ok && d.State == state {
			done(d, failed)
		}
	})
}

// CreateDisk implements cloud.Disks.
func (m *Memory) CreateDisk(ctx context.Context, spec cloud.DiskSpec) (disk cloud.Disk, err error) {
	err = m.do(ctx, OpCreateDisk, spec.Name, func() error {
		if err := m.checkDisk(&spec); err != nil {
			return err
		}
		d := &cloud.Disk{
			ID: newID(), Name: spec.Name, SizeGiB: spec.SizeGiB, Type: spec.Type, Zone: spec.Zone,
			Multiattach: slices.Contains(m.opts.MultiattachTypes, spec.Type),
			Metadata:    maps.Clone(spec.Metadata), CreatedAt: m.clock.Now(),
		}
		setDisk(d, cloud.DiskCreating)
		m.disks[d.ID] = d
		m.workOnDisk(OpCreateDisk, d, func(d *cloud.Disk, failed bool) {
			setDisk(d, cloud.DiskAvailable)
			if failed {
				setDisk(d, cloud.DiskError)
			}
		})
		disk = copyDisk(d)
		return nil
	})
	if err != nil {
		return cloud.Disk{}, err
	}
	return disk, nil
}

// checkDisk refuses a bad spec and fills in the cloud's choices.
func (m *Memory) checkDisk(spec *cloud.DiskSpec) error {
	if spec.Type == "" {
		spec.Type = m.opts.DiskTypes[0]
	}
	if spec.Zone == "" {
		spec.Zone = m.opts.Zones[0]
	}
	switch {
	case spec.SizeGiB < 1:
		return refuse(cloud.ErrInvalid, "size %d is not positive", spec.SizeGiB)
	case !slices.Contains(m.opts.DiskTypes, spec.Type):
		return refuse(cloud.ErrInvalid, "disk type %q could not be found", spec.Type)
	case !slices.Contains(m.opts.Zones, spec.Zone):
		return refuse(cloud.ErrInvalid, "zone %q is invalid", spec.Zone)
	case m.opts.Quota.Disks > 0 && len(m.disks) >= m.opts.Quota.Disks:
		return refuse(cloud.ErrExhausted, "quota of %d disks", m.opts.Quota.Disks)
	}
	return m.checkGiB(spec.SizeGiB)
}

func (m *Memory) checkGiB(more int64) error {
	used := int64(0)
	for _, d := range m.disks {
		used += d.SizeGiB
	}
	if m.opts.Quota.GiB > 0 && used+more > m.opts.Quota.GiB {
		return refuse(cloud.ErrExhausted, "quota of %d GiB, %d GiB used, %d GiB requested", m.opts.Quota.GiB, used, more)
	}
	return nil
}

// onDisk is a call about one disk.
func (m *Memory) onDisk(ctx context.Context, op Op, id string, effect func(d *cloud.Disk) error) error {
	return m.do(ctx, op, id, func() error {
		d, ok := m.disks[id]
		if !ok {
			return cloud.ErrNotFound
		}
		return effect(d)
	})
}

// GetDisk implements cloud.Disks.
func (m *Memory) GetDisk(ctx context.Context, id string) (disk cloud.Disk, err error) {
	err = m.onDisk(ctx, OpGetDisk, id, func(d *cloud.Disk) error {
		disk = copyDisk(d)
		return nil
	})
	return disk, err
}

// ListDisks implements cloud.Disks.
func (m *Memory) ListDisks(ctx context.Context, filter cloud.DiskFilter) (disks []cloud.Disk, err error) {
	err = m.do(ctx, OpListDisks, "", func() error {
		for _, id := range sortedKeys(m.disks) {
			if d := m.disks[id]; matches(d, filter) {
				disks = append(disks, copyDisk(d))
			}
		}
		return nil
	})
	return disks, err
}

func matches(d *cloud.Disk, filter cloud.DiskFilter) bool {
	if filter.Name != "" && d.Name != filter.Name {
		return false
	}
	for k, v := range filter.Metadata {
		if got, ok := d.Metadata[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// DeleteDisk implements cloud.Disks.
func (m *Memory) DeleteDisk(ctx context.Context, id string) error {
	return m.onDisk(ctx, OpDeleteDisk, id, func(d *cloud.Disk) error {
		switch {
		case len(d.Attachments) > 0:
			return refuse(cloud.ErrConflict, "attached to %s", d.Attachments[0].InstanceID)
		case d.State != cloud.DiskAvailable && d.State != cloud.DiskError:
			return refuse(cloud.ErrBusy, "status is %s", d.RawState)
		}
		setDisk(d, cloud.DiskDeleting)
		m.workOnDisk(OpDeleteDisk, d, func(d *cloud.Disk, failed bool) {
			if failed {
				d.State, d.RawState = cloud.DiskError, "error_deleting"
				return
			}
			delete(m.disks, d.ID)
		})
		return nil
	})
}

// ExtendDisk implements cloud.Disks.
func (m *Memory) ExtendDisk(ctx context.Context, id string, sizeGiB int64) error {
	return m.onDisk(ctx, OpExtendDisk, id, func(d *cloud.Disk) error {
		switch {
		case d.State == cloud.DiskError:
			return refuse(cloud.ErrConflict, "status is %s", d.RawState)
		case !atRest(d):
			return refuse(cloud.ErrBusy, "status is %s", d.RawState)
		case sizeGiB <= d.SizeGiB:
			return refuse(cloud.ErrInvalid, "new size %d must be greater than %d", sizeGiB, d.SizeGiB)
		}
		if err := m.checkGiB(sizeGiB - d.SizeGiB); err != nil {
			return err
		}
		setDisk(d, cloud.DiskExtending)
		m.workOnDisk(OpExtendDisk, d, func(d *cloud.Disk, failed bool) {
			if failed {
				d.State, d.RawState = cloud.DiskError, "error_extending"
				return
			}
			d.SizeGiB = sizeGiB
			setDisk(d, rest(d))
			if m.opts.OnExtend != nil {
				m.opts.OnExtend(d.ID, sizeGiB)
			}
		})
		return nil
	})
}

// AttachDisk implements cloud.Disks.
func (m *Memory) AttachDisk(ctx context.Context, diskID, instanceID string) error {
	return m.onDisk(ctx, OpAttachDisk, diskID, func(d *cloud.Disk) error {
		if _, ok := m.instances[instanceID]; !ok {
			return refuse(cloud.ErrNotFound, "instance %s could not be found", instanceID)
		}
		free := d.State == cloud.DiskAvailable || d.State == cloud.DiskAttached && d.Multiattach
		switch {
		case hasAttachment(d, instanceID), !free:
			return refuse(cloud.ErrConflict, "disk is %s", d.RawState)
		case m.opts.Quota.DisksPerInstance > 0 && m.attached(instanceID) >= m.opts.Quota.DisksPerInstance:
			return refuse(cloud.ErrExhausted, "instance %s has %d disks", instanceID, m.opts.Quota.DisksPerInstance)
		}
		setDisk(d, cloud.DiskAttaching)
		m.workOnDisk(OpAttachDisk, d, func(d *cloud.Disk, failed bool) {
			_, there := m.instances[instanceID]
			if there && !failed && (m.opts.OnAttach == nil || m.opts.OnAttach(d.ID, instanceID) == nil) {
				d.Attachments = append(d.Attachments, cloud.Attachment{DiskID: d.ID, InstanceID: instanceID, Device: "/dev/vdb"})
			}
			setDisk(d, rest(d))
		})
		return nil
	})
}

func (m *Memory) attached(instanceID string) int {
	n := 0
	for _, d := range m.disks {
		if hasAttachment(d, instanceID) {
			n++
		}
	}
	return n
}

// DetachDisk implements cloud.Disks.
func (m *Memory) DetachDisk(ctx context.Context, diskID, instanceID string) error {
	return m.onDisk(ctx, OpDetachDisk, diskID, func(d *cloud.Disk) error {
		switch {
		case !hasAttachment(d, instanceID):
			return refuse(cloud.ErrNotFound, "instance %s is not attached to disk %s", instanceID, diskID)
		case d.State != cloud.DiskAttached:
			return refuse(cloud.ErrBusy, "status is %s", d.RawState)
		}
		setDisk(d, cloud.DiskDetaching)
		m.workOnDisk(OpDetachDisk, d, func(d *cloud.Disk, failed bool) {
			if !failed {
				m.dropAttachment(d, instanceID)
			}
			setDisk(d, rest(d))
		})
		return nil
	})
}

func (m *Memory) dropAttachment(d *cloud.Disk, instanceID string) {
	if !hasAttachment(d, instanceID) {
		return
	}
	d.Attachments = slices.DeleteFunc(slices.Clone(d.Attachments), func(a cloud.Attachment) bool { return a.InstanceID == instanceID })
	if m.opts.OnDetach != nil {
		m.opts.OnDetach(d.ID, instanceID)
	}
}

// DiskTypes implements cloud.Disks.
func (m *Memory) DiskTypes(ctx context.Context) (names []string, err error) {
	err = m.do(ctx, OpDiskTypes, "", func() error { names = slices.Clone(m.opts.DiskTypes); return nil })
	return names, err
}

// DiskZones implements cloud.Disks.
func (m *Memory) DiskZones(ctx context.Context) (names []string, err error) {
	err = m.do(ctx, OpDiskZones, "", func() error { names = slices.Clone(m.opts.Zones); return nil })
	return names, err
}

// PutDisk puts a disk into the cloud as it is, or replaces it: a state that tests cannot reach by calls. Work that is
// under way for the disk is dropped unless its state stays the same.
func (m *Memory) PutDisk(d cloud.Disk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := copyDisk(&d)
	m.disks[d.ID] = &c
}

// DropDisk removes a disk at once, as an operator would.
func (m *Memory) DropDisk(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.disks, id)
}

// Disks returns all disks as they are now, without a call.
func (m *Memory) Disks() []cloud.Disk {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	var all []cloud.Disk
	for _, id := range sortedKeys(m.disks) {
		all = append(all, copyDisk(m.disks[id]))
	}
	return all
}
