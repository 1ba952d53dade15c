package loadbalancer

import (
	"net/http"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/loadbalancer"
)

// view turns parts of the trees it holds into their JSON.
type view struct {
	trees  loadbalancer.Trees
	status loadbalancer.Status
}

// view reads one load balancer's tree, or all of them.
func (s *service) view(tx *engine.Tx, lbID string) view {
	t := s.lb.Trees(tx, lbID)
	return view{t, s.lb.Status(t)}
}

// timestamp is a time as Octavia writes it: without a zone, null for never.
func timestamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Format("2006-01-02T15:04:05")
}

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func references(ids ...string) []collection.Item {
	list := []collection.Item{}
	for _, id := range ids {
		list = append(list, collection.Item{"id": id})
	}
	return list
}

// common is the JSON of the attributes that all parts have, and those given.
func common(c loadbalancer.Common, operating string, item collection.Item) collection.Item {
	tags := c.Tags
	if tags == nil {
		tags = []string{}
	}
	item["id"] = c.ID
	item["name"] = c.Name
	item["provisioning_status"] = c.Provisioning
	item["operating_status"] = operating
	item["admin_state_up"] = !c.Down
	item["project_id"] = c.ProjectID
	item["tenant_id"] = c.ProjectID
	item["created_at"] = timestamp(c.CreatedAt)
	item["updated_at"] = timestamp(c.UpdatedAt)
	item["tags"] = tags
	return item
}

func (v view) loadBalancer(lb loadbalancer.LoadBalancer) collection.Item {
	listeners, pools := references(), references()
	for _, l := range v.trees.Listeners[lb.ID] {
		listeners = append(listeners, collection.Item{"id": l.ID})
	}
	for _, p := range v.trees.Pools[lb.ID] {
		pools = append(pools, collection.Item{"id": p.ID})
	}
	return common(lb.Common, v.status.LoadBalancer(lb), collection.Item{
		"description": lb.Description, "vip_address": lb.VIPAddress.String(), "vip_port_id": lb.VIPPortID,
		"vip_subnet_id": lb.VIPSubnetID, "vip_network_id": lb.VIPNetworkID, "additional_vips": []any{},
		"listeners": listeners, "pools": pools, "provider": loadbalancer.ProviderName,
		"flavor_id": nil, "vip_qos_policy_id": nil, "availability_zone": nil,
	})
}

// tree is the answer to the creation of a load balancer: all its parts in full, though Octavia leaves out the monitors.
func (v view) tree(lb loadbalancer.LoadBalancer) collection.Item {
	item := v.loadBalancer(lb)
	listeners, pools := []collection.Item{}, []collection.Item{}
	for _, l := range v.trees.Listeners[lb.ID] {
		full := v.listener(l)
		delete(full, "loadbalancers")
		listeners = append(listeners, full)
	}
	for _, p := range v.trees.Pools[lb.ID] {
		full := v.pool(p)
		members := []collection.Item{}
		for _, m := range v.trees.Members[p.ID] {
			members = append(members, v.member(m))
		}
		full["members"], full["healthmonitor"] = members, nil
		delete(full, "loadbalancers")
		delete(full, "healthmonitor_id")
		pools = append(pools, full)
	}
	item["listeners"], item["pools"] = listeners, pools
	return item
}

func (v view) listener(l loadbalancer.Listener) collection.Item {
	var cidrs any
	if len(l.AllowedCIDRs) > 0 {
		cidrs = l.AllowedCIDRs
	}
	return common(l.Common, v.status.Listener(l), collection.Item{
		"description": l.Description, "protocol": l.Protocol, "protocol_port": l.Port, "connection_limit": l.ConnectionLimit,
		"default_pool_id": null(l.DefaultPoolID), "loadbalancers": references(l.LB), "allowed_cidrs": cidrs,
		"timeout_client_data": l.ClientData, "timeout_member_connect": l.MemberConnect,
		"timeout_member_data": l.MemberData, "timeout_tcp_inspect": l.TCPInspect,
		"l7policies": []any{}, "insert_headers": map[string]string{}, "default_tls_container_ref": nil,
		"sni_container_refs": []string{}, "client_ca_tls_container_ref": nil, "client_authentication": "NONE",
		"client_crl_container_ref": nil, "tls_ciphers": nil, "tls_versions": nil, "alpn_protocols": nil,
	})
}

