package blockstorage

import (
	"net/http"
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
)

func (s service) typeID(name string) any {
	for _, t := range s.volumes.Types() {
		if t.Name == name {
			return t.ID
		}
	}
	return nil
}

func (s service) types(r *api.Request) (int, any, error) {
	all := slices.Clone(s.volumes.Types())
	if err := order(r, all, typeSortKeys); err != nil {
		return 0, nil, err
	}
	some, next, err := page(r, all, func(t blockstorage.Type) string { return t.ID }, func(id string) error {
		return engine.Refuse(engine.NotFound, "Volume type %s could not be found.", id)
	})
	if err != nil {
		return 0, nil, err
	}
	views := make([]any, len(some))
	for i, t := range some {
		views[i] = typeView(t)
	}
	body := map[string]any{"volume_types": views}
	if next != nil {
		body["volume_type_links"] = next
	}
	return http.StatusOK, body, nil
}

func (s service) showType(r *api.Request) (int, any, error) {
	id := r.PathValue("id")
	for i, t := range s.volumes.Types() {
		if t.ID == id || id == "default" && i == 0 {
			view := typeView(t)
			if id == "default" {
				delete(view, "os-volume-type-access:is_public") // as in Cinder
			}
			return http.StatusOK, map[string]any{"volume_type": view}, nil
		}
	}
	return 0, nil, engine.Refuse(engine.NotFound, "Volume type %s could not be found.", id)
}

func (s service) zones(*api.Request) (int, any, error) {
	zones := []any{}
	for _, name := range s.volumes.Zones() {
		zones = append(zones, map[string]any{"zoneName": name, "zoneState": map[string]any{"available": true}})
	}
	return http.StatusOK, map[string]any{"availabilityZoneInfo": zones}, nil
}

func (s service) usage(projectID string) (used blockstorage.Quota) {
	_ = s.view(func(tx *engine.Tx) error {
		used = s.volumes.Usage(tx, projectID)
		return nil
	})
	return used
}

func (s service) limits(r *api.Request) (int, any, error) {
	used, quota := s.usage(r.Caller.ProjectID), s.volumes.Quota()
	return http.StatusOK, map[string]any{"limits": map[string]any{
		"rate": []any{},
		"absolute": map[string]any{
			"maxTotalVolumes": quota.Volumes, "maxTotalVolumeGigabytes": quota.Gigabytes,
			"totalVolumesUsed": used.Volumes, "totalGigabytesUsed": used.Gigabytes,
			"maxTotalSnapshots": 0, "totalSnapshotsUsed": 0,
			"maxTotalBackups": 0, "totalBackupsUsed": 0, "maxTotalBackupGigabytes": 0, "totalBackupGigabytesUsed": 0,
		},
	}}, nil
}

func (s service) quotas(r *api.Request) (int, any, error) {
	target := r.PathValue("target")
	if target != r.Caller.ProjectID {
		return 0, nil, engine.Refuse(engine.Forbidden, "Policy doesn't allow volume_extension:quotas:show to be performed.")
	}
	quota := s.volumes.Quota()
	limits := map[string]int64{
		"volumes": quota.Volumes, "gigabytes": quota.Gigabytes, "per_volume_gigabytes": -1,
		"snapshots": 0, "backups": 0, "backup_gigabytes": 0, "groups": 0,
	}
	for _, t := range s.volumes.Types() { // there are no limits by type
		limits["volumes_"+t.Name], limits["gigabytes_"+t.Name], limits["snapshots_"+t.Name] = -1, -1, -1
	}
	set := map[string]any{"id": target}
	withUsage, err := parseBool("usage", r.URL.Query().Get("usage"))
	if err != nil {
		return 0, nil, err
	}
	if !withUsage {
		for name, limit := range limits {
			set[name] = limit
		}
		return http.StatusOK, map[string]any{"quota_set": set}, nil
	}
	inUse := s.inUse(target)
	for name, limit := range limits {
		set[name] = map[string]int64{"limit": limit, "in_use": inUse[name], "reserved": 0}
	}
	return http.StatusOK, map[string]any{"quota_set": set}, nil
}

// inUse is what a project has by the names of the quotas.
func (s service) inUse(projectID string) map[string]int64 {
	used := map[string]int64{}
	_ = s.view(func(tx *engine.Tx) error {
		all := s.volumes.Usage(tx, projectID)
		used["volumes"], used["gigabytes"] = all.Volumes, all.Gigabytes
		for _, v := range s.volumes.List(tx, projectID) {
			used["volumes_"+v.Type]++
			used["gigabytes_"+v.Type] += max(v.SizeGiB, v.NewSizeGiB)
		}
		return nil
	})
	return used
}

