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
		return cloud.Listener{}, c.explainPort(ctx, lbID, l, c.explainForbidden(ctx, err))
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

// UpdateListener implements cloud.LoadBalancers.
func (c *Cloud) UpdateListener(ctx context.Context, l cloud.Listener) error {
	cidrs := l.AllowedCIDRs
	if cidrs == nil {
		cidrs = []string{}
	}
	return c.write(ctx, opUpdateListener, http.MethodPut, "listeners", l.ID, map[string]any{"listener": map[string]any{
		"connection_limit":       connectionLimit(l.ConnectionMax),
		"allowed_cidrs":          cidrs,
		"default_pool_id":        orNull(l.DefaultPoolID),
		"timeout_client_data":    orDefault(l.TimeoutClientData),
		"timeout_member_connect": orDefault(l.TimeoutMemberConnect),
		"timeout_member_data":    orDefault(l.TimeoutMemberData),
	}})
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
