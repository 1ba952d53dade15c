package contract

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

var volumeCases = slices.Concat(volumeLifeCases, volumeRefusalCases, volumeChangeCases, volumeListCases, volumeFactCases)

// long is a text of one character too many.
var long = strings.Repeat("x", 256)

var volumeLifeCases = []Case{
	{Name: "a volume goes from creating to available, and is gone after its deletion", Run: at(Volume, func(s *scene) {
		s.is(s.creating("v", ""), "volume.status", "creating")
		s.becomes("v", "creating", "available")
		s.get("/volumes/{v}")
		s.ask("DELETE /volumes/{v}", "").Want(s.t, http.StatusAccepted)
		s.becomes("v", "deleting", "404")
	})},
	{Name: "a volume is what was asked for", Run: at(Volume, func(s *scene) {
		s.volume("v", `"size":"2","description":"a text","metadata":{"a":"b"},"volume_type":"fast"`)
		s.is(s.get("/volumes/{v}"), "volume.id", "{v}", "volume.name", "v", "volume.size", "2", "volume.description", "a text",
			"volume.metadata", `{"a":"b"}`, "volume.volume_type", "fast", "volume.availability_zone", "{zone}",
			"volume.multiattach", "false", "volume.attachments", "[]", "volume.bootable", "false", "volume.encrypted", "false",
			"volume.user_id", "{user}", "volume.os-vol-tenant-attr:tenant_id", "{project}")
	})},
	{Name: "what is not asked for has defaults, and a volume needs no name", Run: at(Volume, func(s *scene) {
		a := s.ask("POST /volumes", `{"volume":{"size":1}}`).Want(s.t, http.StatusAccepted)
		s.owns("v", a)
		if a.At("volume.name") != nil {
			s.t.Errorf("the name is %v, want null", a.At("volume.name"))
		}
		s.is(a, "volume.volume_type", s.c.VolumeType, "volume.availability_zone", s.c.Zones[0], "volume.metadata", "{}", "volume.description", "")
		s.becomes("v", "creating", "available")
	})},
	{Name: "attributes that a volume does not have are ignored at its creation", Run: at(Volume, func(s *scene) {
		s.volume("v", `"colour":"red","scheduler_hints":{}`)
	})},
	{Name: "null is the same as nothing", Run: at(Volume, func(s *scene) {
		s.volume("v", `"description":null,"metadata":null,"volume_type":null,"snapshot_id":null,"source_volid":null,"imageRef":null,"consistencygroup_id":null`)
		s.is(s.get("/volumes/{v}"), "volume.volume_type", s.c.VolumeType, "volume.metadata", "{}")
	})},
	{Name: "a volume may be asked for by the type's id and in the other zone", Run: at(Volume, func(s *scene) {
		types := s.get("/types")
		for i, name := range values(types, "volume_types", "name") {
			if name == s.c.OtherType {
				s.names["type"] = values(types, "volume_types", "id")[i]
			}
		}
		s.volume("v", `"volume_type":"{type}","availability_zone":"{zone2}"`)
		s.is(s.get("/volumes/{v}"), "volume.volume_type", s.c.OtherType, "volume.availability_zone", "{zone2}")
	})},
	{Name: "two volumes may have the same name", Run: at(Volume, func(s *scene) {
		s.volume("v", `"name":"twin"`)
		s.volume("w", `"name":"twin"`)
		found := values(s.get("/volumes?name=twin"), "volumes", "id") // in any order: both may be of the same second
		same(s.t, "volumes of the name", slices.Sorted(slices.Values(found)), slices.Sorted(slices.Values([]string{s.names["v"], s.names["w"]}))...)
	})},
	{Name: "a volume of a multiattach type says so", Run: at(Volume, func(s *scene) {
		s.volume("v", `"volume_type":"multiattach"`)
		s.is(s.get("/volumes/{v}"), "volume.multiattach", "true")
	})},
	{Name: "a creation that fails later leaves a volume in error and a message that says why", Run: at(Volume, func(s *scene) {
		s.c.Fail(s.t, "volume.create")
		s.creating("v", "")
		s.becomes("v", "creating", "error")
		s.get("/volumes/{v}")
		a := s.version("3.70").get("/messages?resource_uuid={v}")
		s.is(a, "messages.0.resource_uuid", "{v}", "messages.0.resource_type", "VOLUME", "messages.0.message_level", "ERROR")
		s.names["message"] = a.Text("messages.0.id")
		s.is(s.version("3.70").get("/messages/{message}"), "message.id", "{message}")
		s.refused("POST /volumes/{v}/action", `{"os-extend":{"new_size":2}}`, http.StatusBadRequest, "badRequest")
		s.ask("DELETE /volumes/{v}", "").Want(s.t, http.StatusAccepted)
		s.becomes("v", "deleting", "404")
	})},
	{Name: "a deletion that fails later leaves a volume in error_deleting, which its owner cannot delete", Run: at(Volume, func(s *scene) {
		s.volume("v", "")
		s.c.Fail(s.t, "volume.delete")
		s.ask("DELETE /volumes/{v}", "").Want(s.t, http.StatusAccepted)
		s.becomes("v", "deleting", "error_deleting")
		s.get("/volumes/{v}")
		s.refused("DELETE /volumes/{v}", "", 400, "badRequest", "Invalid volume: Volume status must be available or error")
	})},
}

