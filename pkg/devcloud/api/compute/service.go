// Package compute is Nova's v2.1 API of the embedded cloud: flavors, servers, their volumes and interfaces.
package compute

import (
	"net/http"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
)

type service struct {
	engine  *engine.Engine
	compute *compute.Service
}

// New serves a compute engine.
func New(core *api.Core, e *engine.Engine, servers *compute.Service) *api.Service {
	s := service{e, servers}
	r := api.NewService(core, api.Compute)
	r.Public("GET /{$}", versions)
	r.Public("GET /v2.1/{$}", version)
	r.Public("GET /v2.1", version)
	r.Handle("GET /v2.1/flavors", s.flavors(false))
	r.Handle("GET /v2.1/flavors/detail", s.flavors(true))
	r.Handle("GET /v2.1/flavors/{id}", s.flavor)
	r.Handle("GET /v2.1/flavors/{id}/os-extra_specs", s.extraSpecs)
	r.Handle("GET /v2.1/os-availability-zone", s.zones)
	// It would name the cloud's machines.
	r.Handle("GET /v2.1/os-availability-zone/detail", api.AdminOnly("os_compute_api:os-availability-zone:detail"))
	r.Handle("GET /v2.1/limits", s.limits)
	r.Handle("GET /v2.1/os-quota-sets/{project_id}", s.quotas)
	r.Handle("GET /v2.1/os-quota-sets/{project_id}/defaults", s.quotas)
	r.Handle("GET /v2.1/os-quota-sets/{project_id}/detail", s.quotaDetails)
	r.Handle("POST /v2.1/flavors", api.AdminOnly("os_compute_api:os-flavor-manage:create"))
	r.Handle("GET /v2.1/os-hypervisors", api.AdminOnly("os_compute_api:os-hypervisors:list"))
	r.Handle("GET /v2.1/os-hypervisors/detail", api.AdminOnly("os_compute_api:os-hypervisors:list-detail"))
	r.Handle("GET /v2.1/os-services", api.AdminOnly("os_compute_api:os-services:list"))
	r.Handle("POST /v2.1/servers", s.create)
	r.Handle("GET /v2.1/servers", s.list(false))
	r.Handle("GET /v2.1/servers/detail", s.list(true))
	r.Handle("GET /v2.1/servers/{id}", s.show)
	r.Handle("PUT /v2.1/servers/{id}", s.update)
	r.Handle("DELETE /v2.1/servers/{id}", s.delete)
	r.Handle("POST /v2.1/servers/{id}/action", s.action)
	r.Handle("GET /v2.1/servers/{id}/ips", s.addresses)
	r.Handle("GET /v2.1/servers/{id}/ips/{network}", s.addressesOn)
	r.Handle("GET /v2.1/servers/{id}/metadata", s.metadata)
	r.Handle("POST /v2.1/servers/{id}/metadata", api.SetMetadata(false, api.ServerKeys, s.editMetadata))
	r.Handle("PUT /v2.1/servers/{id}/metadata", api.SetMetadata(true, api.ServerKeys, s.editMetadata))
	r.Handle("GET /v2.1/servers/{id}/metadata/{key}", s.metadataItem)
	r.Handle("PUT /v2.1/servers/{id}/metadata/{key}", api.SetMetadataItem(api.ServerKeys, s.editMetadata))
	r.Handle("DELETE /v2.1/servers/{id}/metadata/{key}", s.deleteMetadata)
	r.Handle("GET /v2.1/servers/{id}/os-volume_attachments", s.attachments)
	r.Handle("POST /v2.1/servers/{id}/os-volume_attachments", s.attach)
	r.Handle("GET /v2.1/servers/{id}/os-volume_attachments/{volume}", s.attachment)
	r.Handle("DELETE /v2.1/servers/{id}/os-volume_attachments/{volume}", s.detach)
	r.Handle("GET /v2.1/servers/{id}/os-interface", s.interfaces)
	r.Handle("POST /v2.1/servers/{id}/os-interface", s.addInterface)
	r.Handle("GET /v2.1/servers/{id}/os-interface/{port}", s.showInterface)
	r.Handle("DELETE /v2.1/servers/{id}/os-interface/{port}", s.removeInterface)
	return r
}

func description(r *api.Request) map[string]any {
	return map[string]any{
		"id": "v2.1", "status": "CURRENT", "updated": "2013-07-23T11:33:21Z",
		"version": r.Newest.String(), "min_version": api.Compute.Versions.Min.String(),
		"links": []api.Link{{Rel: "self", Href: r.Base + "/v2.1/"}},
	}
}

// versions names version 2.0, too, as Nova does; its routes do not exist here.
func versions(r *api.Request) (int, any, error) {
	r.Bare() // this answer comes from before Nova's own code
	return http.StatusOK, map[string]any{"versions": []any{
		map[string]any{
			"id": "v2.0", "status": "SUPPORTED", "updated": "2011-01-21T11:33:21Z", "version": "", "min_version": "",
			"links": []api.Link{{Rel: "self", Href: r.Base + "/v2/"}},
		},
		description(r),
	}}, nil
}

func version(r *api.Request) (int, any, error) {
	view := description(r)
	view["links"] = []any{
		api.Link{Rel: "self", Href: r.Base + "/v2.1/"},
		map[string]any{"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"},
	}
	view["media-types"] = []any{map[string]any{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}}
	return http.StatusOK, map[string]any{"version": view}, nil
}

// get reads the server that the path names.
func (s service) get(r *api.Request) (v compute.Server, err error) {
	err = s.engine.View(func(tx *engine.Tx) error {
		v, err = s.compute.Get(tx, r.Caller.ProjectID, r.PathValue("id"))
		return err
	})
	return v, err
}

func links(r *api.Request, kind, id string) []api.Link {
	return []api.Link{
		{Rel: "self", Href: r.Base + "/v2.1/" + kind + "/" + id},
		{Rel: "bookmark", Href: r.Base + "/" + kind + "/" + id},
	}
}
