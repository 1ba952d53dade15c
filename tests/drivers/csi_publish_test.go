package drivers

import (
	"fmt"
	"slices"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"google.golang.org/grpc/codes"
)

var publishCases = map[string]func(*testing.T, *controller){
	"a volume is on one server, and then on another": publishTwoServers,
	"a repeat is done": publishRepeated,
	"what does not exist is not found, and need not be unpublished": publishAbsent,
	"bad requests are named":                               publishInvalid,
	"an attach that the cloud gives up is told, and heals": attachGivenUp,
	"a detach that the cloud gives up is told, and heals":  detachGivenUp,
	"a deleted server has given its volumes back":          serverDeleted,
	"a stopped server can be given volumes":                serverStopped,
	"a multiattach volume is on one server only":           publishMultiattach,
}

// on checks where the cloud has a volume. Nova forgets an attachment moments after Cinder has.
func (c *controller) on(t *testing.T, id string, want ...string) {
	t.Helper()
	eventually(t, settleTime, fmt.Sprintf("Nova has volume %s on %v", id, want), func() bool {
		var have []string
		for _, s := range c.servers {
			if slices.Contains(c.attached(t, s), id) {
				have = append(have, s)
			}
		}
		return slices.Equal(have, want)
	})
	v, _ := c.volume(t, id)
	if (v.Status == "in-use") != (len(want) > 0) || len(v.Attachments) != len(want) {
		t.Errorf("volume %s is %s with attachments %+v, want it on %v", id, v.Status, v.Attachments, want)
	}
}

func publishTwoServers(t *testing.T, c *controller) {
	v := c.create(t, c.request("traveller"))
	one, two := c.servers[0], c.servers[1]
	if err := c.publish(t.Context(), v, one); err != nil {
		t.Fatal(err)
	}
	c.on(t, v.GetVolumeId(), one)
	c.excused = append(c.excused, v.GetVolumeId()) // devcloud records that this was asked
	refusedByCloud(t, "publish elsewhere", c.publish(t.Context(), v, two), codes.FailedPrecondition, one, two)
	if err := c.unpublish(t.Context(), v.GetVolumeId(), two); err != nil {
		t.Error("unpublish from where it is not:", err)
	}
	c.on(t, v.GetVolumeId(), one)
	if err := c.unpublish(t.Context(), v.GetVolumeId(), one); err != nil {
		t.Fatal(err)
	}
	c.on(t, v.GetVolumeId())
	if err := c.publish(t.Context(), v, two); err != nil {
		t.Fatal(err)
	}
	c.on(t, v.GetVolumeId(), two)
}

func publishRepeated(t *testing.T, c *controller) {
	v := c.create(t, c.request("repeated"))
	id, server := v.GetVolumeId(), c.servers[0]
	c.awaits(t, "publish", 1, func() error { return c.publish(t.Context(), v, server) })
	c.within(t, "publish again", 2, func() error { return c.publish(t.Context(), v, server) })
	c.on(t, id, server)
	c.awaits(t, "unpublish", 1, func() error { return c.unpublish(t.Context(), id, server) })
	c.within(t, "unpublish again", 2, func() error { return c.unpublish(t.Context(), id, server) })
	c.on(t, id)
}

func publishAbsent(t *testing.T, c *controller) {
	v := c.create(t, c.request("here"))
	refusedByCloud(t, "an unknown volume", c.publish(t.Context(), &csi.Volume{VolumeId: absent}, c.servers[0]), codes.NotFound, absent)
	refusedByCloud(t, "an unknown node", c.publish(t.Context(), v, absent), codes.NotFound, absent)
	if err := c.unpublish(t.Context(), absent, c.servers[0]); err != nil {
		t.Error("unpublish an unknown volume:", err)
	}
	if err := c.unpublish(t.Context(), v.GetVolumeId(), absent); err != nil {
		t.Error("unpublish from an unknown node:", err)
	}
	c.on(t, v.GetVolumeId())
}

func publishInvalid(t *testing.T, c *controller) {
	v := c.create(t, c.request("fine"))
	refused(t, "no node", c.publish(t.Context(), v, ""), codes.InvalidArgument, "node_id")
	refused(t, "no volume", c.publish(t.Context(), &csi.Volume{}, c.servers[0]), codes.InvalidArgument, "volume_id")
	refused(t, "from no node", c.unpublish(t.Context(), v.GetVolumeId(), ""), codes.InvalidArgument, "node_id")
	_, err := c.ControllerPublishVolume(t.Context(), &csi.ControllerPublishVolumeRequest{
		VolumeId: v.GetVolumeId(), NodeId: c.servers[0], VolumeCapability: writer(), Readonly: true,
	})
	refused(t, "read-only", err, codes.InvalidArgument, "readonly")
	_, err = c.ControllerPublishVolume(t.Context(), &csi.ControllerPublishVolumeRequest{
		VolumeId: v.GetVolumeId(), NodeId: c.servers[0], VolumeCapability: mode(csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER),
	})
	refused(t, "for several nodes", err, codes.InvalidArgument, "MULTI_NODE_MULTI_WRITER")
	c.on(t, v.GetVolumeId())
}

