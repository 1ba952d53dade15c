package compute

import (
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

// vmStates are Nova's names for what a status means inside.
var vmStates = map[Status]string{Build: "building", Active: "active", Shutoff: "stopped", Failed: "error"}

// VMState is the server's vm_state in Nova's words.
func (s Server) VMState() string { return vmStates[s.Status] }

// ready refuses an action while the server is busy or not in one of the states.
func (s Server) ready(action string, states ...Status) error {
	if s.Task != taskNone {
		return engine.Refuse(engine.Conflict, "Cannot '%s' instance %s while it is in task_state %s", action, s.ID, s.Task)
	}
	for _, st := range states {
		if s.Status == st {
			return nil
		}
	}
	return engine.Refuse(engine.Conflict, "Cannot '%s' instance %s while it is in vm_state %s", action, s.ID, s.VMState())
}

// Stop accepts a power-off.
func (s *Service) Stop(tx *engine.Tx, projectID, id string) error {
	v, err := s.Get(tx, projectID, id)
	if err == nil {
		err = v.ready("stop", Active, Failed)
	}
	if err != nil {
		return err
	}
	v.Task = TaskPoweringOff
	s.put(tx, v)
	return s.engine.Schedule(tx, taskStop, v.ID, onServer{v.ID})
}

// Start accepts a power-on.
func (s *Service) Start(tx *engine.Tx, projectID, id string) error {
	v, err := s.Get(tx, projectID, id)
	if err == nil {
		err = v.ready("start", Shutoff)
	}
	if err != nil {
		return err
	}
	v.Task = TaskPoweringOn
	s.put(tx, v)
	return s.engine.Schedule(tx, taskStart, v.ID, onServer{v.ID})
}

// Delete accepts a server's removal, in any state; the ports it made and its attachments go with it, its volumes stay.
func (s *Service) Delete(tx *engine.Tx, projectID, id string) error {
	v, err := s.Get(tx, projectID, id)
	if err != nil || v.Task == TaskDeleting {
		return err
	}
	v.Task = TaskDeleting
	s.put(tx, v)
	return s.engine.Schedule(tx, taskDelete, v.ID, onServer{v.ID})
}

// AttachVolume accepts a volume for the server.
func (s *Service) AttachVolume(tx *engine.Tx, projectID, id, volumeID string) (blockstorage.Attachment, error) {
	v, err := s.Get(tx, projectID, id)
	if err == nil {
		err = v.ready("attach_volume", Active, Shutoff)
	}
	if err != nil {
		return blockstorage.Attachment{}, err
	}
	// First, as in Nova: a volume that is here already or does not exist is told also from a full server.
	a, err := s.volumes.Attach(tx, projectID, volumeID, id)
	if err != nil {
		return blockstorage.Attachment{}, err
	}
	limit := s.opts.Quota.VolumesPerServer
	if limit > 0 && len(s.volumes.OnServer(tx, id)) > limit {
		return blockstorage.Attachment{}, engine.Refuse(engine.Forbidden,
			"The maximum allowed number of disk devices (%d) to attach to a single instance has been exceeded.", limit)
	}
	return a, nil
}

// Multiattach reports whether a volume of the project is multiattach.
func (s *Service) Multiattach(tx *engine.Tx, projectID, volumeID string) bool {
	v, err := s.volumes.Get(tx, projectID, volumeID)
	return err == nil && v.Multiattach
}

// DetachVolume accepts that a volume leaves the server.
func (s *Service) DetachVolume(tx *engine.Tx, projectID, id, volumeID string) error {
	v, err := s.Get(tx, projectID, id)
	if err == nil {
		err = v.ready("detach_volume", Active, Shutoff)
	}
	if err != nil {
		return err
	}
	return s.volumes.Detach(tx, projectID, volumeID, id)
}

// Volumes lists the volumes on a server or on their way there or away, oldest first.
func (s *Service) Volumes(tx *engine.Tx, serverID string) []blockstorage.Volume {
	return s.volumes.OnServer(tx, serverID)
}

// Ports lists the ports of a server.
func (s *Service) Ports(tx *engine.Tx, serverID string) []network.Port {
	return s.network.PortsOfDevice(tx, serverID)
}

// SecurityGroups are the names of the groups that a server's ports have.
func (s *Service) SecurityGroups(tx *engine.Tx, serverID string) []string {
	var names []string
	for _, p := range s.Ports(tx, serverID) {
		for _, id := range p.SecurityGroups {
			if g, err := s.network.Group(tx, id); err == nil && !slices.Contains(names, g.Name) {
				names = append(names, g.Name)
			}
		}
	}
	return names
}

// AddPort plugs one more port into a server.
func (s *Service) AddPort(tx *engine.Tx, projectID, id string, nic NIC) (network.Port, error) {
	v, err := s.Get(tx, projectID, id)
	if err == nil {
		err = v.ready("attach_interface", Active, Shutoff)
	}
	if err != nil {
		return network.Port{}, err
	}
	if nic.PortID == "" && nic.NetworkID == "" {
		if nic.NetworkID, err = s.onlyNetwork(tx, projectID); err != nil {
			return network.Port{}, err
		}
	}
	s.put(tx, v.borrowed(nic))
	return s.plugOne(tx, v, nic, nil)
}

// RemovePort unplugs a port from a server and deletes it, if it came with the server.
func (s *Service) RemovePort(tx *engine.Tx, projectID, id, portID string) error {
	v, err := s.Get(tx, projectID, id)
	if err == nil {
		err = v.ready("detach_interface", Active, Shutoff)
	}
	if err != nil {
		return err
	}
	p, err := s.network.Port(tx, portID)
	if err != nil || p.DeviceID != id {
		return engine.Refuse(engine.NotFound, "Port %s is not attached to instance %s.", portID, id)
	}
	s.put(tx, v)
	return s.unplug(tx, v, portID)
}

// Address is one address of a server.
type Address struct {
	IP       string
	MAC      string
	Floating bool
}

// Addresses are a server's addresses by the names of its networks, and those names in the order of its ports.
func (s *Service) Addresses(tx *engine.Tx, serverID string) (byNetwork map[string][]Address, names []string) {
	byNetwork = map[string][]Address{}
	for _, p := range s.Ports(tx, serverID) {
		n, err := s.network.Network(tx, p.NetworkID)
		if err != nil {
			continue
		}
		if _, ok := byNetwork[n.Name]; !ok {
			names = append(names, n.Name)
		}
		floating := s.network.FloatingIPsOfPort(tx, p.ID)
		for _, ip := range p.FixedIPs {
			byNetwork[n.Name] = append(byNetwork[n.Name], Address{IP: ip.Address.String(), MAC: p.MAC})
			for _, f := range floating {
				if f.FixedIP == ip.Address {
					byNetwork[n.Name] = append(byNetwork[n.Name], Address{IP: f.Address.String(), MAC: p.MAC, Floating: true})
				}
			}
		}
	}
	return byNetwork, names
}

// firstAddress is the fixed address that a node's processes use.
func (s *Service) firstAddress(tx *engine.Tx, serverID string) string {
	for _, p := range s.Ports(tx, serverID) {
		for _, ip := range p.FixedIPs {
			return ip.Address.String()
		}
	}
	return ""
}

// Hostname is the name a server's system gives itself.
func (s Server) Hostname() string { return strings.ToLower(strings.ReplaceAll(s.Name, " ", "-")) }
