package drivers

import (
	"net/http"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"google.golang.org/grpc/codes"
)

// absent is the id of nothing.
const absent = "00000000-0000-4000-8000-000000000000"

// alwaysCases are about what no capability promises.
var alwaysCases = map[string]func(*testing.T, *controller){
	"a volume's capabilities are confirmed or denied": capabilitiesValidated,
}

var createCases = map[string]func(*testing.T, *controller){
	"a volume is made as it was asked for":                       createAsAsked,
	"a creation repeated has the same volume":                    createRepeated,
	"a creation that contradicts the volume is refused":          createContradicted,
	"bad wishes are named and make nothing":                      createInvalid,
	"over quota is exhausted and makes nothing":                  createOverQuota,
	"a creation that the cloud gives up leaves nothing":          createGivenUp,
	"a deletion repeated is done":                                deleteRepeated,
	"an attached volume is not deleted":                          deleteAttached,
	"another's volume is not deleted":                            deleteForeign,
	"a deletion that the cloud gives up is told, and can go on":  deleteGivenUp,
	"a volume with snapshots is not deleted":                     deleteWithSnapshot,
	"a volume that was deleted by hand is done with":             deletedByHand,
	"a volume without a zone is in the cloud's, and says which":  createAnywhere,
	"a lone zone is that of the node, if the class names no one": createInTheNodesZone,
}

func createAsAsked(t *testing.T, c *controller) {
	req := c.request("as-asked")
	req.CapacityRange = &csi.CapacityRange{RequiredBytes: 2*gib - 1, LimitBytes: 3 * gib}
	req.Parameters = map[string]string{
		"type": "fast", "csi.storage.k8s.io/pvc/name": "data", "csi.storage.k8s.io/pvc/namespace": "db", "csi.storage.k8s.io/pv/name": "as-asked",
	}
	req.AccessibilityRequirements = inZones(c.zones[1])
	v := c.create(t, req)
	if v.GetCapacityBytes() != 2*gib {
		t.Errorf("capacity %d", v.GetCapacityBytes())
	}
	if topology := v.GetAccessibleTopology(); len(topology) != 1 || topology[0].GetSegments()[zoneKey] != c.zones[1] {
		t.Errorf("topology %v", topology)
	}
	got, ok := c.volume(t, v.GetVolumeId())
	if !ok || got.Status != "available" || got.Size != 2 || got.VolumeType != "fast" || got.AvailabilityZone != c.zones[1] || got.Name != "as-asked" {
		t.Fatalf("the cloud has %+v", got)
	}
	for key, want := range map[string]string{
		"fairlead.io/cluster": clusterID, "fairlead.io/volume": "as-asked", "kubernetes.io/created-for/pvc/name": "data",
		"kubernetes.io/created-for/pvc/namespace": "db", "kubernetes.io/created-for/pv/name": "as-asked",
	} {
		if got.Metadata[key] != want {
			t.Errorf("metadata %s is %q, want %q", key, got.Metadata[key], want)
		}
	}
}

func createAnywhere(t *testing.T, c *controller) {
	req := c.request("anywhere")
	req.Parameters, req.AccessibilityRequirements, req.CapacityRange = nil, nil, nil
	v := c.create(t, req)
	got, ok := c.volume(t, v.GetVolumeId())
	if !ok || got.AvailabilityZone == "" || got.VolumeType == "" || v.GetCapacityBytes() != gib {
		t.Errorf("asked for %v, the cloud has %+v", v, got)
	}
}

func createInTheNodesZone(t *testing.T, c *controller) {
	req := c.request("at-home")
	req.AccessibilityRequirements = inZones("rack-7", c.zones[1], c.zones[0])
	v := c.create(t, req)
	if got, _ := c.volume(t, v.GetVolumeId()); got.AvailabilityZone != c.zones[1] {
		t.Errorf("it is in zone %s, and %s was preferred", got.AvailabilityZone, c.zones[1])
	}
}

func createRepeated(t *testing.T, c *controller) {
	var v *csi.Volume
	c.awaits(t, "create", 2, func() error { v = c.create(t, c.request("repeated")); return nil })
	for range 2 {
		var again *csi.CreateVolumeResponse
		c.within(t, "create again", 2, func() (err error) {
			again, err = c.CreateVolume(t.Context(), c.request("repeated"))
			return err
		})
		if again.GetVolume().GetVolumeId() != v.GetVolumeId() {
			t.Fatalf("first %s, then %s", v.GetVolumeId(), again.GetVolume().GetVolumeId())
		}
	}
}