func (v view) pool(p loadbalancer.Pool) collection.Item {
	listeners, members := references(), references()
	for _, l := range v.trees.Listeners[p.LB] {
		if l.DefaultPoolID == p.ID {
			listeners = append(listeners, collection.Item{"id": l.ID})
		}
	}
	for _, m := range v.trees.Members[p.ID] {
		members = append(members, collection.Item{"id": m.ID})
	}
	var persistence any
	if p.Persistence != "" {
		persistence = map[string]any{
			"type": p.Persistence, "cookie_name": nil, "persistence_timeout": nil, "persistence_granularity": nil,
		}
	}
	item := common(p.Common, v.status.Pool(p), collection.Item{
		"description": p.Description, "protocol": p.Protocol, "lb_algorithm": p.Algorithm, "session_persistence": persistence,
		"loadbalancers": references(p.LB), "listeners": listeners, "members": members, "tls_enabled": false,
		"tls_container_ref": nil, "ca_tls_container_ref": nil, "crl_container_ref": nil,
		"tls_ciphers": nil, "tls_versions": nil, "alpn_protocols": nil,
	})
	if m, ok := v.trees.Monitors[p.ID]; ok {
		item["healthmonitor_id"] = m.ID
	}
	return item
}

func (v view) member(m loadbalancer.Member) collection.Item {
	var monitorPort any
	if m.MonitorPort != 0 {
		monitorPort = m.MonitorPort
	}
	return common(m.Common, v.status.Member(m), collection.Item{
		"address": m.Address.String(), "protocol_port": m.Port, "weight": m.Weight, "backup": false,
		"subnet_id": null(m.SubnetID), "monitor_address": null(m.MonitorAddress), "monitor_port": monitorPort,
	})
}

func (v view) monitor(m loadbalancer.Monitor) collection.Item {
	return common(m.Common, v.status.Monitor(m), collection.Item{
		"type": m.Type, "delay": m.Delay, "timeout": m.Timeout, "max_retries": m.MaxRetries,
		"max_retries_down": m.MaxRetriesDown, "http_method": null(m.Method), "url_path": null(m.Path),
		"expected_codes": null(m.ExpectedCodes), "pools": references(m.PoolID), "http_version": nil, "domain_name": nil,
	})
}

// statusTree is the state of a load balancer and all that listens on it.
func (s *service) statusTree(r *api.Request) (int, any, error) {
	var statuses collection.Item
	err := s.e.View(func(tx *engine.Tx) error {
		lb, err := s.lb.LoadBalancer(tx, scope(r), r.PathValue("id"))
		if err == nil {
			statuses = s.view(tx, lb.ID).statuses(lb)
		}
		return err
	})
	return http.StatusOK, map[string]any{"statuses": map[string]any{"loadbalancer": statuses}}, err
}

func (v view) statuses(lb loadbalancer.LoadBalancer) collection.Item {
	pools := map[string]collection.Item{}
	for _, p := range v.trees.Pools[lb.ID] {
		pools[p.ID] = v.poolStatus(p)
	}
	listeners := []collection.Item{}
	for _, l := range v.trees.Listeners[lb.ID] {
		item := node(l.Common, v.status.Listener(l))
		item["pools"] = []collection.Item{}
		if p, ok := pools[l.DefaultPoolID]; ok {
			item["pools"] = []collection.Item{p}
		}
		listeners = append(listeners, item)
	}
	item := node(lb.Common, v.status.LoadBalancer(lb))
	item["listeners"] = listeners
	return item
}

func (v view) poolStatus(p loadbalancer.Pool) collection.Item {
	members := []collection.Item{}
	for _, m := range v.trees.Members[p.ID] {
		item := node(m.Common, v.status.Member(m))
		item["address"], item["protocol_port"] = m.Address.String(), m.Port
		members = append(members, item)
	}
	item := node(p.Common, v.status.Pool(p))
	item["members"] = members
	if m, ok := v.trees.Monitors[p.ID]; ok {
		monitor := node(m.Common, v.status.Monitor(m))
		monitor["type"] = m.Type
		item["health_monitor"] = monitor
	}
	return item
}

func node(c loadbalancer.Common, operating string) collection.Item {
	return collection.Item{"id": c.ID, "name": c.Name, "operating_status": operating, "provisioning_status": c.Provisioning}
}
