package compute

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

// Service keeps the servers of all projects.
type Service struct {
	engine  *engine.Engine
	volumes *blockstorage.Service
	network *network.Service
	host    Host
	opts    Options
	servers *engine.Table[Server]
}

// New makes the service and registers its tasks.
func New(e *engine.Engine, volumes *blockstorage.Service, net *network.Service, host Host, opts Options) (*Service, error) {
	if len(opts.Flavors) == 0 || len(opts.Zones) == 0 {
		return nil, errors.New("compute needs at least one flavor and one zone")
	}
	s := &Service{engine: e, volumes: volumes, network: net, host: host, opts: opts}
	var err error
	if s.servers, err = engine.NewTable(e, "servers", func(v Server) string { return v.ID }); err != nil {
		return nil, err
	}
	e.Handle(taskCreate, s.create)
	e.Handle(taskStart, s.start)
	e.Handle(taskStop, s.stop)
	e.Handle(taskDelete, s.remove)
	e.Handle(taskResume, s.resume)
	e.Handle(taskSync, s.syncPower)
	return s, nil
}

// Flavors lists the flavors.
func (s *Service) Flavors() []Flavor { return s.opts.Flavors }

// Zones lists the availability zones.
func (s *Service) Zones() []string { return s.opts.Zones }

// Quota is every project's quota.
func (s *Service) Quota() Quota { return s.opts.Quota }

// Flavor returns a flavor by its id.
func (s *Service) Flavor(id string) (Flavor, bool) {
	i := slices.IndexFunc(s.opts.Flavors, func(f Flavor) bool { return f.ID == id })
	if i < 0 {
		return Flavor{}, false
	}
	return s.opts.Flavors[i], true
}

// NIC asks for one port of a new server: an existing one, or a new one on a network.
type NIC struct {
	PortID    string
	NetworkID string
	FixedIP   string // empty: any
}

// Spec is a server to be created.
type Spec struct {
	ProjectID, UserID string
	Name              string
	Description       *string
	FlavorID, ImageID string
	Zone              string // empty: the first zone
	Metadata          map[string]string
	SecurityGroups    []string // names; nil is the default group
	NICs              []NIC    // nil: one on the project's only network
	NoNetwork         bool
	Tags              []string
}

// MaxMetadata is how many pairs of metadata a server may have.
const MaxMetadata = 128

func checkMetadata(metadata map[string]string) error {
	if len(metadata) > MaxMetadata {
		return engine.Refuse(engine.Forbidden, "Maximum number of metadata items exceeds %d", MaxMetadata)
	}
	return nil
}

// Create accepts a new server and gives it its ports.
func (s *Service) Create(tx *engine.Tx, spec Spec) (Server, error) {
	if err := checkMetadata(spec.Metadata); err != nil {
		return Server{}, err
	}
	flavor, ok := s.Flavor(spec.FlavorID)
	if !ok {
		return Server{}, engine.Refuse(engine.Invalid, "Flavor %s could not be found.", spec.FlavorID)
	}
	if spec.ImageID != "" && !slices.Contains(s.opts.Images, spec.ImageID) {
		return Server{}, engine.Refuse(engine.Invalid, "Can not find requested image")
	}
	zone := cmp.Or(spec.Zone, s.opts.Zones[0])
	if !slices.Contains(s.opts.Zones, zone) {
		return Server{}, engine.Refuse(engine.Invalid, "The requested availability zone is not available")
	}
	if err := s.checkQuota(tx, spec.ProjectID, flavor); err != nil {
		return Server{}, err
	}
	now := s.engine.Now()
	v := Server{
		ID: uuid.NewString(), ProjectID: spec.ProjectID, UserID: spec.UserID, Name: spec.Name, Description: spec.Description,
		Status: Build, Task: TaskSpawning, Flavor: flavor, ImageID: spec.ImageID, Zone: zone,
		Metadata: spec.Metadata, SecurityGroups: spec.SecurityGroups, Tags: spec.Tags, Created: now, Updated: now,
	}
	if v.Metadata == nil {
		v.Metadata = map[string]string{}
	}
	if v.SecurityGroups == nil {
		v.SecurityGroups = []string{"default"}
	}
	if err := s.plug(tx, v, spec); err != nil {
		return Server{}, err
	}
	for _, nic := range spec.NICs {
		v = v.borrowed(nic)
	}
	s.servers.Put(tx, v)
	return v, s.engine.Schedule(tx, taskCreate, v.ID, onServer{v.ID})
}

