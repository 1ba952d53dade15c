package compute

import (
	"encoding/json"
	"maps"
	"net/http"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
)

func (s service) show(r *api.Request) (int, any, error) {
	var view map[string]any
	err := s.engine.View(func(tx *engine.Tx) error {
		v, err := s.compute.Get(tx, r.Caller.ProjectID, r.PathValue("id"))
		if err == nil {
			view = s.detail(tx, r, v)
		}
		return err
	})
	return http.StatusOK, map[string]any{"server": view}, err
}

func (s service) update(r *api.Request) (int, any, error) {
	var in struct {
		Name        *string                 `json:"name"`
		Description engine.Optional[string] `json:"description"` // 2.19
		AccessIPv4  json.RawMessage         `json:"accessIPv4"`  // without effect, like those below
		AccessIPv6  json.RawMessage         `json:"accessIPv6"`
		DiskConfig  json.RawMessage         `json:"OS-DCF:diskConfig"`
	}
	if err := decode(r, "server", &in); err != nil {
		return 0, nil, err
	}
	if err := sinceVersion(r, 19, "description", in.Description.Set); err != nil {
		return 0, nil, err
	}
	if in.Name != nil {
		if err := checkName(*in.Name); err != nil {
			return 0, nil, err
		}
	}
	if _, err := s.change(r, func(compute.Server) compute.Change {
		return compute.Change{Name: in.Name, Description: in.Description}
	}); err != nil {
		return 0, nil, err
	}
	status, body, err := s.show(r)
	if err == nil && !r.Version.AtLeast(2, 75) {
		reduce(body.(map[string]any)["server"].(map[string]any))
	}
	return status, body, err
}

// reduce takes what answers to changes did not show before 2.75 out of a server.
func reduce(view map[string]any) {
	for _, name := range []string{
		"OS-EXT-AZ:availability_zone", "OS-EXT-STS:power_state", "OS-EXT-STS:task_state", "OS-EXT-STS:vm_state", "OS-SRV-USG:launched_at",
		"OS-SRV-USG:terminated_at", "config_drive", "key_name", "os-extended-volumes:volumes_attached", "security_groups",
	} {
		delete(view, name)
	}
	for _, addresses := range view["addresses"].(map[string][]any) {
		for _, address := range addresses {
			delete(address.(map[string]any), "OS-EXT-IPS:type")
			delete(address.(map[string]any), "OS-EXT-IPS-MAC:mac_addr")
		}
	}
}

func (s service) change(r *api.Request, change func(v compute.Server) compute.Change) (v compute.Server, err error) {
	err = s.engine.Update(func(tx *engine.Tx) error {
		if v, err = s.compute.Get(tx, r.Caller.ProjectID, r.PathValue("id")); err != nil {
			return err
		}
		v, err = s.compute.Update(tx, v.ProjectID, v.ID, change(v))
		return err
	})
	return v, err
}

func (s service) delete(r *api.Request) (int, any, error) {
	err := s.engine.Update(func(tx *engine.Tx) error {
		return s.compute.Delete(tx, r.Caller.ProjectID, r.PathValue("id"))
	})
	return http.StatusNoContent, nil, err
}

func (s service) action(r *api.Request) (_ int, _ any, err error) {
	var body map[string]json.RawMessage
	if err := r.Decode(&body); err != nil {
		return 0, nil, err
	}
	if len(body) != 1 {
		return 0, nil, api.BadRequest("Malformed request body")
	}
	actions := map[string]func(tx *engine.Tx, projectID, id string) error{
		"os-start": s.compute.Start,
		"os-stop":  s.compute.Stop,
	}
	for name := range body {
		if name == "os-resetState" {
			return api.AdminOnly("os_compute_api:os-admin-actions:reset_state")(r)
		}
		act, ok := actions[name]
		if !ok {
			return 0, nil, api.BadRequest("There is no such action: %s", name)
		}
		err = s.engine.Update(func(tx *engine.Tx) error { return act(tx, r.Caller.ProjectID, r.PathValue("id")) })
	}
	return http.StatusAccepted, nil, err
}

func (s service) metadata(r *api.Request) (int, any, error) {
	v, err := s.get(r)
	return http.StatusOK, map[string]any{"metadata": v.Metadata}, err
}

func (s service) editMetadata(r *api.Request, edit func(map[string]string) map[string]string) (map[string]string, error) {
	v, err := s.change(r, func(v compute.Server) compute.Change {
		return compute.Change{Metadata: edit(v.Metadata)}
	})
	return v.Metadata, err
}

func (s service) metadataItem(r *api.Request) (int, any, error) {
	v, err := s.get(r)
	if err != nil {
		return 0, nil, err
	}
	key := r.PathValue("key")
	value, ok := v.Metadata[key]
	if !ok {
		return 0, nil, noMetadataItem()
	}
	return http.StatusOK, map[string]any{"meta": map[string]string{key: value}}, nil
}

func (s service) deleteMetadata(r *api.Request) (int, any, error) {
	key := r.PathValue("key")
	err := s.engine.Update(func(tx *engine.Tx) error {
		v, err := s.compute.Get(tx, r.Caller.ProjectID, r.PathValue("id"))
		if err != nil {
			return err
		}
		if _, ok := v.Metadata[key]; !ok {
			return noMetadataItem()
		}
		kept := maps.Clone(v.Metadata)
		delete(kept, key)
		_, err = s.compute.Update(tx, v.ProjectID, v.ID, compute.Change{Metadata: kept})
		return err
	})
	return http.StatusNoContent, nil, err
}

func noMetadataItem() error { return engine.Refuse(engine.NotFound, "Metadata item was not found") }
