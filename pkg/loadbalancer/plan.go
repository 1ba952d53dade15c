package loadbalancer

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// RecheckInterval is how soon a pending load balancer is worth another look when nothing better is known.
const RecheckInterval = 500 * time.Millisecond

// Observed is what the cloud has. Plan picks out what concerns a Spec.
type Observed struct {
	// Balancers are those that carry the Service's identity, with their whole trees.
	Balancers []cloud.LoadBalancer
	// FloatingIPs are the project's.
	FloatingIPs []cloud.FloatingIP
	// Unfinished is for how long parts have been seen at work in the active balancer that serves the Spec.
	Unfinished time.Duration
	// PartByPart means that this cloud is known to leave parts unfinished that are created with their balancer.
	PartByPart bool
	// Finished are the parts that were written to in order to finish them.
	Finished []string
}

// Plan says which steps lead from what is observed to the Spec; none when it is fulfilled. The steps are in order; one
// that writes the balancer must have settled before the next one that does. While the cloud is still at work there are no
// steps, and recheckAfter says when to observe again. The error says what stands in the way of a part; the steps for the
// other parts come with it.
func Plan(spec Spec, observed Observed) (steps []Step, recheckAfter time.Duration, err error) {
	p := planner{spec: spec, observed: observed, traits: providers[spec.Balancer.Provider]}
	balancers := live(spec.Identity, observed.Balancers)
	if slices.ContainsFunc(balancers, pending) {
		return nil, RecheckInterval, nil
	}
	if spec.Remove {
		_, _ = p.floatingIPs(balancers, nil)
		for _, lb := range balancers {
			p.add(Step{Action: DeleteBalancer, ID: lb.ID})
		}
		return p.steps, 0, nil
	}
	keep := p.choose(balancers)
	if keep == nil {
		return p.build(balancers)
	}
	if len(Unfinished(*keep)) > 0 && observed.Unfinished < PartGrace {
		return nil, PartGrace - observed.Unfinished, nil
	}
	done, err := p.floatingIPs(balancers, keep)
	for _, lb := range balancers {
		if lb.ID != keep.ID {
			p.add(Step{Action: DeleteBalancer, ID: lb.ID, Why: p.whyDelete(lb)})
		}
	}
	p.parts(*keep)
	if len(p.stuck) > 0 {
		done, err = false, errors.Join(err, &UnfinishedError{BalancerID: keep.ID, Parts: p.stuck})
	}
	if tags := spec.tags(keep.Tags); done && !sameSet(tags, keep.Tags) {
		// The hash is the word that all of it is done, so it comes last.
		p.add(Step{Action: SetTags, ID: keep.ID, Of: keep.ID, Tags: tags})
	}
	return p.steps, 0, err
}

// build plans a balancer where there is none that can stay. One that the cloud gave up is removed before, one that lies
// elsewhere serves until its successor is active: a place that turns out to be no good must not cost the service.
func (p *planner) build(balancers []cloud.LoadBalancer) ([]Step, time.Duration, error) {
	if p.spec.VIP.Problem != nil {
		return nil, 0, p.spec.VIP.Problem
	}
	serving := false
	for _, lb := range balancers {
		if lb.Provisioning == cloud.ProvisioningError {
			p.add(Step{Action: DeleteBalancer, ID: lb.ID, Why: p.whyDelete(lb)})
		} else {
			serving = true
		}
	}
	p.create()
	if serving {
		return p.steps, 0, nil
	}
	_, err := p.floatingIPs(balancers, nil)
	return p.steps, 0, err
}

// Endpoint is the address under which the Spec is served, once Plan has nothing left to do; empty when there is none.
func Endpoint(spec Spec, observed Observed) string {
	balancers := live(spec.Identity, observed.Balancers)
	if len(balancers) != 1 {
		return "" // Plan has something left to do
	}
	if spec.FloatingIP == nil {
		return balancers[0].VIP
	}
	for _, f := range observed.FloatingIPs {
		if f.PortID != "" && f.PortID == balancers[0].VIPPortID {
			return f.Address
		}
	}
	return ""
}

// planner collects the steps of one Plan.
type planner struct {
	spec     Spec
	observed Observed
	steps    []Step
	traits   traits   // of the provider of the balancer that stays or is to be created
	stuck    []string // the parts that no write finishes
}

func (p *planner) add(s Step) { p.steps = append(p.steps, s) }

func pending(lb cloud.LoadBalancer) bool { return lb.Provisioning == cloud.ProvisioningPending }

// live are the balancers of the Service that are not gone.
func live(identity Identity, balancers []cloud.LoadBalancer) []cloud.LoadBalancer {
	var out []cloud.LoadBalancer
	for _, lb := range balancers {
		if identity.Owns(lb) && lb.Provisioning != cloud.ProvisioningDeleted {
			out = append(out, lb)
		}
	}
	return out
}

// choose picks the balancer that stays; nil when none can. There is more than one only after the answer to a creation was
// lost: the one that a floating IP points at is in use, else the first by id, so that every round chooses the same.
func (p *planner) choose(balancers []cloud.LoadBalancer) *cloud.LoadBalancer {
	var good []cloud.LoadBalancer
	for _, lb := range balancers {
		if lb.Provisioning != cloud.ProvisioningError && p.spec.VIP.accepts(lb) {
			good = append(good, lb)
		}
	}
	if len(good) == 0 {
		return nil
	}
	inUse := func(lb cloud.LoadBalancer) int {
		for _, f := range p.observed.FloatingIPs {
			if f.PortID != "" && f.PortID == lb.VIPPortID {
				return 0
			}
		}
		return 1
	}
	slices.SortFunc(good, func(a, b cloud.LoadBalancer) int {
		return cmp.Or(cmp.Compare(inUse(a), inUse(b)), cmp.Compare(a.ID, b.ID))
	})
	return &good[0]
}

func (p *planner) whyDelete(lb cloud.LoadBalancer) string {
	switch {
	case lb.Provisioning == cloud.ProvisioningError:
		return "the cloud gave it up: build it anew"
	case !p.spec.VIP.accepts(lb):
		return "it lies elsewhere than the Service asks"
	default:
		return "one too many"
	}
}

func (p *planner) create() {
	lb := p.spec.Balancer
	lb.VIP, lb.VIPSubnetID, lb.VIPNetworkID = p.spec.VIP.Address, p.spec.VIP.SubnetID, p.spec.VIP.NetworkID
	lb.Tags = p.spec.tags(nil)
	lb.Pools = slices.Clone(lb.Pools)
	for i := range lb.Pools {
		lb.Pools[i] = p.traits.pool(lb.Pools[i])
		if p.traits.monitorsLast {
			lb.Pools[i].Monitor = nil
		}
	}
	if p.observed.PartByPart {
		lb.Listeners, lb.Pools = nil, nil
	}
	p.add(Step{Action: CreateBalancer, Balancer: lb})
}
