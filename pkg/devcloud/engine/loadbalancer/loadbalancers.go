package loadbalancer

import (
	"errors"
	"net/netip"

	"github.com/google/uuid"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

// PortOwner is the device owner of the VIP ports.
const PortOwner = "Octavia"

// LoadBalancer returns a load balancer of the project; an empty project may see all. The other getters are alike.
func (s *Service) LoadBalancer(tx *engine.Tx, project, id string) (LoadBalancer, error) {
	return get(tx, s.lbs, "Load Balancer", project, id)
}

// LoadBalancers are all load balancers, oldest first.
func (s *Service) LoadBalancers(tx *engine.Tx) []LoadBalancer { return s.lbs.Where(tx, nil) }

// CreateLoadBalancer records a load balancer, with its tree if spec has one, takes its address, and schedules its
// making.
func (s *Service) CreateLoadBalancer(tx *engine.Tx, project string, spec LoadBalancerSpec) (LoadBalancer, error) {
	if p := spec.Provider.Or(ProviderName, ProviderName); p != ProviderName && p != "octavia" {
		return LoadBalancer{}, engine.Refuse(engine.Invalid, "Provider '%s' is not enabled.", p)
	}
	if err := room("Load Balancer", owned(tx, s.lbs, project), s.Quota(tx, project).LoadBalancer); err != nil {
		return LoadBalancer{}, err
	}
	lb := LoadBalancer{Common: s.born(LoadBalancer{}, spec.CommonSpec, spec.Description)}
	lb.ID, lb.ProjectID = uuid.NewString(), project
	lb.LB = lb.ID
	lb, err := s.withVIP(tx, lb, spec)
	if err != nil {
		return LoadBalancer{}, err
	}
	s.lbs.Put(tx, lb)
	if err := s.populate(tx, lb, spec); err != nil {
		return LoadBalancer{}, err
	}
	if len(spec.Listeners)+len(spec.Pools) > 0 && s.forgets != nil && s.forgets() {
		s.forget(tx, lb.ID)
	}
	return lb, s.e.Schedule(tx, TaskCreate, lb.ID, nil)
}

// withVIP is lb with its address, on a port that it makes unless the user brought one.
func (s *Service) withVIP(tx *engine.Tx, lb LoadBalancer, spec LoadBalancerSpec) (LoadBalancer, error) {
	if id := spec.VIPPortID.Or("", ""); id != "" {
		return s.onPort(tx, lb, id)
	}
	sub, err := s.vipSubnet(tx, lb.ProjectID, spec)
	if err != nil {
		return lb, err
	}
	want := network.FixedIP{SubnetID: sub.ID}
	if a := spec.VIPAddress.Or("", ""); a != "" {
		if want.Address, err = netip.ParseAddr(a); err != nil {
			return lb, badInput("vip_address", a, "IPv4 or IPv6 format")
		}
	}
	port, err := s.network.CreatePort(tx, network.PortSpec{
		ProjectID: lb.ProjectID, NetworkID: sub.NetworkID, Name: "octavia-lb-" + lb.ID,
		FixedIPs: []network.FixedIP{want}, DeviceID: "lb-" + lb.ID, DeviceOwner: PortOwner,
		SecurityGroups: []string{}, Down: true,
	})
	var refusal *engine.Error
	if errors.As(err, &refusal) {
		// Octavia does not tell its users' mistakes in the network from the network's own faults.
		return lb, engine.Refuse(ProviderFault, "Provider '%s' reports error: %s", ProviderName, refusal.Message)
	}
	if err != nil {
		return lb, err
	}
	lb.VIPPortID, lb.VIPAddress = port.ID, port.FixedIPs[0].Address
	lb.VIPSubnetID, lb.VIPNetworkID = sub.ID, sub.NetworkID
	return lb, nil
}

func (s *Service) onPort(tx *engine.Tx, lb LoadBalancer, portID string) (LoadBalancer, error) {
	port, err := s.network.Port(tx, portID)
	if err != nil || port.ProjectID != lb.ProjectID {
		return lb, engine.Refuse(engine.Invalid, "Port %s not found.", portID)
	}
	if len(port.FixedIPs) == 0 {
		return lb, badRequest("VIP port %s has no address.", portID)
	}
	if port.DeviceID != "" {
		return lb, badRequest("VIP port %s is used by device %s.", portID, port.DeviceID)
	}
	for _, other := range s.lbs.Where(tx, func(other LoadBalancer) bool { return other.VIPPortID == portID }) {
		return lb, badRequest("VIP port %s is used by load balancer %s.", portID, other.ID)
	}
	lb.ForeignPort, lb.VIPPortID, lb.VIPNetworkID = true, portID, port.NetworkID
	lb.VIPAddress, lb.VIPSubnetID = port.FixedIPs[0].Address, port.FixedIPs[0].SubnetID
	return lb, nil
}

func (s *Service) vipSubnet(tx *engine.Tx, project string, spec LoadBalancerSpec) (network.Subnet, error) {
	subnetID, networkID := spec.VIPSubnetID.Or("", ""), spec.VIPNetworkID.Or("", "")
	if subnetID == "" && networkID == "" {
		return network.Subnet{}, badRequest("VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.")
	}
	if subnetID == "" {
		if n, err := s.network.Network(tx, networkID); err != nil || !usable(n, project) {
			return network.Subnet{}, engine.Refuse(engine.Invalid, "Network %s not found.", networkID)
		}
		for _, sub := range s.network.SubnetsOf(tx, networkID) {
			if sub.CIDR.Addr().Is4() {
				return sub, nil
			}
		}
		return network.Subnet{}, badRequest("Supplied network does not contain a subnet.")
	}
	sub, err := s.network.Subnet(tx, subnetID)
	if err != nil {
		return sub, engine.Refuse(engine.Invalid, "Subnet %s not found.", subnetID)
	}
	n, err := s.network.Network(tx, sub.NetworkID)
	if err != nil || !usable(n, project) {
		return sub, engine.Refuse(engine.Invalid, "Subnet %s not found.", subnetID)
	}
	if networkID != "" && networkID != sub.NetworkID {
		return sub, badRequest("Supplied VIP subnet is not part of the supplied VIP network.")
	}
	return sub, nil
}

func usable(n network.Network, project string) bool {
	return n.ProjectID == project || n.Shared || n.External
}

// UpdateLoadBalancer changes name, description, tags and admin state.
func (s *Service) UpdateLoadBalancer(tx *engine.Tx, project, id string, spec LoadBalancerSpec) (LoadBalancer, error) {
	if spec.VIPSubnetID.Set || spec.VIPNetworkID.Set || spec.VIPPortID.Set || spec.VIPAddress.Set ||
		spec.Provider.Set || spec.ProjectID.Set || spec.Listeners != nil || spec.Pools != nil {
		return LoadBalancer{}, badRequest("only name, description, tags and admin_state_up of a load balancer can be updated.")
	}
	if lb, err := s.LoadBalancer(tx, project, id); err != nil {
		return lb, err
	} else if lb.Provisioning != Active {
		return lb, engine.Refuse(engine.Conflict, "Invalid state %s of loadbalancer resource %s", lb.Provisioning, id)
	}
	lb, err := s.claim(tx, project, id)
	if err != nil {
		return lb, err
	}
	lb.apply(spec.CommonSpec, spec.Description)
	s.lbs.Put(tx, lb)
	return lb, nil
}

// DeleteLoadBalancer schedules the removal of a load balancer; with children it must be a cascade.
func (s *Service) DeleteLoadBalancer(tx *engine.Tx, project, id string, cascade bool) error {
	lb, err := s.LoadBalancer(tx, project, id)
	if err != nil {
		return err
	}
	if !cascade && len(of(tx, s.listeners, id))+len(of(tx, s.pools, id)) > 0 {
		return badRequest("Cannot delete Load Balancer %s - it has children", id)
	}
	if lb.Provisioning != Active && lb.Provisioning != Errored {
		return engine.Refuse(engine.Conflict, "Invalid state %s of loadbalancer resource %s", lb.Provisioning, id)
	}
	put(s, tx, s.lbs, lb, PendingDelete)
	return s.e.Schedule(tx, TaskDelete, id, nil)
}
