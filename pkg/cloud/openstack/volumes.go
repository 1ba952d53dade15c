package openstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// volume is what we read of a Cinder volume.
type volume struct {
	ID               string             `json:"id"`
	Name             string             `json:"name"`
	Size             int64              `json:"size"`
	VolumeType       string             `json:"volume_type"`
	AvailabilityZone string             `json:"availability_zone"`
	Status           string             `json:"status"`
	Multiattach      bool               `json:"multiattach"`
	Metadata         map[string]string  `json:"metadata"`
	CreatedAt        string             `json:"created_at"`
	Attachments      []volumeAttachment `json:"attachments"`
}

type volumeAttachment struct {
	ServerID string `json:"server_id"`
	HostName string `json:"host_name"`
	Device   string `json:"device"`
}

// diskStates translates Cinder's words. The error states are found by their prefix.
var diskStates = map[string]cloud.DiskState{
	"creating":         cloud.DiskCreating,
	"downloading":      cloud.DiskCreating, // from an image
	"available":        cloud.DiskAvailable,
	"reserved":         cloud.DiskAttaching,
	"attaching":        cloud.DiskAttaching,
	"in-use":           cloud.DiskAttached,
	"detaching":        cloud.DiskDetaching,
	"extending":        cloud.DiskExtending,
	"deleting":         cloud.DiskDeleting,
	"backing-up":       cloud.DiskBusy,
	"restoring-backup": cloud.DiskBusy,
	"retyping":         cloud.DiskBusy,
	"uploading":        cloud.DiskBusy,
	"managing":         cloud.DiskBusy,
	"unmanaging":       cloud.DiskBusy,
	"reverting":        cloud.DiskBusy,
}

// errorDeleting is a volume's status after a deletion that was given up.
const errorDeleting = "error_deleting"

// deletable are the error states in which Cinder accepts a deletion from the volume's owner. Out of the others only the
// cloud's operator leads.
var deletable = []string{"error", "error_restoring", "error_extending", "error_managing"}

func diskState(status string) cloud.DiskState {
	if s, ok := diskStates[status]; ok {
		return s
	}
	if strings.HasPrefix(status, "error") {
		return cloud.DiskError
	}
	return cloud.DiskUnknown // maintenance, awaiting-transfer, what is new: it does not end by itself
}

// repair is the administrator's command for a volume that Cinder has forgotten in a state. It leads to the state from
// which our own next request goes on: a detach that got lost is asked for again, and never taken for done, because the
// hypervisor may still have the disk.
func (v volume) repair() string {
	state := "available --detached"
	if len(v.Attachments) > 0 {
		state = "in-use --attached"
	}
	switch diskState(v.Status) {
	case cloud.DiskAvailable:
		if len(v.Attachments) == 0 {
			return ""
		}
	case cloud.DiskAttached:
		if len(v.Attachments) > 0 {
			return ""
		}
	case cloud.DiskCreating, cloud.DiskDeleting:
		state = "error"
	case cloud.DiskError:
		if v.Status == errorDeleting {
			state = "error" // so that we delete once more, and nobody attaches it
		}
	case cloud.DiskBusy, cloud.DiskUnknown:
		return "" // it may take hours, or be somebody's intention
	}
	return "openstack volume set --state " + state + " " + v.ID
}

func (v volume) disk() cloud.Disk {
	d := cloud.Disk{
		ID: v.ID, Name: v.Name, SizeGiB: v.Size, Type: v.VolumeType, Zone: v.AvailabilityZone,
		State: diskState(v.Status), RawState: v.Status, Repair: v.repair(), Multiattach: v.Multiattach, Metadata: v.Metadata,
	}
	// Cinder's times have no zone and mean UTC; one that does not parse is left out.
	d.CreatedAt, _ = time.Parse("2006-01-02T15:04:05.999999", v.CreatedAt)
	for _, a := range v.Attachments {
		// Without a server it is attached to a bare host, and no less in use.
		user := cmp.Or(a.ServerID, "host "+a.HostName)
		d.Attachments = append(d.Attachments, cloud.Attachment{DiskID: v.ID, InstanceID: user, Device: a.Device})
	}
	return d
}

type volumeAnswer struct {
	Volume volume `json:"volume"`
}

// CreateDisk implements cloud.Disks.
func (c *Cloud) CreateDisk(ctx context.Context, spec cloud.DiskSpec) (cloud.Disk, error) {
	var answer volumeAnswer
	body := map[string]any{"name": spec.Name, "size": spec.SizeGiB}
	if spec.Type != "" {
		body["volume_type"] = spec.Type
	}
	if spec.Zone != "" {
		body["availability_zone"] = spec.Zone
	}
	if len(spec.Metadata) > 0 {
		body["metadata"] = spec.Metadata
	}
	err := c.do(ctx, request{
		service: blockStorage, op: opCreateDisk, object: spec.Name, method: http.MethodPost, path: "volumes",
		body: map[string]any{"volume": body}, into: &answer,
	})
	return answer.Volume.disk(), err
}

// GetDisk implements cloud.Disks.
func (c *Cloud) GetDisk(ctx context.Context, id string) (cloud.Disk, error) {
	return c.getDisk(ctx, opGetDisk, id)
}

func (c *Cloud) getDisk(ctx context.Context, op, id string) (cloud.Disk, error) {
	if err := needID(op, id); err != nil {
		return cloud.Disk{}, err
	}
	var answer volumeAnswer
	err := c.do(ctx, request{service: blockStorage, op: op, object: id, method: http.MethodGet, path: "volumes/" + url.PathEscape(id), into: &answer})
	return answer.Volume.disk(), err
}

