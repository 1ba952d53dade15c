package loadbalancer

import (
	"errors"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

// The kinds of tasks, which are also the names of the operation times. Their key is the load balancer's id, so that they
// are done one after the other.
const (
	TaskCreate    = "loadbalancer.create"
	TaskUpdate    = "loadbalancer.update"
	TaskDelete    = "loadbalancer.delete"
	TaskAddresses = "loadbalancer.addresses" // only the addresses changed, or devcloud was started
)

// Service is the load balancers of an engine.
type Service struct {
	e        *engine.Engine
	network  *network.Service
	balancer Balancer
	quota    Quota            // of projects without one of their own
	quotas   map[string]Quota // by project
	applying sync.Mutex       // held while the data plane is changed
	forgets  func() bool

	lbs       *engine.Table[LoadBalancer]
	listeners *engine.Table[Listener]
	pools     *engine.Table[Pool]
	members   *engine.Table[Member]
	monitors  *engine.Table[Monitor]
}

// New opens the tables, registers the task handlers, and follows the floating IPs of the VIP ports.
// Call Restore before the engine runs.
func New(e *engine.Engine, n *network.Service, b Balancer, quota Quota) (*Service, error) {
	s := &Service{e: e, network: n, balancer: b, quota: quota, quotas: map[string]Quota{}}
	err := errors.Join(
		table(e, "loadbalancer.loadbalancers", &s.lbs, func(v LoadBalancer) string { return v.ID }),
		table(e, "loadbalancer.listeners", &s.listeners, func(v Listener) string { return v.ID }),
		table(e, "loadbalancer.pools", &s.pools, func(v Pool) string { return v.ID }),
		table(e, "loadbalancer.members", &s.members, func(v Member) string { return v.ID }),
		table(e, "loadbalancer.monitors", &s.monitors, func(v Monitor) string { return v.ID }),
	)
	e.Handle(TaskCreate, s.provision)
	e.Handle(TaskUpdate, s.provision)
	e.Handle(TaskDelete, s.remove)
	e.Handle(TaskAddresses, s.readdress)
	n.WatchPort(s.portChanged)
	return s, err
}

func table[T any](e *engine.Engine, name string, into **engine.Table[T], key func(T) string) error {
	t, err := engine.NewTable(e, name, key)
	*into = t
	return err
}

// ForgetParts has every creation of a load balancer ask whether its parts shall be left unfinished, as Octavia 11.0.0 does
// it: the load balancer becomes ACTIVE, they stay PENDING_CREATE. Call it before the engine runs.
func (s *Service) ForgetParts(ask func() bool) { s.forgets = ask }

// Quota is what a project may have.
func (s *Service) Quota(_ *engine.Tx, project string) Quota {
	if q, ok := s.quotas[project]; ok {
		return q
	}
	return s.quota
}

// SetQuota replaces what a project may have, until the process ends. ResetQuota is its inverse.
func (s *Service) SetQuota(_ *engine.Tx, project string, q Quota) { s.quotas[project] = q }

// ResetQuota gives a project the default again.
func (s *Service) ResetQuota(_ *engine.Tx, project string) { delete(s.quotas, project) }

// part is any part of a tree.
type part[T any] interface {
	*T
	meta() *Common
}

// owned counts a project's rows.
func owned[T any, P part[T]](tx *engine.Tx, t *engine.Table[T], project string) int {
	n := 0
	t.Where(tx, func(v T) bool {
		if P(&v).meta().ProjectID == project {
			n++
		}
		return false
	})
	return n
}

// of are the rows of a load balancer, oldest first; of all when lbID is empty.
func of[T any, P part[T]](tx *engine.Tx, t *engine.Table[T], lbID string) []T {
	if lbID == "" {
		return t.Where(tx, nil)
	}
	return t.Where(tx, func(v T) bool { return P(&v).meta().LB == lbID })
}

// get returns a row of the project; an empty project may see all.
func get[T any, P part[T]](tx *engine.Tx, t *engine.Table[T], what, project, id string) (T, error) {
	v, ok := t.Get(tx, id)
	if !ok || project != "" && P(&v).meta().ProjectID != project {
		return v, notFound(what, id)
	}
	return v, nil
}

// put records a part as changed; the load balancer's task settles it.
func put[T any, P part[T]](s *Service, tx *engine.Tx, t *engine.Table[T], v T, state string) T {
	P(&v).meta().pending(state, s.e.Now())
	t.Put(tx, v)
	return v
}

// born is a new part.
func (s *Service) born(lb LoadBalancer, spec CommonSpec, description text) Common {
	c := Common{ID: uuid.NewString(), ProjectID: lb.ProjectID, LB: lb.ID, CreatedAt: s.e.Now(), Provisioning: PendingCreate}
	c.apply(spec, description)
	return c
}

func (c *Common) apply(spec CommonSpec, description text) {
	c.Name = spec.Name.Or(c.Name, "")
	c.Description = description.Or(c.Description, "")
	c.Down = !spec.AdminStateUp.Or(!c.Down, true)
	c.Tags = slices.Compact(slices.Sorted(slices.Values(spec.Tags.Or(c.Tags, nil))))
}

// claim makes an ACTIVE load balancer PENDING_UPDATE and schedules the task that settles it. Any other state is 409.
func (s *Service) claim(tx *engine.Tx, project, lbID string) (LoadBalancer, error) {
	lb, err := s.LoadBalancer(tx, project, lbID)
	if err != nil {
		return lb, err
	}
	if lb.Provisioning != Active {
		return lb, immutable(lbID)
	}
	lb = put(s, tx, s.lbs, lb, PendingUpdate)
	return lb, s.e.Schedule(tx, TaskUpdate, lb.ID, nil)
}

// touchPool marks a pool, and the listeners that use it, as changed.
func (s *Service) touchPool(tx *engine.Tx, p Pool) Pool {
	if p.Provisioning == Active {
		p = put(s, tx, s.pools, p, PendingUpdate)
	}
	for _, l := range of(tx, s.listeners, p.LB) {
		if l.DefaultPoolID == p.ID && l.Provisioning == Active {
			put(s, tx, s.listeners, l, PendingUpdate)
		}
	}
	return p
}
