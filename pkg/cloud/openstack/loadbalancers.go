package openstack

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// provisioning translates Octavia's provisioning_status. What is new is pending: nothing may be written.
func provisioning(status string) cloud.ProvisioningState {
	switch status {
	case "ACTIVE":
		return cloud.ProvisioningActive
	case "ERROR":
		return cloud.ProvisioningError
	case "DELETED":
		return cloud.ProvisioningDeleted
	}
	return cloud.ProvisioningPending
}

// partProvisioning does the same for members and monitors, of which not every answer tells it.
func partProvisioning(status string) cloud.ProvisioningState {
	if status == "" {
		return ""
	}
	return provisioning(status)
}

// balancer is what we read of an Octavia load balancer.
type balancer struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Description  string   `json:"description"`
	Status       string   `json:"provisioning_status"`
	Provider     string   `json:"provider"`
	VIPAddress   string   `json:"vip_address"`
	VIPPortID    string   `json:"vip_port_id"`
	VIPSubnetID  string   `json:"vip_subnet_id"`
	VIPNetworkID string   `json:"vip_network_id"`
	Tags         []string `json:"tags"`
}

func (b balancer) loadBalancer() cloud.LoadBalancer {
	return cloud.LoadBalancer{
		ID: b.ID, Name: b.Name, Description: b.Description, Provisioning: provisioning(b.Status), RawState: b.Status,
		Provider: b.Provider, VIP: b.VIPAddress, VIPPortID: b.VIPPortID, VIPSubnetID: b.VIPSubnetID, VIPNetworkID: b.VIPNetworkID,
		Tags: b.Tags,
	}
}

type balancerAnswer struct {
	LoadBalancer balancer `json:"loadbalancer"`
}

// balancerCreate is the whole tree in one request. Only here does Octavia take nested objects.
type balancerCreate struct {
	Name         string           `json:"name"`
	Description  string           `json:"description,omitempty"`
	Provider     string           `json:"provider,omitempty"`
	VIPAddress   string           `json:"vip_address,omitempty"`
	VIPPortID    string           `json:"vip_port_id,omitempty"`
	VIPSubnetID  string           `json:"vip_subnet_id,omitempty"`
	VIPNetworkID string           `json:"vip_network_id,omitempty"`
	Tags         []string         `json:"tags,omitempty"`
	AdminStateUp bool             `json:"admin_state_up"`
	Listeners    []listenerCreate `json:"listeners,omitempty"`
	Pools        []poolCreate     `json:"pools,omitempty"`
}

func newBalancerCreate(lb cloud.LoadBalancer) (balancerCreate, error) {
	create := balancerCreate{
		Name: lb.Name, Description: lb.Description, Provider: lb.Provider, VIPAddress: lb.VIP, VIPPortID: lb.VIPPortID,
		VIPSubnetID: lb.VIPSubnetID, VIPNetworkID: lb.VIPNetworkID, Tags: lb.Tags, AdminStateUp: true,
	}
	if create.VIPSubnetID != "" {
		create.VIPNetworkID = "" // the subnet says it
	}
	pools := map[string]poolCreate{}
	for _, p := range lb.Pools {
		if _, taken := pools[p.Name]; taken || p.Name == "" {
			return balancerCreate{}, errors.New("every pool needs a name of its own")
		}
		pools[p.Name] = newPoolCreate(p)
	}
	nested := map[string]bool{}
	for _, l := range lb.Listeners {
		listener := newListenerCreate(l)
		if l.Pool != "" {
			pool, ok := pools[l.Pool]
			if !ok {
				return balancerCreate{}, errors.New("listener " + l.Name + " names no pool of the request: " + l.Pool)
			}
			// The first listener of a pool brings it; the others name it.
			listener.DefaultPool = &pool
			if nested[l.Pool] {
				listener.DefaultPool = &poolCreate{Name: l.Pool}
			}
			nested[l.Pool] = true
		}
		create.Listeners = append(create.Listeners, listener)
	}
	for _, p := range lb.Pools {
		if !nested[p.Name] {
			create.Pools = append(create.Pools, pools[p.Name])
		}
	}
	return create, nil
}

