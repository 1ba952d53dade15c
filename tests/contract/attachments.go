package contract

import (
	"net/http"
	"slices"
)

var attachmentCases = slices.Concat(attachLifeCases, attachRefusalCases, attachViewCases)

var attachLifeCases = []Case{
	{Name: "a volume goes through reserved and attaching to in-use, and through detaching back", Run: at(Compute, func(s *scene) {
		s.volume("v", "")
		s.is(s.attach("v", "server").Want(s.t, http.StatusOK), "volumeAttachment.id", "{v}", "volumeAttachment.volumeId", "{v}", "volumeAttachment.serverId", "{server}")
		s.becomes("v", "reserved", "attaching", "in-use")
		s.is(s.on(Volume).get("/volumes/{v}"), "volume.attachments.0.server_id", "{server}", "volume.attachments.0.volume_id", "{v}", "volume.attachments.0.id", "{v}")
		s.detach("server").Want(s.t, http.StatusAccepted)
		s.becomes("v", "detaching", "available")
		s.is(s.on(Volume).get("/volumes/{v}"), "volume.attachments", "[]")
	})},
	{Name: "an attachment that is accepted and fails falls back to available without a word", Run: at(Compute, func(s *scene) {
		s.volume("v", "")
		s.c.Fail(s.t, "volume.attach")
		s.attach("v", "server").Want(s.t, http.StatusOK)
		s.becomes("v", "reserved", "attaching", "available")
		s.refused("GET /servers/{server}/os-volume_attachments/{v}", "", 404, "itemNotFound", "Instance {server} is not attached to volume {v}")
		s.is(s.on(Volume).get("/volumes/{v}"), "volume.attachments", "[]")
		s.attach("v", "server").Want(s.t, http.StatusOK)
		s.becomes("v", "reserved", "attaching", "in-use")
	})},
	{Name: "a detachment that is accepted and fails falls back to in-use", Run: at(Compute, func(s *scene) {
		s.attached("v", "server")
		s.c.Fail(s.t, "volume.detach")
		s.detach("server").Want(s.t, http.StatusAccepted)
		s.becomes("v", "detaching", "in-use")
		s.get("/servers/{server}/os-volume_attachments/{v}")
		s.detach("server").Want(s.t, http.StatusAccepted)
		s.becomes("v", "detaching", "available")
	})},
	{Name: "a volume of another zone is attached all the same", Run: at(Compute, func(s *scene) {
		s.volume("v", `"availability_zone":"{zone2}"`)
		s.attach("v", "server").Want(s.t, http.StatusOK)
		s.becomes("v", "reserved", "attaching", "in-use")
	})},
	{Name: "a multiattach volume is in use on two servers from microversion 2.60 on", Run: at(Compute, func(s *scene) {
		s.volume("v", `"volume_type":"multiattach"`)
		body := `{"volumeAttachment":{"volumeId":"{v}"}}`
		s.version("2.59").refused("POST /servers/{server}/os-volume_attachments", body, 400, "badRequest", "Multiattach volumes are only supported starting with compute API version 2.60.")
		s.attach("v", "server", Microversion(Compute, "2.60")).Want(s.t, http.StatusOK)
		s.becomes("v", "reserved", "attaching", "in-use")
		s.version("2.60").refused("POST /servers/{server}/os-volume_attachments", body, 400, "badRequest", "Invalid volume: volume {v} already attached")
		s.attach("v", "other", Microversion(Compute, "2.60")).Want(s.t, http.StatusOK)
		s.becomes("v", "reserved", "attaching", "in-use")
		s.on(Volume).get("/volumes/{v}")
		s.detach("server").Want(s.t, http.StatusAccepted)
		s.becomes("v", "detaching", "in-use")
		same(s.t, "servers", values(s.on(Volume).get("/volumes/{v}"), "volume.attachments", "server_id"), s.names["other"])
		s.detach("other").Want(s.t, http.StatusAccepted)
		s.becomes("v", "detaching", "available")
	})},
	{Name: "a server that is deleted sets its volumes free", Run: at(Compute, func(s *scene) {
		s.server("")
		s.attached("v", "s")
		s.ask("DELETE /servers/{s}", "").Want(s.t, http.StatusNoContent)
		s.becomes("v", "in-use", "detaching", "available")
		s.is(s.on(Volume).get("/volumes/{v}"), "volume.attachments", "[]")
	})},
	{Name: "a stopped server keeps its volumes, and gives and takes others", Run: at(Compute, func(s *scene) {
		s.server("")
		s.attached("v", "s")
		s.volume("w", "")
		s.stop("s")
		s.attach("w", "s").Want(s.t, http.StatusOK)
		s.becomes("w", "reserved", "attaching", "in-use")
		s.detach("s").Want(s.t, http.StatusAccepted)
		s.becomes("v", "detaching", "available")
	})},
}