// creationRefused are bodies of POST /volumes that are refused, by why.
var creationRefused = inOrder[string, []string](
	"no JSON", []string{`{`, "400", "badRequest"},
	"no volume", []string{`{}`, "400", "badRequest"},
	"a volume that is null", []string{`{"volume":null}`, "400", "badRequest"},
	"a list", []string{`[1]`, "400", "badRequest"},
	"no size", []string{`{"volume":{}}`, "400", "badRequest"},
	"a size that is null", []string{`{"volume":{"size":null}}`, "400", "badRequest"},
	"size 0", []string{`{"volume":{"size":0}}`, "400", "badRequest", "Invalid input for field/attribute size. Value: 0. 0 is less than the minimum of 1"},
	"a negative size", []string{`{"volume":{"size":-1}}`, "400", "badRequest", "less than the minimum of 1"},
	"a size that is no number", []string{`{"volume":{"size":"x"}}`, "400", "badRequest", "'x' does not match '^[0-9]+$'"},
	"a broken size", []string{`{"volume":{"size":1.5}}`, "400", "badRequest", "1.5 is not of type 'integer'"},
	"a size beyond all sizes", []string{`{"volume":{"size":99999999999}}`, "400", "badRequest", "greater than the maximum of 2147483647"},
	"an unknown zone", []string{`{"volume":{"size":1,"availability_zone":"nowhere"}}`, "400", "badRequest", "Availability zone 'nowhere' is invalid."},
	"an unknown type", []string{`{"volume":{"size":1,"volume_type":"marble"}}`, "404", "itemNotFound", "Volume type with name marble could not be found."},
	"a name of 256 characters", []string{`{"volume":{"size":1,"name":"` + long + `"}}`, "400", "badRequest", "name has 256 characters, more than 255."},
	"a description of 256 characters", []string{`{"volume":{"size":1,"description":"` + long + `"}}`, "400", "badRequest", "description has 256 characters, more than 255."},
	"a name that is a number", []string{`{"volume":{"size":1,"name":1}}`, "400", "badRequest"},
	"metadata that is no object", []string{`{"volume":{"size":1,"metadata":"x"}}`, "400", "badRequest"},
	"a value that is a number", []string{`{"volume":{"size":1,"metadata":{"a":1}}}`, "400", "badRequest"},
	"an empty key", []string{`{"volume":{"size":1,"metadata":{"":"x"}}}`, "400", "badRequest"},
	"a key with an umlaut", []string{`{"volume":{"size":1,"metadata":{"ä":"x"}}}`, "400", "badRequest"},
	"a key of 256 characters", []string{`{"volume":{"size":1,"metadata":{"` + long + `":"x"}}}`, "400", "badRequest"},
	"a value of 256 characters", []string{`{"volume":{"size":1,"metadata":{"a":"` + long + `"}}}`, "400", "badRequest", "is too long"},
	"a snapshot that is not there", []string{`{"volume":{"size":1,"snapshot_id":"{nobody}"}}`, "404", "itemNotFound", "Snapshot {nobody} could not be found."},
	"a source that is not there", []string{`{"volume":{"size":1,"source_volid":"{nobody}"}}`, "404", "itemNotFound", "Volume {nobody} could not be found."},
	"an image that is not there", []string{`{"volume":{"size":1,"imageRef":"{nobody}"}}`, "400", "badRequest", "Invalid image identifier or unable to access requested image."},
	"multiattach by the old parameter", []string{`{"volume":{"size":1,"multiattach":true}}`, "400", "badRequest", "multiattach parameter has been removed."},
)

