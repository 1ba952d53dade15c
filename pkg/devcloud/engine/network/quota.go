package network

import "github.com/fairlead-io/fairlead/pkg/devcloud/engine"

// Quota is how many of each resource a project may have; -1 is no limit.
type Quota struct {
	Network           int `json:"network"`
	Subnet            int `json:"subnet"`
	Port              int `json:"port"`
	Router            int `json:"router"`
	FloatingIP        int `json:"floatingip"`
	SecurityGroup     int `json:"security_group"`
	SecurityGroupRule int `json:"security_group_rule"`
	SubnetPool        int `json:"subnetpool"`  // there are none
	RBACPolicy        int `json:"rbac_policy"` // there are none
}

// DefaultQuota is what Neutron grants when nothing is configured, with room for a cluster's ports.
func DefaultQuota() Quota {
	return Quota{Network: 100, Subnet: 100, Port: 2000, Router: 10, FloatingIP: 200, SecurityGroup: 500, SecurityGroupRule: 5000, SubnetPool: -1, RBACPolicy: 10}
}

// DefaultQuota is what a project may have for which nothing else was set.
func (s *Service) DefaultQuota() Quota { return s.quota }

// Quota is what a project may have.
func (s *Service) Quota(_ *engine.Tx, project string) Quota {
	if q, ok := s.quotas[project]; ok {
		return q
	}
	return s.quota
}

// SetQuota replaces what a project may have, until the process ends.
func (s *Service) SetQuota(_ *engine.Tx, project string, q Quota) { s.quotas[project] = q }

// ResetQuota gives a project the default again; false: it had no other.
func (s *Service) ResetQuota(_ *engine.Tx, project string) bool {
	_, ok := s.quotas[project]
	delete(s.quotas, project)
	return ok
}

// Usage is what a project has of each resource.
func (s *Service) Usage(tx *engine.Tx, project string) Quota {
	return Quota{
		Network:           count(tx, s.networks, project),
		Subnet:            count(tx, s.subnets, project),
		Port:              count(tx, s.ports, project),
		Router:            count(tx, s.routers, project),
		FloatingIP:        count(tx, s.floatingIPs, project),
		SecurityGroup:     count(tx, s.groups, project),
		SecurityGroupRule: count(tx, s.rules, project),
	}
}

func count[T interface{ owner() string }](tx *engine.Tx, t *engine.Table[T], project string) int {
	n := 0
	t.Where(tx, func(v T) bool {
		if v.owner() == project {
			n++
		}
		return false
	})
	return n
}

func (std Standard) owner() string { return std.ProjectID }
