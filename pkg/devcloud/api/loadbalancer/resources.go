package loadbalancer

import (
	"net/http"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/collection"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/loadbalancer"
)

// flatten joins the values of a map of lists.
func flatten[T any](byID map[string][]T, keys []loadbalancer.LoadBalancer) []T {
	var all []T
	for _, lb := range keys {
		all = append(all, byID[lb.ID]...)
	}
	return all
}

// refers is a filter on a list of references: [{"id": ...}].
func refers(attribute string) func(collection.Item, []string) bool {
	return func(item collection.Item, values []string) bool { return collection.Matches(item[attribute], values) }
}

func (s *service) loadBalancers() resource[loadbalancer.LoadBalancer] {
	type lb = loadbalancer.LoadBalancer
	return resource[lb]{
		member: "loadbalancer", plural: "loadbalancers", path: "loadbalancers",
		all: func(t loadbalancer.Trees, _ *api.Request) []lb { return t.LoadBalancers },
		get: func(tx *engine.Tx, r *api.Request) (lb, error) {
			return s.lb.LoadBalancer(tx, scope(r), r.PathValue("id"))
		},
		common: func(x lb) loadbalancer.Common { return x.Common },
		view:   view.loadBalancer, created: view.tree,
		create: func(tx *engine.Tx, r *api.Request) (lb, error) {
			var spec loadbalancer.LoadBalancerSpec
			if err := decode(r, "loadbalancer", &spec); err != nil {
				return lb{}, err
			}
			project := spec.ProjectID.Or(r.Caller.ProjectID, r.Caller.ProjectID)
			if project != r.Caller.ProjectID && !admin(r) {
				return lb{}, disallowed()
			}
			return s.lb.CreateLoadBalancer(tx, project, spec)
		},
		update: func(tx *engine.Tx, r *api.Request) (lb, error) {
			var spec loadbalancer.LoadBalancerSpec
			if err := decode(r, "loadbalancer", &spec); err != nil {
				return lb{}, err
			}
			return s.lb.UpdateLoadBalancer(tx, scope(r), r.PathValue("id"), spec)
		},
		remove: func(tx *engine.Tx, r *api.Request) error {
			cascade := strings.EqualFold(r.URL.Query().Get("cascade"), "true")
			return s.lb.DeleteLoadBalancer(tx, scope(r), r.PathValue("id"), cascade)
		},
	}
}

func (s *service) listeners() resource[loadbalancer.Listener] {
	type listener = loadbalancer.Listener
	return resource[listener]{
		member: "listener", plural: "listeners", path: "listeners",
		filters: map[string]func(collection.Item, []string) bool{"loadbalancer_id": refers("loadbalancers")},
		all:     func(t loadbalancer.Trees, _ *api.Request) []listener { return flatten(t.Listeners, t.LoadBalancers) },
		get: func(tx *engine.Tx, r *api.Request) (listener, error) {
			return s.lb.Listener(tx, scope(r), r.PathValue("id"))
		},
		common: func(x listener) loadbalancer.Common { return x.Common },
		view:   view.listener,
		create: func(tx *engine.Tx, r *api.Request) (listener, error) {
			var spec loadbalancer.ListenerSpec
			if err := decode(r, "listener", &spec); err != nil {
				return listener{}, err
			}
			return s.lb.CreateListener(tx, scope(r), spec)
		},
		update: func(tx *engine.Tx, r *api.Request) (listener, error) {
			var spec loadbalancer.ListenerSpec
			if err := decode(r, "listener", &spec); err != nil {
				return listener{}, err
			}
			return s.lb.UpdateListener(tx, scope(r), r.PathValue("id"), spec)
		},
		remove: func(tx *engine.Tx, r *api.Request) error {
			return s.lb.DeleteListener(tx, scope(r), r.PathValue("id"))
		},
	}
}