func (s *Service) checkQuota(tx *engine.Tx, projectID string, f Flavor) error {
	used, limit := s.Usage(tx, projectID), s.opts.Quota
	for _, q := range []struct {
		name             string
		used, ask, limit int
	}{
		{"instances", used.Instances, 1, limit.Instances},
		{"cores", used.Cores, f.VCPUs, limit.Cores},
		{"ram", used.RAMMiB, f.RAMMiB, limit.RAMMiB},
	} {
		if q.limit >= 0 && q.used+q.ask > q.limit {
			return engine.Refuse(engine.OverQuota, "Quota exceeded for %s: Requested %d, but already used %d of %d %s",
				q.name, q.ask, q.used, q.limit, q.name)
		}
	}
	return nil
}

// Usage is what a project has.
func (s *Service) Usage(tx *engine.Tx, projectID string) Quota {
	var used Quota
	for _, v := range s.List(tx, projectID) {
		used.Instances++
		used.Cores += v.Flavor.VCPUs
		used.RAMMiB += v.Flavor.RAMMiB
	}
	return used
}

// plug makes or takes the ports of a new server.
func (s *Service) plug(tx *engine.Tx, v Server, spec Spec) error {
	nics := spec.NICs
	if nics == nil && !spec.NoNetwork {
		id, err := s.onlyNetwork(tx, v.ProjectID)
		if err != nil {
			return err
		}
		nics = []NIC{{NetworkID: id}}
	}
	var groups []string
	if spec.SecurityGroups != nil {
		var err error
		if groups, err = s.groupIDs(tx, v.ProjectID, spec.SecurityGroups); err != nil {
			return err
		}
	}
	for _, nic := range nics {
		if _, err := s.plugOne(tx, v, nic, groups); err != nil {
			return err
		}
	}
	return nil
}

// borrowed notes a port that existed before the server.
func (s Server) borrowed(nic NIC) Server {
	if nic.PortID != "" {
		s.BorrowedPorts = append(slices.Clone(s.BorrowedPorts), nic.PortID)
	}
	return s
}

// unplug takes a port off a server: its own are deleted.
func (s *Service) unplug(tx *engine.Tx, v Server, portID string) error {
	if !slices.Contains(v.BorrowedPorts, portID) {
		return s.network.DeletePort(tx, portID)
	}
	none := ""
	_, err := s.network.UpdatePort(tx, portID, network.PortChange{DeviceID: &none, DeviceOwner: &none})
	return err
}

func (s *Service) plugOne(tx *engine.Tx, v Server, nic NIC, groups []string) (network.Port, error) {
	owner := "compute:" + v.Zone
	if nic.PortID != "" {
		p, err := s.network.Port(tx, nic.PortID)
		if err != nil || p.ProjectID != v.ProjectID {
			return p, engine.Refuse(engine.Invalid, "Port id %s could not be found.", nic.PortID)
		}
		if p.DeviceID != "" {
			return p, engine.Refuse(engine.Conflict, "Port %s is still in use.", nic.PortID)
		}
		return s.network.UpdatePort(tx, nic.PortID, network.PortChange{DeviceID: &v.ID, DeviceOwner: &owner})
	}
	n, err := s.network.Network(tx, nic.NetworkID)
	if err != nil || n.ProjectID != v.ProjectID && !n.Shared {
		return network.Port{}, engine.Refuse(engine.Invalid, "Network %s could not be found.", nic.NetworkID)
	}
	port := network.PortSpec{
		ProjectID: v.ProjectID, NetworkID: n.ID, DeviceID: v.ID, DeviceOwner: owner, SecurityGroups: groups,
	}
	if nic.FixedIP != "" {
		address, err := netip.ParseAddr(nic.FixedIP)
		if err != nil {
			return network.Port{}, engine.Refuse(engine.Invalid, "Invalid input for field/attribute fixed_ip. Value: %s is not an IP address.", nic.FixedIP)
		}
		port.FixedIPs = []network.FixedIP{{Address: address}}
	}
	made, err := s.network.CreatePort(tx, port)
	var refusal *engine.Error
	if errors.As(err, &refusal) && refusal.Reason == engine.OverQuota { // Nova says 403 for Neutron's 409
		return made, engine.Refuse(engine.OverQuota, "Maximum number of ports exceeded")
	} else if errors.As(err, &refusal) { // in Nova's words, without Neutron's exception name
		return made, engine.Refuse(refusal.Reason, "%s", refusal.Message)
	}
	return made, err
}

