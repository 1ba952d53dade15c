package devcloud

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/attachments"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/availabilityzones"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/limits"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumetypes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/pagination"
)

// status is the code of a refused request, or 0 when it was not refused.
func status(t *testing.T, err error) int {
	t.Helper()
	for code := 400; code < 600; code++ {
		if gophercloud.ResponseCodeIs(err, code) {
			return code
		}
	}
	if err != nil {
		t.Fatalf("not an answer: %v", err)
	}
	return 0
}

func TestAVolumesLife(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, nil).URL)
	v := c.newVolume(t, volumes.CreateOpts{Name: "pvc-1", Size: 1, Metadata: map[string]string{"fairlead.io/cluster": "x"}})
	if v.VolumeType != "standard" || v.AvailabilityZone != "nova" || v.Size != 1 || v.Bootable != "false" || v.CreatedAt.IsZero() {
		t.Errorf("created %+v", v)
	}
	if err := volumes.ExtendSize(t.Context(), c.volume, v.ID, volumes.ExtendSizeOpts{NewSize: 3}).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "size 3", func() bool { v = c.volumeIs(t, v.ID, "available"); return v.Size == 3 })
	name := "renamed"
	v, err := volumes.Update(t.Context(), c.volume, v.ID, volumes.UpdateOpts{Name: &name, Metadata: map[string]string{"a": "b"}}).Extract()
	if err != nil || v.Name != name || !cmp.Equal(v.Metadata, map[string]string{"a": "b"}) {
		t.Fatalf("updated %+v, %v", v, err)
	}
	if err := volumes.Delete(t.Context(), c.volume, v.ID, nil).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "volume gone", func() bool {
		return status(t, volumes.Get(t.Context(), c.volume, v.ID).Err) == http.StatusNotFound
	})
	if got := status(t, volumes.Delete(t.Context(), c.volume, v.ID, nil).Err); got != http.StatusNotFound {
		t.Errorf("deleting it again got %d", got)
	}
}

func TestVolumeRefusals(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, func(c *Config) { c.Quotas.Gigabytes, c.Quotas.Volumes = 100, 3 }).URL)
	v := c.newVolume(t, volumes.CreateOpts{Size: 2})
	create := func(opts volumes.CreateOpts) error {
		return volumes.Create(t.Context(), c.volume, opts, nil).Err
	}
	extend := func(size int) error {
		return volumes.ExtendSize(t.Context(), c.volume, v.ID, volumes.ExtendSizeOpts{NewSize: size}).Err
	}
	for name, tt := range map[string]struct {
		err  error
		want int
	}{
		"an unknown zone is a 400":                 {create(volumes.CreateOpts{Size: 1, AvailabilityZone: "nope"}), 400},
		"an unknown type is a 404":                 {create(volumes.CreateOpts{Size: 1, VolumeType: "nope"}), 404},
		"size 0 is a 400":                          {create(volumes.CreateOpts{Size: -1}), 400},
		"a size over quota is a 413":               {create(volumes.CreateOpts{Size: 99}), 413},
		"an unknown snapshot is a 404":             {create(volumes.CreateOpts{Size: 1, SnapshotID: "x"}), 404},
		"a clone is refused":                       {create(volumes.CreateOpts{Size: 1, SourceVolID: v.ID}), 400},
		"the same size is a 400":                   {extend(2), 400},
		"extension over quota is a 413":            {extend(101), 413},
		"an unknown volume is a 404":               {volumes.Get(t.Context(), c.volume, "nope").Err, 404},
		"an unknown action is a 400":               {volumes.ForceDelete(t.Context(), c.volume, "nope").Err, 403},
		"resetting the status is for admins (403)": {volumes.ResetStatus(t.Context(), c.volume, v.ID, volumes.ResetStatusOpts{Status: "error"}).Err, 403},
		"retyping is no action here (400)":         {volumes.ChangeType(t.Context(), c.volume, v.ID, volumes.ChangeTypeOpts{NewType: "shared"}).Err, 400},
	} {
		if got := status(t, tt.err); got != tt.want {
			t.Errorf("%s: got %d: %v", name, got, tt.err)
		}
	}
	c.newVolume(t, volumes.CreateOpts{Size: 1})
	c.newVolume(t, volumes.CreateOpts{Size: 1})
	if got := status(t, create(volumes.CreateOpts{Size: 1})); got != 413 {
		t.Errorf("a fourth volume with a quota of 3 got %d", got)
	}
}

