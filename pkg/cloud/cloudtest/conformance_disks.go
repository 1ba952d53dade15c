package cloudtest

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

func sorted[T any](cases map[string]T) []string { return slices.Sorted(maps.Keys(cases)) }

var diskCases = map[string]func(*testing.T, *suite){
	"a new disk becomes available as it was asked for":     diskAsAsked,
	"what was left empty the cloud chooses":                diskDefaults,
	"names are not unique":                                 diskNames,
	"a list has exactly what the filter matches":           diskFilter,
	"bad wishes are invalid and create nothing":            diskInvalid,
	"over quota is exhausted and changes nothing":          diskQuota,
	"what does not exist is not found":                     diskAbsent,
	"a deleted disk is gone":                               diskDelete,
	"a disk in transition is busy":                         diskBusy,
	"an attached disk is on its instance and nowhere else": diskAttach,
	"a detached disk is available again":                   diskDetach,
	"a disk grows, attached or not":                        diskExtend,
	"a multiattach disk is on several instances":           diskMultiattach,
	"types and zones are those that creations accept":      diskTypesAndZones,
	"every call is one request, and waits for nothing":     diskCosts,
}

func (s *suite) spec() cloud.DiskSpec {
	return cloud.DiskSpec{
		Name: s.identity, SizeGiB: 1, Type: s.DiskType, Zone: s.Zone, Metadata: map[string]string{"fairlead.io/cluster": s.identity},
	}
}

