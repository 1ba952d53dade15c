// Package blockstorage is Cinder's v3 API of the embedded cloud. Snapshots, clones, images and retyping are not offered:
// their routes do not exist and their parameters are refused.
package blockstorage

import (
	"net/http"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
)

type service struct {
	engine  *engine.Engine
	volumes *blockstorage.Service
}

// New serves a block storage engine.
func New(core *api.Core, e *engine.Engine, volumes *blockstorage.Service) *api.Service {
	s := service{e, volumes}
	r := api.NewService(core, api.BlockStorage)
	r.Public("GET /{$}", versions)
	r.Handle("GET /v3/{$}", versions)
	r.Handle("GET /v3", versions)
	handle := func(pattern string, h api.Handler) { r.Handle(pattern, ownProject(h)) }
	handle("POST /v3/{project_id}/volumes", s.create)
	handle("GET /v3/{project_id}/volumes", s.list(false))
	handle("GET /v3/{project_id}/volumes/detail", s.list(true))
	handle("GET /v3/{project_id}/volumes/{id}", s.show)
	handle("PUT /v3/{project_id}/volumes/{id}", s.update)
	handle("DELETE /v3/{project_id}/volumes/{id}", s.delete)
	handle("POST /v3/{project_id}/volumes/{id}/action", s.action)
	handle("GET /v3/{project_id}/volumes/{id}/metadata", s.metadata)
	handle("POST /v3/{project_id}/volumes/{id}/metadata", api.SetMetadata(false, api.VolumeKeys, s.editMetadata))
	handle("PUT /v3/{project_id}/volumes/{id}/metadata", api.SetMetadata(true, api.VolumeKeys, s.editMetadata))
	handle("GET /v3/{project_id}/volumes/{id}/metadata/{key}", s.metadataItem)
	handle("PUT /v3/{project_id}/volumes/{id}/metadata/{key}", api.SetMetadataItem(api.VolumeKeys, s.editMetadata))
	handle("DELETE /v3/{project_id}/volumes/{id}/metadata/{key}", s.deleteMetadata)
	handle("GET /v3/{project_id}/types", s.types)
	handle("POST /v3/{project_id}/types", api.AdminOnly("volume_extension:type_create"))
	handle("GET /v3/{project_id}/types/{id}", s.showType)
	handle("GET /v3/{project_id}/os-availability-zone", s.zones)
	handle("GET /v3/{project_id}/limits", s.limits)
	handle("GET /v3/{project_id}/os-quota-sets/{target}", s.quotas)
	handle("GET /v3/{project_id}/os-quota-sets/{target}/defaults", s.quotas)
	handle("GET /v3/{project_id}/attachments", since(27, s.attachments(false)))
	handle("GET /v3/{project_id}/attachments/detail", since(27, s.attachments(true)))
	handle("GET /v3/{project_id}/attachments/{id}", since(27, s.attachment))
	handle("DELETE /v3/{project_id}/attachments/{id}", since(27, s.deleteAttachment))
	handle("GET /v3/{project_id}/os-services", api.AdminOnly("volume_extension:services:index"))
	handle("GET /v3/{project_id}/scheduler-stats/get_pools", api.AdminOnly("scheduler_extension:scheduler_stats:get_pools"))
	handle("GET /v3/{project_id}/messages", since(3, s.messages))
	handle("GET /v3/{project_id}/messages/{id}", since(3, s.message))
	return r
}

// ownProject refuses a path that names another project than the token's.
func ownProject(h api.Handler) api.Handler {
	return func(r *api.Request) (int, any, error) {
		if r.PathValue("project_id") != r.Caller.ProjectID {
			return 0, nil, api.BadRequest("Malformed request url")
		}
		return h(r)
	}
}

// since hides a route from microversions older than 3.<minor>.
func since(minor int, h api.Handler) api.Handler {
	return func(r *api.Request) (int, any, error) {
		if !r.Version.AtLeast(3, minor) {
			return 0, nil, api.Errorf(http.StatusNotFound, "The resource could not be found.")
		}
		return h(r)
	}
}

func versions(r *api.Request) (int, any, error) {
	status := http.StatusOK
	if r.URL.Path == "/" {
		status = http.StatusMultipleChoices
	}
	return status, map[string]any{"versions": []any{map[string]any{
		"id": "v3.0", "status": "CURRENT", "updated": "2022-08-31T00:00:00Z",
		"version": r.Newest.String(), "min_version": api.BlockStorage.Versions.Min.String(),
		"links": []any{
			map[string]any{"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
			api.Link{Rel: "self", Href: r.Base + "/v3/"},
		},
		"media-types": []any{map[string]any{
			"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3",
		}},
	}}}, nil
}

// view runs fn on a consistent picture.
func (s service) view(fn func(tx *engine.Tx) error) error { return s.engine.View(fn) }

// get reads the volume that the path names.
func (s service) get(r *api.Request) (v blockstorage.Volume, err error) {
	err = s.view(func(tx *engine.Tx) error {
		v, err = s.volumes.Get(tx, r.Caller.ProjectID, r.PathValue("id"))
		return err
	})
	return v, err
}
