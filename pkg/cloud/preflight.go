package cloud

import "context"

// Level says how much a finding matters.
type Level string

// The levels, the gravest last.
const (
	LevelOK      Level = "ok"
	LevelInfo    Level = "info"    // worth knowing; nothing has to be done
	LevelWarning Level = "warning" // a part does not work, or something will end
	LevelError   Level = "error"   // what is used does not work, or ends within days
)

// Finding is what one check of the cloud found.
type Finding struct {
	// Check names the check in a word of a fixed set, "credentials": a label of metrics.
	Check string
	Level Level
	// Message says what was found; below LevelOK also what it means and what to do.
	Message string
}

// Use is what a program wants of its cloud: only that is checked, besides the credentials and the instances, which
// every program needs.
type Use struct {
	Disks bool
	// ZoneWithoutDisks is how much it matters to the program that instances are in zones in which the cloud has no disks.
	// LevelOK: not at all.
	ZoneWithoutDisks Level
	LoadBalancers    bool
	// FloatingNetwork, Network and Subnet are what the operator configured for load balancers, each an id or a name; empty:
	// not configured.
	FloatingNetwork, Network, Subnet string
}

// Preflight is whether a cloud gives what a program is going to use.
type Preflight interface {
	// Preflight asks the cloud with a few reads and changes nothing. What cannot be found out is a finding, too. The
	// findings' order is that of the checks: what others depend on comes first.
	Preflight(ctx context.Context, use Use) []Finding
}
