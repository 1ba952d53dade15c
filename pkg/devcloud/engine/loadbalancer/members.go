package loadbalancer

import (
	"net/netip"
	"reflect"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// Member returns a member of a pool.
func (s *Service) Member(tx *engine.Tx, project, poolID, id string) (Member, error) {
	if _, err := s.Pool(tx, project, poolID); err != nil {
		return Member{}, err
	}
	m, err := get(tx, s.members, "Member", project, id)
	if err == nil && m.PoolID != poolID {
		return Member{}, notFound("Member", id)
	}
	return m, err
}

// MembersOf are a pool's members, oldest first.
func (s *Service) MembersOf(tx *engine.Tx, poolID string) []Member {
	return s.members.Where(tx, func(m Member) bool { return m.PoolID == poolID })
}

// claimPool claims a pool's load balancer and marks the pool as changed.
func (s *Service) claimPool(tx *engine.Tx, project, poolID string) (Pool, error) {
	p, err := s.Pool(tx, project, poolID)
	if err != nil {
		return p, err
	}
	if p.Unfinished {
		return p, engine.Refuse(engine.Conflict, "Pool %s is immutable and cannot be updated.", p.ID)
	}
	if _, err := s.claim(tx, project, p.LB); err != nil {
		return p, err
	}
	return s.touchPool(tx, p), nil
}

// CreateMember adds a member to a pool.
func (s *Service) CreateMember(tx *engine.Tx, project, poolID string, spec MemberSpec) (Member, error) {
	if _, err := memberOf(Member{}, spec); err != nil {
		return Member{}, err
	}
	p, err := s.claimPool(tx, project, poolID)
	if err != nil {
		return Member{}, err
	}
	return s.putMember(tx, p, spec)
}

// putMember records a member of a pool that is pending already.
func (s *Service) putMember(tx *engine.Tx, p Pool, spec MemberSpec) (Member, error) {
	if err := room("Member", owned(tx, s.members, p.ProjectID), s.Quota(tx, p.ProjectID).Member); err != nil {
		return Member{}, err
	}
	lb, err := s.LoadBalancer(tx, p.ProjectID, p.LB)
	if err != nil {
		return Member{}, err
	}
	m, err := memberOf(Member{Common: s.born(lb, spec.CommonSpec, text{}), PoolID: p.ID, Weight: 1}, spec)
	if err != nil {
		return Member{}, err
	}
	if m.SubnetID != "" {
		if _, err := s.network.Subnet(tx, m.SubnetID); err != nil {
			return Member{}, engine.Refuse(engine.Invalid, "Subnet %s not found.", m.SubnetID)
		}
	}
	for _, other := range s.MembersOf(tx, p.ID) {
		if other.Address == m.Address && other.Port == m.Port && other.Provisioning != PendingDelete {
			return Member{}, engine.Refuse(engine.Conflict, "Another member on this pool is already using ip %s on protocol_port %d", m.Address, m.Port)
		}
	}
	s.members.Put(tx, m)
	return m, nil
}

// memberOf is m changed as spec says. Address, port and subnet are for creations only.
func memberOf(m Member, spec MemberSpec) (Member, error) {
	if spec.Address.Set || !m.Address.IsValid() {
		a, err := netip.ParseAddr(spec.Address.Or("", ""))
		if err != nil {
			return m, badInput("address", spec.Address.Or("", ""), "IPv4 or IPv6 format")
		}
		m.Address = a
	}
	m.Port = spec.Port.Or(m.Port, 0)
	if err := between("protocol_port", m.Port, 1, 65535); err != nil {
		return m, err
	}
	m.Weight = spec.Weight.Or(m.Weight, 1)
	if err := between("weight", m.Weight, 0, 256); err != nil {
		return m, err
	}
	if spec.Backup.Or(false, false) {
		return m, unsupported("backup members.")
	}
	m.SubnetID = spec.SubnetID.Or(m.SubnetID, "")
	m.MonitorAddress = spec.MonitorAddress.Or(m.MonitorAddress, "")
	if m.MonitorAddress != "" {
		if _, err := netip.ParseAddr(m.MonitorAddress); err != nil {
			return m, badInput("monitor_address", m.MonitorAddress, "IPv4 or IPv6 format")
		}
	}
	m.MonitorPort = spec.MonitorPort.Or(m.MonitorPort, 0)
	if m.MonitorPort < 0 || m.MonitorPort > 65535 || spec.MonitorPort.Value != nil && m.MonitorPort == 0 {
		return m, badInput("monitor_port", m.MonitorPort, "between 1 and 65535")
	}
	return m, nil
}

// UpdateMember changes a member's weight, probe, name, tags and admin state.
func (s *Service) UpdateMember(tx *engine.Tx, project, poolID, id string, spec MemberSpec) (Member, error) {
	if spec.Address.Set || spec.Port.Set || spec.SubnetID.Set || spec.ProjectID.Set {
		return Member{}, badRequest("address, protocol_port and subnet_id of a member cannot be updated.")
	}
	m, err := s.Member(tx, project, poolID, id)
	if err != nil {
		return m, err
	}
	if m, err = memberOf(m, spec); err != nil {
		return m, err
	}
	if _, err := s.claimPool(tx, project, poolID); err != nil {
		return m, err
	}
	m.apply(spec.CommonSpec, text{})
	return put(s, tx, s.members, m, PendingUpdate), nil
}

// DeleteMember removes a member.
func (s *Service) DeleteMember(tx *engine.Tx, project, poolID, id string) error {
	m, err := s.Member(tx, project, poolID, id)
	if err != nil {
		return err
	}
	if _, err := s.claimPool(tx, project, poolID); err != nil {
		return err
	}
	put(s, tx, s.members, m, PendingDelete)
	return nil
}

// SetMembers makes a pool's members those of specs, which are told apart by address and port. Members that stay as they
// are remain untouched; those not named are removed unless additive. The load balancer goes through PENDING_UPDATE even
// when nothing changes.
func (s *Service) SetMembers(tx *engine.Tx, project, poolID string, specs []MemberSpec, additive bool) error {
	type key struct {
		address netip.Addr
		port    int
	}
	wanted := map[key]bool{}
	for _, spec := range specs {
		m, err := memberOf(Member{}, spec)
		if err != nil {
			return err
		}
		k := key{m.Address, m.Port}
		if wanted[k] {
			return engine.Refuse(engine.Conflict, "Another member on this pool is already using ip %s on protocol_port %d", m.Address, m.Port)
		}
		wanted[k] = true
	}
	p, err := s.claimPool(tx, project, poolID)
	if err != nil {
		return err
	}
	present := map[key]Member{}
	for _, m := range s.MembersOf(tx, poolID) {
		k := key{m.Address, m.Port}
		if !wanted[k] {
			if !additive {
				put(s, tx, s.members, m, PendingDelete)
			}
			continue
		}
		present[k] = m
	}
	for _, spec := range specs {
		fresh, _ := memberOf(Member{}, spec) // checked above
		old, ok := present[key{fresh.Address, fresh.Port}]
		if !ok {
			if _, err := s.putMember(tx, p, spec); err != nil {
				return err
			}
			continue
		}
		changed, err := memberOf(old, spec)
		if err != nil {
			return err
		}
		changed.apply(spec.CommonSpec, text{})
		changed.SubnetID = old.SubnetID
		if old.Unfinished || !reflect.DeepEqual(changed, old) {
			put(s, tx, s.members, changed, PendingUpdate)
		}
	}
	return nil
}
