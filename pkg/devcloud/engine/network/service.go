package network

import (
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// Service is the network's state within an engine.
type Service struct {
	e      *engine.Engine
	quota  Quota            // of projects without one of their own
	quotas map[string]Quota // by project

	networks    *engine.Table[Network]
	subnets     *engine.Table[Subnet]
	ports       *engine.Table[Port]
	routers     *engine.Table[Router]
	floatingIPs *engine.Table[FloatingIP]
	groups      *engine.Table[SecurityGroup]
	rules       *engine.Table[Rule]

	watchers []func(tx *engine.Tx, portID string) error
}

// New opens the network's tables.
func New(e *engine.Engine, quota Quota) (*Service, error) {
	s := &Service{e: e, quota: quota, quotas: map[string]Quota{}}
	return s, errors.Join(
		table(e, "network.networks", &s.networks, func(n Network) string { return n.ID }),
		table(e, "network.subnets", &s.subnets, func(n Subnet) string { return n.ID }),
		table(e, "network.ports", &s.ports, func(p Port) string { return p.ID }),
		table(e, "network.routers", &s.routers, func(r Router) string { return r.ID }),
		table(e, "network.floatingips", &s.floatingIPs, func(f FloatingIP) string { return f.ID }),
		table(e, "network.security_groups", &s.groups, func(g SecurityGroup) string { return g.ID }),
		table(e, "network.security_group_rules", &s.rules, func(r Rule) string { return r.ID }),
	)
}

func table[T any](e *engine.Engine, name string, into **engine.Table[T], key func(T) string) error {
	t, err := engine.NewTable(e, name, key)
	*into = t
	return err
}

// WatchPort registers fn to be called inside every transaction that removes a port or changes which floating IPs point
// at it. Register before the engine runs.
func (s *Service) WatchPort(fn func(tx *engine.Tx, portID string) error) {
	s.watchers = append(s.watchers, fn)
}

func (s *Service) portChanged(tx *engine.Tx, portID string) error {
	for _, fn := range s.watchers {
		if err := fn(tx, portID); err != nil {
			return err
		}
	}
	return nil
}

// born fills in what a new resource has.
func (s *Service) born(std Standard) Standard {
	std.ID = uuid.NewString()
	std.CreatedAt = s.e.Now()
	std.UpdatedAt = std.CreatedAt
	std.Tags = sortedUnique(std.Tags)
	return std
}

// changed is std after one more change.
func (s *Service) changed(std Standard) Standard {
	std.Revision++
	std.UpdatedAt = s.e.Now()
	return std
}

// Naming is a change of the attributes that all resources share; nil leaves one as it is.
type Naming struct {
	Name        *string
	Description *string
}

func (n Naming) apply(std Standard) Standard {
	if n.Name != nil {
		std.Name = *n.Name
	}
	if n.Description != nil {
		std.Description = *n.Description
	}
	return std
}

func retag(std Standard, tags []string) Standard {
	std.Tags = sortedUnique(tags)
	return std
}

// SetTags replaces the tags of the resource of that kind ("networks", "ports", ...) and id.
func (s *Service) SetTags(tx *engine.Tx, kind, id string, tags []string) error {
	var found bool
	switch kind {
	case "networks":
		found = set(tx, s.networks, id, func(v *Network) { v.Standard = s.changed(retag(v.Standard, tags)) })
	case "subnets":
		found = set(tx, s.subnets, id, func(v *Subnet) { v.Standard = s.changed(retag(v.Standard, tags)) })
	case "ports":
		found = set(tx, s.ports, id, func(v *Port) { v.Standard = s.changed(retag(v.Standard, tags)) })
	case "routers":
		found = set(tx, s.routers, id, func(v *Router) { v.Standard = s.changed(retag(v.Standard, tags)) })
	case "floatingips":
		found = set(tx, s.floatingIPs, id, func(v *FloatingIP) { v.Standard = s.changed(retag(v.Standard, tags)) })
	case "security-groups":
		found = set(tx, s.groups, id, func(v *SecurityGroup) { v.Standard = s.changed(retag(v.Standard, tags)) })
	default:
		found = false
	}
	if !found {
		return notFound("TagResourceNotFound", "Resource %s %s could not be found.", kind, id)
	}
	return nil
}

func set[T any](tx *engine.Tx, t *engine.Table[T], id string, change func(*T)) bool {
	v, ok := t.Get(tx, id)
	if ok {
		change(&v)
		t.Put(tx, v)
	}
	return ok
}

func sortedUnique(tags []string) []string {
	out := slices.Clone(tags)
	slices.Sort(out)
	return slices.Compact(out)
}
