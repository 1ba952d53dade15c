package blockstorage

import (
	"context"

	"github.com/google/uuid"
	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// The kinds of tasks. taskReserve only turns reserved into attaching, at once; the operation time is taskAttach's.
const (
	taskCreate  = "volume.create"
	taskDelete  = "volume.delete"
	taskExtend  = "volume.extend"
	taskReserve = "volume.reserve"
	taskAttach  = "volume.attach"
	taskDetach  = "volume.detach"
)

type onVolume struct {
	VolumeID     string
	AttachmentID string
}

// load returns the task's volume; ok is false when it is gone.
func (s *Service) load(t engine.Task) (v Volume, args onVolume, ok bool, err error) {
	if err = t.Decode(&args); err != nil {
		return v, args, false, err
	}
	_ = s.engine.View(func(tx *engine.Tx) error {
		v, ok = s.volumes.Get(tx, args.VolumeID)
		return nil
	})
	return v, args, ok, nil
}

// record applies change to the volume as it is now.
func (s *Service) record(id string, change func(tx *engine.Tx, v Volume) Volume) error {
	return s.engine.Update(func(tx *engine.Tx) error {
		if v, ok := s.volumes.Get(tx, id); ok {
			s.put(tx, change(tx, v))
		}
		return nil
	})
}

// stopping reports whether an error only says that the process ends: the task then runs again at the next start.
func stopping(ctx context.Context, err error) bool { return err != nil && ctx.Err() != nil }

func (s *Service) create(ctx context.Context, t engine.Task) error {
	v, _, ok, err := s.load(t)
	if err != nil || !ok || v.Status != Creating {
		return err
	}
	err = s.disks.Create(ctx, v.ID, v.SizeGiB)
	if stopping(ctx, err) {
		return err
	}
	return s.record(v.ID, func(tx *engine.Tx, v Volume) Volume {
		v.Status = Available
		if err != nil {
			v.Status = Failed
			s.tell(ctx, tx, v, "VOLUME_VOLUME_001_003", "schedule allocate volume:Could not find any available weighted backend.", err)
		}
		return v
	})
}

func (s *Service) remove(ctx context.Context, t engine.Task) error {
	v, _, ok, err := s.load(t)
	if err != nil || !ok || v.Status != Deleting {
		return err
	}
	err = s.disks.Delete(ctx, v.ID)
	if stopping(ctx, err) {
		return err
	}
	if err != nil {
		return s.record(v.ID, func(tx *engine.Tx, v Volume) Volume {
			v.Status = ErrorDeleting
			s.tell(ctx, tx, v, "VOLUME_VOLUME_004_019", "delete volume:Volume failed to delete.", err)
			return v
		})
	}
	return s.engine.Update(func(tx *engine.Tx) error {
		s.volumes.Delete(tx, v.ID)
		for _, m := range s.messages.Where(tx, func(m Message) bool { return m.VolumeID == v.ID }) {
			s.messages.Delete(tx, m.ID)
		}
		return nil
	})
}

func (s *Service) extend(ctx context.Context, t engine.Task) error {
	v, _, ok, err := s.load(t)
	if err != nil || !ok || v.NewSizeGiB == 0 {
		return err
	}
	err = s.disks.Extend(ctx, v.ID, v.NewSizeGiB)
	if stopping(ctx, err) {
		return err
	}
	return s.record(v.ID, func(tx *engine.Tx, v Volume) Volume {
		if err != nil {
			v.NewSizeGiB, v.Status = 0, ErrorExtending
			s.tell(ctx, tx, v, "VOLUME_VOLUME_006_011", "extend volume:Volume failed to extend.", err)
			return v
		}
		v.SizeGiB, v.NewSizeGiB = v.NewSizeGiB, 0
		v.Status = v.settled()
		return v
	})
}

func (s *Service) reserve(_ context.Context, t engine.Task) error {
	_, args, _, err := s.load(t)
	if err != nil {
		return err
	}
	return s.engine.Update(func(tx *engine.Tx) error {
		v, ok := s.volumes.Get(tx, args.VolumeID)
		a, on := v.attachment(args.AttachmentID)
		if !ok || !on || a.Status != AttachmentReserved {
			return nil
		}
		a.Status = AttachmentAttaching
		v = v.with(a)
		v.Status = v.settled()
		s.put(tx, v)
		return s.engine.Schedule(tx, taskAttach, v.ID, args)
	})
}

func (s *Service) attach(ctx context.Context, t engine.Task) error {
	v, args, ok, err := s.load(t)
	if err != nil {
		return err
	}
	a, on := v.attachment(args.AttachmentID)
	if !ok || !on || a.Status != AttachmentAttaching {
		return nil
	}
	err = s.disks.Attach(ctx, v.ID, a.ServerID)
	if stopping(ctx, err) {
		return err
	}
	return s.record(v.ID, func(_ *engine.Tx, v Volume) Volume {
		a, on := v.attachment(a.ID)
		switch {
		case !on || a.Status != AttachmentAttaching: // its server is being deleted: the detach that follows tidies up
			return v
		case err != nil: // as Nova does: the volume falls back without a word
			klog.FromContext(ctx).Error(err, "Attach failed and is rolled back", "volume", v.ID, "server", a.ServerID)
			v = v.without(a.ID)
		default:
			a.Status, a.Attached = Attached, s.engine.Now()
			v = v.with(a)
		}
		v.Status = v.settled()
		return v
	})
}

func (s *Service) detach(ctx context.Context, t engine.Task) error {
	v, args, ok, err := s.load(t)
	if err != nil {
		return err
	}
	a, on := v.attachment(args.AttachmentID)
	if !ok || !on || a.Status != AttachmentDetaching {
		return nil
	}
	inUse, err := s.disks.Detach(ctx, v.ID, a.ServerID)
	if stopping(ctx, err) {
		return err
	}
	return s.record(v.ID, func(tx *engine.Tx, v Volume) Volume {
		if inUse != "" {
			s.engine.Violate(tx, engine.DetachInUse, v.ID, "on server "+a.ServerID+": "+inUse)
		}
		if err != nil {
			klog.FromContext(ctx).Error(err, "Detach failed and is rolled back", "volume", v.ID, "server", a.ServerID)
			a.Status = Attached
			v = v.with(a)
		} else {
			v = v.without(a.ID)
		}
		v.Status = v.settled()
		return v
	})
}

// tell leaves a message for the user and the cause in the log.
func (s *Service) tell(ctx context.Context, tx *engine.Tx, v Volume, event, text string, cause error) {
	klog.FromContext(ctx).Error(cause, "Volume operation failed", "volume", v.ID, "event", event)
	s.messages.Put(tx, Message{
		ID: uuid.NewString(), ProjectID: v.ProjectID, VolumeID: v.ID, Event: event, Text: text, Created: s.engine.Now(),
	})
}

// Resume brings the devices of all attachments back after a start: a reboot of the machine took them away. Call it
// before the engine runs. What cannot be brought back is logged.
func (s *Service) Resume(ctx context.Context) {
	var all []Volume
	_ = s.engine.View(func(tx *engine.Tx) error {
		all = s.volumes.Where(tx, func(v Volume) bool { return len(v.Attachments) > 0 })
		return nil
	})
	for _, v := range all {
		for _, a := range v.Attachments {
			if a.Status != Attached {
				continue
			}
			if err := s.disks.Attach(ctx, v.ID, a.ServerID); err != nil {
				klog.FromContext(ctx).Error(err, "Attachment could not be brought back", "volume", v.ID, "server", a.ServerID)
			}
		}
	}
}
