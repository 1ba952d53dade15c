package blockstorage

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
)

type createBody struct {
	Volume *struct {
		Size         json.RawMessage   `json:"size"`
		Name         string            `json:"name"`
		Description  *string           `json:"description"`
		Type         string            `json:"volume_type"`
		Zone         string            `json:"availability_zone"`
		Metadata     map[string]string `json:"metadata"`
		SnapshotID   string            `json:"snapshot_id"`
		SourceVolume string            `json:"source_volid"`
		Image        string            `json:"imageRef"`
		Backup       string            `json:"backup_id"`
		Multiattach  bool              `json:"multiattach"`
	} `json:"volume"`
}

func (s service) create(r *api.Request) (int, any, error) {
	var body createBody
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	in := body.Volume
	if in == nil {
		return 0, nil, api.BadRequest("Invalid input for field/attribute volume. Value: None. 'volume' is a required property")
	}
	switch {
	case in.SnapshotID != "":
		return 0, nil, api.Errorf(http.StatusNotFound, "Snapshot %s could not be found.", in.SnapshotID)
	case in.Backup != "":
		return 0, nil, api.Errorf(http.StatusNotFound, "Backup %s could not be found.", in.Backup)
	case in.SourceVolume != "":
		return 0, nil, s.refuseClone(r, in.SourceVolume)
	case in.Multiattach:
		return 0, nil, api.BadRequest("multiattach parameter has been removed. The default behavior is to use multiattach enabled volume types. " +
			"Contact your administrator to create a multiattach enabled volume type and use it to create multiattach volumes.")
	case in.Image != "":
		return 0, nil, api.BadRequest("Invalid image identifier or unable to access requested image.")
	}
	size, err := parseSize("size", in.Size)
	if err != nil {
		return 0, nil, err
	}
	if err := checkStrings(in.Name, in.Description, in.Metadata); err != nil {
		return 0, nil, err
	}
	var v blockstorage.Volume
	err = s.engine.Update(func(tx *engine.Tx) error {
		var err error
		v, err = s.volumes.Create(tx, blockstorage.Spec{
			ProjectID: r.Caller.ProjectID, UserID: r.Caller.UserID, Name: in.Name, Description: in.Description,
			SizeGiB: size, Type: in.Type, Zone: in.Zone, Metadata: in.Metadata,
		})
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, map[string]any{"volume": s.created(r, v)}, nil
}

// refuseClone refuses a volume that shall be a copy of another one.
func (s service) refuseClone(r *api.Request, source string) error {
	return s.view(func(tx *engine.Tx) error {
		if _, err := s.volumes.Get(tx, r.Caller.ProjectID, source); err != nil {
			return err
		}
		return api.BadRequest("Invalid input for field/attribute source_volid: this cloud does not clone volumes.")
	})
}

var digits = regexp.MustCompile(`^[0-9]+$`)

// parseSize reads a number of GiB, which Cinder takes as a JSON number or as a string.
func parseSize(field string, raw json.RawMessage) (int64, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return 0, api.BadRequest("'%s' is a required property", field)
	}
	text := string(raw)
	wrong := func(why string) error {
		return api.BadRequest("Invalid input for field/attribute %s. Value: %s. %s", field, text, why)
	}
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return 0, api.BadRequest("Malformed request body: %v", err)
		}
		if !digits.MatchString(text) {
			return 0, wrong("'" + text + "' does not match '^[0-9]+$'")
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return 0, wrong(text + " is not of type 'integer', 'string'")
	case n < 1:
		return 0, wrong(text + " is less than the minimum of 1")
	case n > math.MaxInt32:
		return 0, wrong(text + " is greater than the maximum of 2147483647")
	}
	return n, nil
}

func checkStrings(name string, description *string, metadata map[string]string) error {
	for _, text := range []struct{ what, value string }{{"name", name}, {"description", orEmpty(description)}} {
		if n := utf8.RuneCountInString(text.value); n > api.MaxString {
			return api.BadRequest("Invalid input received: %s has %d characters, more than %d.", text.what, n, api.MaxString)
		}
	}
	return api.CheckMetadata(metadata, api.VolumeKeys)
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func (s service) show(r *api.Request) (int, any, error) {
	v, err := s.get(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"volume": s.detail(r, v)}, nil
}

func (s service) change(r *api.Request, change func(v blockstorage.Volume) blockstorage.Change) (v blockstorage.Volume, err error) {
	err = s.engine.Update(func(tx *engine.Tx) error {
		if v, err = s.volumes.Get(tx, r.Caller.ProjectID, r.PathValue("id")); err != nil {
			return err
		}
		v, err = s.volumes.Update(tx, r.Caller.ProjectID, v.ID, change(v))
		return err
	})
	return v, err
}

func (s service) update(r *api.Request) (int, any, error) {
	var in struct {
		Name        engine.Optional[string] `json:"name"`
		Description engine.Optional[string] `json:"description"`
		Metadata    map[string]string       `json:"metadata"`
		// The names of the first API, which the command line still uses.
		DisplayName        engine.Optional[string] `json:"display_name"`
		DisplayDescription engine.Optional[string] `json:"display_description"`
	}
	if err := collection.DecodeOr(r, "volume", &in, api.BadRequest("'volume' is a required property"), unexpected); err != nil {
		return 0, nil, err
	}
	if !in.Name.Set {
		in.Name = in.DisplayName
	}
	if !in.Description.Set {
		in.Description = in.DisplayDescription
	}
	if err := checkStrings(in.Name.Or("", ""), in.Description.Pointer(), in.Metadata); err != nil {
		return 0, nil, err
	}
	v, err := s.change(r, func(blockstorage.Volume) blockstorage.Change {
		return blockstorage.Change{Name: in.Name, Description: in.Description, Metadata: in.Metadata}
	})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"volume": s.created(r, v)}, nil
}