func createContradicted(t *testing.T, c *controller) {
	c.create(t, c.request("contradicted"))
	for what, change := range map[string]func(*csi.CreateVolumeRequest){
		"another size": func(r *csi.CreateVolumeRequest) { r.CapacityRange.RequiredBytes = 2 * gib },
		"a limit below": func(r *csi.CreateVolumeRequest) {
			r.CapacityRange = &csi.CapacityRange{RequiredBytes: 2 * gib, LimitBytes: 2 * gib}
		},
		"another type": func(r *csi.CreateVolumeRequest) { r.Parameters["type"] = "fast" },
		"another zone": func(r *csi.CreateVolumeRequest) { r.AccessibilityRequirements = inZones(c.zones[1]) },
	} {
		req := c.request("contradicted")
		change(req)
		_, err := c.CreateVolume(t.Context(), req)
		refused(t, what, err, codes.AlreadyExists, "contradicted")
	}
}

func createInvalid(t *testing.T, c *controller) {
	for what, tc := range map[string]struct {
		change func(*csi.CreateVolumeRequest)
		code   codes.Code
		says   []string
	}{
		"no name":          {func(r *csi.CreateVolumeRequest) { r.Name = "" }, codes.InvalidArgument, []string{"name"}},
		"no capability":    {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities = nil }, codes.InvalidArgument, []string{"volume_capabilities"}},
		"an unknown type":  {func(r *csi.CreateVolumeRequest) { r.Parameters["type"] = "gold" }, codes.InvalidArgument, []string{"gold", "standard", "fast"}},
		"an unknown zone":  {func(r *csi.CreateVolumeRequest) { r.Parameters["availability"] = "az9" }, codes.InvalidArgument, []string{"az9", "az1"}},
		"an unknown key":   {func(r *csi.CreateVolumeRequest) { r.Parameters["colour"] = "red" }, codes.InvalidArgument, []string{"colour"}},
		"a content source": {func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = &csi.VolumeContentSource{} }, codes.InvalidArgument, []string{"volume_content_source"}},
		"no whole GiB": {func(r *csi.CreateVolumeRequest) {
			r.CapacityRange.LimitBytes = gib + 1
			r.CapacityRange.RequiredBytes = gib + 1
		}, codes.OutOfRange, []string{"limit"}},
		"a contradictory zone": {func(r *csi.CreateVolumeRequest) { r.Parameters["availability"] = c.zones[1] }, codes.ResourceExhausted,
			[]string{"availability", c.zones[0]}},
	} {
		req := c.request("invalid")
		tc.change(req)
		_, err := c.CreateVolume(t.Context(), req)
		refused(t, what, err, tc.code, tc.says...)
	}
	c.nothingLeft(t)
}

func createOverQuota(t *testing.T, c *controller) {
	req := c.request("over-quota")
	req.CapacityRange.RequiredBytes = (quotaGiB + 1) * gib
	_, err := c.CreateVolume(t.Context(), req)
	refusedByCloud(t, "create", err, codes.ResourceExhausted, "61 GiB")
	c.nothingLeft(t)
}

func createGivenUp(t *testing.T, c *controller) {
	c.fail(t, "volume.create")
	_, err := c.CreateVolume(t.Context(), c.request("given-up"))
	refusedByCloud(t, "create", err, codes.Internal, "could not make the disk", "deleted again")
	c.nothingLeft(t)
	c.create(t, c.request("given-up"))
}

func deleteRepeated(t *testing.T, c *controller) {
	v := c.create(t, c.request("deleted"))
	c.awaits(t, "delete", 2, func() error { return c.remove(t.Context(), v.GetVolumeId()) })
	if now := c.status(t, v.GetVolumeId()); now != "gone" {
		t.Errorf("deleted, and it is %s", now)
	}
	c.within(t, "delete again", 2, func() error { return c.remove(t.Context(), v.GetVolumeId()) })
	if err := c.remove(t.Context(), absent); err != nil {
		t.Error("delete what never was:", err)
	}
	refused(t, "delete nothing", c.remove(t.Context(), ""), codes.InvalidArgument, "volume_id")
}

func deleteAttached(t *testing.T, c *controller) {
	v := c.create(t, c.request("attached"))
	if err := c.publish(t.Context(), v, c.servers[0]); err != nil {
		t.Fatal(err)
	}
	refused(t, "delete", c.remove(t.Context(), v.GetVolumeId()), codes.FailedPrecondition, c.servers[0])
	if now := c.status(t, v.GetVolumeId()); now != "in-use" {
		t.Errorf("refused, and it is %s", now)
	}
}