// CreateLoadBalancer implements cloud.LoadBalancers.
func (c *Cloud) CreateLoadBalancer(ctx context.Context, lb cloud.LoadBalancer) (cloud.LoadBalancer, error) {
	create, err := newBalancerCreate(lb)
	if err != nil {
		return cloud.LoadBalancer{}, &cloud.Error{Kind: cloud.ErrInvalid, Op: opCreateLoadBalancer, Object: lb.Name, Err: err}
	}
	var answer struct {
		LoadBalancer struct {
			balancer
			Listeners []listener `json:"listeners"`
			Pools     []pool     `json:"pools"` // without their monitors
		} `json:"loadbalancer"`
	}
	err = c.do(ctx, request{
		service: loadBalancer, op: opCreateLoadBalancer, object: lb.Name, method: http.MethodPost, path: "lbaas/loadbalancers",
		body: map[string]any{"loadbalancer": create}, into: &answer,
	})
	if err != nil {
		return cloud.LoadBalancer{}, c.explainAge(ctx, c.explainForbidden(ctx, err), lb)
	}
	made := answer.LoadBalancer.loadBalancer()
	for _, l := range answer.LoadBalancer.Listeners {
		made.Listeners = append(made.Listeners, l.listener())
	}
	for _, p := range answer.LoadBalancer.Pools {
		made.Pools = append(made.Pools, p.pool())
	}
	return made, nil
}

// explainForbidden tells a quota from a missing role, which Octavia answers alike, with 403: whoever may list load
// balancers has the role, so the quota refused.
func (c *Cloud) explainForbidden(ctx context.Context, err error) error {
	var e *cloud.Error
	if !errors.As(err, &e) || e.Status != http.StatusForbidden {
		return err
	}
	lerr := c.do(ctx, request{
		service: loadBalancer, op: opListLoadBalancers, method: http.MethodGet, path: "lbaas/loadbalancers", query: url.Values{"limit": {"1"}},
	})
	if lerr == nil {
		e.Kind = cloud.ErrExhausted
	}
	return e
}

// GetLoadBalancerState implements cloud.LoadBalancers.
func (c *Cloud) GetLoadBalancerState(ctx context.Context, id string) (cloud.LoadBalancer, error) {
	if err := needID(opGetLoadBalancer, id); err != nil {
		return cloud.LoadBalancer{}, err
	}
	var answer balancerAnswer
	err := c.do(ctx, request{service: loadBalancer, op: opGetLoadBalancer, object: id, method: http.MethodGet, path: "lbaas/loadbalancers/" + url.PathEscape(id), into: &answer})
	if err != nil {
		return cloud.LoadBalancer{}, err
	}
	return answer.LoadBalancer.loadBalancer(), nil
}

// statusTree is how far Octavia is with a load balancer and its parts. A pool stands below the listeners that use it, or
// below the load balancer.
type statusTree struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Status    string       `json:"provisioning_status"`
	Listeners []statusPart `json:"listeners"`
	Pools     []statusPart `json:"pools"`
}

type statusPart struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Status  string       `json:"provisioning_status"`
	Pools   []statusPart `json:"pools"`
	Members []member     `json:"members"`
	Monitor monitor      `json:"health_monitor"` // {} where there is none
}

func (s statusTree) loadBalancer() cloud.LoadBalancer {
	lb := cloud.LoadBalancer{ID: s.ID, Name: s.Name, Provisioning: provisioning(s.Status), RawState: s.Status}
	seen := map[string]bool{}
	add := func(pools []statusPart) {
		for _, p := range pools {
			if !seen[p.ID] {
				seen[p.ID] = true
				lb.Pools = append(lb.Pools, p.pool())
			}
		}
	}
	for _, l := range s.Listeners {
		out := cloud.Listener{ID: l.ID, Name: l.Name, Provisioning: provisioning(l.Status)}
		if len(l.Pools) > 0 { // the default one stands first
			out.DefaultPoolID = l.Pools[0].ID
		}
		lb.Listeners = append(lb.Listeners, out)
		add(l.Pools)
	}
	add(s.Pools)
	return lb
}

func (p statusPart) pool() cloud.Pool {
	out := cloud.Pool{ID: p.ID, Name: p.Name, Provisioning: provisioning(p.Status)}
	for _, m := range p.Members {
		out.Members = append(out.Members, m.member())
	}
	if p.Monitor.ID != "" {
		out.Monitor = p.Monitor.monitor()
	}
	return out
}

// GetLoadBalancerParts implements cloud.LoadBalancers.
func (c *Cloud) GetLoadBalancerParts(ctx context.Context, id string) (cloud.LoadBalancer, error) {
	if err := needID(opGetLoadBalancer, id); err != nil {
		return cloud.LoadBalancer{}, err
	}
	var answer struct {
		Statuses struct {
			LoadBalancer statusTree `json:"loadbalancer"`
		} `json:"statuses"`
	}
	err := c.do(ctx, request{
		service: loadBalancer, op: opGetLoadBalancer, object: id, method: http.MethodGet,
		path: "lbaas/loadbalancers/" + url.PathEscape(id) + "/status", into: &answer,
	})
	if err != nil {
		return cloud.LoadBalancer{}, err
	}
	return answer.Statuses.LoadBalancer.loadBalancer(), nil
}