// parseBool reads a truth value of a query as Cinder does; an absent one is false.
func parseBool(name, text string) (bool, error) {
	switch strings.ToLower(text) {
	case "1", "t", "true", "on", "y", "yes":
		return true, nil
	case "", "0", "f", "false", "off", "n", "no":
		return false, nil
	}
	return false, api.BadRequest("Value '%s' for '%s' is not a boolean.", text, name)
}

// eachAttachment visits a project's attachments, of the newest volume first.
func (s service) eachAttachment(projectID string, visit func(v blockstorage.Volume, a blockstorage.Attachment)) {
	_ = s.view(func(tx *engine.Tx) error {
		for _, v := range s.volumes.List(tx, projectID) {
			for _, a := range v.Attachments {
				visit(v, a)
			}
		}
		return nil
	})
}

func (s service) attachments(detailed bool) api.Handler {
	type pair struct {
		id   string
		view map[string]any
	}
	return func(r *api.Request) (int, any, error) {
		query := r.URL.Query()
		if err := onlyFilters(r, attachmentFilters); err != nil {
			return 0, nil, err
		}
		var all []pair
		s.eachAttachment(r.Caller.ProjectID, func(v blockstorage.Volume, a blockstorage.Attachment) {
			for name, value := range map[string]string{
				"volume_id": v.ID, "instance_id": a.ServerID, "attach_status": string(a.Status),
			} {
				if want := query.Get(name); want != "" && want != value {
					return
				}
			}
			view := attachmentSummary(v, a)
			if detailed {
				view = attachmentDetail(v, a)
			}
			all = append(all, pair{a.ID, view})
		})
		some, _, err := page(r, all, func(p pair) string { return p.id }, unknownAttachment) // Cinder links no pages here
		if err != nil {
			return 0, nil, err
		}
		views := make([]any, len(some))
		for i, p := range some {
			views[i] = p.view
		}
		return http.StatusOK, map[string]any{"attachments": views}, nil
	}
}

var attachmentFilters = []string{"volume_id", "status", "instance_id", "attach_status"}

func unknownAttachment(id string) error {
	return engine.Refuse(engine.NotFound, "Volume attachment could not be found with filter: attachment_id = %s.", id)
}

func (s service) findAttachment(r *api.Request) (volume blockstorage.Volume, found blockstorage.Attachment, err error) {
	id := r.PathValue("id")
	err = unknownAttachment(id)
	s.eachAttachment(r.Caller.ProjectID, func(v blockstorage.Volume, a blockstorage.Attachment) {
		if a.ID == id {
			volume, found, err = v, a, nil
		}
	})
	return volume, found, err
}

func (s service) attachment(r *api.Request) (int, any, error) {
	v, a, err := s.findAttachment(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"attachment": attachmentDetail(v, a)}, nil
}

func (s service) deleteAttachment(r *api.Request) (int, any, error) {
	_, a, err := s.findAttachment(r)
	if err != nil {
		return 0, nil, err
	}
	return 0, nil, refuseBehindNova(a)
}

func (s service) messages(r *api.Request) (int, any, error) {
	query := r.URL.Query()
	var all []blockstorage.Message
	_ = s.view(func(tx *engine.Tx) error {
		for _, m := range s.volumes.Messages(tx, r.Caller.ProjectID) {
			if id := query.Get("resource_uuid"); id == "" || id == m.VolumeID {
				all = append(all, m)
			}
		}
		return nil
	})
	some, next, err := page(r, all, func(m blockstorage.Message) string { return m.ID }, unknownMessage)
	if err != nil {
		return 0, nil, err
	}
	views := make([]any, len(some))
	for i, m := range some {
		views[i] = messageView(r, m)
	}
	body := map[string]any{"messages": views}
	if next != nil {
		body["messages_links"] = next
	}
	return http.StatusOK, body, nil
}

func unknownMessage(id string) error {
	return engine.Refuse(engine.NotFound, "Message %s could not be found.", id)
}

func (s service) message(r *api.Request) (int, any, error) {
	id := r.PathValue("id")
	var found *blockstorage.Message
	_ = s.view(func(tx *engine.Tx) error {
		for _, m := range s.volumes.Messages(tx, r.Caller.ProjectID) {
			if m.ID == id {
				found = &m
			}
		}
		return nil
	})
	if found == nil {
		return 0, nil, unknownMessage(id)
	}
	return http.StatusOK, map[string]any{"message": messageView(r, *found)}, nil
}
