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
}

// DefaultQuota is what Neutron grants when nothing is configured, with room for a cluster's ports.
func DefaultQuota() Quota {
	return Quota{Network: 100, Subnet: 100, Port: 2000, Router: 10, FloatingIP: 200, SecurityGroup: 500, SecurityGroupRule: 5000}
}

// Quota is what each project may have.
func (s *Service) Quota(_ *engine.Tx) Quota { return s.quota }

// SetQuota replaces what each project may have, until the process ends.
func (s *Service) SetQuota(_ *engine.Tx, q Quota) { s.quota = q }

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
