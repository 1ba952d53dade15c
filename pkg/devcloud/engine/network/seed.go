package network

import (
	"fmt"
	"net/netip"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// Config is what a cloud's network has from its start.
type Config struct {
	Networks []NetworkConfig `json:"networks,omitempty"`
	Routers  []RouterConfig  `json:"routers,omitempty"`
}

// NetworkConfig is a network that exists from the start. An external one belongs to the cloud, the others to the project.
type NetworkConfig struct { //nolint:revive // beside SubnetConfig and RouterConfig
	Name     string         `json:"name"`
	External bool           `json:"external,omitempty"`
	Shared   bool           `json:"shared,omitempty"`
	MTU      int            `json:"mtu,omitempty"`
	Subnets  []SubnetConfig `json:"subnets"`
}

// SubnetConfig is a subnet that exists from the start.
type SubnetConfig struct {
	Name    string        `json:"name"`
	CIDR    netip.Prefix  `json:"cidr"`
	Gateway netip.Addr    `json:"gateway,omitempty"` // default: the first address
	Pools   []AddressPool `json:"pools,omitempty"`   // default: all but the gateway
}

// RouterConfig is a router that exists from the start.
type RouterConfig struct {
	Name            string   `json:"name"`
	ExternalNetwork string   `json:"externalNetwork,omitempty"` // by name
	Subnets         []string `json:"subnets,omitempty"`         // by name
}

// CloudProject owns what belongs to the cloud itself: external networks.
const CloudProject = "00000000000000000000000000000000"

// Seed makes what cfg names and is not there yet, for a project. What exists under a name is left as it is.
func (s *Service) Seed(tx *engine.Tx, cfg Config, project string) error {
	s.EnsureDefaultGroup(tx, project)
	for i, n := range cfg.Networks {
		if err := s.seedNetwork(tx, n, project); err != nil {
			return fmt.Errorf("networks[%d] %q: %w", i, n.Name, err)
		}
	}
	for i, r := range cfg.Routers {
		if err := s.seedRouter(tx, r, project); err != nil {
			return fmt.Errorf("routers[%d] %q: %w", i, r.Name, err)
		}
	}
	return nil
}

func (s *Service) seedNetwork(tx *engine.Tx, cfg NetworkConfig, project string) error {
	if cfg.Name == "" {
		return fmt.Errorf("name: must not be empty")
	}
	if cfg.External {
		project = CloudProject
	}
	n, ok := first(s.networks.Where(tx, func(n Network) bool { return n.Name == cfg.Name && n.ProjectID == project }))
	if !ok {
		var err error
		n, err = s.CreateNetwork(tx, NetworkSpec{ProjectID: project, Name: cfg.Name, External: cfg.External, Shared: cfg.Shared, MTU: cfg.MTU})
		if err != nil {
			return err
		}
	}
	for i, sub := range cfg.Subnets {
		if _, ok := first(s.subnets.Where(tx, func(x Subnet) bool { return x.NetworkID == n.ID && x.Name == sub.Name })); ok {
			continue
		}
		_, err := s.CreateSubnet(tx, SubnetSpec{
			ProjectID: project, NetworkID: n.ID, Name: sub.Name, CIDR: sub.CIDR, Gateway: sub.Gateway, Pools: sub.Pools, NoDHCP: cfg.External,
		})
		if err != nil {
			return fmt.Errorf("subnets[%d] %q: %w", i, sub.Name, err)
		}
	}
	return nil
}

func (s *Service) seedRouter(tx *engine.Tx, cfg RouterConfig, project string) error {
	if _, ok := first(s.routers.Where(tx, func(r Router) bool { return r.Name == cfg.Name && r.ProjectID == project })); ok {
		return nil
	}
	spec := RouterSpec{ProjectID: project, Name: cfg.Name}
	if cfg.ExternalNetwork != "" {
		n, ok := first(s.networks.Where(tx, func(n Network) bool { return n.Name == cfg.ExternalNetwork && n.External }))
		if !ok {
			return fmt.Errorf("externalNetwork: no external network %q is configured", cfg.ExternalNetwork)
		}
		spec.Gateway = &Gateway{NetworkID: n.ID}
	}
	r, err := s.CreateRouter(tx, spec)
	if err != nil {
		return err
	}
	for i, name := range cfg.Subnets {
		sub, ok := first(s.subnets.Where(tx, func(x Subnet) bool { return x.Name == name }))
		if !ok {
			return fmt.Errorf("subnets[%d]: no subnet %q is configured", i, name)
		}
		if _, err := s.AddInterface(tx, r.ID, sub.ID); err != nil {
			return fmt.Errorf("subnets[%d] %q: %w", i, name, err)
		}
	}
	return nil
}

func first[T any](list []T) (T, bool) {
	if len(list) == 0 {
		var zero T
		return zero, false
	}
	return list[0], true
}
