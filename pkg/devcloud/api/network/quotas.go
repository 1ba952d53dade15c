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
		q = s.network.Quota(tx)
		return ownQuota(r)
	})
	return http.StatusOK, map[string]any{"quota": q}, err
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
		if limit, err = counts(s.network.Quota(tx)); err == nil {
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

// setQuota changes the quota of all projects: there is one for each of them here. As in Neutron it takes an admin.
func (s *service) setQuota(r *api.Request) (int, any, error) {
	if !admin(r) {
		return 0, nil, disallowed("update_quota")
	}
	if err := collection.Buffer(r); err != nil {
		return 0, nil, err
	}
	var q network.Quota
	err := s.e.Update(func(tx *engine.Tx) error {
		q = s.network.Quota(tx)
		if err := decode(r, "quota", &q); err != nil {
			return err
		}
		s.network.SetQuota(tx, q)
		return nil
	})
	return http.StatusOK, map[string]any{"quota": q}, err
}
