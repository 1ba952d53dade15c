package cloud

import "context"

// ProvisioningState is whether the cloud is still at work on a load balancer.
type ProvisioningState string

// The provisioning states of a load balancer and of each of its parts.
const (
	ProvisioningActive  ProvisioningState = "active"
	ProvisioningPending ProvisioningState = "pending" // immutable: every write is answered ErrBusy
	ProvisioningError   ProvisioningState = "error"
	ProvisioningDeleted ProvisioningState = "deleted"
)

// LoadBalancer is a balancer with its virtual address. The list form has no Listeners and Pools.
type LoadBalancer struct {
	ID           string
	Name         string
	Description  string
	Provisioning ProvisioningState
	RawState     string
	Provider     string
	VIP          string // the virtual IP address
	VIPPortID    string
	VIPSubnetID  string
	VIPNetworkID string
	Tags         []string
	Listeners    []Listener
	Pools        []Pool
}

// Listener accepts connections on one port of the virtual address.
type Listener struct {
	ID            string
	Name          string // our key: stable for the life of the Service port
	Protocol      string // "TCP"
	Port          int32
	ConnectionMax int32 // -1: unlimited
	AllowedCIDRs  []string
	DefaultPoolID string
	Provisioning  ProvisioningState
	// How long an idle connection is kept, in milliseconds; 0 in a write: the cloud's default.
	TimeoutClientData    int32
	TimeoutMemberConnect int32
	TimeoutMemberData    int32
	// Pool names the default pool by Name in a creating request.
	Pool string
}

// Pool distributes a listener's connections over its members.
type Pool struct {
	ID           string
	Name         string // our key
	Protocol     string
	Algorithm    string // "ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP"
	Persistence  string // "", "SOURCE_IP"
	Members      []Member
	Monitor      *Monitor
	Provisioning ProvisioningState
}

// Member is one backend of a pool: identified by Address and Port.
type Member struct {
	ID       string
	Name     string
	Address  string
	Port     int32
	SubnetID string // may be empty
	Weight   int32  // 0: takes no new connections
	// MonitorPort is where the pool's monitor asks; 0: at Port.
	MonitorPort  int32
	Provisioning ProvisioningState
}

// Monitor is how a pool finds out which members work. Times are in seconds.
type Monitor struct {
	ID             string
	Name           string
	Type           string // "TCP", "HTTP"
	Delay          int32
	Timeout        int32
	MaxRetries     int32
	MaxRetriesDown int32
	Path           string // HTTP only
	HTTPMethod     string // HTTP only
	ExpectedCodes  string // HTTP only: "200", "200-204"
	Provisioning   ProvisioningState
}

// FloatingIP is a public address that points at a port.
type FloatingIP struct {
	ID          string
	Address     string
	NetworkID   string
	PortID      string // empty: not associated
	Description string // carries identity: it is part of the creating request
}

// FloatingIPSpec is a floating IP to be created and associated in one request.
type FloatingIPSpec struct {
	NetworkID   string
	SubnetID    string // empty: the cloud's choice
	Address     string // empty: the cloud's choice
	PortID      string
	Description string
}

// Network is a network of the cloud.
type Network struct {
	ID        string
	Name      string
	External  bool
	SubnetIDs []string
}

// Subnet is an address range of a network.
type Subnet struct {
	ID        string
	Name      string
	NetworkID string
	CIDR      string
	IPVersion int
}

