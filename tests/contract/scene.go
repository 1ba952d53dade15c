package contract

import (
	"iter"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// scene is a case under way at one service, written as text: a request is "POST /v2.0/networks", a body is JSON, and
// {name} in them stands for what the scene knows under that name: network, subnet, external, project, user, the first three
// numbers of the subnet's addresses (prefix), the servers (server, other), zones (zone, zone2), image and flavor, and
// what the case made.
type scene struct {
	t       *T
	c       *Cloud
	service string
	names   map[string]string
	options []Option // of every request
}

// nobody is an id that nothing has.
const nobody = "00000000-0000-4000-8000-000000000000"

func newScene(t *T, c *Cloud, service string) *scene {
	s := &scene{t: t, c: c, service: service, names: map[string]string{
		"network": c.NetworkID, "subnet": c.SubnetID, "external": c.ExternalNetworkID, "project": c.ProjectID, "user": c.UserID, "nobody": nobody,
		"image": c.ImageID, "flavor": c.FlavorID, "server": c.Servers[0], "other": c.Servers[1], "zone": c.Zones[0], "zone2": c.Zones[1],
	}}
	if service == Volume || service == Compute {
		return s // they have nothing to do with addresses
	}
	t.Quietly(func() {
		subnet := c.Do(t, Network, http.MethodGet, "/v2.0/subnets/"+c.SubnetID, nil).Want(t, http.StatusOK)
		cidr, err := netip.ParsePrefix(subnet.Text("subnet.cidr"))
		if err != nil {
			t.Fatalf("%v", err)
		}
		address := cidr.Addr().String()
		s.names["prefix"] = address[:strings.LastIndex(address, ".")]
	})
	return s
}

// at is a case told as a scene.
func at(service string, tell func(s *scene)) func(*T, *Cloud) {
	return func(t *T, c *Cloud) { tell(newScene(t, c, service)) }
}

// fill replaces the names in braces. What the scene does not know stays, as most braces are JSON.
func (s *scene) fill(text string) string {
	for name, value := range s.names {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}

// ask sends a request. Without a body none is sent.
func (s *scene) ask(request, body string, options ...Option) Answer {
	method, path, _ := strings.Cut(s.fill(request), " ")
	options = append(slices.Clone(s.options), options...)
	if body == "" {
		return s.c.Do(s.t, s.service, method, path, nil, options...)
	}
	return s.c.Do(s.t, s.service, method, path, s.fill(body), options...)
}

// get reads what is there.
func (s *scene) get(path string, options ...Option) Answer {
	return s.ask("GET "+path, "", options...).Want(s.t, http.StatusOK)
}

// refused wants a refusal: its status, the service's name of the fault if it has such names, and parts of its message.
func (s *scene) refused(request, body string, status int, words ...string) {
	a := s.ask(request, body)
	what := strings.TrimSpace(request + " " + body)
	if a.Status != status {
		s.t.Errorf("%s: answered %d, want %d: %s", what, a.Status, status, a.Raw)
		return
	}
	name, message := fault(a)
	for _, word := range words {
		if word = s.fill(word); word != name && !strings.Contains(message, word) {
			s.t.Errorf("%s: refused with %q %q, want %q", what, name, message, word)
		}
	}
}

// eventually asks until the status is the wanted one: each worker of a Keystone has a cache of its own.
func (s *scene) eventually(request string, status int, options ...Option) {
	for deadline := time.Now().Add(awaited); ; s.c.pause(s.t) {
		var a Answer
		s.t.Quietly(func() { a = s.ask(request, "", options...) })
		if a.Status == status {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s still answers %d %s, want %d", request, a.Status, a.Raw, status)
		}
	}
}

// fault is the name and the message of a refusal.
func fault(a Answer) (name, message string) {
	switch {
	case a.At("NeutronError") != nil:
		return a.Text("NeutronError.type"), a.Text("NeutronError.message")
	case a.At("error") != nil:
		return a.Text("error.title"), a.Text("error.message")
	case a.At("faultstring") != nil:
		return a.Text("faultcode"), a.Text("faultstring")
	}
	if names := a.Keys(""); len(names) == 1 && a.At(names[0]+".code") != nil { // Nova and Cinder
		return names[0], a.Text(names[0] + ".message")
	}
	return "", string(a.Raw)
}

// created sends a request that makes a thing, keeps its id under the name and removes it after the case, if the case
// does not. member is where the answer has it ("network").
func (s *scene) created(name, request, member, body string) Answer {
	a := s.ask(request, body).Want(s.t, http.StatusCreated)
	s.names[name] = a.Text(member + ".id")
	path, service := strings.TrimPrefix(s.fill(request), "POST ")+"/"+s.names[name], s.service
	s.t.Cleanup(func() { s.c.Do(s.t, service, http.MethodDelete, path, nil) })
	return a
}

// values are one attribute of all elements of a list.
func values(a Answer, list, attribute string) []string {
	found := []string{}
	elements, _ := a.At(list).([]any)
	for _, element := range elements {
		one := Answer{Body: element}
		found = append(found, one.Text(attribute))
	}
	return found
}

// admin makes a request the administrator's.
func (s *scene) admin() Option { return Header("X-Auth-Token", s.c.AdminToken) }

// inOrder are pairs, in the order they are written in.
func inOrder[K, V any](pairs ...any) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for i := 0; i < len(pairs); i += 2 {
			if !yield(pairs[i].(K), pairs[i+1].(V)) {
				return
			}
		}
	}
}
