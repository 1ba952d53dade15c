package blockstorage

import (
	"cmp"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// Service keeps the volumes of all projects.
type Service struct {
	engine   *engine.Engine
	disks    Disks
	opts     Options
	volumes  *engine.Table[Volume]
	messages *engine.Table[Message]
}

// New makes the service and registers its tasks.
func New(e *engine.Engine, disks Disks, opts Options) (*Service, error) {
	if len(opts.Types) == 0 || len(opts.Zones) == 0 {
		return nil, errors.New("block storage needs at least one volume type and one zone")
	}
	s := &Service{engine: e, disks: disks, opts: opts}
	var err error
	if s.volumes, err = engine.NewTable(e, "volumes", func(v Volume) string { return v.ID }); err != nil {
		return nil, err
	}
	if s.messages, err = engine.NewTable(e, "volume-messages", func(m Message) string { return m.ID }); err != nil {
		return nil, err
	}
	e.Handle(taskCreate, s.create)
	e.Handle(taskDelete, s.remove)
	e.Handle(taskExtend, s.extend)
	e.Handle(taskReserve, s.reserve)
	e.Handle(taskAttach, s.attach)
	e.Handle(taskDetach, s.detach)
	return s, nil
}

// Types lists the volume types, the default first.
func (s *Service) Types() []Type { return s.opts.Types }

// Zones lists the availability zones.
func (s *Service) Zones() []string { return s.opts.Zones }

// Quota is every project's quota.
func (s *Service) Quota() Quota { return s.opts.Quota }

// Spec is a volume to be created.
type Spec struct {
	ProjectID, UserID string
	Name              string
	Description       *string
	SizeGiB           int64
	Type, Zone        string // empty: the default type, the first zone
	Metadata          map[string]string
}

// Create accepts a new volume.
func (s *Service) Create(tx *engine.Tx, spec Spec) (Volume, error) {
	vt := s.opts.Types[0]
	if spec.Type != "" {
		i := slices.IndexFunc(s.opts.Types, func(t Type) bool { return t.Name == spec.Type || t.ID == spec.Type })
		if i < 0 {
			return Volume{}, engine.Refuse(engine.NotFound, "Volume type with name %s could not be found.", spec.Type)
		}
		vt = s.opts.Types[i]
	}
	zone := cmp.Or(spec.Zone, s.opts.Zones[0])
	if !slices.Contains(s.opts.Zones, zone) {
		return Volume{}, engine.Refuse(engine.Invalid, "Availability zone '%s' is invalid.", zone)
	}
	if err := s.checkQuota(tx, spec.ProjectID, 1, spec.SizeGiB); err != nil {
		return Volume{}, err
	}
	v := Volume{
		ID: uuid.NewString(), ProjectID: spec.ProjectID, UserID: spec.UserID, Name: spec.Name, Description: spec.Description,
		SizeGiB: spec.SizeGiB, Type: vt.Name, Zone: zone, Status: Creating, Multiattach: vt.Multiattach,
		Metadata: spec.Metadata, Created: s.engine.Now(),
	}
	if v.Metadata == nil {
		v.Metadata = map[string]string{}
	}
	s.volumes.Put(tx, v)
	return v, s.engine.Schedule(tx, taskCreate, v.ID, onVolume{VolumeID: v.ID})
}

// Usage is what a project has of volumes and GiB.
func (s *Service) Usage(tx *engine.Tx, projectID string) Quota {
	var used Quota
	for _, v := range s.volumes.Where(tx, func(v Volume) bool { return v.ProjectID == projectID }) {
		used.Volumes++
		used.Gigabytes += max(v.SizeGiB, v.NewSizeGiB)
	}
	return used
}

func (s *Service) checkQuota(tx *engine.Tx, projectID string, volumes, gib int64) error {
	used, limit := s.Usage(tx, projectID), s.opts.Quota
	if limit.Gigabytes >= 0 && used.Gigabytes+gib > limit.Gigabytes {
		return engine.Refuse(engine.OverQuota, "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed "+
			"gigabytes quota. Requested %dG, quota is %dG and %dG has been consumed.", gib, limit.Gigabytes, used.Gigabytes)
	}
	if limit.Volumes >= 0 && used.Volumes+volumes > limit.Volumes {
		return engine.Refuse(engine.OverQuota,
			"VolumeLimitExceeded: Maximum number of volumes allowed (%d) exceeded for quota 'volumes'.", limit.Volumes)
	}
	return nil
}

// Get returns a project's volume.
func (s *Service) Get(tx *engine.Tx, projectID, id string) (Volume, error) {
	v, ok := s.volumes.Get(tx, id)
	if !ok || v.ProjectID != projectID {
		return Volume{}, engine.Refuse(engine.NotFound, "Volume %s could not be found.", id)
	}
	return v, nil
}

// List returns a project's volumes, newest first.
func (s *Service) List(tx *engine.Tx, projectID string) []Volume {
	all := s.volumes.Where(tx, func(v Volume) bool { return v.ProjectID == projectID })
	slices.Reverse(all)
	return all
}

// All returns every project's volumes, oldest first.
func (s *Service) All(tx *engine.Tx) []Volume { return s.volumes.Where(tx, nil) }

// Change is an update of what a user may set.
type Change struct {
	Name        engine.Optional[string]
	Description engine.Optional[string]
	Metadata    map[string]string // replaces all of it; nil: stays
}

// Update changes names and metadata.
func (s *Service) Update(tx *engine.Tx, projectID, id string, c Change) (Volume, error) {
	v, err := s.Get(tx, projectID, id)
	if err != nil {
		return v, err
	}
	v.Name = c.Name.Or(v.Name, "")
	if c.Description.Set {
		v.Description = c.Description.Pointer()
	}
	if c.Metadata != nil {
		v.Metadata = c.Metadata
	}
	return s.put(tx, v), nil
}

func (s *Service) put(tx *engine.Tx, v Volume) Volume {
	v.Updated = s.engine.Now()
	s.volumes.Put(tx, v)
	return v
}

// Delete accepts a volume's removal. Asking for an attached one is a safety violation.
func (s *Service) Delete(tx *engine.Tx, projectID, id string) error {
	v, err := s.Get(tx, projectID, id)
	if err != nil {
		return err
	}
	if len(v.Attachments) > 0 {
		s.engine.Violate(tx, engine.DeleteAttached, v.ID, "attached to server "+v.Attachments[0].ServerID)
	}
	switch v.Status {
	case Available, Failed, ErrorExtending:
	default:
		return errNotDeletable
	}
	if len(v.Attachments) > 0 {
		return errNotDeletable
	}
	v.Status = Deleting
	s.put(tx, v)
	return s.engine.Schedule(tx, taskDelete, v.ID, onVolume{VolumeID: v.ID})
}

var errNotDeletable = engine.Refuse(engine.Invalid, "Invalid volume: Volume status must be available or error or "+
	"error_restoring or error_extending or error_managing and must not be migrating, attached, belong to a group, have "+
	"snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.")

// Reset is the administrator's word that a volume that got stuck is in that status.
func (s *Service) Reset(tx *engine.Tx, projectID, id string, status Status) error {
	v, err := s.Get(tx, projectID, id)
	if err != nil {
		return err
	}
	if !slices.Contains([]Status{Available, InUse, Failed}, status) {
		return engine.Refuse(engine.Invalid, "Must specify a valid status; %q is none that this cloud can be told", status)
	}
	v.Status = status
	s.put(tx, v)
	return nil
}

// Extend accepts a volume's growth; online says whether the caller's API version allows it for attached volumes.
func (s *Service) Extend(tx *engine.Tx, projectID, id string, sizeGiB int64, online bool) error {
	v, err := s.Get(tx, projectID, id)
	if err != nil {
		return err
	}
	if ready := v.Status == Available || online && v.Status == InUse; !ready {
		allowed := "{'status': 'available'}"
		if online {
			allowed = "{'status': ('available', 'in-use')}"
		}
		return engine.Refuse(engine.Invalid, "Invalid volume: Volume %s status must be '%s' to extend, currently %s.", id, allowed, v.Status)
	}
	if sizeGiB <= v.SizeGiB {
		return engine.Refuse(engine.Invalid, "Invalid input received: New size for extend must be greater than current size. "+
			"(current: %d, extended: %d).", v.SizeGiB, sizeGiB)
	}
	if err := s.checkQuota(tx, projectID, 0, sizeGiB-v.SizeGiB); err != nil {
		return err
	}
	v.Status, v.NewSizeGiB = Extending, sizeGiB
	s.put(tx, v)
	return s.engine.Schedule(tx, taskExtend, v.ID, onVolume{VolumeID: v.ID})
}

// Messages lists a project's messages, newest first.
func (s *Service) Messages(tx *engine.Tx, projectID string) []Message {
	all := s.messages.Where(tx, func(m Message) bool { return m.ProjectID == projectID })
	slices.Reverse(all)
	return all
}