// LoadBalancers is what a cloud offers for balancing. Every method is one request (lists: one per page;
// GetLoadBalancer: a full read, at most 3+2P for P pools) and waits for nothing. Any write to a balancer that is
// ProvisioningPending is ErrBusy; every accepted write makes it pending. A balancer in ProvisioningError takes no write
// but DeleteLoadBalancer; it answers ErrBusy as well, and only its state tells the two apart.
type LoadBalancers interface {
	// CreateLoadBalancer creates the whole tree in one request: listeners name their pools by Pool.
	// Every pool needs a name. The answer has the balancer's id and address; of the tree it may have only a part.
	// Not idempotent: names are not unique. ErrExhausted over quota, ErrInvalid for a bad subnet or value.
	CreateLoadBalancer(ctx context.Context, lb LoadBalancer) (LoadBalancer, error)
	// GetLoadBalancer reads the whole tree from the cloud. ErrNotFound is proof of absence.
	GetLoadBalancer(ctx context.Context, id string) (LoadBalancer, error)
	// GetLoadBalancerState reads the balancer alone, in one request.
	GetLoadBalancerState(ctx context.Context, id string) (LoadBalancer, error)
	// GetLoadBalancerParts reads how far the cloud is with the balancer and with each of its parts, in one request: of
	// the whole tree only ids, names, the members' Address and Port, the monitors' Type, and Provisioning.
	GetLoadBalancerParts(ctx context.Context, id string) (LoadBalancer, error)
	// ListLoadBalancers reads the balancers that carry all of the tags, without their trees.
	ListLoadBalancers(ctx context.Context, tags ...string) ([]LoadBalancer, error)
	// SetLoadBalancerTags replaces the tags. It is a write like any other: the balancer becomes pending.
	SetLoadBalancerTags(ctx context.Context, id string, tags []string) error
	// DeleteLoadBalancer removes the balancer with all its parts. ErrNotFound when it is gone.
	DeleteLoadBalancer(ctx context.Context, id string) error

	// CreateListener makes a listener; l.DefaultPoolID may name an existing pool. ErrConflict when another listener
	// has the port.
	CreateListener(ctx context.Context, lbID string, l Listener) (Listener, error)
	// UpdateListener changes connection limit, CIDRs, timeouts and default pool to those of l; an empty DefaultPoolID
	// takes the pool away.
	UpdateListener(ctx context.Context, l Listener) error
	// DeleteListener removes a listener; its pool stays. ErrNotFound when it is gone.
	DeleteListener(ctx context.Context, id string) error
	// CreatePool makes a pool without members and monitor.
	CreatePool(ctx context.Context, lbID string, p Pool) (Pool, error)
	// UpdatePool changes algorithm and persistence.
	UpdatePool(ctx context.Context, p Pool) error
	// DeletePool removes a pool with its members and monitor. ErrNotFound when it is gone.
	DeletePool(ctx context.Context, id string) error
	// SetMembers replaces all members of a pool in one request. Never call it when nothing changed: the cloud
	// reconfigures the balancer all the same.
	SetMembers(ctx context.Context, poolID string, members []Member) error
	// CreateMonitor gives a pool its monitor. ErrConflict when it has one.
	CreateMonitor(ctx context.Context, poolID string, m Monitor) (Monitor, error)
	// UpdateMonitor changes everything but the type.
	UpdateMonitor(ctx context.Context, m Monitor) error
	// DeleteMonitor removes a monitor. ErrNotFound when it is gone.
	DeleteMonitor(ctx context.Context, id string) error
}

// Networks is what a cloud tells of networks, and its floating IPs.
type Networks interface {
	// ListNetworks reads the networks the project can see. The filter fields that are empty do not filter.
	ListNetworks(ctx context.Context, filter NetworkFilter) ([]Network, error)
	// ListSubnets reads the subnets of a network, or all that the project can see when networkID is empty.
	ListSubnets(ctx context.Context, networkID string) ([]Subnet, error)
	// ListFloatingIPs reads the project's floating IPs; empty filter fields do not filter.
	ListFloatingIPs(ctx context.Context, filter FloatingIPFilter) ([]FloatingIP, error)
	// CreateFloatingIP allocates an address and points it at spec.PortID, in one request. Not idempotent. ErrExhausted
	// over quota, ErrConflict when the port has a floating IP already or the address is taken, ErrInvalid when the
	// network is not external, or network, subnet or port do not exist.
	CreateFloatingIP(ctx context.Context, spec FloatingIPSpec) (FloatingIP, error)
	// AssociateFloatingIP points an address at a port; an empty portID takes it from its port. ErrNotFound when the
	// address or the port is gone, ErrConflict when the port has another address of that network.
	AssociateFloatingIP(ctx context.Context, id, portID string) error
	// DeleteFloatingIP releases the address. ErrNotFound when it is gone.
	DeleteFloatingIP(ctx context.Context, id string) error
}

// NetworkFilter narrows ListNetworks.
type NetworkFilter struct {
	ID, Name string
	External bool // true: external networks only
}

// FloatingIPFilter narrows ListFloatingIPs.
type FloatingIPFilter struct {
	PortID      string
	Description string
}
