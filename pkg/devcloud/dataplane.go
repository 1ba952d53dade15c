package devcloud

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/address"
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/balancer"
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/disk"
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/hypervisor"
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/metadata"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/loadbalancer"
)

// dataPlane is what stands behind the APIs.
type dataPlane struct {
	disks    blockstorage.Disks
	host     compute.Host
	balancer loadbalancer.Balancer
	close    func()
}

// newDataPlane makes the real data plane, or none for a simulation. describe tells what a server may know of itself.
func newDataPlane(ctx context.Context, c Config, describe func(serverID string) (metadata.Document, bool)) (*dataPlane, error) {
	if c.Simulate {
		return &dataPlane{
			disks: blockstorage.NullDisks{}, host: compute.NullHost(), balancer: &loadbalancer.Null{}, close: func() {},
		}, nil
	}
	disks, err := disk.New(c.StateDir)
	if err != nil {
		return nil, err
	}
	host := compute.Host{DiskDirs: disks, Hypervisor: noHypervisor{}}
	if len(c.Hypervisor.Command) > 0 {
		host.Hypervisor, err = hypervisor.New(hypervisor.Options{
			Argv: c.Hypervisor.Command, Dir: filepath.Join(c.StateDir, "hypervisor"), Timeout: time.Duration(c.Hypervisor.Timeout),
		})
		if err != nil {
			return nil, err
		}
	}
	log := klog.FromContext(ctx)
	opts := balancer.Options{Logger: log}
	if rules := c.addressRules(); len(rules) > 0 {
		if opts.Addresses, err = address.New(rules, c.AddressRecords()); err != nil {
			return nil, err
		}
	}
	service := metadata.New(describe, log)
	host.Metadata = service
	lb := balancer.New(opts)
	return &dataPlane{disks: disks, host: host, balancer: lb, close: func() {
		lb.Close()
		service.Close()
	}}, nil
}

// AddressRecords is the file that remembers which addresses the cloud has put on this machine.
func (c Config) AddressRecords() string { return filepath.Join(c.StateDir, "addresses.json") }

// addressRules send the addresses of each configured network to the device for its kind.
func (c Config) addressRules() []address.Rule {
	var rules []address.Rule
	for _, n := range c.Networks {
		device := c.AddressDevices.VIP
		if n.External {
			device = c.AddressDevices.Floating
		}
		if device == "" {
			continue
		}
		for _, s := range n.Subnets {
			rules = append(rules, address.Rule{Network: s.CIDR, Device: device})
		}
	}
	return rules
}

// noHypervisor refuses nodes: the configuration has no command for them.
type noHypervisor struct{}

func (noHypervisor) Start(_ context.Context, s hypervisor.Server) (hypervisor.Started, error) {
	return hypervisor.Started{}, fmt.Errorf("server %s has metadata %s, but hypervisor.command is not configured", s.ID, compute.NodeKey)
}
func (noHypervisor) Stop(context.Context, string) error            { return nil }
func (noHypervisor) Running(context.Context, string) (bool, error) { return false, nil }

// describe is what a server's metadata service tells.
func (c *Cloud) describe(serverID string) (d metadata.Document, ok bool) {
	_ = c.Engine.View(func(tx *engine.Tx) error {
		var s compute.Server
		if s, ok = c.compute.Find(tx, serverID); !ok {
			return nil
		}
		d = metadata.Document{
			ID: s.ID, Name: s.Name, Hostname: s.Hostname(), AvailabilityZone: s.Zone, ProjectID: s.ProjectID, Metadata: s.Metadata,
		}
		for _, p := range c.compute.Ports(tx, s.ID) {
			for _, ip := range p.FixedIPs {
				n := metadata.Network{ID: p.NetworkID, PortID: p.ID, MACAddress: p.MAC, Address: ip.Address.String()}
				if sub, err := c.network.Subnet(tx, ip.SubnetID); err == nil {
					n.Netmask = netmask(sub.CIDR.Bits(), sub.CIDR.Addr().BitLen())
					if sub.Gateway.IsValid() {
						n.Gateway = sub.Gateway.String()
					}
				}
				d.Networks = append(d.Networks, n)
			}
		}
		if len(d.Networks) > 0 {
			d.Address = d.Networks[0].Address
		}
		return nil
	})
	return d, ok
}