var attachRefusalCases = []Case{
	{Name: "attaching what is attached is refused, for the same server and another", Run: at(Compute, func(s *scene) {
		s.attached("v", "server")
		already := "Invalid volume: volume {v} is already attached to instances: {server}"
		s.refused("POST /servers/{server}/os-volume_attachments", `{"volumeAttachment":{"volumeId":"{v}"}}`, 400, "badRequest", already)
		if !s.c.Devcloud() { // there it is a safety violation, too, which no case may cause
			s.t.Quietly(func() {
				s.refused("POST /servers/{other}/os-volume_attachments", `{"volumeAttachment":{"volumeId":"{v}"}}`, 400, "badRequest", already)
			})
		}
	})},
	{Name: "attaching twice at once: the second request is refused", Run: at(Compute, func(s *scene) {
		s.volume("v", "")
		s.c.Slow(s.t, "volume.attach")
		s.attach("v", "server").Want(s.t, http.StatusOK)
		s.refused("POST /servers/{server}/os-volume_attachments", `{"volumeAttachment":{"volumeId":"{v}"}}`, 400, "badRequest", "is already attached to instances: {server}")
		s.becomes("v", "reserved", "attaching", "in-use")
	})},
	{Name: "a volume on its way to a server can neither leave it nor be deleted nor extended", Run: at(Compute, func(s *scene) {
		s.volume("v", "")
		s.c.Slow(s.t, "volume.attach")
		s.attach("v", "server").Want(s.t, http.StatusOK)
		s.refused("DELETE /servers/{server}/os-volume_attachments/{v}", "", 400, "badRequest", "Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to detach.")
		s.on(Volume).version("3.42").refused("POST /volumes/{v}/action", `{"os-extend":{"new_size":2}}`, 400, "badRequest", "Volume {v} status must be")
		s.becomes("v", "reserved", "attaching", "in-use")
	})},
	{Name: "a volume on its way from a server can neither be detached again nor attached nor extended", Run: at(Compute, func(s *scene) {
		s.attached("v", "server")
		s.c.Slow(s.t, "volume.detach")
		s.detach("server").Want(s.t, http.StatusAccepted)
		s.refused("DELETE /servers/{server}/os-volume_attachments/{v}", "", 400, "badRequest", "Unable to detach volume.")
		s.refused("POST /servers/{server}/os-volume_attachments", `{"volumeAttachment":{"volumeId":"{v}"}}`, 400, "badRequest", "is already attached to instances: {server}")
		s.on(Volume).version("3.42").refused("POST /volumes/{v}/action", `{"os-extend":{"new_size":2}}`, 400, "badRequest", "currently detaching.")
		s.becomes("v", "detaching", "available")
	})},
	{Name: "detaching what is not attached is 404", Run: at(Compute, func(s *scene) {
		s.attached("v", "server")
		s.refused("DELETE /servers/{other}/os-volume_attachments/{v}", "", 404, "itemNotFound", "Instance {other} is not attached to volume {v}")
		s.detach("server").Want(s.t, http.StatusAccepted)
		s.becomes("v", "detaching", "available")
		s.refused("DELETE /servers/{server}/os-volume_attachments/{v}", "", 404, "itemNotFound", "Instance {server} is not attached to volume {v}")
		s.refused("DELETE /servers/{server}/os-volume_attachments/{nobody}", "", 404, "itemNotFound", "Volume {nobody} could not be found.")
		s.refused("DELETE /servers/{nobody}/os-volume_attachments/{v}", "", 404, "itemNotFound", "Instance {nobody} could not be found.")
	})},
	{Name: "an attachment is refused: unknown volume or server, or a body of the wrong form", Run: at(Compute, func(s *scene) {
		s.volume("v", "")
		attach := func(body string, status int, words ...string) {
			s.refused("POST /servers/{server}/os-volume_attachments", body, status, words...)
		}
		attach(`{}`, 400, "badRequest", "'volumeAttachment' is a required property")
		attach(`{"volumeAttachment":{}}`, 400, "badRequest", "'volumeId' is a required property")
		attach(`{"volumeAttachment":{"volumeId":"nonsense"}}`, 400, "badRequest", "'nonsense' is not a 'uuid'")
		attach(`{"volumeAttachment":{"volumeId":"{nobody}"}}`, 404, "itemNotFound", "Volume {nobody} could not be found.")
		attach(`{"volumeAttachment":{"volumeId":"{v}","colour":"red"}}`, 400, "badRequest", "('colour' was unexpected)")
		attach(`{"volumeAttachment":{"volumeId":"{v}","device":"sofa"}}`, 400, "badRequest", "'sofa' does not match")
		attach(`{"volumeAttachment":{"volumeId":"{v}","tag":"x"}}`, 400, "badRequest", "('tag' was unexpected)")
		s.version("2.78").refused("POST /servers/{server}/os-volume_attachments", `{"volumeAttachment":{"volumeId":"{v}","delete_on_termination":true}}`, 400, "badRequest", "('delete_on_termination' was unexpected)")
		s.refused("POST /servers/{nobody}/os-volume_attachments", `{"volumeAttachment":{"volumeId":"{v}"}}`, 404, "itemNotFound", "Instance {nobody} could not be found.")
	})},
	{Name: "an attached volume is not detached behind Nova's back", Run: at(Volume, func(s *scene) {
		s.attached("v", "server")
		using := "ConflictNovaUsingAttachment: Detach volume from instance {server} using the Compute API"
		s.names["attachment"] = s.get("/volumes/{v}").Text("volume.attachments.0.attachment_id")
		s.version("3.44").refused("DELETE /attachments/{attachment}", "", 409, "conflictingRequest", using)
		s.refused("POST /volumes/{v}/action", `{"os-detach":{}}`, 409, "conflictingRequest", using)
		s.refused("POST /volumes/{v}/action", `{"os-detach":{"attachment_id":"{attachment}"}}`, 409, "conflictingRequest", using)
		s.is(s.get("/volumes/{v}"), "volume.status", "in-use")
	})},
	{Name: "os-detach of a volume without attachments changes nothing", Run: at(Volume, func(s *scene) {
		s.volume("v", "")
		s.ask("POST /volumes/{v}/action", `{"os-detach":{}}`).Want(s.t, http.StatusAccepted)
		s.is(s.get("/volumes/{v}"), "volume.status", "available")
	})},
}

