package loadbalancer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// PartGrace is how long parts may be at work in a balancer that is active before they count as left unfinished. A cloud
// makes the parts active with their balancer or shortly after; between two looks at them somebody may change the balancer.
const PartGrace = 5 * time.Second

// Some clouds create a balancer with all its parts, make it active, and leave the parts pending for ever: the balancer does
// not serve, and a pool that is pending takes no change of members or monitor. A pool itself does take a change, even to
// what it is: with it the cloud configures the balancer anew, and the pool and all listeners become active. Members and
// monitors follow in the same way.

// Unfinished names the parts that are at work although their balancer is active; none while it is not.
func Unfinished(lb cloud.LoadBalancer) []string {
	if lb.Provisioning != cloud.ProvisioningActive {
		return nil
	}
	var names []string
	note := func(kind, name string, state cloud.ProvisioningState) {
		if state == cloud.ProvisioningPending {
			names = append(names, kind+" "+name)
		}
	}
	for _, l := range lb.Listeners {
		note("listener", l.Name, l.Provisioning)
	}
	for _, p := range lb.Pools {
		note("pool", p.Name, p.Provisioning)
		for _, m := range p.Members {
			note("member", fmt.Sprintf("%s:%d", m.Address, m.Port), m.Provisioning)
		}
		if p.Monitor != nil {
			note("monitor", p.Monitor.Name, p.Monitor.Provisioning)
		}
	}
	return names
}

// UnfinishedError is a balancer some of whose parts stay unfinished although they were written to.
type UnfinishedError struct {
	BalancerID string
	Parts      []string
}

// Error implements error.
func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("load balancer %s: the cloud says it is active, but leaves %s unfinished, also after a change to what it is already: "+
		"have the operator set the provisioning status of these parts right, or delete and create the Service anew",
		e.BalancerID, strings.Join(e.Parts, ", "))
}

// Overlay brings what is known of a balancer up to what cloud.LoadBalancers.GetLoadBalancerParts answered: the states of
// its parts, and the ids that a creation's answer lacks.
func Overlay(have, states cloud.LoadBalancer) cloud.LoadBalancer {
	have.Provisioning, have.RawState = states.Provisioning, states.RawState
	have.Listeners, have.Pools = slices.Clone(have.Listeners), slices.Clone(have.Pools)
	for i := range have.Listeners {
		for _, l := range states.Listeners {
			if l.ID == have.Listeners[i].ID {
				have.Listeners[i].Provisioning = l.Provisioning
			}
		}
	}
	for i := range have.Pools {
		for _, p := range states.Pools {
			if p.ID == have.Pools[i].ID {
				have.Pools[i] = overlayPool(have.Pools[i], p)
			}
		}
	}
	return have
}

func overlayPool(have, states cloud.Pool) cloud.Pool {
	have.Provisioning = states.Provisioning
	have.Members = slices.Clone(have.Members)
	for i := range have.Members {
		m := &have.Members[i]
		for _, s := range states.Members {
			if s.Address == m.Address && s.Port == m.Port {
				m.ID, m.Provisioning = s.ID, s.Provisioning
			}
		}
	}
	if have.Monitor != nil && states.Monitor != nil && have.Monitor.Type == states.Monitor.Type {
		monitor := *have.Monitor
		monitor.ID, monitor.Provisioning = states.Monitor.ID, states.Monitor.Provisioning
		have.Monitor = &monitor
	}
	return have
}

// finish plans a write to a part that was left unfinished, once: one that it does not help is the operator's.
func (p *planner) finish(part string, step Step) {
	name := part + " " + step.Key
	if slices.Contains(p.observed.Finished, name) {
		p.stuck = append(p.stuck, name)
		return
	}
	step.Finishes, step.Why = name, "the cloud left it unfinished"
	p.add(step)
}

func unfinishedMembers(p cloud.Pool) bool {
	return slices.ContainsFunc(p.Members, func(m cloud.Member) bool { return m.Provisioning == cloud.ProvisioningPending })
}

func unfinishedMonitor(p cloud.Pool) bool {
	return p.Monitor != nil && p.Monitor.Provisioning == cloud.ProvisioningPending
}

// finished is a balancer after a step that finishes a part: a pool takes the listeners with it.
func finished(lb cloud.LoadBalancer, step Step) cloud.LoadBalancer {
	if step.Finishes == "" || step.Action != UpdatePool {
		return lb
	}
	for i := range lb.Pools {
		if lb.Pools[i].Name == step.Key {
			lb.Pools[i].Provisioning = cloud.ProvisioningActive
		}
	}
	for i := range lb.Listeners {
		lb.Listeners[i].Provisioning = cloud.ProvisioningActive
	}
	return lb
}
