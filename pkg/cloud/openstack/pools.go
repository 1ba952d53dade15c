package openstack

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

type persistence struct {
	Type string `json:"type"`
}

// pool is what we read of an Octavia pool.
type pool struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Protocol    string       `json:"protocol"`
	Algorithm   string       `json:"lb_algorithm"`
	Persistence *persistence `json:"session_persistence"`
	MonitorID   string       `json:"healthmonitor_id"`
	Status      string       `json:"provisioning_status"`
}

func (p pool) pool() cloud.Pool {
	out := cloud.Pool{ID: p.ID, Name: p.Name, Protocol: p.Protocol, Algorithm: p.Algorithm, Provisioning: provisioning(p.Status)}
	if p.Persistence != nil {
		out.Persistence = p.Persistence.Type
	}
	return out
}

// poolCreate is a pool in a creating request. With nothing but a name it refers to another pool of the request.
type poolCreate struct {
	LoadBalancerID string         `json:"loadbalancer_id,omitempty"`
	Name           string         `json:"name"`
	Protocol       string         `json:"protocol,omitempty"`
	Algorithm      string         `json:"lb_algorithm,omitempty"`
	Persistence    *persistence   `json:"session_persistence,omitempty"`
	Members        []member       `json:"members,omitempty"`
	Monitor        *monitorCreate `json:"healthmonitor,omitempty"`
}

func newPoolCreate(p cloud.Pool) poolCreate {
	create := poolCreate{Name: p.Name, Protocol: p.Protocol, Algorithm: p.Algorithm, Persistence: newPersistence(p.Persistence)}
	for _, m := range p.Members {
		create.Members = append(create.Members, newMember(m))
	}
	if p.Monitor != nil {
		monitor := newMonitorCreate(*p.Monitor)
		create.Monitor = &monitor
	}
	return create
}

func newPersistence(kind string) *persistence {
	if kind == "" {
		return nil
	}
	return &persistence{Type: kind}
}

// member is a member in answers and requests.
type member struct {
	ID       string `json:"id,omitempty"`
	Name     string `json:"name"`
	Address  string `json:"address"`
	Port     int32  `json:"protocol_port"`
	SubnetID string `json:"subnet_id,omitempty"`
	Weight   int32  `json:"weight"`
	// MonitorPort is never left out: of a member that stays, Octavia keeps what a batch does not name.
	MonitorPort *int32 `json:"monitor_port"`
	Status      string `json:"provisioning_status,omitempty"` // in answers only
}

func (m member) member() cloud.Member {
	out := cloud.Member{
		ID: m.ID, Name: m.Name, Address: m.Address, Port: m.Port, SubnetID: m.SubnetID, Weight: m.Weight, Provisioning: partProvisioning(m.Status),
	}
	if m.MonitorPort != nil {
		out.MonitorPort = *m.MonitorPort
	}
	return out
}

// newMember leaves the id out: the cloud knows a member by its address and port.
func newMember(m cloud.Member) member {
	return member{
		Name: m.Name, Address: m.Address, Port: m.Port, SubnetID: m.SubnetID, Weight: m.Weight, MonitorPort: orDefault(m.MonitorPort),
	}
}

// CreatePool implements cloud.LoadBalancers.
func (c *Cloud) CreatePool(ctx context.Context, lbID string, p cloud.Pool) (cloud.Pool, error) {
	p.Members, p.Monitor = nil, nil
	create := newPoolCreate(p)
	create.LoadBalancerID = lbID
	var answer struct {
		Pool pool `json:"pool"`
	}
	err := c.do(ctx, request{
		service: loadBalancer, op: opCreatePool, object: p.Name, method: http.MethodPost, path: "lbaas/pools",
		body: map[string]any{"pool": create}, into: &answer,
	})
	if err != nil {
		return cloud.Pool{}, c.explainForbidden(ctx, err)
	}
	return answer.Pool.pool(), nil
}

// UpdatePool implements cloud.LoadBalancers.
func (c *Cloud) UpdatePool(ctx context.Context, p cloud.Pool) error {
	return c.write(ctx, opUpdatePool, http.MethodPut, "pools", p.ID, map[string]any{"pool": map[string]any{
		"lb_algorithm": p.Algorithm, "session_persistence": newPersistence(p.Persistence),
	}})
}

// DeletePool implements cloud.LoadBalancers.
func (c *Cloud) DeletePool(ctx context.Context, id string) error {
	return c.write(ctx, opDeletePool, http.MethodDelete, "pools", id, nil)
}

