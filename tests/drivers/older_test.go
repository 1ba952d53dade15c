package drivers

import (
	"maps"
	"testing"

	"google.golang.org/grpc/codes"
)

// TestCSIControllerOnAnOlderDevcloud proves on services of the age of Pike and Ocata that the controller works with the
// microversions that there are, and says what it cannot do.
func TestCSIControllerOnAnOlderDevcloud(t *testing.T) {
	c := &controller{project: onDevcloud(t, `microversions: {compute: "2.42", volume: "3.27"}`)}
	c.start(t)
	cases := maps.Clone(publishCases)
	delete(cases, "a multiattach volume is on one server only")
	maps.Copy(cases, createCases)
	maps.Copy(cases, map[string]func(*testing.T, *controller){
		"a volume grows when no server has it":        expandDetachedOnly,
		"a multiattach volume is refused by its name": multiattachTooNew,
		"an extension over quota is exhausted":        expandDetachedOverQuota,
	})
	c.prove(t, cases)
}

func expandDetachedOnly(t *testing.T, c *controller) {
	v := c.create(t, c.request("patient"))
	id := v.GetVolumeId()
	if err := c.publish(t.Context(), v, c.servers[0]); err != nil {
		t.Fatal(err)
	}
	_, err := c.expand(t.Context(), id, 2)
	refusedByCloud(t, "expand in use", err, codes.FailedPrecondition, id, "3.27", "attached disks grow from 3.42 (Pike) on")
	c.size(t, id, 1, "in-use")
	c.on(t, id, c.servers[0])
	if err := c.unpublish(t.Context(), id, c.servers[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := c.expand(t.Context(), id, 2); err != nil {
		t.Error(err)
	}
	c.size(t, id, 2, "available")
}

func expandDetachedOverQuota(t *testing.T, c *controller) {
	v := c.create(t, c.request("greedy"))
	_, err := c.expand(t.Context(), v.GetVolumeId(), quotaGiB+1)
	refusedByCloud(t, "expand", err, codes.ResourceExhausted, v.GetVolumeId())
	c.size(t, v.GetVolumeId(), 1, "available")
}

func multiattachTooNew(t *testing.T, c *controller) {
	request := c.request("shared")
	request.Parameters = map[string]string{"type": "multiattach"}
	v := c.create(t, request)
	err := c.publish(t.Context(), v, c.servers[0])
	refusedByCloud(t, "publish", err, codes.FailedPrecondition, v.GetVolumeId(), "compute API version 2.60")
	c.on(t, v.GetVolumeId())
}
