package loadbalancer

import (
	"slices"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// Apply is what will be observed after a step was accepted and has settled. The step's objects carry the ids of the
// cloud's answer where it made something; without them the next Plan sees parts whose id it cannot know. It lets
// whoever applied a step go on without reading everything anew.
func Apply(observed Observed, step Step) Observed {
	out := observed
	out.Balancers, out.FloatingIPs = slices.Clone(observed.Balancers), slices.Clone(observed.FloatingIPs)
	if step.Finishes != "" {
		out.Finished = append(slices.Clip(out.Finished), step.Finishes)
	}
	switch step.Action {
	case CreateBalancer:
		out.Balancers = append(out.Balancers, created(step.Balancer))
	case DeleteBalancer:
		out.Balancers = slices.DeleteFunc(out.Balancers, func(lb cloud.LoadBalancer) bool { return lb.ID == step.ID })
	case CreateFloatingIP:
		out.FloatingIPs = append(out.FloatingIPs, cloud.FloatingIP{
			ID: step.ID, Address: step.FloatingIP.Address, NetworkID: step.FloatingIP.NetworkID,
			PortID: step.FloatingIP.PortID, Description: step.FloatingIP.Description,
		})
	case AssociateFloatingIP, ReleaseFloatingIP:
		for i := range out.FloatingIPs {
			if out.FloatingIPs[i].ID == step.ID {
				out.FloatingIPs[i].PortID = step.FloatingIP.PortID
			}
		}
	case DeleteFloatingIP:
		out.FloatingIPs = slices.DeleteFunc(out.FloatingIPs, func(f cloud.FloatingIP) bool { return f.ID == step.ID })
	default:
		for i := range out.Balancers {
			if out.Balancers[i].ID == step.Of {
				out.Balancers[i] = finished(applyPart(out.Balancers[i], step), step)
			}
		}
	}
	return out
}

// created is the balancer as it stands after a creation: its listeners point at their pools.
func created(lb cloud.LoadBalancer) cloud.LoadBalancer {
	lb.Listeners = slices.Clone(lb.Listeners)
	for i, l := range lb.Listeners {
		for _, pool := range lb.Pools {
			if l.DefaultPoolID == "" && pool.Name == l.Pool {
				lb.Listeners[i].DefaultPoolID = pool.ID
			}
		}
	}
	return lb
}

func applyPart(lb cloud.LoadBalancer, step Step) cloud.LoadBalancer {
	lb.Listeners, lb.Pools = slices.Clone(lb.Listeners), slices.Clone(lb.Pools)
	pool := slices.IndexFunc(lb.Pools, func(p cloud.Pool) bool { return p.Name == step.Key })
	listener := slices.IndexFunc(lb.Listeners, func(l cloud.Listener) bool { return l.Name == step.Key })
	switch step.Action {
	case SetTags:
		lb.Tags = step.Tags
	case CreateListener:
		lb.Listeners = append(lb.Listeners, step.Listener)
	case UpdateListener:
		id := lb.Listeners[listener].ID
		lb.Listeners[listener] = step.Listener
		lb.Listeners[listener].ID = id
	case DeleteListener:
		lb.Listeners = slices.DeleteFunc(lb.Listeners, func(l cloud.Listener) bool { return l.ID == step.ID })
	case CreatePool:
		made := step.Pool
		made.Members, made.Monitor = nil, nil
		lb.Pools = append(lb.Pools, made)
	case UpdatePool:
		lb.Pools[pool].Algorithm, lb.Pools[pool].Persistence = step.Pool.Algorithm, step.Pool.Persistence
	case DeletePool:
		lb = withoutPool(lb, step.ID)
	case SetMembers:
		lb.Pools[pool].Members = step.Members
	case CreateMonitor, UpdateMonitor:
		monitor := step.Monitor
		if had := lb.Pools[pool].Monitor; monitor.ID == "" && had != nil {
			monitor.ID = had.ID
		}
		lb.Pools[pool].Monitor = &monitor
	case DeleteMonitor:
		lb.Pools[pool].Monitor = nil
	}
	return lb
}

func withoutPool(lb cloud.LoadBalancer, id string) cloud.LoadBalancer {
	lb.Pools = slices.DeleteFunc(lb.Pools, func(p cloud.Pool) bool { return p.ID == id })
	for i := range lb.Listeners {
		if lb.Listeners[i].DefaultPoolID == id {
			lb.Listeners[i].DefaultPoolID = ""
		}
	}
	return lb
}
