package network

import (
	"encoding/json"
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
			if _, err := k.seen(tx, r, r.PathValue("id")); err != nil {
				return untaggable(r, k.path)
			}
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
		wanted, err := tagsOf(r)
		if err != nil {
			return 0, nil, err
		}
		tags, err := change(r, func([]string) ([]string, error) { return wanted, nil })
		return http.StatusOK, map[string]any{"tags": orEmpty(tags)}, err
	})
	s.Handle("DELETE "+base, func(r *api.Request) (int, any, error) {
		_, err := change(r, func([]string) ([]string, error) { return nil, nil })
		return http.StatusNoContent, nil, err
	})
	s.Handle("PUT "+base+"/{tag}", func(r *api.Request) (int, any, error) {
		_, err := change(r, func(tags []string) ([]string, error) { return append(tags, r.PathValue("tag")), nil })
		return http.StatusCreated, json.RawMessage("null"), err
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
			if err != nil {
				return untaggable(r, k.path)
			}
			tags = k.std(v).Tags
			return nil
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

// tagsOf reads the tags that shall be there, in the order in which Neutron judges them.
func tagsOf(r *api.Request) ([]string, error) {
	var body struct {
		Tags any `json:"tags"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	list, ok := body.Tags.([]any)
	switch {
	case body.Tags == nil:
		return nil, invalidInput("Invalid tags body.")
	case !ok:
		return nil, invalidInput("'%s' is not a list.", python(body.Tags))
	}
	tags := make([]string, 0, len(list))
	for _, one := range list {
		tag, ok := one.(string)
		switch {
		case !ok:
			return nil, invalidInput("'%s' is not a valid string.", python(one))
		case len(tag) > maxText:
			return nil, invalidInput("'%s' exceeds maximum length of %d.", tag, maxText)
		case slices.Contains(tags, tag):
			return nil, invalidInput("Duplicate items in the list: '%s'.", tag)
		}
		tags = append(tags, tag)
	}
	return tags, nil
}

func untaggable(r *api.Request, path string) error {
	return engine.RefuseAs(engine.NotFound, "TagResourceNotFound", "Resource %s %s could not be found.", path, r.PathValue("id"))
}

func tagNotFound(r *api.Request) error {
	return engine.RefuseAs(engine.NotFound, "TagNotFound", "Tag %s could not be found.", r.PathValue("tag"))
}
