package contract

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

type object = map[string]any

// on is the scene at another service; the names are shared.
func (s *scene) on(service string) *scene {
	other := *s
	other.service = service
	return &other
}

// version is the scene with a microversion asked for in every request.
func (s *scene) version(v string) *scene {
	asking := *s
	asking.options = append(slices.Clone(s.options), Microversion(s.service, v))
	return &asking
}

// same notes a failure unless two lists are equal.
func same(t *T, what string, got []string, want ...string) {
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// through waits until a status is reached, and notes a failure unless the ones before were among those, in that order.
func (s *scene) through(path, field string, states ...string) {
	seen := s.c.Await(s.t, s.service, s.fill(path), field, states[len(states)-1])
	if err := only(seen, states...); err != nil {
		s.t.Errorf("%v", err)
	}
}

// becomes is through for a volume.
func (s *scene) becomes(volume string, states ...string) {
	s.on(Volume).through("/volumes/{"+volume+"}", "volume.status", states...)
}

// volume makes an available volume of 1 GiB in the servers' zone and keeps its id under the name, which is its name, too.
// attrs ("" or `"size":2`) come on top. It is gone after the case.
func (s *scene) volume(name, attrs string) {
	s.t.Quietly(func() {
		s.creating(name, attrs)
		s.becomes(name, "creating", "available")
	})
}

// creating asks for a volume like volume does, and does not wait.
func (s *scene) creating(name, attrs string) Answer {
	if attrs = strings.TrimSpace(attrs); attrs != "" {
		attrs = "," + attrs
	}
	body := `{"volume":{"size":1,"name":"` + name + `","availability_zone":"{zone}"` + attrs + `}}`
	a := s.on(Volume).ask("POST /volumes", body).Want(s.t, http.StatusAccepted)
	s.owns(name, a)
	return a
}

// owns keeps the id of a volume that was created, and has it gone after the case.
func (s *scene) owns(name string, created Answer) {
	s.names[name] = created.Text("volume.id")
	s.t.Cleanup(func() { discard(s.t, s.c, created.Text("volume.id")) })
}

// attached makes a volume that is in use on a server ("server" or "other").
func (s *scene) attached(name, server string) {
	s.t.Quietly(func() {
		s.volume(name, "")
		s.attach(name, server).Want(s.t, http.StatusOK)
		s.becomes(name, "reserved", "attaching", "in-use")
	})
}

// attach asks for an attachment; detach for the end of that of the volume v.
func (s *scene) attach(volume, server string, options ...Option) Answer {
	return s.on(Compute).ask("POST /servers/{"+server+"}/os-volume_attachments", `{"volumeAttachment":{"volumeId":"{`+volume+`}"}}`, options...)
}

func (s *scene) detach(server string) Answer {
	return s.on(Compute).ask("DELETE /servers/{"+server+"}/os-volume_attachments/{v}", "")
}

// extend asks for the growth of the volume v to so many GiB, in JSON.
func (s *scene) extend(size string) Answer {
	return s.on(Volume).ask("POST /volumes/{v}/action", `{"os-extend":{"new_size":`+size+`}}`)
}

// is checks values of an answer: path, value, path, value ...
func (s *scene) is(a Answer, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		a.Equal(s.t, pairs[i], s.fill(pairs[i+1]))
	}
}

// discard detaches and deletes a volume, whatever became of it, and returns when it is gone.
func discard(t *T, c *Cloud, id string) {
	t.Quietly(func() {
		path := "/volumes/" + id
		settle(t, c, id)
		for _, server := range values(c.Do(t, Volume, http.MethodGet, path, nil), "volume.attachments", "server_id") {
			c.Do(t, Compute, http.MethodDelete, "/servers/"+server+"/os-volume_attachments/"+id, nil).Want(t, http.StatusAccepted, http.StatusNotFound)
			settle(t, c, id)
		}
		if c.Do(t, Volume, http.MethodGet, path, nil).Text("volume.status") == "error_deleting" {
			c.Reset(t, id)
		}
		c.Do(t, Volume, http.MethodDelete, path, nil).Want(t, http.StatusAccepted, http.StatusNotFound)
		c.Await(t, Volume, path, "volume.status", "404")
	})
}

// settle waits until no operation on a volume is under way.
func settle(t *T, c *Cloud, id string) {
	for deadline := time.Now().Add(awaited); time.Now().Before(deadline); c.pause(t) {
		a := c.Do(t, Volume, http.MethodGet, "/volumes/"+id, nil)
		switch status := a.Text("volume.status"); {
		case a.Status == http.StatusNotFound, status == "available", status == "in-use", strings.HasPrefix(status, "error"):
			return
		}
	}
	t.Fatalf("volume %s does not settle", id)
}
