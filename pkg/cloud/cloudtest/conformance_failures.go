package cloudtest

import (
	"testing"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// failureCases are about operations that the cloud accepted and then gave up.
var failureCases = map[string]func(*testing.T, *suite){
	"a creation that is given up leaves a disk in error, which can be deleted": creationGivenUp,
	"an attach that is given up leaves the disk available":                     attachGivenUp,
	"a detach that is given up leaves the disk attached":                       detachGivenUp,
	"an extension that is given up leaves the size, and a disk in error":       extensionGivenUp,
}

// giveUp makes the cloud give up the next such operation.
func (s *suite) giveUp(t *testing.T, op Op) {
	t.Helper()
	if s.Fail == nil {
		t.Skip("the fixture cannot make the cloud fail")
	}
	s.Fail(t, op)
}

func creationGivenUp(t *testing.T, s *suite) {
	s.giveUp(t, OpCreateDisk)
	d, err := s.Cloud.CreateDisk(t.Context(), s.spec())
	if err != nil {
		t.Fatal(err)
	}
	s.dropDisk(t, d.ID)
	d = s.diskIs(t, d.ID, cloud.DiskError)
	if d.RawState != string(cloud.DiskError) || len(d.Attachments) != 0 {
		t.Errorf("got %+v", d)
	}
	fails(t, "attach", s.Cloud.AttachDisk(t.Context(), d.ID, s.Instances[0]), cloud.ErrConflict)
	s.disk(t, nil) // the next one is made
}

func attachGivenUp(t *testing.T, s *suite) {
	d := s.disk(t, nil)
	s.giveUp(t, OpAttachDisk)
	if err := s.Cloud.AttachDisk(t.Context(), d.ID, s.Instances[0]); err != nil {
		t.Fatal("the request itself is accepted:", err)
	}
	s.eventually(t, "the disk to be available again", func() bool {
		got, err := s.Cloud.GetDisk(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.AttachedTo(s.Instances[0]) {
			t.Fatalf("it was attached all the same: %+v", got)
		}
		return got.State == cloud.DiskAvailable && len(got.Attachments) == 0
	})
	s.attach(t, d.ID, s.Instances[0])
}

func detachGivenUp(t *testing.T, s *suite) {
	d := s.disk(t, nil)
	s.attach(t, d.ID, s.Instances[0])
	s.giveUp(t, OpDetachDisk)
	if err := s.Cloud.DetachDisk(t.Context(), d.ID, s.Instances[0]); err != nil {
		t.Fatal("the request itself is accepted:", err)
	}
	d = s.diskIs(t, d.ID, cloud.DiskAttached)
	if !d.AttachedTo(s.Instances[0]) || len(d.Attachments) != 1 {
		t.Errorf("got %+v", d)
	}
	if err := s.Cloud.DetachDisk(t.Context(), d.ID, s.Instances[0]); err != nil {
		t.Fatal("the next try:", err)
	}
	s.diskIs(t, d.ID, cloud.DiskAvailable)
}

func extensionGivenUp(t *testing.T, s *suite) {
	d := s.disk(t, nil)
	s.giveUp(t, OpExtendDisk)
	if err := s.Cloud.ExtendDisk(t.Context(), d.ID, 2); err != nil {
		t.Fatal("the request itself is accepted:", err)
	}
	d = s.diskIs(t, d.ID, cloud.DiskError)
	if d.SizeGiB != 1 || d.RawState == string(cloud.DiskError) {
		t.Errorf("an extension that failed must not look like a creation that failed, and leave 1 GiB: %+v", d)
	}
	fails(t, "extend once more", s.Cloud.ExtendDisk(t.Context(), d.ID, 2), cloud.ErrConflict)
}
