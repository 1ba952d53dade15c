package loadbalancer

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// floatingIPs plans the public address. keep is the balancer that stays, nil when it is yet to be created or is to be
// removed; balancers are all of the Service's. An address that does not carry our description is never deleted. done
// reports whether the public address is as it should be after these steps.
func (p *planner) floatingIPs(balancers []cloud.LoadBalancer, keep *cloud.LoadBalancer) (done bool, err error) {
	var port string
	if keep != nil {
		port = keep.VIPPortID
	}
	want := p.spec.FloatingIP
	if p.spec.Remove {
		want = nil
	}
	chosen, err := p.chooseFloatingIP(want, port, balancers)
	if err != nil {
		return false, err
	}
	if want != nil && chosen == nil {
		return p.createFloatingIP(want, port)
	}
	p.giveUpFloatingIPs(chosen, port)
	if chosen != nil && (port == "" || chosen.PortID != port) {
		p.add(Step{Action: AssociateFloatingIP, ID: chosen.ID, FloatingIP: cloud.FloatingIPSpec{PortID: port}})
	}
	return true, nil
}

// createFloatingIP plans a new address. While another one serves, the new one is only allocated: the next Plan puts it
// in the place of the other. An address that cannot be had then does not cost the one that is there.
func (p *planner) createFloatingIP(want *FloatingIP, port string) (done bool, err error) {
	if want.Problem != nil {
		return false, want.Problem
	}
	serving := port != "" && slices.ContainsFunc(p.observed.FloatingIPs, func(f cloud.FloatingIP) bool { return f.PortID == port })
	step := Step{Action: CreateFloatingIP, Unassociated: serving, FloatingIP: cloud.FloatingIPSpec{
		NetworkID: want.NetworkID, SubnetID: want.SubnetID, Address: want.Address, PortID: port,
		Description: p.spec.Identity.FloatingIPDescription(),
	}}
	if serving {
		step.FloatingIP.PortID = ""
		p.add(step)
		return false, nil
	}
	p.add(step)
	p.giveUpFloatingIPs(nil, port)
	return true, nil
}

func (p *planner) owns(f cloud.FloatingIP) bool {
	return f.Description == p.spec.Identity.FloatingIPDescription()
}

// giveUpFloatingIPs plans the end of our addresses but the chosen one.
func (p *planner) giveUpFloatingIPs(chosen *cloud.FloatingIP, port string) {
	for _, f := range p.observed.FloatingIPs {
		switch {
		case !p.owns(f), chosen != nil && f.ID == chosen.ID:
		case !p.spec.KeepFloatingIP:
			p.add(Step{Action: DeleteFloatingIP, ID: f.ID})
		case port != "" && f.PortID == port:
			p.add(Step{Action: ReleaseFloatingIP, ID: f.ID})
		}
	}
}

// chooseFloatingIP picks the existing address that serves the Spec: the one that is asked for, or one that already
// points at the balancer, or our own. nil: one must be created.
func (p *planner) chooseFloatingIP(want *FloatingIP, port string, balancers []cloud.LoadBalancer) (*cloud.FloatingIP, error) {
	if want == nil {
		return nil, nil
	}
	onPort := func(f cloud.FloatingIP) bool { return port != "" && f.PortID == port }
	var candidates []cloud.FloatingIP
	for _, f := range p.observed.FloatingIPs {
		switch {
		case want.Address != "" && f.Address == want.Address, (p.owns(f) || onPort(f)) && want.accepts(f):
			candidates = append(candidates, f)
		case onPort(f) && !p.owns(f):
			return nil, fmt.Errorf("floating IP %s is at the load balancer, was not made by Fairlead, and is not what the Service asks for: %w: "+
				"take it away, or ask for it with spec.loadBalancerIP", f.Address, cloud.ErrConflict)
		}
	}
	if len(candidates) == 0 {
		return nil, nil
	}
	rank := func(b bool) int {
		if b {
			return 0
		}
		return 1
	}
	slices.SortFunc(candidates, func(a, b cloud.FloatingIP) int {
		return cmp.Or(cmp.Compare(rank(onPort(a)), rank(onPort(b))), cmp.Compare(rank(p.owns(a)), rank(p.owns(b))), cmp.Compare(a.ID, b.ID))
	})
	chosen := candidates[0]
	ours := p.owns(chosen) || chosen.PortID == "" || slices.ContainsFunc(balancers, func(lb cloud.LoadBalancer) bool {
		return lb.VIPPortID == chosen.PortID
	})
	if !ours {
		return nil, fmt.Errorf("spec.loadBalancerIP: floating IP %s is in use by port %s: %w: choose another or take it away from there",
			chosen.Address, chosen.PortID, cloud.ErrConflict)
	}
	return &chosen, nil
}
