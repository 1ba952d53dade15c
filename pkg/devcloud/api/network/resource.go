package network

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

// resource is one kind of Neutron resource: its routes are all alike.
type resource[T any] struct {
	member, plural string // "security_group", "security_groups"
	path           string // "security-groups"
	tagged         bool
	filters        map[string]func(collection.Item, []string) bool

	all    func(tx *engine.Tx) []T
	get    func(tx *engine.Tx, id string) (T, error)
	std    func(T) network.Standard
	shared func(tx *engine.Tx, v T) bool // whether other projects see it; nil: no
	view   func(tx *engine.Tx, v T) collection.Item
	create func(tx *engine.Tx, r *api.Request) (T, error)
	update func(tx *engine.Tx, r *api.Request, id string) (T, error) // nil: cannot be updated
	remove func(tx *engine.Tx, id string) error
}

// serve adds the routes of a resource.
func serve[T any](s *service, k resource[T]) {
	base := "/v2.0/" + k.path
	s.Handle("GET "+base, func(r *api.Request) (int, any, error) { return list(s, k, r) })
	s.Handle("POST "+base, func(r *api.Request) (int, any, error) {
		if err := collection.Buffer(r); err != nil {
			return 0, nil, err
		}
		var item collection.Item
		err := s.e.Update(func(tx *engine.Tx) error {
			v, err := k.create(tx, r)
			if err == nil {
				item = k.view(tx, v)
			}
			return err
		})
		return http.StatusCreated, map[string]any{k.member: item}, err
	})
	s.Handle("GET "+base+"/{id}", func(r *api.Request) (int, any, error) {
		var item collection.Item
		err := s.e.View(func(tx *engine.Tx) error {
			v, err := k.seen(tx, r, r.PathValue("id"))
			if err == nil {
				item = collection.Reduce(k.view(tx, v), r.URL.Query()["fields"])
			}
			return err
		})
		return http.StatusOK, map[string]any{k.member: item}, err
	})
	if k.update != nil {
		s.Handle("PUT "+base+"/{id}", func(r *api.Request) (int, any, error) { return update(s, k, r) })
	}
	s.Handle("DELETE "+base+"/{id}", func(r *api.Request) (int, any, error) {
		return http.StatusNoContent, nil, s.e.Update(func(tx *engine.Tx) error {
			v, err := k.owned(tx, r, r.PathValue("id"))
			if err != nil {
				return err
			}
			if err := checkRevision(r, k.std(v)); err != nil {
				return err
			}
			return k.remove(tx, k.std(v).ID)
		})
	})
	if k.tagged {
		serveTags(s, k, base+"/{id}/tags")
	}
}

func list[T any](s *service, k resource[T], r *api.Request) (int, any, error) {
	items := []collection.Item{}
	var known collection.Item
	err := s.e.View(func(tx *engine.Tx) error {
		for _, v := range k.all(tx) {
			if k.visible(tx, r, v) {
				items = append(items, k.view(tx, v))
			}
		}
		var zero T
		known = k.view(tx, zero)
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	rules := collection.Rules{Strict: true, Filters: k.filters, UnknownMarker: func(marker string) error {
		return api.BadRequest("Invalid input for operation: marker %s could not be found.", marker)
	}}
	for name := range known {
		rules.Attributes = append(rules.Attributes, name)
	}
	page, next, err := collection.List(r, items, rules)
	if err != nil {
		return 0, nil, err
	}
	body := map[string]any{k.plural: page}
	if next != nil {
		body[k.plural+"_links"] = next
	}
	return http.StatusOK, body, nil
}

func update[T any](s *service, k resource[T], r *api.Request) (int, any, error) {
	if err := collection.Buffer(r); err != nil {
		return 0, nil, err
	}
	var item collection.Item
	err := s.e.Update(func(tx *engine.Tx) error {
		v, err := k.owned(tx, r, r.PathValue("id"))
		if err != nil {
			return err
		}
		if err := checkRevision(r, k.std(v)); err != nil {
			return err
		}
		if v, err = k.update(tx, r, k.std(v).ID); err == nil {
			item = k.view(tx, v)
		}
		return err
	})
	return http.StatusOK, map[string]any{k.member: item}, err
}

func (k resource[T]) visible(tx *engine.Tx, r *api.Request, v T) bool {
	return admin(r) || k.std(v).ProjectID == r.Caller.ProjectID || k.shared != nil && k.shared(tx, v)
}

// seen returns a resource that the caller may see.
func (k resource[T]) seen(tx *engine.Tx, r *api.Request, id string) (T, error) {
	v, err := k.get(tx, id)
	if err != nil || k.visible(tx, r, v) {
		return v, err
	}
	return v, network.Absent(k.path, id)
}

// owned returns a resource that the caller may change.
func (k resource[T]) owned(tx *engine.Tx, r *api.Request, id string) (T, error) {
	v, err := k.seen(tx, r, id)
	if err == nil && !admin(r) && k.std(v).ProjectID != r.Caller.ProjectID {
		return v, disallowed(strings.ToLower(r.Method) + "_" + k.member)
	}
	return v, err
}

func admin(r *api.Request) bool { return slices.Contains(r.Caller.Roles, "admin") }

// disallowed refuses what the policy allows admins alone: a request of a kind, or an attribute in it.
func disallowed(rule string, attributes ...string) error {
	text := "rule:" + rule
	for _, a := range attributes {
		text = "(" + text + " and rule:" + rule + ":" + a + ")"
	}
	return engine.RefuseAs(engine.Forbidden, "PolicyNotAuthorized", "%s is disallowed by policy", text)
}

// checkRevision honours "If-Match: revision_number=N".
func checkRevision(r *api.Request, std network.Standard) error {
	want, ok := strings.CutPrefix(r.Header.Get("If-Match"), "revision_number=")
	if !ok || collection.Matches(std.Revision, []string{want}) {
		return nil
	}
	return &api.Error{
		Status: http.StatusPreconditionFailed, Type: "RevisionNumberConstraintFailed",
		Message: fmt.Sprintf("Constrained to %s, but current revision is %d", want, std.Revision),
	}
}

// decode reads the attributes of a request in the words of Neutron.
func decode(r *api.Request, member string, into any) error {
	return collection.Decode(r, member, into, func(attribute string) error {
		return api.BadRequest("Unrecognized attribute(s) '%s'", attribute)
	})
}

const timeFormat = "2006-01-02T15:04:05Z"

// standard is the JSON of the attributes that all resources have, and those given.
func standard(std network.Standard, item collection.Item) collection.Item {
	tags := std.Tags
	if tags == nil {
		tags = []string{}
	}
	item["id"] = std.ID
	item["tenant_id"] = std.ProjectID
	item["project_id"] = std.ProjectID
	item["name"] = std.Name
	item["description"] = std.Description
	item["tags"] = tags
	item["created_at"] = std.CreatedAt.Format(timeFormat)
	item["updated_at"] = std.UpdatedAt.Format(timeFormat)
	item["revision_number"] = std.Revision
	return item
}

// null is s, or JSON's null when it is empty.
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// orEmpty is a list that is never null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