func TestVolumeLists(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, func(c *Config) { c.Zones.Volume = []string{"az1", "az2"} }).URL)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		zone := "az1"
		if name > "c" {
			zone = "az2"
		}
		c.newVolume(t, volumes.CreateOpts{Name: name, Size: 1, AvailabilityZone: zone, Metadata: map[string]string{"odd/key": "it's " + name, "all": "x"}})
	}
	for name, tt := range map[string]struct {
		opts volumes.ListOpts
		want []string
	}{
		"newest first, over pages":         {volumes.ListOpts{Limit: 2}, []string{"e", "d", "c", "b", "a"}},
		"by name":                          {volumes.ListOpts{Name: "b"}, []string{"b"}},
		"by status, none":                  {volumes.ListOpts{Status: "error"}, nil},
		"by metadata":                      {volumes.ListOpts{Metadata: map[string]string{"all": "x"}}, []string{"e", "d", "c", "b", "a"}},
		"by metadata that nobody has":      {volumes.ListOpts{Metadata: map[string]string{"all": "y"}}, nil},
		"by two pairs, both must hold":     {volumes.ListOpts{Metadata: map[string]string{"all": "x", "none": "x"}}, nil},
		"by name and metadata, over pages": {volumes.ListOpts{Name: "d", Limit: 1, Metadata: map[string]string{"all": "x"}}, []string{"d"}},
	} {
		var got []string
		err := volumes.List(c.volume, tt.opts).EachPage(t.Context(), func(_ context.Context, p pagination.Page) (bool, error) {
			page, err := volumes.ExtractVolumes(p)
			for _, v := range page {
				got = append(got, v.Name)
			}
			return true, err
		})
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestFactsOfBlockStorage(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, nil).URL)
	c.newVolume(t, volumes.CreateOpts{Size: 7})
	pages, err := volumetypes.List(c.volume, nil).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	types, err := volumetypes.ExtractVolumeTypes(pages)
	if err != nil || len(types) != 2 || types[0].Name != "standard" || types[1].ExtraSpecs["multiattach"] != "<is> True" {
		t.Errorf("types %+v, %v", types, err)
	}
	if got, err := volumetypes.Get(t.Context(), c.volume, types[1].ID).Extract(); err != nil || got.Name != "shared" {
		t.Errorf("type %+v, %v", got, err)
	}
	pages, err = availabilityzones.List(c.volume).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if zones, err := availabilityzones.ExtractAvailabilityZones(pages); err != nil || len(zones) != 1 || !zones[0].ZoneState.Available {
		t.Errorf("zones %+v, %v", zones, err)
	}
	if l, err := limits.Get(t.Context(), c.volume).Extract(); err != nil || l.Absolute.TotalGigabytesUsed != 7 || l.Absolute.MaxTotalVolumes != 1000 {
		t.Errorf("limits %+v, %v", l, err)
	}
	project := DefaultConfig().projectID("demo")
	if q, err := quotasets.GetUsage(t.Context(), c.volume, project).Extract(); err != nil || q.Gigabytes.InUse != 7 || q.Gigabytes.Limit != 20000 {
		t.Errorf("quota %+v, %v", q, err)
	}
}

