package cloud

import (
	"context"
	"time"
)

// DiskState is where a disk is in its life. Transitional states end by themselves.
type DiskState string

// The states of a disk. A provider maps its own words to these; what it cannot map is DiskUnknown.
const (
	DiskCreating  DiskState = "creating"
	DiskAvailable DiskState = "available" // exists, attached nowhere
	DiskAttaching DiskState = "attaching" // reserved or being attached
	DiskAttached  DiskState = "attached"
	DiskDetaching DiskState = "detaching"
	DiskExtending DiskState = "extending"
	DiskDeleting  DiskState = "deleting"
	DiskBusy      DiskState = "busy"  // another transition (backup, retype, ...)
	DiskError     DiskState = "error" // creation, deletion or extension was given up; see Disk.RawState
	DiskUnknown   DiskState = "unknown"
)

// Disk is a block device that outlives the instances it is attached to.
type Disk struct {
	ID       string
	Name     string
	SizeGiB  int64
	Type     string
	Zone     string
	State    DiskState
	RawState string // the provider's own word, for messages
	// Repair is the command with which the cloud's operator ends State if it lasts although nothing is under way any
	// more; empty when State is in order or no command is known. For messages.
	Repair      string
	Multiattach bool
	// Metadata carries identity: it is part of the creating request.
	Metadata    map[string]string
	Attachments []Attachment
	CreatedAt   time.Time
}

// AttachedTo reports whether the disk has a completed attachment to the instance.
func (d Disk) AttachedTo(instanceID string) bool {
	if d.State == DiskAttaching || d.State == DiskDetaching {
		return false
	}
	for _, a := range d.Attachments {
		if a.InstanceID == instanceID {
			return true
		}
	}
	return false
}

// Attachment is one disk on one instance.
type Attachment struct {
	DiskID string
	// InstanceID is the instance's id; for a user of the disk that is no instance of the cloud, words that name it.
	InstanceID string
	// Device is the cloud's guess at the device name ("/dev/vdb"); never rely on it to find the device.
	Device string
}

// DiskSpec is a disk to be created.
type DiskSpec struct {
	Name     string
	SizeGiB  int64
	Type     string // empty: the cloud's default
	Zone     string // empty: the cloud's choice
	Metadata map[string]string
}

// DiskFilter narrows ListDisks. Zero fields do not filter.
type DiskFilter struct {
	Name     string
	Metadata map[string]string // all pairs must match
}

// Disks is what a cloud offers for disks. Every method is one request to the cloud (ListDisks: one per page) and waits
// for nothing; package ensure adds waiting and idempotency. Errors are *Error. When a refusal's status does not tell why,
// the provider reads the object once more to choose the error.
type Disks interface {
	// CreateDisk asks for a disk and returns it, usually still DiskCreating. Not idempotent: names are not unique.
	// ErrExhausted over quota, ErrInvalid for an unknown type or zone, ErrOutcomeUnknown when the answer was lost.
	CreateDisk(ctx context.Context, spec DiskSpec) (Disk, error)
	// GetDisk reads one disk, always from the cloud itself. ErrNotFound is proof of absence.
	GetDisk(ctx context.Context, id string) (Disk, error)
	// ListDisks reads the project's disks. Absence from a list is a hint, not proof.
	ListDisks(ctx context.Context, filter DiskFilter) ([]Disk, error)
	// DeleteDisk asks for the removal of a disk, and its data with it. ErrNotFound when it is gone, ErrBusy while it is
	// in transition, ErrConflict while it is attached, ErrFailed when an earlier deletion was given up and only the cloud's
	// operator can go on.
	DeleteDisk(ctx context.Context, id string) error
	// ExtendDisk asks for a larger size, attached or not. ErrExhausted over quota, ErrInvalid when not larger,
	// ErrBusy while in transition, ErrConflict in an error state, ErrNotFound when it is gone.
	ExtendDisk(ctx context.Context, id string, sizeGiB int64) error
	// AttachDisk asks for the disk on the instance. The answer only means that the request was accepted: an attach
	// that fails later rolls the disk silently back to DiskAvailable. ErrConflict when the disk is attached already
	// (here or elsewhere) or in transition, ErrBusy when the instance is, ErrNotFound when either is gone, ErrExhausted
	// when the instance is full.
	AttachDisk(ctx context.Context, diskID, instanceID string) error
	// DetachDisk asks for the disk to leave the instance. A detach that fails later rolls the disk silently back to
	// DiskAttached. ErrNotFound when there is no such attachment, ErrBusy while the disk is in transition.
	DetachDisk(ctx context.Context, diskID, instanceID string) error
	// DiskTypes and DiskZones list what CreateDisk accepts (zones: the available ones).
	DiskTypes(ctx context.Context) ([]string, error)
	DiskZones(ctx context.Context) ([]string, error)
}
