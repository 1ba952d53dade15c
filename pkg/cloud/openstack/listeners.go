package openstack

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// listener is what we read of an Octavia listener.
type listener struct {
	ID                   string   `json:"id"`
	Name                 string   `json:"name"`
	Protocol             string   `json:"protocol"`
	Port                 int32    `json:"protocol_port"`
	ConnectionLimit      int32    `json:"connection_limit"`
	AllowedCIDRs         []string `json:"allowed_cidrs"`
	DefaultPoolID        string   `json:"default_pool_id"`
	Status               string   `json:"provisioning_status"`
	TimeoutClientData    int32    `json:"timeout_client_data"`
	TimeoutMemberConnect int32    `json:"timeout_member_connect"`
	TimeoutMemberData    int32    `json:"timeout_member_data"`
}

func (l listener) listener() cloud.Listener {
	return cloud.Listener{
		ID: l.ID, Name: l.Name, Protocol: l.Protocol, Port: l.Port, ConnectionMax: l.ConnectionLimit, AllowedCIDRs: l.AllowedCIDRs,
		DefaultPoolID: l.DefaultPoolID, Provisioning: provisioning(l.Status),
		TimeoutClientData: l.TimeoutClientData, TimeoutMemberConnect: l.TimeoutMemberConnect, TimeoutMemberData: l.TimeoutMemberData,
	}
}

// listenerCreate is a listener in a creating request.
type listenerCreate struct {
	LoadBalancerID       string      `json:"loadbalancer_id,omitempty"`
	Name                 string      `json:"name,omitempty"`
	Protocol             string      `json:"protocol"`
	Port                 int32       `json:"protocol_port"`
	ConnectionLimit      int32       `json:"connection_limit"`
	AllowedCIDRs         []string    `json:"allowed_cidrs,omitempty"`
	DefaultPoolID        string      `json:"default_pool_id,omitempty"`
	DefaultPool          *poolCreate `json:"default_pool,omitempty"`
	TimeoutClientData    int32       `json:"timeout_client_data,omitempty"`
	TimeoutMemberConnect int32       `json:"timeout_member_connect,omitempty"`
	TimeoutMemberData    int32       `json:"timeout_member_data,omitempty"`
}

func newListenerCreate(l cloud.Listener) listenerCreate {
	return listenerCreate{
		Name: l.Name, Protocol: l.Protocol, Port: l.Port, ConnectionLimit: connectionLimit(l.ConnectionMax), AllowedCIDRs: l.AllowedCIDRs,
		DefaultPoolID: l.DefaultPoolID, TimeoutClientData: l.TimeoutClientData,
		TimeoutMemberConnect: l.TimeoutMemberConnect, TimeoutMemberData: l.TimeoutMemberData,
	}
}

// connectionLimit: 0 would refuse every connection, which nobody means.
func connectionLimit(n int32) int32 {
	if n == 0 {
		return -1
	}
	return n
}

// CreateListener implements cloud.LoadBalancers.
func (c *Cloud) CreateListener(ctx context.Context, lbID string, l cloud.Listener) (cloud.Listener, error) {
	create := newListenerCreate(l)
	create.LoadBalancerID = lbID
	var answer struct {
		Listener listener `json:"listener"`
	}
	err := c.do(ctx, request{
		service: loadBalancer, op: opCreateListener, object: l.Name, method: http.MethodPost, path: "lbaas/listeners",
		body: map[string]any{"listener": create}, into: &answer,
	})
	if err != nil {
		err = c.explainAge(ctx, c.explainForbidden(ctx, err), cloud.LoadBalancer{Listeners: []cloud.Listener{l}})
		return cloud.Listener{}, c.explainPort(ctx, lbID, l, err)
	}
	return answer.Listener.listener(), nil
}

// explainPort tells a taken port from an immutable balancer, which Octavia answers alike, with 409: it looks for the
// listener that has the port.
func (c *Cloud) explainPort(ctx context.Context, lbID string, l cloud.Listener, err error) error {
	var e *cloud.Error
	if !errors.As(err, &e) || e.Status != http.StatusConflict {
		return err
	}
	taken, lerr := list[listener](ctx, c, request{
		service: loadBalancer, op: opCreateListener, object: lbID, path: "lbaas/listeners",
		query: url.Values{"loadbalancer_id": {lbID}, "protocol_port": {strconv.Itoa(int(l.Port))}},
	}, "listeners")
	if lerr != nil {
		return err
	}
	for _, other := range taken {
		if other.Port == l.Port && (other.Protocol == "UDP") == (l.Protocol == "UDP") {
			e.Kind = cloud.ErrConflict
		}
	}
	return e
}

// UpdateListener implements cloud.LoadBalancers. An Octavia that does not know allowed_cidrs refuses even an empty list of
// them, so it is left out there.
func (c *Cloud) UpdateListener(ctx context.Context, l cloud.Listener) error {
	body := map[string]any{
		"connection_limit":       connectionLimit(l.ConnectionMax),
		"default_pool_id":        orNull(l.DefaultPoolID),
		"timeout_client_data":    orDefault(l.TimeoutClientData),
		"timeout_member_connect": orDefault(l.TimeoutMemberConnect),
		"timeout_member_data":    orDefault(l.TimeoutMemberData),
	}
	put := func() error {
		return c.write(ctx, opUpdateListener, http.MethodPut, "listeners", l.ID, map[string]any{"listener": body})
	}
	if known := c.services.Load().balancing.Load(); known == nil || len(l.AllowedCIDRs) > 0 || !known.less(versionAllowedCIDRs) {
		body["allowed_cidrs"] = append([]string{}, l.AllowedCIDRs...)
	}
	err := put()
	if _, sent := body["allowed_cidrs"]; !sent || !refused(err, http.StatusBadRequest) || !c.balancingOlderThan(ctx, versionAllowedCIDRs) {
		return err
	}
	if len(l.AllowedCIDRs) > 0 {
		return c.explainAge(ctx, err, cloud.LoadBalancer{Listeners: []cloud.Listener{l}})
	}
	delete(body, "allowed_cidrs")
	return put()
}

// orDefault is JSON's null for 0, which makes Octavia take its default.
func orDefault(n int32) *int32 {
	if n == 0 {
		return nil
	}
	return &n
}

// DeleteListener implements cloud.LoadBalancers.
func (c *Cloud) DeleteListener(ctx context.Context, id string) error {
	return c.write(ctx, opDeleteListener, http.MethodDelete, "listeners", id, nil)
}