func (s *service) pools() resource[loadbalancer.Pool] {
	type pool = loadbalancer.Pool
	return resource[pool]{
		member: "pool", plural: "pools", path: "pools",
		filters: map[string]func(collection.Item, []string) bool{
			"loadbalancer_id": refers("loadbalancers"), "listener_id": refers("listeners"),
		},
		all: func(t loadbalancer.Trees, _ *api.Request) []pool { return flatten(t.Pools, t.LoadBalancers) },
		get: func(tx *engine.Tx, r *api.Request) (pool, error) {
			return s.lb.Pool(tx, scope(r), r.PathValue("id"))
		},
		common: func(x pool) loadbalancer.Common { return x.Common },
		view:   view.pool,
		create: func(tx *engine.Tx, r *api.Request) (pool, error) {
			var spec loadbalancer.PoolSpec
			if err := decode(r, "pool", &spec); err != nil {
				return pool{}, err
			}
			return s.lb.CreatePool(tx, scope(r), spec)
		},
		update: func(tx *engine.Tx, r *api.Request) (pool, error) {
			var spec loadbalancer.PoolSpec
			if err := decode(r, "pool", &spec); err != nil {
				return pool{}, err
			}
			return s.lb.UpdatePool(tx, scope(r), r.PathValue("id"), spec)
		},
		remove: func(tx *engine.Tx, r *api.Request) error {
			return s.lb.DeletePool(tx, scope(r), r.PathValue("id"))
		},
	}
}

func (s *service) members() resource[loadbalancer.Member] {
	type member = loadbalancer.Member
	return resource[member]{
		member: "member", plural: "members", path: "pools/{pool}/members",
		all: func(t loadbalancer.Trees, r *api.Request) []member { return t.Members[r.PathValue("pool")] },
		get: func(tx *engine.Tx, r *api.Request) (member, error) {
			return s.lb.Member(tx, scope(r), r.PathValue("pool"), r.PathValue("id"))
		},
		common: func(x member) loadbalancer.Common { return x.Common },
		view:   view.member,
		create: func(tx *engine.Tx, r *api.Request) (member, error) {
			var spec loadbalancer.MemberSpec
			if err := decode(r, "member", &spec); err != nil {
				return member{}, err
			}
			return s.lb.CreateMember(tx, scope(r), r.PathValue("pool"), spec)
		},
		update: func(tx *engine.Tx, r *api.Request) (member, error) {
			var spec loadbalancer.MemberSpec
			if err := decode(r, "member", &spec); err != nil {
				return member{}, err
			}
			return s.lb.UpdateMember(tx, scope(r), r.PathValue("pool"), r.PathValue("id"), spec)
		},
		remove: func(tx *engine.Tx, r *api.Request) error {
			return s.lb.DeleteMember(tx, scope(r), r.PathValue("pool"), r.PathValue("id"))
		},
	}
}

// setMembers is the batch update: 202 without a body.
func (s *service) setMembers(r *api.Request) (int, any, error) {
	var specs []loadbalancer.MemberSpec
	if err := decode(r, "members", &specs); err != nil {
		return 0, nil, err
	}
	additive := strings.EqualFold(r.URL.Query().Get("additive_only"), "true")
	return http.StatusAccepted, nil, s.e.Update(func(tx *engine.Tx) error {
		return s.lb.SetMembers(tx, scope(r), r.PathValue("pool"), specs, additive)
	})
}

func (s *service) monitors() resource[loadbalancer.Monitor] {
	type monitor = loadbalancer.Monitor
	return resource[monitor]{
		member: "healthmonitor", plural: "healthmonitors", path: "healthmonitors",
		filters: map[string]func(collection.Item, []string) bool{"pool_id": refers("pools")},
		all: func(t loadbalancer.Trees, _ *api.Request) []monitor {
			var all []monitor
			for _, p := range flatten(t.Pools, t.LoadBalancers) {
				if m, ok := t.Monitors[p.ID]; ok {
					all = append(all, m)
				}
			}
			return all
		},
		get: func(tx *engine.Tx, r *api.Request) (monitor, error) {
			return s.lb.Monitor(tx, scope(r), r.PathValue("id"))
		},
		common: func(x monitor) loadbalancer.Common { return x.Common },
		view:   view.monitor,
		create: func(tx *engine.Tx, r *api.Request) (monitor, error) {
			var spec loadbalancer.MonitorSpec
			if err := decode(r, "healthmonitor", &spec); err != nil {
				return monitor{}, err
			}
			return s.lb.CreateMonitor(tx, scope(r), spec)
		},
		update: func(tx *engine.Tx, r *api.Request) (monitor, error) {
			var spec loadbalancer.MonitorSpec
			if err := decode(r, "healthmonitor", &spec); err != nil {
				return monitor{}, err
			}
			return s.lb.UpdateMonitor(tx, scope(r), r.PathValue("id"), spec)
		},
		remove: func(tx *engine.Tx, r *api.Request) error {
			return s.lb.DeleteMonitor(tx, scope(r), r.PathValue("id"))
		},
	}
}
