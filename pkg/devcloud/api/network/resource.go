package network

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
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
	born   collection.Item               // what the answer to a creation has besides
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
		return create(s, k, r)
	})
	s.Handle("GET "+base+"/{id}", func(r *api.Request) (int, any, error) {
		var item collection.Item
		err := s.e.View(func(tx *engine.Tx) error {
			v, err := k.seen(tx, r, strings.TrimSuffix(r.PathValue("id"), ".json"))
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
	page, links, err := pageOf(r, items, filterable(k.member, known), k.filters, func(marker string) error { return network.Absent(k.path, marker) })
	if err != nil {
		return 0, nil, err
	}
	body := map[string]any{k.plural: page}
	if links != nil {
		body[k.plural+"_links"] = links
	}
	return http.StatusOK, body, nil
}

// create makes one, or all of a list in one transaction.
func create[T any](s *service, k resource[T], r *api.Request) (int, any, error) {
	requests, several, err := bulk(r, k.member, k.plural)
	if err != nil {
		return 0, nil, err
	}
	var items []collection.Item
	err = s.e.Update(func(tx *engine.Tx) error {
		for _, one := range requests {
			v, err := k.create(tx, one)
			if err != nil {
				return err
			}
			item := k.view(tx, v)
			maps.Copy(item, k.born)
			items = append(items, item)
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, nil, err
	case several:
		return http.StatusCreated, map[string]any{k.plural: items}, nil
	}
	return http.StatusCreated, map[string]any{k.member: items[0]}, nil
}

// bulk splits a request for several resources into requests for one each.
func bulk(r *api.Request, member, plural string) (requests []*api.Request, several bool, err error) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, false, api.BadRequest("Could not read the request body: %v", err)
	}
	with := func(content []byte) *api.Request {
		one := *r
		one.Request = r.Clone(r.Context())
		one.Body = io.NopCloser(bytes.NewReader(content))
		return &one
	}
	var body map[string]json.RawMessage
	var list []json.RawMessage
	if json.Unmarshal(content, &body) != nil || body[plural] == nil || json.Unmarshal(body[plural], &list) != nil {
		return []*api.Request{with(content)}, false, nil //nolint:nilerr // the decoder says what is wrong
	}
	if len(list) == 0 {
		return nil, true, api.BadRequest("Resources required")
	}
	for _, one := range list {
		content, err := json.Marshal(map[string]json.RawMessage{member: one})
		if err != nil {
			return nil, true, err
		}
		requests = append(requests, with(content))
	}
	return requests, true, nil
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
		rule := map[string]string{http.MethodPut: "update_", http.MethodDelete: "delete_"}[r.Method]
		return v, disallowed(rule + k.member)
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
