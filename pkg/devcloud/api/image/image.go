// Package image is the read-only part of Glance's v2 API: the embedded cloud's images are names that servers can be
// created with, because the command line insists on one. There is no data behind them.
package image

import (
	"net/http"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

// The checksums of no data.
const (
	nothingMD5    = "d41d8cd98f00b204e9800998ecf8427e"
	nothingSHA512 = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce" +
		"47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
)

// Image is one image.
type Image struct{ ID, Name string }

type service struct{ images []Image }

// New serves a fixed list of images.
func New(core *api.Core, images []Image) *api.Service {
	s := service{images}
	r := api.NewService(core, api.Image)
	r.Public("GET /{$}", versions)
	r.Handle("GET /v2/images", s.list)
	r.Handle("GET /v2/images/{id}", s.show)
	r.Handle("DELETE /v2/images/{id}", s.delete)
	return r
}

func versions(r *api.Request) (int, any, error) {
	return http.StatusMultipleChoices, map[string]any{"versions": []any{map[string]any{
		"id": "v2.9", "status": "CURRENT", "links": []api.Link{{Rel: "self", Href: r.Base + "/v2/"}},
	}}}, nil
}

func view(i Image) map[string]any {
	return map[string]any{
		"id": i.ID, "name": i.Name, "status": "active", "visibility": "public", "protected": false, "os_hidden": false,
		"owner": network.CloudProject, "container_format": "bare", "disk_format": "raw", "size": 0, "virtual_size": 0,
		"min_disk": 0, "min_ram": 0, "tags": []string{},
		"checksum": nothingMD5, "os_hash_algo": "sha512", "os_hash_value": nothingSHA512,
		"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
		"self": "/v2/images/" + i.ID, "file": "/v2/images/" + i.ID + "/file", "schema": "/v2/schemas/image",
	}
}

func (s service) list(r *api.Request) (int, any, error) {
	query := r.URL.Query()
	views := []any{}
	for _, i := range s.images {
		if name := query.Get("name"); name == "" || name == i.Name {
			views = append(views, view(i))
		}
	}
	return http.StatusOK, map[string]any{"images": views, "first": "/v2/images", "schema": "/v2/schemas/images"}, nil
}

// delete refuses: the images belong to the cloud.
func (s service) delete(r *api.Request) (int, any, error) {
	if _, _, err := s.show(r); err != nil {
		return 0, nil, err
	}
	return 0, nil, engine.Refuse(engine.Forbidden, "You do not own this image")
}

func (s service) show(r *api.Request) (int, any, error) {
	for _, i := range s.images {
		if i.ID == r.PathValue("id") {
			return http.StatusOK, view(i), nil
		}
	}
	return 0, nil, engine.Refuse(engine.NotFound, "No image found with ID %s", r.PathValue("id"))
}
