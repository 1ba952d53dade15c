// Package network is the embedded cloud's networking: networks, subnets, ports, routers, floating IPs and security
// groups, with Neutron's rules for addresses, quotas, and what may be removed when. It keeps state only; no packet
// passes here. Every function works inside a transaction of its caller.
package network

import (
	"net/netip"
	"strings"
	"time"
)

// Standard are the attributes that every resource has.
type Standard struct {
	ID          string
	ProjectID   string
	Name        string
	Description string
	Tags        []string
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Revision    int // grows by one with every change
}

// Network is a layer-2 network.
type Network struct {
	Standard
	External bool // floating IPs and router gateways come from it; every project sees it
	Shared   bool
	MTU      int
	Down     bool // admin_state_up is false
}

// AddressPool is a range of addresses, both ends included.
type AddressPool struct {
	Start netip.Addr `json:"start"`
	End   netip.Addr `json:"end"`
}

// Subnet is an address range of a network.
type Subnet struct {
	Standard
	NetworkID   string
	CIDR        netip.Prefix
	Gateway     netip.Addr // zero: none
	Pools       []AddressPool
	DHCP        bool
	Nameservers []string
	HostRoutes  []Route // told to hosts besides the gateway
}

// FixedIP is an address of a port. In a request either field may be zero.
type FixedIP struct {
	SubnetID string
	Address  netip.Addr
}

// AddressPair is a further address that a port may send from.
type AddressPair struct {
	Address string `json:"ip_address"` // an address or a CIDR
	MAC     string `json:"mac_address,omitempty"`
}

// Port is a connection of a device to a network.
type Port struct {
	Standard
	NetworkID      string
	MAC            string
	FixedIPs       []FixedIP
	DeviceID       string
	DeviceOwner    string // "compute:<zone>", "Octavia", "network:router_interface", ...
	SecurityGroups []string
	AddressPairs   []AddressPair
	Down           bool // admin_state_up is false
	Insecure       bool // port_security_enabled is false
}

// Status is what Neutron reports: a port is ACTIVE when a server or a router plugs it in. That it names another device
// is nothing to Neutron.
func (p Port) Status() string {
	plugged := strings.HasPrefix(p.DeviceOwner, "compute:") || strings.HasPrefix(p.DeviceOwner, "network:")
	if !p.Down && p.DeviceID != "" && plugged {
		return "ACTIVE"
	}
	return "DOWN"
}

// Route is a static route of a router, or of the hosts of a subnet.
type Route struct {
	Destination string `json:"destination"`
	NextHop     string `json:"nexthop"`
}

// Router connects subnets with each other and with an external network.
type Router struct {
	Standard
	Down              bool
	ExternalNetworkID string // empty: no gateway
	GatewayPortID     string
	NoSNAT            bool
	Routes            []Route
}

// FloatingIP is an address of an external network that can point at a port.
type FloatingIP struct {
	Standard
	NetworkID string // the external network
	SubnetID  string
	Address   netip.Addr
	PortID    string     // empty: not associated
	FixedIP   netip.Addr // the port's address that it points at
	RouterID  string
}

// Status is ACTIVE while the address points at a port.
func (f FloatingIP) Status() string {
	if f.PortID != "" {
		return "ACTIVE"
	}
	return "DOWN"
}

// SecurityGroup is a named set of rules.
type SecurityGroup struct {
	Standard
}

// Rule lets traffic pass. The zero value of a matching field matches everything.
type Rule struct {
	Standard
	GroupID        string
	Direction      string // "ingress", "egress"
	EtherType      string // "IPv4", "IPv6"
	Protocol       string // "tcp", "udp", "icmp", a number, or empty
	PortMin        *int
	PortMax        *int
	RemotePrefix   string
	RemoteGroupID  string
	NoDescription  bool // Neutron reports null for the rules it made itself
	NormalizedCIDR string
}
