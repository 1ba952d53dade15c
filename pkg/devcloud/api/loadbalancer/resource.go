package loadbalancer

import (
	"net/http"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/loadbalancer"
)

// maxItems is Octavia's largest page.
const maxItems = 1000

// resource is one kind of Octavia resource: its routes are all alike. The engine checks the project.
type resource[T any] struct {
	member, plural string
	path           string // "pools", "pools/{pool}/members"
	filters        map[string]func(collection.Item, []string) bool

	all     func(t loadbalancer.Trees, r *api.Request) []T
	get     func(tx *engine.Tx, r *api.Request) (T, error)
	common  func(T) loadbalancer.Common
	view    func(v view, x T) collection.Item
	created func(v view, x T) collection.Item // the answer to a creation, if it differs
	create  func(tx *engine.Tx, r *api.Request) (T, error)
	update  func(tx *engine.Tx, r *api.Request) (T, error)
	remove  func(tx *engine.Tx, r *api.Request) error
}

// serve adds the routes of a resource.
func serve[T any](s *service, k resource[T]) {
	s.route("GET", k.path, func(r *api.Request) (int, any, error) { return list(s, k, r) })
	s.route("POST", k.path, func(r *api.Request) (int, any, error) {
		show := k.created
		if show == nil {
			show = k.view
		}
		return change(s, k, r, http.StatusCreated, k.create, show)
	})
	s.route("PUT", k.path+"/{id}", func(r *api.Request) (int, any, error) {
		return change(s, k, r, http.StatusOK, k.update, k.view)
	})
	s.route("GET", k.path+"/{id}", func(r *api.Request) (int, any, error) {
		var item collection.Item
		err := s.e.View(func(tx *engine.Tx) error {
			x, err := k.get(tx, r)
			if err == nil {
				item = k.view(s.view(tx, k.common(x).LB), x)
			}
			return err
		})
		return http.StatusOK, map[string]any{k.member: collection.Reduce(item, r.URL.Query()["fields"])}, err
	})
	s.route("DELETE", k.path+"/{id}", func(r *api.Request) (int, any, error) {
		return http.StatusNoContent, nil, s.e.Update(func(tx *engine.Tx) error { return k.remove(tx, r) })
	})
}

func list[T any](s *service, k resource[T], r *api.Request) (int, any, error) {
	var items []collection.Item
	err := s.e.View(func(tx *engine.Tx) error {
		if k.path == "pools/{pool}/members" {
			if _, err := s.lb.Pool(tx, scope(r), r.PathValue("pool")); err != nil {
				return err
			}
		}
		v := s.view(tx, "")
		for _, x := range k.all(v.trees, r) {
			if p := scope(r); p == "" || k.common(x).ProjectID == p {
				items = append(items, k.view(v, x))
			}
		}
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	rules := collection.Rules{Filters: k.filters, MaxItems: maxItems, UnknownMarker: func(marker string) error {
		return api.BadRequest("Validation failure: marker %s could not be found.", marker)
	}}
	if len(items) > 0 {
		rules.Strict, rules.UnknownFilter = true, func([]string) error {
			return api.BadRequest("One or more arguments are either duplicate or invalid")
		}
		for name := range items[0] {
			rules.Attributes = append(rules.Attributes, name)
		}
	}
	page, next, err := collection.List(r, items, rules)
	if err != nil {
		return 0, nil, err
	}
	if next == nil {
		next = []api.Link{}
	}
	return http.StatusOK, map[string]any{k.plural: page, k.plural + "_links": next}, nil
}

func change[T any](s *service, k resource[T], r *api.Request, status int,
	do func(*engine.Tx, *api.Request) (T, error), show func(view, T) collection.Item,
) (int, any, error) {
	if err := collection.Buffer(r); err != nil {
		return 0, nil, err
	}
	var item collection.Item
	err := s.e.Update(func(tx *engine.Tx) error {
		x, err := do(tx, r)
		if err == nil {
			item = show(s.view(tx, k.common(x).LB), x)
		}
		return err
	})
	return status, map[string]any{k.member: item}, err
}
