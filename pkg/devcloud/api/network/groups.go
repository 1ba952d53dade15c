package network

import (
	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

func (s *service) groups() resource[network.SecurityGroup] {
	return resource[network.SecurityGroup]{
		member: "security_group", plural: "security_groups", path: "security-groups", tagged: true,
		all: s.network.Groups, get: s.network.Group, remove: s.network.DeleteGroup,
		std:  func(g network.SecurityGroup) network.Standard { return g.Standard },
		view: s.groupView,
		create: func(tx *engine.Tx, r *api.Request) (network.SecurityGroup, error) {
			var body struct {
				naming
				owner
			}
			if err := decode(r, "security_group", &body); err != nil {
				return network.SecurityGroup{}, err
			}
			p, err := project(r, body.ProjectID, body.TenantID)
			if err != nil {
				return network.SecurityGroup{}, err
			}
			return s.network.CreateGroup(tx, p, deref(body.Name, ""), deref(body.Description, ""))
		},
		update: func(tx *engine.Tx, r *api.Request, id string) (network.SecurityGroup, error) {
			var body naming
			if err := decode(r, "security_group", &body); err != nil {
				return network.SecurityGroup{}, err
			}
			return s.network.UpdateGroup(tx, id, body.change())
		},
	}
}

func (s *service) groupView(tx *engine.Tx, g network.SecurityGroup) collection.Item {
	rules := []collection.Item{}
	for _, r := range s.network.RulesOf(tx, g.ID) {
		rule := ruleView(r)
		rule["tags"] = []string{} // only here
		rules = append(rules, rule)
	}
	return standard(g.Standard, collection.Item{"stateful": true, "shared": false, "security_group_rules": rules})
}

func (s *service) rules() resource[network.Rule] {
	return resource[network.Rule]{
		member: "security_group_rule", plural: "security_group_rules", path: "security-group-rules",
		all: s.network.Rules, get: s.network.Rule, remove: s.network.DeleteRule,
		std:  func(r network.Rule) network.Standard { return r.Standard },
		view: func(_ *engine.Tx, r network.Rule) collection.Item { return ruleView(r) },
		create: func(tx *engine.Tx, r *api.Request) (network.Rule, error) {
			var body struct {
				owner
				Description   string                  `json:"description"`
				GroupID       string                  `json:"security_group_id"`
				Direction     string                  `json:"direction"`
				EtherType     string                  `json:"ethertype"`
				Protocol      engine.Optional[string] `json:"protocol"`
				PortMin       *int                    `json:"port_range_min"`
				PortMax       *int                    `json:"port_range_max"`
				RemotePrefix  engine.Optional[string] `json:"remote_ip_prefix"`
				RemoteGroupID engine.Optional[string] `json:"remote_group_id"`
			}
			if err := decode(r, "security_group_rule", &body); err != nil {
				return network.Rule{}, err
			}
			g, err := s.groups().owned(tx, r, body.GroupID)
			if err != nil {
				return network.Rule{}, err
			}
			return s.network.CreateRule(tx, network.Rule{
				Standard: network.Standard{ProjectID: g.ProjectID, Description: body.Description}, GroupID: g.ID,
				Direction: body.Direction, EtherType: body.EtherType, Protocol: body.Protocol.Or("", ""),
				PortMin: body.PortMin, PortMax: body.PortMax,
				RemotePrefix: body.RemotePrefix.Or("", ""), RemoteGroupID: body.RemoteGroupID.Or("", ""),
			})
		},
	}
}

func ruleView(r network.Rule) collection.Item {
	item := standard(r.Standard, collection.Item{
		"security_group_id": r.GroupID, "ethertype": r.EtherType, "direction": r.Direction, "protocol": null(r.Protocol),
		"port_range_min": port(r.PortMin), "port_range_max": port(r.PortMax), "remote_ip_prefix": null(r.RemotePrefix),
		"normalized_cidr": null(r.NormalizedCIDR), "remote_group_id": null(r.RemoteGroupID), "remote_address_group_id": nil,
	})
	if r.NoDescription {
		item["description"] = nil
	}
	delete(item, "name")
	delete(item, "tags")
	return item
}

func port(p *int) any {
	if p == nil {
		return nil
	}
	return *p
}