// onlyNetwork is the network of a server that names none: the project's, if it has just one.
func (s *Service) onlyNetwork(tx *engine.Tx, projectID string) (string, error) {
	var ids []string
	for _, n := range s.network.Networks(tx) {
		if !n.External && (n.ProjectID == projectID || n.Shared) {
			ids = append(ids, n.ID)
		}
	}
	switch len(ids) {
	case 0:
		return "", engine.Refuse(engine.Invalid, "No networks are defined: create one, or ask for networks: \"none\".")
	case 1:
		return ids[0], nil
	}
	return "", engine.Refuse(engine.Conflict, "Multiple possible networks found, use a Network ID to be more specific.")
}

func (s *Service) groupIDs(tx *engine.Tx, projectID string, names []string) ([]string, error) {
	s.network.EnsureDefaultGroup(tx, projectID)
	var ids []string
	for _, name := range names {
		found := false
		for _, g := range s.network.Groups(tx) {
			if g.ProjectID == projectID && (g.Name == name || g.ID == name) {
				ids, found = append(ids, g.ID), true
				break
			}
		}
		if !found {
			return nil, engine.Refuse(engine.Invalid, "Unable to find security_group with name or id '%s'", name)
		}
	}
	return ids, nil
}

// Get returns a project's server.
func (s *Service) Get(tx *engine.Tx, projectID, id string) (Server, error) {
	v, ok := s.servers.Get(tx, id)
	if !ok || v.ProjectID != projectID {
		return Server{}, engine.Refuse(engine.NotFound, "Instance %s could not be found.", id)
	}
	return v, nil
}

// Find returns a server of any project.
func (s *Service) Find(tx *engine.Tx, id string) (Server, bool) { return s.servers.Get(tx, id) }

// List returns a project's servers, newest first.
func (s *Service) List(tx *engine.Tx, projectID string) []Server {
	all := s.servers.Where(tx, func(v Server) bool { return v.ProjectID == projectID })
	slices.Reverse(all)
	return all
}

// Change is an update of what a user may set; nil fields stay.
type Change struct {
	Name        *string
	Description engine.Optional[string]
	Metadata    map[string]string // replaces all of it
}

// Update changes a server's name, description or metadata. Whether it is a node is settled when it is created.
func (s *Service) Update(tx *engine.Tx, projectID, id string, c Change) (Server, error) {
	v, err := s.Get(tx, projectID, id)
	if err != nil {
		return v, err
	}
	if c.Name != nil {
		v.Name = *c.Name
	}
	if c.Description.Set {
		v.Description = c.Description.Pointer()
	}
	if c.Metadata != nil {
		if err := checkMetadata(c.Metadata); err != nil {
			return v, err
		}
		if _, node := c.Metadata[NodeKey]; node != v.IsNode() {
			return v, engine.Refuse(engine.Invalid, "metadata: %s can only be given when the server is created.", NodeKey)
		}
		v.Metadata = c.Metadata
	}
	return s.put(tx, v), nil
}

func (s *Service) put(tx *engine.Tx, v Server) Server {
	v.Updated = s.engine.Now()
	s.servers.Put(tx, v)
	return v
}
