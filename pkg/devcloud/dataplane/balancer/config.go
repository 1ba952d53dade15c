// Package balancer is the embedded cloud's load balancing: real TCP connections from virtual addresses on this machine
// to the members of a pool, chosen by the pool's algorithm among those that its monitor finds healthy.
package balancer

import "time"

// Config is everything one load balancer shall do. Leave out what is administratively down.
type Config struct {
	ID        string     // of the load balancer
	Addresses []string   // its VIP and floating IPs; every listener serves all of them
	Listeners []Listener // ports are unique
}

// Listener is one TCP port of a load balancer.
type Listener struct {
	ID                   string
	Port                 int
	AllowedCIDRs         []string      // empty: everyone; others are reset
	ConnectionLimit      int           // at the same time, later ones wait; zero or less: no limit
	ClientTimeout        time.Duration // a connection silent in both directions for so long is cut; 0: 50 s
	MemberTimeout        time.Duration // the same; as in haproxy the shorter of the two holds; 0: 50 s
	MemberConnectTimeout time.Duration // of one attempt to reach a member; 0: 5 s
	Pool                 *Pool         // nil: connections are refused
}

// The algorithms of a pool, by their Octavia names.
const (
	RoundRobin       = "ROUND_ROBIN"
	LeastConnections = "LEAST_CONNECTIONS"
	SourceIP         = "SOURCE_IP"
)

// Pool is a set of members and the way to choose among them.
type Pool struct {
	ID                  string
	Algorithm           string // empty: RoundRobin
	SourceIPPersistence bool   // a client address keeps its member for as long as that is usable
	Members             []Member
	Monitor             *Monitor // nil: all members are used, their health is NoMonitor
}

// Member is one server of a pool.
type Member struct {
	ID             string
	Address        string
	Port           int
	Weight         int    // relative share; 0: drained, keeps its connections and gets no new one
	AdminDown      bool   // neither used nor probed
	MonitorAddress string // empty: Address
	MonitorPort    int    // 0: Port
}

// The types of a monitor.
const (
	MonitorTCP  = "TCP"
	MonitorHTTP = "HTTP"
)

// Monitor says how the members of a pool are probed.
type Monitor struct {
	Type           string        // MonitorTCP or MonitorHTTP
	Delay          time.Duration // between two probes of a member; 0: 5 s
	Timeout        time.Duration // of one probe; 0: 5 s
	MaxRetries     int           // successes in a row that make a member healthy; 0: 3
	MaxRetriesDown int           // failures in a row that make it unhealthy; 0: 3
	Path           string        // HTTP; empty: "/"
	Method         string        // HTTP; empty: GET
	ExpectedCodes  string        // HTTP: "200", "200,202" or "200-204"; empty: 200
}

// Health is what the monitor knows of a member, by its Octavia operating status.
type Health string

// The values of Health.
const (
	Online    Health = "ONLINE"
	Error     Health = "ERROR"
	NoMonitor Health = "NO_MONITOR"
)