func TestAttachAndDetach(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	c := connect(t, cloud.URL)
	v := c.newVolume(t, volumes.CreateOpts{Size: 1})
	s, other := c.newServer(t, "n1", nil), c.newServer(t, "n2", nil)
	attach := func(server string) error {
		return volumeattach.Create(t.Context(), c.compute, server, volumeattach.CreateOpts{VolumeID: v.ID}).Err
	}
	if err := attach(s.ID); err != nil {
		t.Fatal(err)
	}
	v = c.volumeIs(t, v.ID, "in-use")
	if len(v.Attachments) != 1 || v.Attachments[0].ServerID != s.ID || v.Attachments[0].Device != "/dev/vdb" || v.Attachments[0].AttachedAt.IsZero() {
		t.Errorf("attachments %+v", v.Attachments)
	}
	if got, err := attachments.Get(t.Context(), c.volume, v.Attachments[0].AttachmentID).Extract(); err != nil || got.Instance != s.ID || got.Status != "attached" {
		t.Errorf("attachment %+v, %v", got, err)
	}
	if got := status(t, attach(s.ID)); got != 400 || violations(t, cloud) != nil {
		t.Errorf("attaching again got %d, violations %v", got, violations(t, cloud))
	}
	if got := status(t, volumes.Delete(t.Context(), c.volume, v.ID, nil).Err); got != 400 {
		t.Errorf("deleting an attached volume got %d", got)
	}
	if got := status(t, attach(other.ID)); got != 400 {
		t.Errorf("attaching to another server got %d", got)
	}
	if got := violations(t, cloud); !slices.Equal(got, []string{"delete-attached", "second-attachment"}) {
		t.Errorf("violations %v", got)
	}
	if got := status(t, volumeattach.Delete(t.Context(), c.compute, other.ID, v.ID).Err); got != 404 {
		t.Errorf("detaching from a server that has it not got %d", got)
	}
	if err := volumeattach.Delete(t.Context(), c.compute, s.ID, v.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.volumeIs(t, v.ID, "available")
	if got := status(t, volumeattach.Delete(t.Context(), c.compute, s.ID, v.ID).Err); got != 404 {
		t.Errorf("detaching again got %d", got)
	}
}

func TestAttachmentsChangeShapeWithMicroversion289(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, nil).URL)
	v, s := c.newVolume(t, volumes.CreateOpts{Size: 1}), c.newServer(t, "n1", nil)
	if err := volumeattach.Create(t.Context(), c.compute, s.ID, volumeattach.CreateOpts{VolumeID: v.ID}).Err; err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string][]string{
		"2.1":  {"device", "id", "serverId", "volumeId"},
		"2.79": {"delete_on_termination", "device", "id", "serverId", "tag", "volumeId"},
		"2.89": {"attachment_id", "bdm_uuid", "delete_on_termination", "device", "serverId", "tag", "volumeId"},
	} {
		c.compute.Microversion = version
		body, ok := volumeattach.Get(t.Context(), c.compute, s.ID, v.ID).Body.(map[string]any)["volumeAttachment"].(map[string]any)
		if !ok {
			t.Fatalf("%s: no attachment", version)
		}
		var keys []string
		for k := range body {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		if !slices.Equal(keys, want) {
			t.Errorf("%s: got %v", version, keys)
		}
	}
}

func TestExtendingAnAttachedVolumeNeedsMicroversion342(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, nil).URL)
	v, s := c.newVolume(t, volumes.CreateOpts{Size: 1}), c.newServer(t, "n1", nil)
	if err := volumeattach.Create(t.Context(), c.compute, s.ID, volumeattach.CreateOpts{VolumeID: v.ID}).Err; err != nil {
		t.Fatal(err)
	}
	c.volumeIs(t, v.ID, "in-use")
	extend := func() error {
		return volumes.ExtendSize(t.Context(), c.volume, v.ID, volumes.ExtendSizeOpts{NewSize: 2}).Err
	}
	c.volume.Microversion = "3.41"
	if got := status(t, extend()); got != 400 {
		t.Errorf("3.41 got %d", got)
	}
	c.volume.Microversion = "3.42"
	if err := extend(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "size 2", func() bool { return c.volumeIs(t, v.ID, "in-use").Size == 2 })
}

func TestAMultiattachVolumeIsOnTwoServersAndNoOther(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	c := connect(t, cloud.URL)
	v := c.newVolume(t, volumes.CreateOpts{Size: 1, VolumeType: "shared"})
	if !v.Multiattach {
		t.Fatal("not multiattach")
	}
	for _, name := range []string{"n1", "n2"} {
		s := c.newServer(t, name, nil)
		if err := volumeattach.Create(t.Context(), c.compute, s.ID, volumeattach.CreateOpts{VolumeID: v.ID}).Err; err != nil {
			t.Fatal(err)
		}
		c.volumeIs(t, v.ID, "in-use")
	}
	if got := len(c.volumeIs(t, v.ID, "in-use").Attachments); got != 2 || violations(t, cloud) != nil {
		t.Errorf("%d attachments, violations %v", got, violations(t, cloud))
	}
}

func TestDeletingAServerSetsItsVolumesFree(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	c := connect(t, cloud.URL)
	s := c.newServer(t, "n1", nil)
	var ids []string
	for range 3 {
		v := c.newVolume(t, volumes.CreateOpts{Size: 1})
		if err := volumeattach.Create(t.Context(), c.compute, s.ID, volumeattach.CreateOpts{VolumeID: v.ID}).Err; err != nil {
			t.Fatal(err)
		}
		ids = append(ids, v.ID)
	}
	if err := servers.Delete(t.Context(), c.compute, s.ID).ExtractErr(); err != nil { // while they may still be attaching
		t.Fatal(err)
	}
	eventually(t, "server gone", func() bool {
		return status(t, servers.Get(t.Context(), c.compute, s.ID).Err) == http.StatusNotFound
	})
	for _, id := range ids {
		c.volumeIs(t, id, "available")
	}
	if n := cloud.leftovers(""); n.Attachments != 0 || n.Volumes != 3 || violations(t, cloud) != nil {
		t.Errorf("left %+v, violations %v", n, violations(t, cloud))
	}
}
