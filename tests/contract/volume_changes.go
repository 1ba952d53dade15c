package contract

import "net/http"

var volumeChangeCases = []Case{
	{Name: "name, description and metadata of a volume are changed, each alone", Run: at(Volume, func(s *scene) {
		s.volume("v", `"description":"old","metadata":{"a":"1","b":"2"}`)
		put := func(attrs string) Answer {
			return s.ask("PUT /volumes/{v}", `{"volume":{`+attrs+`}}`).Want(s.t, http.StatusOK)
		}
		s.is(put(`"name":"new"`), "volume.name", "new", "volume.description", "old")
		s.is(put(`"description":null`), "volume.name", "new", "volume.description", "")
		s.is(put(`"metadata":{"c":"3"}`), "volume.name", "new", "volume.metadata", `{"c":"3"}`)
		s.is(put(`"metadata":{}`), "volume.metadata", `{}`)
		s.is(put(`"name":null`), "volume.name", "")
		s.is(put(``), "volume.name", "")
		s.is(put(`"display_name":"shown","display_description":"told"`), "volume.name", "shown", "volume.description", "told")
		s.is(s.get("/volumes/{v}"), "volume.name", "shown", "volume.description", "told", "volume.metadata", `{}`)
	})},
	{Name: "a change of what a volume does not have is refused", Run: at(Volume, func(s *scene) {
		s.volume("v", "")
		s.refused("PUT /volumes/{v}", `{"volume":{"colour":"red"}}`, 400, "badRequest", "Additional properties are not allowed ('colour' was unexpected)")
		s.refused("PUT /volumes/{v}", `{"volume":{"size":2}}`, 400, "badRequest")
		s.refused("PUT /volumes/{v}", `{"volume":{"name":"`+long+`"}}`, 400, "badRequest", "name has 256 characters, more than 255.")
		s.refused("PUT /volumes/{v}", `{}`, 400, "badRequest")
		s.is(s.get("/volumes/{v}"), "volume.name", "v")
	})},
	{Name: "metadata is merged by POST and replaced by PUT", Run: at(Volume, func(s *scene) {
		s.volume("v", `"metadata":{"a":"1"}`)
		s.is(s.ask("POST /volumes/{v}/metadata", `{"metadata":{"b":"2"}}`).Want(s.t, http.StatusOK), "metadata", `{"a":"1","b":"2"}`)
		s.is(s.ask("POST /volumes/{v}/metadata", `{"metadata":{"a":"3"}}`).Want(s.t, http.StatusOK), "metadata", `{"a":"3","b":"2"}`)
		s.is(s.get("/volumes/{v}/metadata"), "metadata", `{"a":"3","b":"2"}`)
		s.is(s.ask("PUT /volumes/{v}/metadata", `{"metadata":{"c":"4"}}`).Want(s.t, http.StatusOK), "metadata", `{"c":"4"}`)
		s.is(s.ask("PUT /volumes/{v}/metadata", `{"metadata":{}}`).Want(s.t, http.StatusOK), "metadata", `{}`)
	})},
	{Name: "one pair of metadata is read, set and deleted", Run: at(Volume, func(s *scene) {
		s.volume("v", `"metadata":{"a":"1"}`)
		s.is(s.get("/volumes/{v}/metadata/a"), "meta.a", "1")
		s.is(s.ask("PUT /volumes/{v}/metadata/a", `{"meta":{"a":"2"}}`).Want(s.t, http.StatusOK), "meta.a", "2")
		s.refused("PUT /volumes/{v}/metadata/a", `{"meta":{"b":"2"}}`, 400, "badRequest", "Request body and URI mismatch")
		s.refused("GET /volumes/{v}/metadata/b", "", 404, "itemNotFound")
		s.ask("DELETE /volumes/{v}/metadata/a", "").Want(s.t, http.StatusOK)
		s.refused("DELETE /volumes/{v}/metadata/a", "", 404, "itemNotFound")
		s.is(s.get("/volumes/{v}"), "volume.metadata", "{}")
	})},
	{Name: "metadata is refused: not an object of texts of 1 to 255 characters", Run: at(Volume, func(s *scene) {
		s.volume("v", "")
		for _, body := range []string{`{}`, `{"metadata":null}`, `{"metadata":{"a":1}}`, `{"metadata":{"":"x"}}`, `{"metadata":{"` + long + `":"x"}}`, `{"metadata":{"a":"` + long + `"}}`} {
			s.refused("POST /volumes/{v}/metadata", body, 400, "badRequest")
		}
	})},
	{Name: "a volume is extended through extending to available", Run: at(Volume, func(s *scene) {
		s.volume("v", "")
		s.c.Slow(s.t, "volume.extend")
		s.extend("2").Want(s.t, http.StatusAccepted)
		s.is(s.get("/volumes/{v}"), "volume.status", "extending", "volume.size", "1")
		s.refused("POST /volumes/{v}/action", `{"os-extend":{"new_size":3}}`, 400, "badRequest", "currently extending.")
		s.refused("DELETE /volumes/{v}", "", 400, "badRequest")
		s.becomes("v", "extending", "available")
		s.is(s.get("/volumes/{v}"), "volume.size", "2")
		s.extend(`"3"`).Want(s.t, http.StatusAccepted)
		s.becomes("v", "extending", "available")
		s.is(s.get("/volumes/{v}"), "volume.size", "3")
	})},
	{Name: "an extension is refused: not larger, no number, over the quota", Run: at(Volume, func(s *scene) {
		s.volume("v", "")
		extend := func(args string, status int, words ...string) {
			s.refused("POST /volumes/{v}/action", `{"os-extend":`+args+`}`, status, words...)
		}
		extend(`{"new_size":1}`, 400, "badRequest", "Invalid input received: New size for extend must be greater than current size. (current: 1, extended: 1).")
		extend(`{"new_size":0}`, 400, "badRequest", "less than the minimum of 1")
		extend(`{"new_size":"x"}`, 400, "badRequest", "'x' does not match '^[0-9]+$'")
		extend(`{}`, 400, "badRequest", "'new_size' is a required property")
		extend(`{"new_size":1001}`, 413, "overLimit", "Requested 1000G, quota is 1000G and 1G has been consumed.")
		s.is(s.get("/volumes/{v}"), "volume.size", "1", "volume.status", "available")
	})},
	{Name: "an extension that fails later leaves the volume in error_extending at its old size", Run: at(Volume, func(s *scene) {
		s.volume("v", "")
		s.c.Fail(s.t, "volume.extend")
		s.extend("2").Want(s.t, http.StatusAccepted)
		s.becomes("v", "extending", "error_extending")
		s.is(s.get("/volumes/{v}"), "volume.size", "1")
		s.is(s.version("3.70").get("/messages?resource_uuid={v}"), "messages.0.resource_uuid", "{v}")
		s.extend("2").Want(s.t, http.StatusBadRequest)
	})},
	{Name: "a volume in use is extended from microversion 3.42 on", Run: at(Volume, func(s *scene) {
		s.attached("v", "server")
		s.version("3.41").refused("POST /volumes/{v}/action", `{"os-extend":{"new_size":2}}`, 400, "badRequest", "currently in-use.")
		s.version("3.42").refused("POST /volumes/{v}/action", `{"os-extend":{"new_size":1}}`, 400, "badRequest", "must be greater than current size")
		s.version("3.42").ask("POST /volumes/{v}/action", `{"os-extend":{"new_size":2}}`).Want(s.t, http.StatusAccepted)
		s.becomes("v", "extending", "in-use")
		s.is(s.get("/volumes/{v}"), "volume.size", "2", "volume.attachments.0.server_id", "{server}")
	})},
}
