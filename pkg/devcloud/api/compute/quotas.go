package compute

import (
	"net/http"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
)

// limit is one of Nova's quotas: its name there, its names among the limits, and the microversion that dropped it (2.<dropped>;
// 0: none). Of what this cloud does not offer a project may have none.
type limit struct {
	quota    string
	absolute []string
	used     string
	dropped  int
	of       func(compute.Quota) int // nil: fixed
	fixed    int
}

var limits = []limit{
	{quota: "instances", absolute: []string{"maxTotalInstances"}, used: "totalInstancesUsed", of: func(q compute.Quota) int { return q.Instances }},
	{quota: "cores", absolute: []string{"maxTotalCores"}, used: "totalCoresUsed", of: func(q compute.Quota) int { return q.Cores }},
	{quota: "ram", absolute: []string{"maxTotalRAMSize"}, used: "totalRAMUsed", of: func(q compute.Quota) int { return q.RAMMiB }},
	{quota: "metadata_items", absolute: []string{"maxServerMeta"}, fixed: compute.MaxMetadata},
	{absolute: []string{"maxImageMeta"}, fixed: compute.MaxMetadata, dropped: 39},
	{quota: "key_pairs", absolute: []string{"maxTotalKeypairs"}},
	{quota: "server_groups", absolute: []string{"maxServerGroups"}, used: "totalServerGroupsUsed"},
	{quota: "server_group_members", absolute: []string{"maxServerGroupMembers"}},
	{quota: "injected_files", absolute: []string{"maxPersonality"}, dropped: 57},
	{quota: "injected_file_content_bytes", absolute: []string{"maxPersonalitySize"}, dropped: 57},
	{quota: "injected_file_path_bytes", dropped: 57},
	// Nova left these to Neutron.
	{quota: "fixed_ips", fixed: -1, dropped: 36},
	{quota: "floating_ips", absolute: []string{"maxTotalFloatingIps"}, used: "totalFloatingIpsUsed", fixed: -1, dropped: 36},
	{quota: "security_groups", absolute: []string{"maxSecurityGroups"}, used: "totalSecurityGroupsUsed", fixed: -1, dropped: 36},
	{quota: "security_group_rules", absolute: []string{"maxSecurityGroupRules"}, fixed: -1, dropped: 36},
}

func (l limit) shown(r *api.Request) bool { return l.dropped == 0 || !r.Version.AtLeast(2, l.dropped) }

func (l limit) value(q compute.Quota) int {
	if l.of != nil {
		return l.of(q)
	}
	return l.fixed
}

// quotas are a project's, which are the default ones: all projects have the same.
func (s service) quotas(r *api.Request) (int, any, error) {
	project := r.PathValue("project_id")
	if project != r.Caller.ProjectID {
		return 0, nil, engine.Refuse(engine.Forbidden, "Policy doesn't allow os_compute_api:os-quota-sets:show to be performed.")
	}
	set := map[string]any{"id": project}
	for _, l := range limits {
		if l.quota != "" && l.shown(r) {
			set[l.quota] = l.value(s.compute.Quota())
		}
	}
	return http.StatusOK, map[string]any{"quota_set": set}, nil
}

// quotaDetails are a project's quotas with what is used of them.
func (s service) quotaDetails(r *api.Request) (int, any, error) {
	project := r.PathValue("project_id")
	if project != r.Caller.ProjectID {
		return 0, nil, engine.Refuse(engine.Forbidden, "Policy doesn't allow os_compute_api:os-quota-sets:detail to be performed.")
	}
	used := s.used(project)
	set := map[string]any{"id": project}
	for _, l := range limits {
		if l.quota == "" || !l.shown(r) {
			continue
		}
		detail := map[string]int{"limit": l.value(s.compute.Quota()), "in_use": 0, "reserved": 0}
		if l.of != nil {
			detail["in_use"] = l.of(used)
		}
		set[l.quota] = detail
	}
	return http.StatusOK, map[string]any{"quota_set": set}, nil
}

func (s service) used(projectID string) (used compute.Quota) {
	_ = s.engine.View(func(tx *engine.Tx) error {
		used = s.compute.Usage(tx, projectID)
		return nil
	})
	return used
}

func (s service) limits(r *api.Request) (int, any, error) {
	used := s.used(r.Caller.ProjectID)
	absolute := map[string]any{}
	for _, l := range limits {
		if !l.shown(r) {
			continue
		}
		for _, name := range l.absolute {
			absolute[name] = l.value(s.compute.Quota())
		}
		if l.used != "" {
			absolute[l.used] = 0
			if l.of != nil {
				absolute[l.used] = l.of(used)
			}
		}
	}
	return http.StatusOK, map[string]any{"limits": map[string]any{"rate": []any{}, "absolute": absolute}}, nil
}