var attachViewCases = []Case{
	{Name: "attachments as Nova shows them gain and lose fields with microversions 2.70, 2.79 and 2.89", Run: at(Compute, func(s *scene) {
		s.attached("v", "server")
		for _, version := range []string{"2.1", "2.69", "2.70", "2.78", "2.79", "2.88", "2.89", "2.93"} {
			s.is(s.version(version).get("/servers/{server}/os-volume_attachments"), "volumeAttachments.0.volumeId", "{v}")
			s.is(s.version(version).get("/servers/{server}/os-volume_attachments/{v}"), "volumeAttachment.volumeId", "{v}")
		}
	})},
	{Name: "the answer to an attachment keeps its id in every microversion", Run: at(Compute, func(s *scene) {
		s.volume("v", "")
		s.is(s.attach("v", "server", Microversion(Compute, "2.93")).Want(s.t, http.StatusOK), "volumeAttachment.volumeId", "{v}")
		s.becomes("v", "reserved", "attaching", "in-use")
	})},
	{Name: "an attachment says whether its volume ends with the server", Run: at(Compute, func(s *scene) {
		s.volume("v", "")
		a := s.version("2.79").ask("POST /servers/{server}/os-volume_attachments",
			`{"volumeAttachment":{"volumeId":"{v}","delete_on_termination":false}}`).Want(s.t, http.StatusOK)
		s.is(a, "volumeAttachment.delete_on_termination", "false", "volumeAttachment.tag", "")
		s.becomes("v", "reserved", "attaching", "in-use")
		s.is(s.version("2.79").get("/servers/{server}/os-volume_attachments/{v}"), "volumeAttachment.delete_on_termination", "false")
	})},
	{Name: "a server's attachments are cut by limit and offset, which count its root disk, too", Run: at(Compute, func(s *scene) {
		s.attached("v", "server")
		s.attached("w", "server")
		list := func(query string, want ...string) {
			got := values(s.get("/servers/{server}/os-volume_attachments"+query), "volumeAttachments", "volumeId")
			for i := range want {
				want[i] = s.fill(want[i])
			}
			same(s.t, query, got, want...)
		}
		list("", "{v}", "{w}")
		list("?limit=1")
		list("?limit=2", "{v}")
		list("?limit=1&offset=1", "{v}")
		list("?offset=2", "{w}")
		list("?colour=red", "{v}", "{w}")
		s.refused("GET /servers/{server}/os-volume_attachments?limit=x", "", 400, "badRequest", "'x' does not match '^[0-9]*$'")
		s.version("2.75").refused("GET /servers/{server}/os-volume_attachments?colour=red", "", 400, "badRequest", "('colour' was unexpected)")
		s.refused("GET /servers/{nobody}/os-volume_attachments", "", 404, "itemNotFound", "Instance {nobody} could not be found.")
		s.refused("GET /servers/{server}/os-volume_attachments/{nobody}", "", 404, "itemNotFound", "Instance {server} is not attached to volume {nobody}")
	})},
	{Name: "a server shows its volumes", Run: at(Compute, func(s *scene) {
		s.attached("v", "server")
		s.is(s.get("/servers/{server}"), "server.os-extended-volumes:volumes_attached", `[{"id":"{v}"}]`)
		s.is(s.version("2.93").get("/servers/{server}"), "server.os-extended-volumes:volumes_attached", `[{"delete_on_termination":false,"id":"{v}"}]`)
	})},
	{Name: "attachments as Cinder shows them, from microversion 3.27 on", Run: at(Volume, func(s *scene) {
		s.attached("v", "server")
		s.version("3.26").refused("GET /attachments", "", 404, "itemNotFound", "The resource could not be found.")
		s.names["attachment"] = s.get("/volumes/{v}").Text("volume.attachments.0.attachment_id")
		v := s.version("3.27")
		s.is(v.get("/attachments"), "attachments.0.id", "{attachment}", "attachments.0.volume_id", "{v}", "attachments.0.instance", "{server}", "attachments.0.status", "attached")
		s.is(v.get("/attachments/detail"), "attachments.0.attach_mode", "rw")
		s.is(v.get("/attachments/{attachment}"), "attachment.instance", "{server}")
		v.refused("GET /attachments/{nobody}", "", 404, "itemNotFound", "Volume attachment could not be found with filter: attachment_id = {nobody}.")
		v.refused("DELETE /attachments/{nobody}", "", 404, "itemNotFound", "Volume attachment could not be found with filter: attachment_id = {nobody}.")
	})},
	{Name: "Cinder's attachments are filtered and cut", Run: at(Volume, func(s *scene) {
		s.attached("v", "server")
		s.attached("w", "other")
		list := func(query string, want ...string) {
			got := values(s.version("3.70").get("/attachments"+query), "attachments", "volume_id")
			for i := range want {
				want[i] = s.fill(want[i])
			}
			same(s.t, query, got, want...)
		}
		list("", "{w}", "{v}")
		list("?volume_id={v}", "{v}")
		list("?instance_id={other}", "{w}")
		list("?attach_status=attached", "{w}", "{v}")
		list("?attach_status=reserved")
		list("?volume_id={nobody}")
		list("?limit=1", "{w}")
		s.version("3.70").refused("GET /attachments?colour=red", "", 400, "badRequest", "Invalid filters colour are found in query options.")
		s.version("3.70").refused("GET /attachments?marker={nobody}", "", 404, "itemNotFound")
	})},
}
