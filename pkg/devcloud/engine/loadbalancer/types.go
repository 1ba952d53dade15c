// Package loadbalancer is the embedded cloud's load balancing as Octavia states it: trees of listeners, pools, members
// and health monitors that are immutable while a change of them is being carried out. A change is recorded as pending
// together with the task that carries it out, so that a crash in between only delays it. What the trees ask for is done
// by a Balancer.
package loadbalancer

import (
	"net/netip"
	"time"
)

// The provisioning states.
const (
	Active        = "ACTIVE"
	PendingCreate = "PENDING_CREATE"
	PendingUpdate = "PENDING_UPDATE"
	PendingDelete = "PENDING_DELETE"
	Errored       = "ERROR"
)

// The operating states.
const (
	Online    = "ONLINE"
	Offline   = "OFFLINE"
	Degraded  = "DEGRADED"
	Failed    = "ERROR"
	Draining  = "DRAINING"
	NoMonitor = "NO_MONITOR"
)

// ProviderName is the provider that this cloud answers to.
const ProviderName = "amphora"

// Common are the attributes that all parts of a tree have.
type Common struct {
	ID           string
	ProjectID    string
	LB           string // the load balancer's id
	Name         string
	Description  string
	Tags         []string
	Down         bool // admin_state_up is false
	Provisioning string
	CreatedAt    time.Time
	UpdatedAt    time.Time // zero: never
	// Unfinished: it was created with its load balancer and left as it was, which is a defect that can be ordered. It is not
	// in the data plane until it is written to.
	Unfinished bool `json:",omitempty"`
}

// pending marks a change that the update task of the load balancer will settle.
func (c *Common) pending(state string, now time.Time) {
	c.Provisioning, c.Unfinished = state, false
	if state != PendingCreate {
		c.UpdatedAt = now
	}
}

func (c *Common) meta() *Common { return c }

// LoadBalancer is a virtual address and what listens there.
type LoadBalancer struct {
	Common
	VIPAddress   netip.Addr
	VIPPortID    string
	VIPSubnetID  string
	VIPNetworkID string
	ForeignPort  bool // the VIP port was given by the user, who keeps it
}

// Listener accepts connections on a port of the virtual address.
type Listener struct {
	Common
	Protocol        string
	Port            int
	ConnectionLimit int // -1: none
	DefaultPoolID   string
	AllowedCIDRs    []string
	// Times without traffic after which a connection is cut, in milliseconds.
	ClientData, MemberConnect, MemberData, TCPInspect int
}

// Pool is a group of members and the way to choose among them.
type Pool struct {
	Common
	Protocol    string
	Algorithm   string
	Persistence string // "" or "SOURCE_IP"
}

// Member is one backend of a pool.
type Member struct {
	Common
	PoolID         string
	Address        netip.Addr
	Port           int
	Weight         int
	SubnetID       string
	MonitorAddress string
	MonitorPort    int // 0: Port
}

// Monitor says how a pool's members are probed.
type Monitor struct {
	Common
	PoolID         string
	Type           string
	Delay          int // seconds
	Timeout        int // seconds
	MaxRetries     int
	MaxRetriesDown int
	Method         string // HTTP only, as the two below
	Path           string
	ExpectedCodes  string
}
