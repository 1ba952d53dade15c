package loadbalancer

import (
	"regexp"
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/balancer"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

var (
	monitorTypes = []string{"HTTP", "HTTPS", "PING", "SCTP", "TCP", "TLS-HELLO", "UDP-CONNECT"}
	httpMethods  = []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
	codesPattern = regexp.MustCompile(`^([1-5]\d\d(\s*,\s*[1-5]\d\d)*|[1-5]\d\d-[1-5]\d\d)$`)
)

// Monitor returns a health monitor.
func (s *Service) Monitor(tx *engine.Tx, project, id string) (Monitor, error) {
	return get(tx, s.monitors, "Health Monitor", project, id)
}

func (s *Service) monitorOf(tx *engine.Tx, p Pool) (Monitor, bool) {
	for _, m := range of(tx, s.monitors, p.LB) {
		if m.PoolID == p.ID && m.Provisioning != PendingDelete {
			return m, true
		}
	}
	return Monitor{}, false
}

// unset is the delay of a monitor that has none yet. None at all (0) is one: the balancer chooses.
const unset = -1

// CreateMonitor gives a pool its health monitor.
func (s *Service) CreateMonitor(tx *engine.Tx, project string, spec MonitorSpec) (Monitor, error) {
	if _, err := monitorFrom(Monitor{Delay: unset}, spec); err != nil {
		return Monitor{}, err
	}
	p, err := s.claimPool(tx, project, spec.PoolID.Or("", ""))
	if err != nil {
		return Monitor{}, err
	}
	return s.putMonitor(tx, p, spec)
}

// putMonitor records the monitor of a pool that is pending already.
func (s *Service) putMonitor(tx *engine.Tx, p Pool, spec MonitorSpec) (Monitor, error) {
	if err := room("Health Monitor", owned(tx, s.monitors, p.ProjectID), s.Quota(tx, p.ProjectID).HealthMonitor); err != nil {
		return Monitor{}, err
	}
	lb, err := s.LoadBalancer(tx, p.ProjectID, p.LB)
	if err != nil {
		return Monitor{}, err
	}
	m, err := monitorFrom(Monitor{Common: s.born(lb, spec.CommonSpec, text{}), PoolID: p.ID, Delay: unset, MaxRetriesDown: 3}, spec)
	if err != nil {
		return Monitor{}, err
	}
	if _, ok := s.monitorOf(tx, p); ok {
		return Monitor{}, engine.Refuse(engine.Conflict, "This pool already has a health monitor")
	}
	s.monitors.Put(tx, m)
	return m, nil
}

// monitorFrom is m changed as spec says. The type is for creations only.
func monitorFrom(m Monitor, spec MonitorSpec) (Monitor, error) {
	m.Type = spec.Type.Or(m.Type, "")
	switch {
	case m.Type == balancer.MonitorTCP || m.Type == balancer.MonitorHTTP:
	case slices.Contains(monitorTypes, m.Type):
		return m, unsupported("health monitors of type %s; this cloud probes by TCP and HTTP.", m.Type)
	default:
		return m, badInput("type", m.Type, "one of: "+strings.Join(monitorTypes, ", "))
	}
	if m.Delay == unset && spec.Delay.Value == nil {
		return m, engine.Refuse(engine.Invalid, "Invalid input for field/attribute delay. Value: 'None'. Mandatory field missing.")
	}
	m.Delay = spec.Delay.Or(m.Delay, 0)
	m.Timeout = spec.Timeout.Or(m.Timeout, 0)
	m.MaxRetries = spec.MaxRetries.Or(m.MaxRetries, 0)
	m.MaxRetriesDown = spec.MaxRetriesDown.Or(m.MaxRetriesDown, 3)
	if m.MaxRetriesDown == 0 && !spec.MaxRetriesDown.Set {
		m.MaxRetriesDown = 3
	}
	switch {
	case m.Delay < 0:
		return m, badInput("delay", m.Delay, "greater or equal to 0")
	case m.Timeout < 1:
		return m, badInput("timeout", m.Timeout, "greater or equal to 1")
	case m.MaxRetries < 1 || m.MaxRetries > 10:
		return m, between("max_retries", m.MaxRetries, 1, 10)
	case m.MaxRetriesDown < 1 || m.MaxRetriesDown > 10:
		return m, between("max_retries_down", m.MaxRetriesDown, 1, 10)
	}
	return withHTTP(m, spec)
}

func withHTTP(m Monitor, spec MonitorSpec) (Monitor, error) {
	if m.Type != balancer.MonitorHTTP {
		if spec.Method.Value != nil || spec.Path.Value != nil || spec.ExpectedCodes.Value != nil {
			return m, badRequest("http_method, url_path and expected_codes are for health monitors of type HTTP, not %s.", m.Type)
		}
		return m, nil
	}
	m.Method = orDefault(spec.Method.Or(m.Method, ""), "GET")
	m.Path = orDefault(spec.Path.Or(m.Path, ""), "/")
	m.ExpectedCodes = orDefault(spec.ExpectedCodes.Or(m.ExpectedCodes, ""), "200")
	switch {
	case !slices.Contains(httpMethods, m.Method):
		return m, badInput("http_method", m.Method, "one of: "+strings.Join(httpMethods, ", "))
	case !strings.HasPrefix(m.Path, "/"):
		return m, badInput("url_path", m.Path, "a path that begins with /")
	case !codesPattern.MatchString(m.ExpectedCodes) || len(m.ExpectedCodes) == 7 && m.ExpectedCodes[3] == '-' && m.ExpectedCodes[:3] > m.ExpectedCodes[4:]:
		return m, badInput("expected_codes", m.ExpectedCodes, "a code, a list of codes separated by commas, or a range")
	}
	return m, nil
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// UpdateMonitor changes a health monitor.
func (s *Service) UpdateMonitor(tx *engine.Tx, project, id string, spec MonitorSpec) (Monitor, error) {
	if spec.Type.Set || spec.PoolID.Set || spec.ProjectID.Set {
		return Monitor{}, badRequest("type and pool_id of a health monitor cannot be updated.")
	}
	m, err := s.Monitor(tx, project, id)
	if err != nil {
		return m, err
	}
	if m, err = monitorFrom(m, spec); err != nil {
		return m, err
	}
	if _, err := s.claimPool(tx, project, m.PoolID); err != nil {
		return m, err
	}
	m.apply(spec.CommonSpec, text{})
	return put(s, tx, s.monitors, m, PendingUpdate), nil
}

// DeleteMonitor removes a health monitor; the pool then uses all its members.
func (s *Service) DeleteMonitor(tx *engine.Tx, project, id string) error {
	m, err := s.Monitor(tx, project, id)
	if err != nil {
		return err
	}
	if _, err := s.claimPool(tx, project, m.PoolID); err != nil {
		return err
	}
	put(s, tx, s.monitors, m, PendingDelete)
	return nil
}
