package network

import (
	"encoding/json"
	"net/http"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

func (s *service) showQuota(r *api.Request) (int, any, error) {
	var q network.Quota
	err := s.e.View(func(tx *engine.Tx) error {
		q = s.network.Quota(tx, r.PathValue("project"))
		return ownQuota(r)
	})
	return http.StatusOK, map[string]any{"quota": q}, err
}

func (s *service) showDefaultQuota(r *api.Request) (int, any, error) {
	if err := ownQuota(r); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, map[string]any{"quota": s.network.DefaultQuota()}, nil
}

func ownQuota(r *api.Request) error {
	if p := r.PathValue("project"); p != r.Caller.ProjectID && !admin(r) {
		return disallowed("get_quota")
	}
	return nil
}

func (s *service) showUsage(r *api.Request) (int, any, error) {
	if err := ownQuota(r); err != nil {
		return 0, nil, err
	}
	var limit, used map[string]int
	err := s.e.View(func(tx *engine.Tx) (err error) {
		if limit, err = counts(s.network.Quota(tx, r.PathValue("project"))); err == nil {
			used, err = counts(s.network.Usage(tx, r.PathValue("project")))
		}
		return err
	})
	details := map[string]any{}
	for name := range limit {
		details[name] = map[string]int{"limit": limit[name], "used": used[name], "reserved": 0}
	}
	return http.StatusOK, map[string]any{"quota": details}, err
}

func counts(q network.Quota) (map[string]int, error) {
	b, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	var m map[string]int
	return m, json.Unmarshal(b, &m)
}

// setQuota changes a project's quota until the process ends. As in Neutron it takes an admin.
func (s *service) setQuota(r *api.Request) (int, any, error) {
	if !admin(r) {
		return 0, nil, disallowed("update_quota")
	}
	if err := collection.Buffer(r); err != nil {
		return 0, nil, err
	}
	var q network.Quota
	err := s.e.Update(func(tx *engine.Tx) error {
		q = s.network.Quota(tx, r.PathValue("project"))
		if err := decode(r, "quota", &q); err != nil {
			return err
		}
		s.network.SetQuota(tx, r.PathValue("project"), q)
		return nil
	})
	return http.StatusOK, map[string]any{"quota": q}, err
}

// resetQuota gives a project the default again.
func (s *service) resetQuota(r *api.Request) (int, any, error) {
	if !admin(r) {
		return 0, nil, disallowed("delete_quota")
	}
	return http.StatusNoContent, nil, s.e.Update(func(tx *engine.Tx) error {
		if !s.network.ResetQuota(tx, r.PathValue("project")) {
			return engine.RefuseAs(engine.NotFound, "TenantQuotaNotFound", "Quota for tenant %s could not be found.", r.PathValue("project"))
		}
		return nil
	})
}