// unexpected is the error for an attribute that a request may not have.
func unexpected(attribute string) error {
	return api.BadRequest("Additional properties are not allowed ('%s' was unexpected)", attribute)
}

func (s service) delete(r *api.Request) (int, any, error) {
	force, err := parseBool("force", r.URL.Query().Get("force"))
	if err != nil {
		return 0, nil, err
	}
	if force && r.Version.AtLeast(3, 23) {
		return api.AdminOnly("volume:force_delete")(r)
	}
	err = s.engine.Update(func(tx *engine.Tx) error {
		return s.volumes.Delete(tx, r.Caller.ProjectID, r.PathValue("id"))
	})
	return http.StatusAccepted, nil, err
}

// action serves os-extend; what a project member may not do, or only Nova may, is refused as Cinder does.
func (s service) action(r *api.Request) (int, any, error) {
	var body map[string]json.RawMessage
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	for name, args := range body {
		switch name {
		case "os-extend":
			return s.extend(r, args)
		case "os-reset_status":
			return s.reset(r, args)
		case "os-force_delete", "os-force_detach":
			return 0, nil, notForMembers(name)
		case "os-detach":
			return s.detachByHand(r)
		}
		return 0, nil, api.BadRequest("There is no such action: %s. Verify the request body and Content-Type header and try again.", name)
	}
	return 0, nil, api.BadRequest("Malformed request body")
}

func notForMembers(action string) error {
	return engine.Refuse(engine.Forbidden, "Policy doesn't allow volume_extension:volume_admin_actions:%s to be performed.", action[3:])
}

// reset is the administrator's way out of a status in which a volume got stuck.
func (s service) reset(r *api.Request, args json.RawMessage) (int, any, error) {
	if !slices.Contains(r.Caller.Roles, "admin") {
		return 0, nil, notForMembers("os-reset_status")
	}
	var in struct {
		Status blockstorage.Status `json:"status"`
	}
	if err := json.Unmarshal(args, &in); err != nil {
		return 0, nil, api.BadRequest("Malformed request body: %v", err)
	}
	err := s.engine.Update(func(tx *engine.Tx) error {
		return s.volumes.Reset(tx, r.Caller.ProjectID, r.PathValue("id"), in.Status)
	})
	return http.StatusAccepted, nil, err
}

func (s service) extend(r *api.Request, args json.RawMessage) (int, any, error) {
	var in struct {
		Size json.RawMessage `json:"new_size"`
	}
	if err := json.Unmarshal(args, &in); err != nil {
		return 0, nil, api.BadRequest("Malformed request body: %v", err)
	}
	size, err := parseSize("new_size", in.Size)
	if err != nil {
		return 0, nil, err
	}
	err = s.engine.Update(func(tx *engine.Tx) error {
		return s.volumes.Extend(tx, r.Caller.ProjectID, r.PathValue("id"), size, r.Version.AtLeast(3, 42))
	})
	return http.StatusAccepted, nil, err
}

// detachByHand refuses to detach behind Nova's back (CVE-2023-2088).
func (s service) detachByHand(r *api.Request) (int, any, error) {
	v, err := s.get(r)
	if err != nil {
		return 0, nil, err
	}
	if len(v.Attachments) == 0 {
		return http.StatusAccepted, nil, nil
	}
	return 0, nil, refuseBehindNova(v.Attachments[0])
}

func refuseBehindNova(a blockstorage.Attachment) error {
	return engine.Refuse(engine.Conflict,
		"ConflictNovaUsingAttachment: Detach volume from instance %s using the Compute API", a.ServerID)
}

func (s service) metadata(r *api.Request) (int, any, error) {
	v, err := s.get(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"metadata": v.Metadata}, nil
}

func (s service) editMetadata(r *api.Request, edit func(map[string]string) map[string]string) (map[string]string, error) {
	v, err := s.change(r, func(v blockstorage.Volume) blockstorage.Change {
		return blockstorage.Change{Metadata: edit(v.Metadata)}
	})
	return v.Metadata, err
}

func (s service) metadataItem(r *api.Request) (int, any, error) {
	v, err := s.get(r)
	if err != nil {
		return 0, nil, err
	}
	key := r.PathValue("key")
	value, ok := v.Metadata[key]
	if !ok {
		return 0, nil, noMetadataItem(v.ID, key)
	}
	return http.StatusOK, map[string]any{"meta": map[string]string{key: value}}, nil
}

func noMetadataItem(id, key string) error {
	return engine.Refuse(engine.NotFound, "Volume %s has no metadata with key %s.", id, key)
}

func (s service) deleteMetadata(r *api.Request) (int, any, error) {
	key := r.PathValue("key")
	err := s.engine.Update(func(tx *engine.Tx) error {
		v, err := s.volumes.Get(tx, r.Caller.ProjectID, r.PathValue("id"))
		if err != nil {
			return err
		}
		if _, ok := v.Metadata[key]; !ok {
			return noMetadataItem(v.ID, key)
		}
		kept := maps.Clone(v.Metadata)
		delete(kept, key)
		_, err = s.volumes.Update(tx, v.ProjectID, v.ID, blockstorage.Change{Metadata: kept})
		return err
	})
	return http.StatusOK, nil, err
}