var volumeRefusalCases = append(volumeCreationRefusals(),
	Case{Name: "a volume over the quota of gigabytes is refused with 413 and Retry-After", Run: at(Volume, func(s *scene) {
		a := s.ask("POST /volumes", `{"volume":{"size":1001}}`).Want(s.t, http.StatusRequestEntityTooLarge)
		if a.Header.Get("Retry-After") != "0" {
			s.t.Errorf("Retry-After is %q, want 0", a.Header.Get("Retry-After"))
		}
		s.is(a, "overLimit.code", "413", "overLimit.retryAfter", "0", "overLimit.message",
			"VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 1001G, quota is 1000G and 0G has been consumed.")
	})},
	Case{Name: "a volume over the quota of volumes is refused with 413", Run: at(Volume, func(s *scene) {
		s.t.Quietly(func() {
			for _, name := range strings.Fields("q1 q2 q3 q4 q5 q6 q7 q8 q9 q10") {
				s.creating(name, "")
			}
		})
		a := s.ask("POST /volumes", `{"volume":{"size":1}}`).Want(s.t, http.StatusRequestEntityTooLarge)
		s.is(a, "overLimit.message", "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'.")
		s.t.Quietly(func() { s.becomes("q10", "creating", "available") })
	})},
	Case{Name: "a volume that is not there is 404 in every request", Run: at(Volume, func(s *scene) {
		for _, id := range []string{"{nobody}", "nonsense"} {
			message := "Volume " + id + " could not be found."
			s.refused("GET /volumes/"+id, "", 404, "itemNotFound", message)
			s.refused("DELETE /volumes/"+id, "", 404, "itemNotFound", message)
			s.refused("PUT /volumes/"+id, `{"volume":{"name":"x"}}`, 404, "itemNotFound", message)
			s.refused("GET /volumes/"+id+"/metadata", "", 404, "itemNotFound", message)
			s.refused("POST /volumes/"+id+"/action", `{"os-extend":{"new_size":2}}`, 404, "itemNotFound", message)
		}
	})},
	Case{Name: "deleting twice: the second request is refused while the first is under way, and 404 afterwards", Run: at(Volume, func(s *scene) {
		s.volume("v", "")
		s.c.Slow(s.t, "volume.delete")
		s.ask("DELETE /volumes/{v}", "").Want(s.t, http.StatusAccepted)
		s.refused("DELETE /volumes/{v}", "", 400, "badRequest", "Invalid volume: Volume status must be available or error")
		s.becomes("v", "deleting", "404")
		s.refused("DELETE /volumes/{v}", "", 404, "itemNotFound")
	})},
	Case{Name: "a volume that is being created can neither be deleted nor extended nor attached", Run: at(Volume, func(s *scene) {
		s.c.Slow(s.t, "volume.create")
		s.creating("v", "")
		sleep(s.t, time.Second) // until it is scheduled, Cinder just forgets it on DELETE
		s.refused("DELETE /volumes/{v}", "", 400, "badRequest", "Invalid volume: Volume status must be available or error")
		s.refused("POST /volumes/{v}/action", `{"os-extend":{"new_size":2}}`, 400, "badRequest", "currently creating.")
		s.on(Compute).refused("POST /servers/{server}/os-volume_attachments", `{"volumeAttachment":{"volumeId":"{v}"}}`, 400, "badRequest", "creating")
		s.becomes("v", "creating", "available")
	})},
	Case{Name: "what belongs to administrators is forbidden", Run: at(Volume, func(s *scene) {
		s.volume("v", "")
		for action, args := range inOrder[string, string]("reset_status", `{"status":"error"}`, "force_delete", `{}`, "force_detach", `{}`) {
			s.refused("POST /volumes/{v}/action", `{"os-`+action+`":`+args+`}`, 403, "forbidden",
				"Policy doesn't allow volume_extension:volume_admin_actions:"+action+" to be performed.")
		}
		s.version("3.70").refused("DELETE /volumes/{v}?force=True", "", 403, "forbidden", "Policy doesn't allow volume:force_delete to be performed.")
	})},
	Case{Name: "an action that nobody knows is refused", Run: at(Volume, func(s *scene) {
		s.volume("v", "")
		s.refused("POST /volumes/{v}/action", `{"os-nothing":{}}`, 400, "badRequest", "There is no such action: os-nothing.")
		s.refused("POST /volumes/{v}/action", `{}`, 400, "badRequest", "Malformed request body")
	})},
)

func volumeCreationRefusals() (cases []Case) {
	for why, row := range creationRefused {
		status := map[string]int{"400": 400, "404": 404}[row[1]]
		cases = append(cases, Case{Name: "a creation is refused: " + why, Run: at(Volume, func(s *scene) {
			s.refused("POST /volumes", row[0], status, row[2:]...)
		})})
	}
	return cases
}
