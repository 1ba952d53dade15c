package openstack

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// server is what we read of a Nova server.
type server struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
	Zone   string `json:"OS-EXT-AZ:availability_zone"`
	Flavor struct {
		ID   string `json:"id"`            // before 2.47
		Name string `json:"original_name"` // since
	} `json:"flavor"`
	AccessIPv4 string `json:"accessIPv4"`
	AccessIPv6 string `json:"accessIPv6"`
	Addresses  map[string][]struct {
		Addr string `json:"addr"`
		Type string `json:"OS-EXT-IPS:type"`
	} `json:"addresses"`
}

// instanceStates translates Nova's words. Only what certainly runs nothing is stopped: a paused or suspended server
// may go on writing to its disks at any moment, so it is unknown like everything in between.
var instanceStates = map[string]cloud.InstanceState{
	"BUILD":             cloud.InstanceBuilding,
	"REBUILD":           cloud.InstanceBuilding,
	"ACTIVE":            cloud.InstanceRunning,
	"REBOOT":            cloud.InstanceRunning,
	"HARD_REBOOT":       cloud.InstanceRunning,
	"PASSWORD":          cloud.InstanceRunning,
	"MIGRATING":         cloud.InstanceRunning,
	"VERIFY_RESIZE":     cloud.InstanceRunning,
	"SHUTOFF":           cloud.InstanceStopped,
	"SHELVED":           cloud.InstanceStopped,
	"SHELVED_OFFLOADED": cloud.InstanceStopped,
	"DELETED":           cloud.InstanceDeleted,
	"SOFT_DELETED":      cloud.InstanceDeleted,
	"ERROR":             cloud.InstanceError,
}

func (s server) instance(region string) cloud.Instance {
	i := cloud.Instance{
		ID: s.ID, Name: s.Name, RawState: s.Status, State: instanceStates[s.Status],
		Flavor: cmp.Or(s.Flavor.Name, s.Flavor.ID), Zone: s.Zone, Region: region,
	}
	if i.State == "" {
		i.State = cloud.InstanceUnknown
	}
	for _, network := range slices.Sorted(maps.Keys(s.Addresses)) {
		for _, a := range s.Addresses[network] {
			kind := cloud.AddressInternal
			if a.Type == "floating" {
				kind = cloud.AddressExternal
			}
			i.Addresses = append(i.Addresses, cloud.Address{Kind: kind, Network: network, IP: a.Addr})
		}
	}
	for _, ip := range []string{s.AccessIPv4, s.AccessIPv6} {
		if ip != "" {
			i.Addresses = append(i.Addresses, cloud.Address{Kind: cloud.AddressExternal, IP: ip})
		}
	}
	return i
}

// GetInstance implements cloud.Instances.
func (c *Cloud) GetInstance(ctx context.Context, id string) (cloud.Instance, error) {
	if err := needID(opGetInstance, id); err != nil {
		return cloud.Instance{}, err
	}
	var answer struct {
		Server server `json:"server"`
	}
	err := c.do(ctx, request{service: compute, op: opGetInstance, object: id, method: http.MethodGet, path: "servers/" + url.PathEscape(id), into: &answer})
	if err != nil {
		return cloud.Instance{}, err
	}
	return answer.Server.instance(c.Region()), nil
}

// ListInstances implements cloud.Instances.
func (c *Cloud) ListInstances(ctx context.Context) ([]cloud.Instance, error) {
	servers, err := list[server](ctx, c, request{service: compute, op: opListInstances, path: "servers/detail"}, "servers")
	var instances []cloud.Instance
	for _, s := range servers {
		instances = append(instances, s.instance(c.Region()))
	}
	return instances, err
}

// AttachDisk implements cloud.Disks. Attaching is Nova's work; Cinder's own attachments API does not tell the server.
func (c *Cloud) AttachDisk(ctx context.Context, diskID, instanceID string) error {
	if err := needID(opAttachDisk, instanceID); err != nil {
		return err
	}
	return c.do(ctx, request{
		service: compute, op: opAttachDisk, object: diskID, method: http.MethodPost,
		path: "servers/" + url.PathEscape(instanceID) + "/os-volume_attachments",
		body: map[string]any{"volumeAttachment": map[string]any{"volumeId": diskID}},
	})
}

// DetachDisk implements cloud.Disks.
func (c *Cloud) DetachDisk(ctx context.Context, diskID, instanceID string) error {
	if err := needID(opDetachDisk, instanceID); err != nil {
		return err
	}
	if err := needID(opDetachDisk, diskID); err != nil {
		return err
	}
	return c.do(ctx, request{
		service: compute, op: opDetachDisk, object: diskID, method: http.MethodDelete,
		path: "servers/" + url.PathEscape(instanceID) + "/os-volume_attachments/" + url.PathEscape(diskID),
	})
}
