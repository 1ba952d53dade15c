// Package blockstorage is the embedded cloud's Cinder without its HTTP: volumes and attachments through their states.
//
// A request changes a volume's status and schedules a task; the task does the outside part through Disks and then
// records the outcome. Every task names what it is for (the attachment's id, the size) and does nothing when the state
// has moved on, so it may run again after a crash.
package blockstorage

import (
	"context"
	"slices"
	"time"
)

// Status is a volume's status in Cinder's words.
type Status string

// The states of a volume.
const (
	Creating       Status = "creating"
	Available      Status = "available"
	Reserved       Status = "reserved"
	Attaching      Status = "attaching"
	InUse          Status = "in-use"
	Detaching      Status = "detaching"
	Extending      Status = "extending"
	Deleting       Status = "deleting"
	Failed         Status = "error"
	ErrorExtending Status = "error_extending"
	ErrorDeleting  Status = "error_deleting"
)

// Volume is one volume.
type Volume struct {
	ID, ProjectID, UserID string
	Name                  string
	Description           *string
	SizeGiB               int64
	NewSizeGiB            int64 // while extending; else 0
	Type                  string
	Zone                  string
	Status                Status
	Multiattach           bool
	Metadata              map[string]string
	Attachments           []Attachment
	Created               time.Time
	Updated               time.Time // zero until the first change
}

// AttachmentStatus is an attachment's status in Cinder's words.
type AttachmentStatus string

// The states of an attachment.
const (
	AttachmentReserved  AttachmentStatus = "reserved"
	AttachmentAttaching AttachmentStatus = "attaching"
	Attached            AttachmentStatus = "attached"
	AttachmentDetaching AttachmentStatus = "detaching"
)

// Attachment is a volume on a server, or on its way there or away.
type Attachment struct {
	ID       string
	BDM      string // the id of Nova's block device mapping
	ServerID string
	Device   string // "/dev/vdb": a guess, as on a real cloud
	Status   AttachmentStatus
	Attached time.Time
}

// attachment finds an attachment by its id.
func (v Volume) attachment(id string) (Attachment, bool) {
	i := slices.IndexFunc(v.Attachments, func(a Attachment) bool { return a.ID == id })
	if i < 0 {
		return Attachment{}, false
	}
	return v.Attachments[i], true
}

// On finds the attachment to a server.
func (v Volume) On(serverID string) (Attachment, bool) {
	i := slices.IndexFunc(v.Attachments, func(a Attachment) bool { return a.ServerID == serverID })
	if i < 0 {
		return Attachment{}, false
	}
	return v.Attachments[i], true
}

// with returns the volume with that attachment added or replaced.
func (v Volume) with(a Attachment) Volume {
	v = v.without(a.ID)
	v.Attachments = append(v.Attachments, a)
	return v
}

// without returns the volume without the attachment.
func (v Volume) without(id string) Volume {
	kept := make([]Attachment, 0, len(v.Attachments)+1)
	for _, a := range v.Attachments {
		if a.ID != id {
			kept = append(kept, a)
		}
	}
	v.Attachments = kept
	return v
}

// settled is the status that follows from the attachments when no operation is under way.
func (v Volume) settled() Status {
	status := Available
	for _, a := range v.Attachments {
		switch a.Status {
		case AttachmentReserved:
			return Reserved
		case AttachmentAttaching:
			return Attaching
		case AttachmentDetaching:
			return Detaching
		case Attached:
			status = InUse
		}
	}
	return status
}

// Type is a volume type.
type Type struct {
	ID, Name, Description string
	Multiattach           bool
}

// Message tells why an asynchronous operation failed.
type Message struct {
	ID, ProjectID, VolumeID string
	Event, Text             string
	Created                 time.Time
}

// Quota bounds a project; a negative number does not.
type Quota struct {
	Volumes   int64 `json:"volumes"`
	Gigabytes int64 `json:"gigabytes"`
}

// Options configure the service.
type Options struct {
	Types []Type // the first is the default
	Zones []string
	Quota Quota
}

// Disks does what volumes stand for. All methods are idempotent and may be called again after a crash at any point.
type Disks interface {
	Create(ctx context.Context, volumeID string, sizeGiB int64) error
	Delete(ctx context.Context, volumeID string) error
	Extend(ctx context.Context, volumeID string, sizeGiB int64) error
	Attach(ctx context.Context, volumeID, serverID string) error
	// Detach takes the device away even when it is in use, and says by whom.
	Detach(ctx context.Context, volumeID, serverID string) (inUse string, err error)
}

// NullDisks does nothing: for simulations of thousands of volumes.
type NullDisks struct{}

// Create implements Disks.
func (NullDisks) Create(context.Context, string, int64) error { return nil }

// Delete implements Disks.
func (NullDisks) Delete(context.Context, string) error { return nil }

// Extend implements Disks.
func (NullDisks) Extend(context.Context, string, int64) error { return nil }

// Attach implements Disks.
func (NullDisks) Attach(context.Context, string, string) error { return nil }

// Detach implements Disks.
func (NullDisks) Detach(context.Context, string, string) (string, error) { return "", nil }