// SetMembers implements cloud.LoadBalancers.
func (c *Cloud) SetMembers(ctx context.Context, poolID string, members []cloud.Member) error {
	if err := needID(opSetMembers, poolID); err != nil {
		return err
	}
	wire := []member{}
	for _, m := range members {
		wire = append(wire, newMember(m))
	}
	err := c.do(ctx, request{
		service: loadBalancer, op: opSetMembers, object: poolID, method: http.MethodPut,
		path: "lbaas/pools/" + url.PathEscape(poolID) + "/members", body: map[string]any{"members": wire},
	})
	return c.explainForbidden(ctx, err)
}

// monitor is what we read of an Octavia health monitor.
type monitor struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	Type           string `json:"type"`
	Delay          int32  `json:"delay"`
	Timeout        int32  `json:"timeout"`
	MaxRetries     int32  `json:"max_retries"`
	MaxRetriesDown int32  `json:"max_retries_down"`
	URLPath        string `json:"url_path"`
	HTTPMethod     string `json:"http_method"`
	ExpectedCodes  string `json:"expected_codes"`
	Status         string `json:"provisioning_status"`
}

type monitorAnswer struct {
	Monitor monitor `json:"healthmonitor"`
}

func (m monitor) monitor() *cloud.Monitor {
	return &cloud.Monitor{
		ID: m.ID, Name: m.Name, Type: m.Type, Delay: m.Delay, Timeout: m.Timeout, MaxRetries: m.MaxRetries,
		MaxRetriesDown: m.MaxRetriesDown, Path: m.URLPath, HTTPMethod: m.HTTPMethod, ExpectedCodes: m.ExpectedCodes,
		Provisioning: partProvisioning(m.Status),
	}
}

// monitorCreate is a monitor in a request. Octavia refuses the HTTP fields with other types.
type monitorCreate struct {
	PoolID         string `json:"pool_id,omitempty"`
	Name           string `json:"name,omitempty"`
	Type           string `json:"type,omitempty"`
	Delay          int32  `json:"delay"`
	Timeout        int32  `json:"timeout"`
	MaxRetries     int32  `json:"max_retries"`
	MaxRetriesDown int32  `json:"max_retries_down,omitempty"`
	URLPath        string `json:"url_path,omitempty"`
	HTTPMethod     string `json:"http_method,omitempty"`
	ExpectedCodes  string `json:"expected_codes,omitempty"`
}

func newMonitorCreate(m cloud.Monitor) monitorCreate {
	return monitorCreate{
		Name: m.Name, Type: m.Type, Delay: m.Delay, Timeout: m.Timeout, MaxRetries: m.MaxRetries, MaxRetriesDown: m.MaxRetriesDown,
		URLPath: m.Path, HTTPMethod: m.HTTPMethod, ExpectedCodes: m.ExpectedCodes,
	}
}

// CreateMonitor implements cloud.LoadBalancers.
func (c *Cloud) CreateMonitor(ctx context.Context, poolID string, m cloud.Monitor) (cloud.Monitor, error) {
	create := newMonitorCreate(m)
	create.PoolID = poolID
	var answer monitorAnswer
	err := c.do(ctx, request{
		service: loadBalancer, op: opCreateMonitor, object: poolID, method: http.MethodPost, path: "lbaas/healthmonitors",
		body: map[string]any{"healthmonitor": create}, into: &answer,
	})
	if err != nil {
		return cloud.Monitor{}, c.explainMonitor(ctx, poolID, c.explainForbidden(ctx, err))
	}
	return *answer.Monitor.monitor(), nil
}

// explainMonitor tells a pool that has a monitor from an immutable balancer, which Octavia answers alike, with 409.
func (c *Cloud) explainMonitor(ctx context.Context, poolID string, err error) error {
	var e *cloud.Error
	if !errors.As(err, &e) || e.Status != http.StatusConflict || needID(opCreateMonitor, poolID) != nil {
		return err
	}
	var answer struct {
		Pool pool `json:"pool"`
	}
	perr := c.do(ctx, request{
		service: loadBalancer, op: opCreateMonitor, object: poolID, method: http.MethodGet, path: "lbaas/pools/" + url.PathEscape(poolID), into: &answer,
	})
	if perr == nil && answer.Pool.MonitorID != "" {
		e.Kind = cloud.ErrConflict
	}
	return e
}

// UpdateMonitor implements cloud.LoadBalancers.
func (c *Cloud) UpdateMonitor(ctx context.Context, m cloud.Monitor) error {
	update := newMonitorCreate(m)
	update.Type = "" // it cannot change
	return c.write(ctx, opUpdateMonitor, http.MethodPut, "healthmonitors", m.ID, map[string]any{"healthmonitor": update})
}

// DeleteMonitor implements cloud.LoadBalancers.
func (c *Cloud) DeleteMonitor(ctx context.Context, id string) error {
	return c.write(ctx, opDeleteMonitor, http.MethodDelete, "healthmonitors", id, nil)
}