func attachGivenUp(t *testing.T, c *controller) {
	v := c.create(t, c.request("unlucky"))
	c.fail(t, "volume.attach")
	refusedByCloud(t, "publish", c.publish(t.Context(), v, c.servers[0]), codes.Internal, v.GetVolumeId(), c.servers[0], "gave it up", "available")
	c.on(t, v.GetVolumeId())
	if err := c.publish(t.Context(), v, c.servers[0]); err != nil {
		t.Fatal("the next try:", err)
	}
	c.on(t, v.GetVolumeId(), c.servers[0])
}

func detachGivenUp(t *testing.T, c *controller) {
	v := c.create(t, c.request("sticky"))
	if err := c.publish(t.Context(), v, c.servers[0]); err != nil {
		t.Fatal(err)
	}
	c.fail(t, "volume.detach")
	refusedByCloud(t, "unpublish", c.unpublish(t.Context(), v.GetVolumeId(), c.servers[0]), codes.Internal, v.GetVolumeId(), c.servers[0], "gave it up", "in-use")
	c.on(t, v.GetVolumeId(), c.servers[0])
	if err := c.unpublish(t.Context(), v.GetVolumeId(), c.servers[0]); err != nil {
		t.Fatal("the next try:", err)
	}
	c.on(t, v.GetVolumeId())
}

func serverDeleted(t *testing.T, c *controller) {
	v := c.create(t, c.request("orphan"))
	mortal := c.server(t, "mortal")
	if err := c.publish(t.Context(), v, mortal); err != nil {
		t.Fatal(err)
	}
	if err := servers.Delete(t.Context(), c.compute, mortal).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, settleTime, "it is unpublished from a dying server", func() bool {
		err := c.unpublish(t.Context(), v.GetVolumeId(), mortal)
		if err != nil {
			refusedByCloud(t, "unpublish from a dying server", err, codes.Aborted, "deleting")
		}
		return err == nil
	})
	c.on(t, v.GetVolumeId())
	c.deleteServer(t, mortal)
	if err := c.unpublish(t.Context(), v.GetVolumeId(), mortal); err != nil {
		t.Error("unpublish from a dead server:", err)
	}
	refusedByCloud(t, "publish to a dead server", c.publish(t.Context(), v, mortal), codes.NotFound, mortal)
	if err := c.publish(t.Context(), v, c.servers[0]); err != nil {
		t.Error("publish to a living one:", err)
	}
}

func serverStopped(t *testing.T, c *controller) {
	v := c.create(t, c.request("quiet"))
	if err := servers.Stop(t.Context(), c.compute, c.servers[1]).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = servers.Start(cleanup(t), c.compute, c.servers[1]).ExtractErr()
		eventually(t, settleTime, "the server runs again", func() bool {
			got, err := servers.Get(cleanup(t), c.compute, c.servers[1]).Extract()
			return err == nil && got.Status == "ACTIVE"
		})
	})
	c.serverIs(t, c.servers[1], "SHUTOFF")
	if err := c.publish(t.Context(), v, c.servers[1]); err != nil {
		t.Fatal(err)
	}
	c.on(t, v.GetVolumeId(), c.servers[1])
	if err := c.unpublish(t.Context(), v.GetVolumeId(), c.servers[1]); err != nil {
		t.Fatal(err)
	}
	c.on(t, v.GetVolumeId())
}

func publishMultiattach(t *testing.T, c *controller) {
	req := c.request("shared")
	req.Parameters["type"] = "multiattach"
	v := c.create(t, req)
	if err := c.publish(t.Context(), v, c.servers[0]); err != nil {
		t.Fatal(err)
	}
	refused(t, "publish elsewhere", c.publish(t.Context(), v, c.servers[1]), codes.FailedPrecondition, c.servers[0])
	c.on(t, v.GetVolumeId(), c.servers[0])
	if err := c.publish(t.Context(), v, c.servers[0]); err != nil {
		t.Error("publish again:", err)
	}
}