// disk makes an available disk that is removed with the test.
func (s *suite) disk(t *testing.T, change func(*cloud.DiskSpec)) cloud.Disk {
	t.Helper()
	spec := s.spec()
	if change != nil {
		change(&spec)
	}
	d, err := s.Cloud.CreateDisk(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	s.dropDisk(t, d.ID)
	return s.diskIs(t, d.ID, cloud.DiskAvailable)
}

func (s *suite) dropDisk(t *testing.T, id string) {
	t.Cleanup(func() {
		ctx := cleanup(t)
		s.gone(t, "disk "+id, func() error {
			d, err := s.Cloud.GetDisk(ctx, id)
			if err != nil {
				return err
			}
			for _, a := range d.Attachments {
				_ = s.Cloud.DetachDisk(ctx, id, a.InstanceID)
			}
			if len(d.Attachments) > 0 {
				return nil
			}
			return s.Cloud.DeleteDisk(ctx, id)
		})
	})
}

// diskIs waits for a state.
func (s *suite) diskIs(t *testing.T, id string, want cloud.DiskState) (d cloud.Disk) {
	t.Helper()
	s.eventually(t, "disk "+id+" to be "+string(want), func() bool {
		var err error
		if d, err = s.Cloud.GetDisk(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if d.State == cloud.DiskError && want != cloud.DiskError {
			t.Fatalf("disk %s is in %s", id, d.RawState)
		}
		return d.State == want
	})
	return d
}

func (s *suite) attach(t *testing.T, id, instance string) {
	t.Helper()
	if err := s.Cloud.AttachDisk(t.Context(), id, instance); err != nil {
		t.Fatal(err)
	}
	s.eventually(t, "disk "+id+" to be on "+instance, func() bool {
		d, err := s.Cloud.GetDisk(t.Context(), id)
		return err == nil && d.AttachedTo(instance)
	})
}

// mine are the disks that the suite made and that are not being deleted.
func (s *suite) mine(t *testing.T) (ids []string) {
	t.Helper()
	disks, err := s.Cloud.ListDisks(t.Context(), cloud.DiskFilter{Metadata: map[string]string{"fairlead.io/cluster": s.identity}})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range disks {
		if d.State != cloud.DiskDeleting {
			ids = append(ids, d.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func diskAsAsked(t *testing.T, s *suite) {
	d, err := s.Cloud.CreateDisk(t.Context(), s.spec())
	if err != nil {
		t.Fatal(err)
	}
	s.dropDisk(t, d.ID)
	if d.State != cloud.DiskCreating && d.State != cloud.DiskAvailable {
		t.Errorf("the answer says %s", d.State)
	}
	d = s.diskIs(t, d.ID, cloud.DiskAvailable)
	if d.Name != s.identity || d.SizeGiB != 1 || d.Type != s.DiskType || d.Zone != s.Zone || d.Metadata["fairlead.io/cluster"] != s.identity {
		t.Errorf("got %+v", d)
	}
	if len(d.Attachments) != 0 || d.RawState == "" || d.CreatedAt.IsZero() || d.Multiattach {
		t.Errorf("got %+v", d)
	}
}

func diskDefaults(t *testing.T, s *suite) {
	d := s.disk(t, func(spec *cloud.DiskSpec) { spec.Type, spec.Zone = "", "" })
	if d.Type == "" || d.Zone == "" {
		t.Errorf("got type %q and zone %q", d.Type, d.Zone)
	}
}

func diskNames(t *testing.T, s *suite) {
	a, b := s.disk(t, nil), s.disk(t, nil)
	if a.ID == b.ID {
		t.Error("one disk answered for two")
	}
	disks, err := s.Cloud.ListDisks(t.Context(), cloud.DiskFilter{Name: s.identity})
	if err != nil || len(disks) < 2 {
		t.Errorf("the list by name has %d, %v", len(disks), err)
	}
}

func diskFilter(t *testing.T, s *suite) {
	one := s.disk(t, func(spec *cloud.DiskSpec) {
		spec.Name, spec.Metadata["fairlead.io/volume"] = s.identity+"-one", "it's {one}"
	})
	two := s.disk(t, func(spec *cloud.DiskSpec) {
		spec.Name, spec.Metadata["fairlead.io/volume"] = s.identity+"-two", "two"
	})
	tests := map[string]struct {
		filter cloud.DiskFilter
		want   []string
	}{
		"by one pair":         {cloud.DiskFilter{Metadata: map[string]string{"fairlead.io/cluster": s.identity}}, []string{one.ID, two.ID}},
		"by two pairs":        {cloud.DiskFilter{Metadata: map[string]string{"fairlead.io/cluster": s.identity, "fairlead.io/volume": "it's {one}"}}, []string{one.ID}},
		"by name":             {cloud.DiskFilter{Name: s.identity + "-two"}, []string{two.ID}},
		"by name and a pair":  {cloud.DiskFilter{Name: s.identity + "-two", Metadata: map[string]string{"fairlead.io/volume": "it's {one}"}}, nil},
		"by an unknown value": {cloud.DiskFilter{Metadata: map[string]string{"fairlead.io/cluster": absent}}, nil},
		"by part of the name": {cloud.DiskFilter{Name: s.identity + "-t"}, nil},
	}
	for name, tt := range tests {
		disks, err := s.Cloud.ListDisks(t.Context(), tt.filter)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range disks {
			if d.State != cloud.DiskDeleting {
				got = append(got, d.ID)
			}
		}
		slices.Sort(got)
		slices.Sort(tt.want)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

func diskInvalid(t *testing.T, s *suite) {
	before := s.mine(t)
	for name, change := range map[string]func(*cloud.DiskSpec){
		"no size":         func(spec *cloud.DiskSpec) { spec.SizeGiB = 0 },
		"an unknown type": func(spec *cloud.DiskSpec) { spec.Type = "no-such-type" },
		"an unknown zone": func(spec *cloud.DiskSpec) { spec.Zone = "no-such-zone" },
	} {
		spec := s.spec()
		change(&spec)
		_, err := s.Cloud.CreateDisk(t.Context(), spec)
		fails(t, name, err, cloud.ErrInvalid)
	}
	if after := s.mine(t); !slices.Equal(after, before) {
		t.Errorf("disks before %v, after %v", before, after)
	}
}

func diskQuota(t *testing.T, s *suite) {
	if s.OverQuotaGiB == 0 {
		t.Skip("the fixture has no quota")
	}
	d := s.disk(t, nil)
	before := s.mine(t)
	spec := s.spec()
	spec.SizeGiB = s.OverQuotaGiB
	_, err := s.Cloud.CreateDisk(t.Context(), spec)
	fails(t, "create", err, cloud.ErrExhausted)
	fails(t, "extend", s.Cloud.ExtendDisk(t.Context(), d.ID, s.OverQuotaGiB), cloud.ErrExhausted)
	if after := s.mine(t); !slices.Equal(after, before) {
		t.Errorf("disks before %v, after %v", before, after)
	}
	if d = s.diskIs(t, d.ID, cloud.DiskAvailable); d.SizeGiB != 1 {
		t.Errorf("the disk has %d GiB", d.SizeGiB)
	}
}

func diskAbsent(t *testing.T, s *suite) {
	ctx := t.Context()
	_, err := s.Cloud.GetDisk(ctx, absent)
	fails(t, "get", err, cloud.ErrNotFound)
	fails(t, "delete", s.Cloud.DeleteDisk(ctx, absent), cloud.ErrNotFound)
	fails(t, "extend", s.Cloud.ExtendDisk(ctx, absent, 2), cloud.ErrNotFound)
	fails(t, "attach", s.Cloud.AttachDisk(ctx, absent, s.Instances[0]), cloud.ErrNotFound)
	fails(t, "detach", s.Cloud.DetachDisk(ctx, absent, s.Instances[0]), cloud.ErrNotFound)
	d := s.disk(t, nil)
	fails(t, "attach to no instance", s.Cloud.AttachDisk(ctx, d.ID, absent), cloud.ErrNotFound)
	fails(t, "detach from no instance", s.Cloud.DetachDisk(ctx, d.ID, absent), cloud.ErrNotFound)
	fails(t, "detach of what is not attached", s.Cloud.DetachDisk(ctx, d.ID, s.Instances[0]), cloud.ErrNotFound)
}

func diskDelete(t *testing.T, s *suite) {
	d := s.disk(t, nil)
	if err := s.Cloud.DeleteDisk(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	fails(t, "delete again", s.Cloud.DeleteDisk(t.Context(), d.ID), cloud.ErrBusy, cloud.ErrNotFound)
	s.eventually(t, "the disk to be gone", func() bool {
		got, err := s.Cloud.GetDisk(t.Context(), d.ID)
		if err == nil && got.State != cloud.DiskDeleting {
			t.Fatalf("a disk in deletion is %s", got.State)
		}
		return errors.Is(err, cloud.ErrNotFound)
	})
}

// diskBusy is conclusive when the disk is in transition before and after a call; on a fast cloud it may not be.
func diskBusy(t *testing.T, s *suite) {
	ctx := t.Context()
	d, err := s.Cloud.CreateDisk(ctx, s.spec())
	if err != nil {
		t.Fatal(err)
	}
	s.dropDisk(t, d.ID)
	check := func(what string, state cloud.DiskState, err error, kinds ...error) {
		t.Helper()
		after, gerr := s.Cloud.GetDisk(ctx, d.ID)
		if gerr == nil && after.State == state {
			fails(t, what, err, kinds...)
		}
	}
	if d.State == cloud.DiskCreating {
		check("attach while creating", cloud.DiskCreating, s.Cloud.AttachDisk(ctx, d.ID, s.Instances[0]), cloud.ErrConflict)
		check("extend while creating", cloud.DiskCreating, s.Cloud.ExtendDisk(ctx, d.ID, 2), cloud.ErrBusy)
		check("delete while creating", cloud.DiskCreating, s.Cloud.DeleteDisk(ctx, d.ID), cloud.ErrBusy)
	}
}

func diskAttach(t *testing.T, s *suite) {
	ctx := t.Context()
	d := s.disk(t, nil)
	s.attach(t, d.ID, s.Instances[0])
	d = s.diskIs(t, d.ID, cloud.DiskAttached)
	if len(d.Attachments) != 1 || d.Attachments[0].InstanceID != s.Instances[0] || d.Attachments[0].DiskID != d.ID || d.AttachedTo(s.Instances[1]) {
		t.Errorf("attachments %+v", d.Attachments)
	}
	fails(t, "attach again", s.Cloud.AttachDisk(ctx, d.ID, s.Instances[0]), cloud.ErrConflict)
	fails(t, "attach elsewhere", s.Cloud.AttachDisk(ctx, d.ID, s.Instances[1]), cloud.ErrConflict)
	fails(t, "delete", s.Cloud.DeleteDisk(ctx, d.ID), cloud.ErrConflict)
	fails(t, "detach from elsewhere", s.Cloud.DetachDisk(ctx, d.ID, s.Instances[1]), cloud.ErrNotFound)
	if after := s.diskIs(t, d.ID, cloud.DiskAttached); !after.AttachedTo(s.Instances[0]) || len(after.Attachments) != 1 {
		t.Errorf("the refused calls changed it to %+v", after)
	}
}

func diskDetach(t *testing.T, s *suite) {
	ctx := t.Context()
	d := s.disk(t, nil)
	s.attach(t, d.ID, s.Instances[0])
	if err := s.Cloud.DetachDisk(ctx, d.ID, s.Instances[0]); err != nil {
		t.Fatal(err)
	}
	fails(t, "detach again", s.Cloud.DetachDisk(ctx, d.ID, s.Instances[0]), cloud.ErrBusy, cloud.ErrNotFound)
	d = s.diskIs(t, d.ID, cloud.DiskAvailable)
	if len(d.Attachments) != 0 {
		t.Errorf("attachments %+v", d.Attachments)
	}
	fails(t, "detach once more", s.Cloud.DetachDisk(ctx, d.ID, s.Instances[0]), cloud.ErrNotFound)
	s.attach(t, d.ID, s.Instances[1])
}

func diskExtend(t *testing.T, s *suite) {
	d := s.disk(t, nil)
	grow := func(what string, size int64, state cloud.DiskState) {
		t.Helper()
		if err := s.Cloud.ExtendDisk(t.Context(), d.ID, size); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		s.eventually(t, what, func() bool {
			got, err := s.Cloud.GetDisk(t.Context(), d.ID)
			return err == nil && got.SizeGiB == size && got.State == state
		})
		for _, bad := range []int64{size, size - 1} {
			fails(t, what+": not larger", s.Cloud.ExtendDisk(t.Context(), d.ID, bad), cloud.ErrInvalid)
		}
	}
	grow("the available disk to have 2 GiB", 2, cloud.DiskAvailable)
	s.attach(t, d.ID, s.Instances[0])
	grow("the attached disk to have 3 GiB", 3, cloud.DiskAttached)
	if after := s.diskIs(t, d.ID, cloud.DiskAttached); !after.AttachedTo(s.Instances[0]) {
		t.Errorf("got %+v", after)
	}
}

func diskMultiattach(t *testing.T, s *suite) {
	if s.MultiattachType == "" {
		t.Skip("the fixture has no such type")
	}
	d := s.disk(t, func(spec *cloud.DiskSpec) { spec.Type = s.MultiattachType })
	if !d.Multiattach {
		t.Error("the disk does not say that it is multiattach")
	}
	s.attach(t, d.ID, s.Instances[0])
	s.attach(t, d.ID, s.Instances[1])
	d = s.diskIs(t, d.ID, cloud.DiskAttached)
	if len(d.Attachments) != 2 || !d.AttachedTo(s.Instances[0]) {
		t.Errorf("attachments %+v", d.Attachments)
	}
	fails(t, "attach again", s.Cloud.AttachDisk(t.Context(), d.ID, s.Instances[0]), cloud.ErrConflict)
	if err := s.Cloud.DetachDisk(t.Context(), d.ID, s.Instances[0]); err != nil {
		t.Fatal(err)
	}
	s.eventually(t, "one attachment to be left", func() bool {
		got, err := s.Cloud.GetDisk(t.Context(), d.ID)
		return err == nil && got.State == cloud.DiskAttached && len(got.Attachments) == 1 && got.AttachedTo(s.Instances[1])
	})
}

func diskTypesAndZones(t *testing.T, s *suite) {
	types, err := s.Cloud.DiskTypes(t.Context())
	if err != nil || !slices.Contains(types, s.DiskType) {
		t.Errorf("types %v, %v", types, err)
	}
	zones, err := s.Cloud.DiskZones(t.Context())
	if err != nil || !slices.Contains(zones, s.Zone) {
		t.Errorf("zones %v, %v", zones, err)
	}
}

func diskCosts(t *testing.T, s *suite) {
	ctx := t.Context()
	var d cloud.Disk
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	s.costs(t, "create", 1, func() { d, err = s.Cloud.CreateDisk(ctx, s.spec()) })
	must(err)
	s.dropDisk(t, d.ID)
	s.costs(t, "get", 1, func() { _, err = s.Cloud.GetDisk(ctx, d.ID) })
	must(err)
	s.costs(t, "list", 1, func() { s.mine(t) })
	s.diskIs(t, d.ID, cloud.DiskAvailable)
	s.costs(t, "extend", 1, func() { must(s.Cloud.ExtendDisk(ctx, d.ID, 2)) })
	s.diskIs(t, d.ID, cloud.DiskAvailable)
	s.costs(t, "attach", 1, func() { must(s.Cloud.AttachDisk(ctx, d.ID, s.Instances[0])) })
	s.diskIs(t, d.ID, cloud.DiskAttached)
	s.costs(t, "detach", 1, func() { must(s.Cloud.DetachDisk(ctx, d.ID, s.Instances[0])) })
	s.diskIs(t, d.ID, cloud.DiskAvailable)
	s.costs(t, "delete", 1, func() { must(s.Cloud.DeleteDisk(ctx, d.ID)) })
	s.costs(t, "ping", 1, func() { must(s.Cloud.Ping(ctx)) })
}
