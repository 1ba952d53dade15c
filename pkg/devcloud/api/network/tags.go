package network

import (
	"net/http"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// serveTags adds the routes that change a resource's tags one by one or all together.
func serveTags[T any](s *service, k resource[T], base string) {
	change := func(r *api.Request, fn func(tags []string) ([]string, error)) ([]string, error) {
		var tags []string
		err := s.e.Update(func(tx *engine.Tx) error {
			v, err := k.owned(tx, r, r.PathValue("id"))
			if err != nil {
				return err
			}
			if tags, err = fn(slices.Clone(k.std(v).Tags)); err != nil {
				return err
			}
			return s.network.SetTags(tx, k.path, k.std(v).ID, tags)
		})
		return tags, err
	}
	s.Handle("PUT "+base, func(r *api.Request) (int, any, error) {
		var body struct {
			Tags []string `json:"tags"`
		}
		if err := r.Decode(&body); err != nil {
			return 0, nil, err
		}
		tags, err := change(r, func([]string) ([]string, error) { return body.Tags, nil })
		return http.StatusOK, map[string]any{"tags": orEmpty(tags)}, err
	})
	s.Handle("DELETE "+base, func(r *api.Request) (int, any, error) {
		_, err := change(r, func([]string) ([]string, error) { return nil, nil })
		return http.StatusNoContent, nil, err
	})
	s.Handle("PUT "+base+"/{tag}", func(r *api.Request) (int, any, error) {
		_, err := change(r, func(tags []string) ([]string, error) { return append(tags, r.PathValue("tag")), nil })
		return http.StatusCreated, nil, err
	})
	s.Handle("DELETE "+base+"/{tag}", func(r *api.Request) (int, any, error) {
		_, err := change(r, func(tags []string) ([]string, error) {
			i := slices.Index(tags, r.PathValue("tag"))
			if i < 0 {
				return nil, tagNotFound(r)
			}
			return slices.Delete(tags, i, i+1), nil
		})
		return http.StatusNoContent, nil, err
	})
	read := func(r *api.Request) (tags []string, err error) {
		err = s.e.View(func(tx *engine.Tx) error {
			v, err := k.seen(tx, r, r.PathValue("id"))
			tags = k.std(v).Tags
			return err
		})
		return tags, err
	}
	s.Handle("GET "+base, func(r *api.Request) (int, any, error) {
		tags, err := read(r)
		return http.StatusOK, map[string]any{"tags": orEmpty(tags)}, err
	})
	s.Handle("GET "+base+"/{tag}", func(r *api.Request) (int, any, error) {
		tags, err := read(r)
		if err == nil && !slices.Contains(tags, r.PathValue("tag")) {
			err = tagNotFound(r)
		}
		return http.StatusNoContent, nil, err
	})
}

func tagNotFound(r *api.Request) error {
	return engine.RefuseAs(engine.NotFound, "TagNotFound", "Tag %s could not be found.", r.PathValue("tag"))
}
