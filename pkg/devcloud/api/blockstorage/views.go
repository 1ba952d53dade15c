package blockstorage

import (
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
)

const timeFormat = "2006-01-02T15:04:05.000000"

// stamp is a time as Cinder writes it; nil for none.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(timeFormat)
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func links(r *api.Request, kind, id string) []api.Link {
	project := r.Caller.ProjectID
	return []api.Link{
		{Rel: "self", Href: r.Base + "/v3/" + project + "/" + kind + "/" + id},
		{Rel: "bookmark", Href: r.Base + "/" + project + "/" + kind + "/" + id},
	}
}

// summary is a volume in a list without details.
func summary(r *api.Request, v blockstorage.Volume) map[string]any {
	return map[string]any{"id": v.ID, "name": orNull(v.Name), "links": links(r, "volumes", v.ID)}
}

// created is a volume in the answer to its creation; the other views add to it.
func (s service) created(r *api.Request, v blockstorage.Volume) map[string]any {
	view := map[string]any{
		"id": v.ID, "status": v.Status, "size": v.SizeGiB, "availability_zone": v.Zone,
		"created_at": stamp(v.Created), "updated_at": stamp(v.Updated),
		"name": orNull(v.Name), "description": v.Description, "volume_type": v.Type,
		"snapshot_id": nil, "source_volid": nil, "metadata": v.Metadata, "links": links(r, "volumes", v.ID),
		"user_id": v.UserID, "bootable": "false", "encrypted": false, "replication_status": nil,
		"consistencygroup_id": nil, "multiattach": v.Multiattach, "attachments": attachmentItems(v),
	}
	if r.Version.AtLeast(3, 13) {
		view["group_id"] = nil
	}
	if r.Version.AtLeast(3, 48) {
		view["shared_targets"], view["service_uuid"] = false, nil
	}
	if r.Version.AtLeast(3, 63) {
		view["volume_type_id"] = s.typeID(v.Type)
	}
	if r.Version.AtLeast(3, 65) {
		view["consumes_quota"] = true
	}
	return view
}

// detail is a volume in full.
func (s service) detail(r *api.Request, v blockstorage.Volume) map[string]any {
	view := s.created(r, v)
	view["os-vol-tenant-attr:tenant_id"] = v.ProjectID
	return view
}

// attachmentItems are the completed attachments as a volume shows them: one on its way is not among them.
func attachmentItems(v blockstorage.Volume) []any {
	items := []any{}
	for _, a := range v.Attachments {
		if a.Status != blockstorage.Attached && a.Status != blockstorage.AttachmentDetaching {
			continue
		}
		items = append(items, map[string]any{
			"id": v.ID, "attachment_id": a.ID, "volume_id": v.ID, "server_id": a.ServerID,
			"host_name": nil, "device": a.Device, "attached_at": stamp(a.Attached),
		})
	}
	return items
}

func attachmentSummary(v blockstorage.Volume, a blockstorage.Attachment) map[string]any {
	return map[string]any{"id": a.ID, "status": a.Status, "instance": a.ServerID, "volume_id": v.ID}
}

func attachmentDetail(v blockstorage.Volume, a blockstorage.Attachment) map[string]any {
	view := attachmentSummary(v, a)
	view["attached_at"], view["detached_at"], view["attach_mode"] = "", "", "rw"
	if !a.Attached.IsZero() {
		view["attached_at"] = stamp(a.Attached)
	}
	view["connection_info"] = map[string]any{
		"driver_volume_type": "local", "access_mode": "rw", "attachment_id": a.ID, "encrypted": false, "cacheable": false,
		"qos_specs": nil,
	}
	return view
}

func typeView(t blockstorage.Type) map[string]any {
	specs := map[string]string{}
	if t.Multiattach {
		specs["multiattach"] = "<is> True"
	}
	var description any
	if t.Description != "" {
		description = t.Description
	}
	return map[string]any{
		"id": t.ID, "name": t.Name, "is_public": true, "description": description, "extra_specs": specs,
		"os-volume-type-access:is_public": true,
	}
}

func messageView(r *api.Request, m blockstorage.Message) map[string]any {
	return map[string]any{
		"id": m.ID, "event_id": m.Event, "user_message": m.Text, "message_level": "ERROR",
		"created_at": stamp(m.Created), "guaranteed_until": stamp(m.Created.Add(30 * 24 * time.Hour)), "request_id": r.ID,
		"links": links(r, "messages", m.ID), "resource_type": "VOLUME", "resource_uuid": m.VolumeID,
	}
}
