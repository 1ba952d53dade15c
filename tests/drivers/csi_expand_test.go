package drivers

import (
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
)

var expandCases = map[string]func(*testing.T, *controller){
	"a volume grows, in use or not":                                expandTwice,
	"over quota is exhausted and changes nothing":                  expandOverQuota,
	"bad requests are named":                                       expandInvalid,
	"an extension that the cloud gives up is told, and repairable": expandGivenUp,
}

var modeCases = map[string]func(*testing.T, *controller){
	"all access modes of one node are served, and none of several": modes,
}

// size checks the cloud's idea of a volume's size.
func (c *controller) size(t *testing.T, id string, want int, state string) {
	t.Helper()
	if v, ok := c.volume(t, id); !ok || v.Size != want || v.Status != state {
		t.Errorf("volume %+v, want %d GiB and %s", v, want, state)
	}
}

func expandTwice(t *testing.T, c *controller) {
	v := c.create(t, c.request("growing"))
	id := v.GetVolumeId()
	type budgeted func(t *testing.T, what string, budget int, step func() error)
	grow := func(what string, counted budgeted, gibs, want int64) {
		t.Helper()
		var resp *csi.ControllerExpandVolumeResponse
		counted(t, what, 2, func() (err error) { resp, err = c.expand(t.Context(), id, gibs); return err })
		if resp.GetCapacityBytes() != want*gib || !resp.GetNodeExpansionRequired() {
			t.Errorf("%s: %v", what, resp)
		}
	}
	grow("expand", c.awaits, 2, 2)
	c.size(t, id, 2, "available")
	if err := c.publish(t.Context(), v, c.servers[0]); err != nil {
		t.Fatal(err)
	}
	grow("expand in use", c.awaits, 3, 3)
	c.size(t, id, 3, "in-use")
	grow("expand again", c.within, 3, 3)
	grow("expand to less", c.within, 1, 3)
	c.size(t, id, 3, "in-use")
	c.on(t, id, c.servers[0])
}

func expandOverQuota(t *testing.T, c *controller) {
	v := c.create(t, c.request("greedy"))
	if err := c.publish(t.Context(), v, c.servers[0]); err != nil {
		t.Fatal(err)
	}
	_, err := c.expand(t.Context(), v.GetVolumeId(), quotaGiB+1)
	refusedByCloud(t, "expand in use", err, codes.ResourceExhausted, v.GetVolumeId())
	c.size(t, v.GetVolumeId(), 1, "in-use")
	if err := c.unpublish(t.Context(), v.GetVolumeId(), c.servers[0]); err != nil {
		t.Fatal(err)
	}
	_, err = c.expand(t.Context(), v.GetVolumeId(), quotaGiB+1)
	refusedByCloud(t, "expand", err, codes.ResourceExhausted, v.GetVolumeId())
	c.size(t, v.GetVolumeId(), 1, "available")
}

func expandInvalid(t *testing.T, c *controller) {
	v := c.create(t, c.request("fine"))
	_, err := c.expand(t.Context(), absent, 2)
	refusedByCloud(t, "an unknown volume", err, codes.NotFound, absent)
	_, err = c.expand(t.Context(), "", 2)
	refused(t, "no volume", err, codes.InvalidArgument, "volume_id")
	_, err = c.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{VolumeId: v.GetVolumeId()})
	refused(t, "no range", err, codes.InvalidArgument, "capacity_range")
	_, err = c.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{
		VolumeId: v.GetVolumeId(), CapacityRange: &csi.CapacityRange{RequiredBytes: gib / 2, LimitBytes: gib / 2},
	})
	refused(t, "a limit below the size", err, codes.OutOfRange)
	c.size(t, v.GetVolumeId(), 1, "available")
}

func expandGivenUp(t *testing.T, c *controller) {
	v := c.create(t, c.request("stunted"))
	c.fail(t, "volume.extend")
	_, err := c.expand(t.Context(), v.GetVolumeId(), 2)
	refusedByCloud(t, "expand", err, codes.Internal, "error_extending", "openstack volume set --state available --detached "+v.GetVolumeId())
	c.size(t, v.GetVolumeId(), 1, "error_extending")
	c.freed(t, v.GetVolumeId(), "available")
	if _, err := c.expand(t.Context(), v.GetVolumeId(), 2); err != nil {
		t.Error("expand what the operator has freed:", err)
	}
	c.size(t, v.GetVolumeId(), 2, "available")
}

func modes(t *testing.T, c *controller) {
	for _, m := range []csi.VolumeCapability_AccessMode_Mode{
		csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER, csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER,
	} {
		req := c.request(m.String())
		req.VolumeCapabilities = []*csi.VolumeCapability{mode(m)}
		v := c.create(t, req)
		_, err := c.ControllerPublishVolume(t.Context(), &csi.ControllerPublishVolumeRequest{
			VolumeId: v.GetVolumeId(), NodeId: c.servers[0], VolumeCapability: mode(m),
		})
		if err != nil {
			t.Errorf("publish as %s: %v", m, err)
		}
	}
	for _, m := range []csi.VolumeCapability_AccessMode_Mode{
		csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY, csi.VolumeCapability_AccessMode_MULTI_NODE_SINGLE_WRITER,
		csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER,
	} {
		req := c.request(m.String())
		req.VolumeCapabilities = []*csi.VolumeCapability{mode(m)}
		_, err := c.CreateVolume(t.Context(), req)
		refused(t, m.String(), err, codes.InvalidArgument, m.String())
	}
}