// needID refuses an id that would change the request's meaning: with an empty one a path names the whole collection.
func needID(op, id string) error {
	if id == "" || strings.ContainsAny(id, "/?#") || id == "." || id == ".." {
		return &cloud.Error{Kind: cloud.ErrInvalid, Op: op, Object: id, Message: "not an id"}
	}
	return nil
}

// ListDisks implements cloud.Disks.
func (c *Cloud) ListDisks(ctx context.Context, filter cloud.DiskFilter) ([]cloud.Disk, error) {
	query := url.Values{}
	if filter.Name != "" {
		query.Set("name", filter.Name)
	}
	if len(filter.Metadata) > 0 {
		query.Set("metadata", pythonDict(filter.Metadata))
	}
	volumes, err := list[volume](ctx, c, request{service: blockStorage, op: opListDisks, path: "volumes/detail", query: query}, "volumes")
	var disks []cloud.Disk
	for _, v := range volumes {
		d := v.disk()
		// A cloud whose administrator has not allowed a filter ignores it.
		if filter.Name == "" || d.Name == filter.Name {
			if hasMetadata(d, filter.Metadata) {
				disks = append(disks, d)
			}
		}
	}
	return disks, err
}

func hasMetadata(d cloud.Disk, want map[string]string) bool {
	for k, v := range want {
		if got, ok := d.Metadata[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// pythonDict writes a map as Cinder's metadata filter wants it, which reads it as a Python literal.
func pythonDict(m map[string]string) string {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var pairs []string
	for k, v := range m {
		pairs = append(pairs, "'"+quote.Replace(k)+"':'"+quote.Replace(v)+"'")
	}
	slices.Sort(pairs)
	return "{" + strings.Join(pairs, ",") + "}"
}

// DeleteDisk implements cloud.Disks.
func (c *Cloud) DeleteDisk(ctx context.Context, id string) error {
	if err := needID(opDeleteDisk, id); err != nil {
		return err
	}
	err := c.do(ctx, request{service: blockStorage, op: opDeleteDisk, object: id, method: http.MethodDelete, path: "volumes/" + url.PathEscape(id)})
	return c.explainByState(ctx, id, err, func(d cloud.Disk) error {
		switch {
		case d.State == cloud.DiskAttached, len(d.Attachments) > 0:
			return cloud.ErrConflict
		case d.State == cloud.DiskError && !slices.Contains(deletable, d.RawState):
			return cloud.ErrFailed
		case d.State == cloud.DiskAvailable, d.State == cloud.DiskError:
			return cloud.ErrConflict // it has snapshots, belongs to a group, or migrates
		}
		return cloud.ErrBusy
	})
}

// ExtendDisk implements cloud.Disks.
func (c *Cloud) ExtendDisk(ctx context.Context, id string, sizeGiB int64) error {
	if err := needID(opExtendDisk, id); err != nil {
		return err
	}
	err := c.do(ctx, request{
		service: blockStorage, op: opExtendDisk, object: id, method: http.MethodPost, path: "volumes/" + url.PathEscape(id) + "/action",
		body: map[string]any{"os-extend": map[string]any{"new_size": sizeGiB}},
	})
	tooOld := false
	err = c.explainByState(ctx, id, err, func(d cloud.Disk) error {
		switch {
		case d.SizeGiB >= sizeGiB:
			return cloud.ErrInvalid
		case d.State == cloud.DiskAttached && c.inUse(blockStorage).less(versionExtendAttached):
			tooOld = true
			return cloud.ErrConflict
		case d.State == cloud.DiskAvailable, d.State == cloud.DiskAttached:
			return cloud.ErrInvalid // the request itself displeased
		case d.State == cloud.DiskError, d.State == cloud.DiskUnknown:
			return cloud.ErrConflict
		}
		return cloud.ErrBusy
	})
	var e *cloud.Error
	if tooOld && errors.As(err, &e) {
		e.Message = fmt.Sprintf("the disk is attached, and the block storage API of this cloud is %s; attached disks grow from %s (Pike) on: "+
			"delete the pods that use it, and it grows when no node has it any more: %s", c.inUse(blockStorage), versionExtendAttached, e.Message)
	}
	return err
}

// explainByState finds out what a refusal with 400 or 409 means: Cinder answers 400 for a bad value and for a volume in
// the wrong state alike, so the volume's state, read once more, decides.
func (c *Cloud) explainByState(ctx context.Context, id string, err error, kind func(cloud.Disk) error) error {
	var e *cloud.Error
	if !errors.As(err, &e) || e.Status != http.StatusBadRequest && e.Status != http.StatusConflict {
		return err
	}
	d, gerr := c.getDisk(ctx, opGetDisk, id)
	if gerr != nil {
		if errors.Is(gerr, cloud.ErrNotFound) {
			return gerr
		}
		e.Kind = cloud.ErrBusy // unknown: the caller looks again, and asks again
		return e
	}
	if e.Kind = kind(d); errors.Is(e.Kind, cloud.ErrFailed) && d.Repair != "" {
		e.Message += fmt.Sprintf(" It is %q; the cloud's operator finds out why and runs: %s", d.RawState, d.Repair)
	}
	return e
}

// DiskTypes implements cloud.Disks.
func (c *Cloud) DiskTypes(ctx context.Context) ([]string, error) {
	types, err := list[struct{ Name string }](ctx, c, request{service: blockStorage, op: opDiskTypes, path: "types"}, "volume_types")
	var names []string
	for _, t := range types {
		if !strings.HasPrefix(t.Name, "__") { // Cinder's own fallback type, which nobody may use
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return names, err
}

// DiskZones implements cloud.Disks.
func (c *Cloud) DiskZones(ctx context.Context) ([]string, error) {
	return c.zones(ctx, blockStorage, opDiskZones)
}
