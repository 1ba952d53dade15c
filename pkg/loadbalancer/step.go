package loadbalancer

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// Action is what a step does.
type Action string

// The actions. Each is one request to the cloud.
const (
	CreateBalancer      Action = "create load balancer"
	DeleteBalancer      Action = "delete load balancer"
	SetTags             Action = "set tags"
	CreateListener      Action = "create listener"
	UpdateListener      Action = "update listener"
	DeleteListener      Action = "delete listener"
	CreatePool          Action = "create pool"
	UpdatePool          Action = "update pool"
	DeletePool          Action = "delete pool"
	SetMembers          Action = "set members"
	CreateMonitor       Action = "create monitor"
	UpdateMonitor       Action = "update monitor"
	DeleteMonitor       Action = "delete monitor"
	CreateFloatingIP    Action = "create floating IP"
	AssociateFloatingIP Action = "associate floating IP"
	ReleaseFloatingIP   Action = "disassociate floating IP"
	DeleteFloatingIP    Action = "delete floating IP"
)

// Step is one request to the cloud, as data. It names listeners and pools by key; ids are bound when it is applied.
type Step struct {
	Action Action
	// Key is the listener's or pool's key.
	Key string
	// ID is the object's id where it is known: of a load balancer or floating IP always, of a part that is to be
	// removed too, since parts that are not ours have no key.
	ID string
	// Of is the id of the balancer that a part belongs to; empty for the one that the steps before create.
	Of string
	// Unassociated makes a floating IP that points nowhere yet.
	Unassociated bool
	// Finishes names the part that the cloud left unfinished and the step writes to for that alone; mostly empty.
	Finishes string
	// Why says for people what made the step necessary; may be empty.
	Why string

	Balancer   cloud.LoadBalancer
	Listener   cloud.Listener
	Pool       cloud.Pool
	Members    []cloud.Member
	Monitor    cloud.Monitor
	FloatingIP cloud.FloatingIPSpec // an empty PortID is bound when applied: the created balancer's
	Tags       []string
}

// WritesBalancer reports whether the step makes the load balancer pending, so that no other may follow at once.
func (s Step) WritesBalancer() bool {
	switch s.Action {
	case CreateFloatingIP, AssociateFloatingIP, ReleaseFloatingIP, DeleteFloatingIP:
		return false
	default:
		return true
	}
}

// String is one line of a trace.
func (s Step) String() string {
	text := string(s.Action)
	for _, part := range []string{s.Key, s.ID, s.detail()} {
		if part != "" {
			text += " " + part
		}
	}
	if s.Why != "" {
		text += " (" + s.Why + ")"
	}
	return text
}

func (s Step) detail() string {
	switch s.Action {
	case CreateBalancer:
		var parts []string
		for i, l := range s.Balancer.Listeners {
			parts = append(parts, "\n    "+listenerText(l)+" -> "+poolText(s.Balancer.Pools[i]))
		}
		place := cmp.Or(s.Balancer.VIPSubnetID, s.Balancer.VIPNetworkID)
		return strings.TrimSpace(s.Balancer.Name+" in "+place+" "+s.Balancer.VIP) + strings.Join(parts, "")
	case CreateListener, UpdateListener:
		return listenerText(s.Listener)
	case CreatePool, UpdatePool:
		return strings.TrimSpace(s.Pool.Algorithm + " " + s.Pool.Persistence)
	case SetMembers:
		return membersText(s.Members)
	case CreateMonitor, UpdateMonitor:
		return monitorText(&s.Monitor)
	case CreateFloatingIP:
		text := strings.TrimSpace("of " + s.FloatingIP.NetworkID + " " + s.FloatingIP.Address)
		if s.Unassociated {
			text += " unassociated"
		}
		return text
	default:
		return ""
	}
}

func listenerText(l cloud.Listener) string {
	text := fmt.Sprintf("%s:%d", l.Protocol, l.Port)
	if l.ConnectionMax != -1 {
		text += fmt.Sprintf(" limit %d", l.ConnectionMax)
	}
	if len(l.AllowedCIDRs) > 0 {
		text += " from " + strings.Join(l.AllowedCIDRs, ",")
	}
	if t := timeouts(l); t != timeouts(cloud.Listener{}) {
		text += fmt.Sprintf(" timeouts %d/%d/%d ms", t[0], t[1], t[2])
	}
	return text
}

func poolText(p cloud.Pool) string {
	text := p.Algorithm
	if p.Persistence != "" {
		text += " " + p.Persistence
	}
	return text + " " + membersText(p.Members) + " " + monitorText(p.Monitor)
}

func membersText(members []cloud.Member) string {
	var parts []string
	for _, m := range members {
		part := fmt.Sprintf("%s:%d", m.Address, m.Port)
		if m.MonitorPort != 0 {
			part += fmt.Sprintf("/%d", m.MonitorPort)
		}
		parts = append(parts, part)
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func monitorText(m *cloud.Monitor) string {
	if m == nil {
		return "unmonitored"
	}
	text := fmt.Sprintf("%s every %ds within %ds up %d down %d", m.Type, m.Delay, m.Timeout, m.MaxRetries, m.MaxRetriesDown)
	if m.Path != "" {
		text += " " + m.Path
	}
	return text
}
