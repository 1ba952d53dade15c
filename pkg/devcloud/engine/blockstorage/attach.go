package blockstorage

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// Attach accepts a volume for a server and returns the attachment, still reserved. Asking for a volume that is on
// another server and not multiattach is a safety violation.
func (s *Service) Attach(tx *engine.Tx, projectID, id, serverID string) (Attachment, error) {
	v, err := s.Get(tx, projectID, id)
	if err != nil {
		return Attachment{}, err
	}
	if err := s.refuseSecond(tx, v, serverID); err != nil {
		return Attachment{}, err
	}
	if free := v.Status == Available || v.Multiattach && v.Status == InUse; !free {
		return Attachment{}, engine.Refuse(engine.Invalid, "Invalid input received: Invalid volume: Volume %s status must be "+
			"available or downloading to reserve, but the current status is %s.", v.ID, v.Status)
	}
	a := Attachment{
		ID: uuid.NewString(), BDM: uuid.NewString(), ServerID: serverID,
		Device: s.freeDevice(tx, serverID), Status: AttachmentReserved,
	}
	v = v.with(a)
	v.Status = Reserved
	s.put(tx, v)
	return a, s.engine.ScheduleIn(tx, 0, taskReserve, v.ID, onVolume{VolumeID: v.ID, AttachmentID: a.ID})
}

func (s *Service) refuseSecond(tx *engine.Tx, v Volume, serverID string) error {
	if len(v.Attachments) == 0 {
		return nil
	}
	var on []string
	for _, a := range v.Attachments {
		on = append(on, a.ServerID)
	}
	here := slices.Contains(on, serverID)
	if v.Multiattach && !here {
		return nil
	}
	if !here {
		s.engine.Violate(tx, engine.SecondAttachment, v.ID, "attach to server "+serverID+" while on "+strings.Join(on, ", "))
	}
	if v.Multiattach {
		return engine.Refuse(engine.Invalid, "Invalid volume: volume %s already attached", v.ID)
	}
	return engine.Refuse(engine.Invalid, "Invalid volume: volume %s is already attached to instances: %s", v.ID, strings.Join(on, ", "))
}

// freeDevice is the first device name that no attachment of the server has: vdb to vdz, then vdaa.
func (s *Service) freeDevice(tx *engine.Tx, serverID string) string {
	used := map[string]bool{}
	for _, v := range s.OnServer(tx, serverID) {
		a, _ := v.On(serverID)
		used[a.Device] = true
	}
	for i := 1; ; i++ { // 0 is the root disk, vda
		name := "/dev/vd" + letters(i)
		if !used[name] {
			return name
		}
	}
}

// letters counts a to z, aa to az, ba ... as the kernel names disks.
func letters(i int) string {
	if i < 26 {
		return string(rune('a' + i))
	}
	return letters(i/26-1) + string(rune('a'+i%26))
}

// OnServer lists the volumes with an attachment to a server, whatever its status, oldest first.
func (s *Service) OnServer(tx *engine.Tx, serverID string) []Volume {
	return s.volumes.Where(tx, func(v Volume) bool {
		_, ok := v.On(serverID)
		return ok
	})
}

// Detach accepts that a volume leaves a server.
func (s *Service) Detach(tx *engine.Tx, projectID, id, serverID string) error {
	v, err := s.Get(tx, projectID, id)
	if err != nil {
		return err
	}
	a, ok := v.On(serverID)
	if !ok {
		return engine.Refuse(engine.NotFound, "Instance %s is not attached to volume %s", serverID, id)
	}
	if v.Status != InUse || a.Status != Attached {
		return engine.Refuse(engine.Invalid, "Invalid input received: Invalid volume: Unable to detach volume. Volume status "+
			"must be 'in-use' and attach_status must be 'attached' to detach.")
	}
	return s.startDetach(tx, v, a)
}

// Evict has all volumes leave a server that is being deleted, whatever state they are in.
func (s *Service) Evict(tx *engine.Tx, serverID string) error {
	for _, v := range s.OnServer(tx, serverID) {
		if a, _ := v.On(serverID); a.Status != AttachmentDetaching {
			if err := s.startDetach(tx, v, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) startDetach(tx *engine.Tx, v Volume, a Attachment) error {
	a.Status = AttachmentDetaching
	v = v.with(a)
	if v.NewSizeGiB == 0 {
		v.Status = Detaching
	}
	s.put(tx, v)
	return s.engine.Schedule(tx, taskDetach, v.ID, onVolume{VolumeID: v.ID, AttachmentID: a.ID})
}