// GetLoadBalancer implements cloud.LoadBalancers: 3 requests, and for every pool one for its members and one for its
// monitor if it has one.
func (c *Cloud) GetLoadBalancer(ctx context.Context, id string) (cloud.LoadBalancer, error) {
	lb, err := c.GetLoadBalancerState(ctx, id)
	if err != nil {
		return cloud.LoadBalancer{}, err
	}
	query := url.Values{"loadbalancer_id": {id}}
	r := request{service: loadBalancer, op: opGetLoadBalancer, object: id, query: query, path: "lbaas/listeners"}
	listeners, err := list[listener](ctx, c, r, "listeners")
	if err != nil {
		return cloud.LoadBalancer{}, err
	}
	for _, l := range listeners {
		lb.Listeners = append(lb.Listeners, l.listener())
	}
	r.path = "lbaas/pools"
	pools, err := list[pool](ctx, c, r, "pools")
	if err != nil {
		return cloud.LoadBalancer{}, err
	}
	for _, p := range pools {
		full, err := c.readPool(ctx, p)
		if errors.Is(err, cloud.ErrNotFound) {
			continue // removed since the list was made
		}
		if err != nil {
			return cloud.LoadBalancer{}, err
		}
		lb.Pools = append(lb.Pools, full)
	}
	return lb, nil
}

// readPool adds members and monitor to a listed pool.
func (c *Cloud) readPool(ctx context.Context, p pool) (cloud.Pool, error) {
	full := p.pool()
	members, err := list[member](ctx, c, request{
		service: loadBalancer, op: opGetLoadBalancer, object: p.ID, path: "lbaas/pools/" + url.PathEscape(p.ID) + "/members",
	}, "members")
	if err != nil {
		return cloud.Pool{}, err
	}
	for _, m := range members {
		full.Members = append(full.Members, m.member())
	}
	if p.MonitorID == "" {
		return full, nil
	}
	var answer monitorAnswer
	err = c.do(ctx, request{
		service: loadBalancer, op: opGetLoadBalancer, object: p.MonitorID, method: http.MethodGet,
		path: "lbaas/healthmonitors/" + url.PathEscape(p.MonitorID), into: &answer,
	})
	if errors.Is(err, cloud.ErrNotFound) {
		return full, nil
	}
	full.Monitor = answer.Monitor.monitor()
	return full, err
}

// ListLoadBalancers implements cloud.LoadBalancers. The project is part of the question: an administrator would see
// those of all projects.
func (c *Cloud) ListLoadBalancers(ctx context.Context, tags ...string) ([]cloud.LoadBalancer, error) {
	query := url.Values{}
	set(query, "project_id", c.services.Load().project)
	set(query, "tags", strings.Join(tags, ","))
	balancers, err := list[balancer](ctx, c, request{service: loadBalancer, op: opListLoadBalancers, path: "lbaas/loadbalancers", query: query}, "loadbalancers")
	var found []cloud.LoadBalancer
	for _, b := range balancers {
		found = append(found, b.loadBalancer())
	}
	return found, err
}

// SetLoadBalancerTags implements cloud.LoadBalancers.
func (c *Cloud) SetLoadBalancerTags(ctx context.Context, id string, tags []string) error {
	if tags == nil {
		tags = []string{}
	}
	return c.write(ctx, opSetLoadBalancerTags, http.MethodPut, "loadbalancers", id, map[string]any{"loadbalancer": map[string]any{"tags": tags}})
}

// DeleteLoadBalancer implements cloud.LoadBalancers.
func (c *Cloud) DeleteLoadBalancer(ctx context.Context, id string) error {
	if err := needID(opDeleteLoadBalancer, id); err != nil {
		return err
	}
	return c.do(ctx, request{
		service: loadBalancer, op: opDeleteLoadBalancer, object: id, method: http.MethodDelete,
		path: "lbaas/loadbalancers/" + url.PathEscape(id), query: url.Values{"cascade": {"true"}},
	})
}

// write changes or deletes one object of a collection.
func (c *Cloud) write(ctx context.Context, op, method, collection, id string, body any) error {
	if err := needID(op, id); err != nil {
		return err
	}
	return c.do(ctx, request{
		service: loadBalancer, op: op, object: id, method: method, path: "lbaas/" + collection + "/" + url.PathEscape(id), body: body,
	})
}