func deleteForeign(t *testing.T, c *controller) {
	foreign, err := volumes.Create(t.Context(), c.volumes, volumes.CreateOpts{
		Name: "foreign", Size: 1, Metadata: map[string]string{"fairlead.io/cluster": "another"},
	}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.deleteByHand(t, foreign.ID) })
	eventually(t, settleTime, "it is available", func() bool { return c.status(t, foreign.ID) == "available" })
	refused(t, "delete", c.remove(t.Context(), foreign.ID), codes.FailedPrecondition, "another", "Retain")
	if now := c.status(t, foreign.ID); now != "available" {
		t.Errorf("refused, and it is %s", now)
	}
}

// deleteByHand deletes a volume as somebody who does not know of Kubernetes does.
func (p *project) deleteByHand(t *testing.T, id string) {
	t.Helper()
	eventually(t, settleTime, "volume "+id+" is gone", func() bool {
		_ = volumes.Delete(cleanup(t), p.volumes, id, nil).ExtractErr()
		return p.status(t, id) == "gone"
	})
}

func deleteGivenUp(t *testing.T, c *controller) {
	v := c.create(t, c.request("undead"))
	c.fail(t, "volume.delete")
	id := v.GetVolumeId()
	mended := false
	t.Cleanup(func() {
		if !mended {
			c.freed(t, id, "error")
		}
	})
	command := "openstack volume set --state error " + id
	refusedByCloud(t, "delete", c.remove(t.Context(), id), codes.Internal, "error_deleting", command)
	c.within(t, "delete again", 3, func() error {
		refusedByCloud(t, "delete again", c.remove(t.Context(), id), codes.Internal, "error_deleting", command)
		return nil
	})
	c.freed(t, id, "error")
	mended = true
	if err := c.remove(t.Context(), id); err != nil {
		t.Error("delete what the operator has freed:", err)
	}
}

func deleteWithSnapshot(t *testing.T, c *controller) {
	v := c.create(t, c.request("pictured"))
	id := v.GetVolumeId()
	s, err := snapshots.Create(t.Context(), c.volumes, snapshots.CreateOpts{VolumeID: id, Name: "by hand"}).Extract()
	if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		t.Skip("this cloud has no snapshots")
	}
	if err != nil {
		t.Fatal(err)
	}
	gone := func() bool {
		return gophercloud.ResponseCodeIs(snapshots.Delete(cleanup(t), c.volumes, s.ID).ExtractErr(), http.StatusNotFound)
	}
	t.Cleanup(func() { eventually(t, settleTime, "the snapshot is gone", gone) })
	eventually(t, settleTime, "the snapshot is made", func() bool {
		got, err := snapshots.Get(t.Context(), c.volumes, s.ID).Extract()
		return err == nil && got.Status == "available"
	})
	c.within(t, "delete", 7, func() error {
		refusedByCloud(t, "delete", c.remove(t.Context(), id), codes.FailedPrecondition, "snapshots")
		return nil
	})
	if now := c.status(t, id); now != "available" {
		t.Errorf("refused, and it is %s", now)
	}
}

func deletedByHand(t *testing.T, c *controller) {
	v := c.create(t, c.request("lost"))
	c.deleteByHand(t, v.GetVolumeId())
	refusedByCloud(t, "publish", c.publish(t.Context(), v, c.servers[0]), codes.NotFound, v.GetVolumeId())
	_, err := c.expand(t.Context(), v.GetVolumeId(), 2)
	refusedByCloud(t, "expand", err, codes.NotFound, v.GetVolumeId())
	if err := c.unpublish(t.Context(), v.GetVolumeId(), c.servers[0]); err != nil {
		t.Error("unpublish:", err)
	}
	if err := c.remove(t.Context(), v.GetVolumeId()); err != nil {
		t.Error("delete:", err)
	}
}

func capabilitiesValidated(t *testing.T, c *controller) {
	v := c.create(t, c.request("validated"))
	validate := func(id string, capability *csi.VolumeCapability) (*csi.ValidateVolumeCapabilitiesResponse, error) {
		return c.ValidateVolumeCapabilities(t.Context(), &csi.ValidateVolumeCapabilitiesRequest{VolumeId: id, VolumeCapabilities: []*csi.VolumeCapability{capability}})
	}
	if resp, err := validate(v.GetVolumeId(), writer()); err != nil || len(resp.GetConfirmed().GetVolumeCapabilities()) != 1 {
		t.Errorf("one node: %v, %v", resp, err)
	}
	resp, err := validate(v.GetVolumeId(), mode(csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER))
	if err != nil || resp.GetConfirmed() != nil || resp.GetMessage() == "" {
		t.Errorf("several nodes: %v, %v", resp, err)
	}
	_, err = validate(absent, writer())
	refusedByCloud(t, "an unknown volume", err, codes.NotFound, absent)
}
