package loadbalancer

import (
	"context"
	"fmt"
	"time"

	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/balancer"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// maxTries is how often a change is tried before the load balancer goes to ERROR.
const maxTries = 3

// Restore schedules that every load balancer serves again; call it when the cloud starts, before the engine runs.
func (s *Service) Restore(tx *engine.Tx) error {
	for _, lb := range s.lbs.Where(tx, nil) {
		if lb.Provisioning == PendingCreate || lb.Provisioning == PendingDelete {
			continue // it has not served yet, or shall not any more
		}
		key := lb.ID
		if s.e.Pending(tx, key) {
			key += "/restore" // its clients shall not wait for the change that is pending
		}
		if err := s.e.Schedule(tx, TaskAddresses, key, lb.ID); err != nil {
			return err
		}
	}
	return nil
}

// portChanged follows the floating IPs of a VIP port, and its removal.
func (s *Service) portChanged(tx *engine.Tx, portID string) error {
	for _, lb := range s.lbs.Where(tx, func(lb LoadBalancer) bool { return lb.VIPPortID == portID }) {
		if err := s.e.Schedule(tx, TaskAddresses, lb.ID, lb.ID); err != nil {
			return err
		}
	}
	return nil
}

// final reports whether a failure now is the last one; that the process ends is no failure.
func final(ctx context.Context, t engine.Task) bool { return ctx.Err() == nil && t.Try >= maxTries-1 }

// provision carries out a pending creation or update and settles it.
func (s *Service) provision(ctx context.Context, t engine.Task) error {
	found, err := s.apply(ctx, t.Key)
	if err != nil && !final(ctx, t) {
		return err
	}
	if err != nil {
		klog.FromContext(ctx).Error(err, "Load balancer goes to ERROR", "loadBalancer", t.Key)
	}
	if !found {
		return nil
	}
	return s.e.Update(func(tx *engine.Tx) error {
		s.settle(tx, t.Key, err != nil)
		return nil
	})
}

// readdress brings the data plane up to date. Only a failure changes the load balancer's state.
func (s *Service) readdress(ctx context.Context, t engine.Task) error {
	var id string
	if err := t.Decode(&id); err != nil {
		return err
	}
	_, err := s.apply(ctx, id)
	if err == nil || !final(ctx, t) {
		return err
	}
	klog.FromContext(ctx).Error(err, "Load balancer goes to ERROR", "loadBalancer", id)
	return s.e.Update(func(tx *engine.Tx) error {
		if lb, ok := s.lbs.Get(tx, id); ok && lb.Provisioning == Active {
			lb.Provisioning = Errored
			s.lbs.Put(tx, lb)
		}
		return nil
	})
}

// apply makes the data plane do what the tables say. Only one at a time reads and applies: who comes later has read the
// newer state.
func (s *Service) apply(ctx context.Context, lbID string) (found bool, err error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	var cfg balancer.Config
	_ = s.e.View(func(tx *engine.Tx) error {
		cfg, found = s.config(tx, lbID)
		return nil
	})
	if !found {
		return false, nil
	}
	if err := s.balancer.Apply(ctx, cfg); err != nil {
		return true, fmt.Errorf("apply load balancer %s: %w", lbID, err)
	}
	return true, nil
}

// remove carries out a deletion.
func (s *Service) remove(ctx context.Context, t engine.Task) error {
	s.applying.Lock()
	err := s.balancer.Remove(ctx, t.Key)
	s.applying.Unlock()
	if err != nil {
		return fmt.Errorf("remove load balancer %s: %w", t.Key, err)
	}
	return s.e.Update(func(tx *engine.Tx) error {
		lb, ok := s.lbs.Get(tx, t.Key)
		if !ok {
			return nil
		}
		purge(tx, s.members, lb.ID)
		purge(tx, s.monitors, lb.ID)
		purge(tx, s.listeners, lb.ID)
		purge(tx, s.pools, lb.ID)
		s.lbs.Delete(tx, lb.ID)
		if lb.ForeignPort {
			return nil
		}
		if _, err := s.network.Port(tx, lb.VIPPortID); err != nil {
			return nil //nolint:nilerr // somebody removed the port already: the same outcome
		}
		return s.network.DeletePort(tx, lb.VIPPortID)
	})
}

func purge[T any, P part[T]](tx *engine.Tx, t *engine.Table[T], lbID string) {
	for _, v := range of[T, P](tx, t, lbID) {
		t.Delete(tx, P(&v).meta().ID)
	}
}

// settle ends what is pending in a tree.
func (s *Service) settle(tx *engine.Tx, lbID string, failed bool) {
	settle(s, tx, s.members, lbID, failed)
	settle(s, tx, s.monitors, lbID, failed)
	settle(s, tx, s.listeners, lbID, failed)
	settle(s, tx, s.pools, lbID, failed)
	settle(s, tx, s.lbs, lbID, failed)
}

func settle[T any, P part[T]](s *Service, tx *engine.Tx, t *engine.Table[T], lbID string, failed bool) {
	for _, v := range of[T, P](tx, t, lbID) {
		c := P(&v).meta()
		switch {
		case c.Provisioning == Active || c.Provisioning == Errored || c.Unfinished:
			continue
		case failed:
			c.Provisioning = Errored
		case c.Provisioning == PendingDelete:
			t.Delete(tx, c.ID)
			continue
		default:
			c.Provisioning = Active
		}
		c.UpdatedAt = s.e.Now()
		t.Put(tx, v)
	}
}

// config is what the tables ask of the data plane. found is false when the load balancer is gone or going.
func (s *Service) config(tx *engine.Tx, lbID string) (cfg balancer.Config, found bool) {
	lb, ok := s.lbs.Get(tx, lbID)
	if !ok || lb.Provisioning == PendingDelete {
		return balancer.Config{}, false
	}
	cfg = balancer.Config{ID: lb.ID}
	if _, err := s.network.Port(tx, lb.VIPPortID); err == nil { // without its port a virtual address is unreachable
		cfg.Addresses = append(cfg.Addresses, lb.VIPAddress.String())
		for _, f := range s.network.FloatingIPsOfPort(tx, lb.VIPPortID) {
			if f.FixedIP == lb.VIPAddress {
				cfg.Addresses = append(cfg.Addresses, f.Address.String())
			}
		}
	}
	if lb.Down {
		return cfg, true
	}
	t := s.Trees(tx, lbID)
	pools := map[string]*balancer.Pool{}
	for _, p := range t.Pools[lbID] {
		if !p.Down && !p.Unfinished && p.Provisioning != PendingDelete {
			pools[p.ID] = t.poolConfig(p)
		}
	}
	for _, l := range t.Listeners[lbID] {
		if l.Down || l.Unfinished || l.Provisioning == PendingDelete {
			continue
		}
		cfg.Listeners = append(cfg.Listeners, balancer.Listener{
			ID: l.ID, Port: l.Port, AllowedCIDRs: l.AllowedCIDRs, ConnectionLimit: l.ConnectionLimit,
			ClientTimeout: milliseconds(l.ClientData), MemberTimeout: milliseconds(l.MemberData),
			MemberConnectTimeout: milliseconds(l.MemberConnect), Pool: pools[l.DefaultPoolID],
		})
	}
	return cfg, true
}

func (t Trees) poolConfig(p Pool) *balancer.Pool {
	cfg := &balancer.Pool{ID: p.ID, Algorithm: p.Algorithm, SourceIPPersistence: p.Persistence == "SOURCE_IP"}
	for _, m := range t.Members[p.ID] {
		if m.Provisioning == PendingDelete {
			continue
		}
		cfg.Members = append(cfg.Members, balancer.Member{
			ID: m.ID, Address: m.Address.String(), Port: m.Port, Weight: m.Weight, AdminDown: m.Down,
			MonitorAddress: m.MonitorAddress, MonitorPort: m.MonitorPort,
		})
	}
	if m, ok := t.Monitors[p.ID]; ok && !m.Down && m.Provisioning != PendingDelete {
		cfg.Monitor = &balancer.Monitor{
			Type: m.Type, Delay: seconds(m.Delay), Timeout: seconds(m.Timeout),
			MaxRetries: m.MaxRetries, MaxRetriesDown: m.MaxRetriesDown,
			Path: m.Path, Method: m.Method, ExpectedCodes: m.ExpectedCodes,
		}
	}
	return cfg
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }
func seconds(n int) time.Duration      { return time.Duration(n) * time.Second }
