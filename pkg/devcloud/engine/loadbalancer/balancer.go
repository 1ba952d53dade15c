package loadbalancer

import (
	"context"
	"sync"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/balancer"
)

// Balancer does what load balancers ask for. All calls are idempotent.
type Balancer interface {
	// Apply makes the load balancer serve exactly cfg; connections that cfg still allows are not cut.
	Apply(ctx context.Context, cfg balancer.Config) error
	// Remove ends a load balancer; an unknown one is no error.
	Remove(ctx context.Context, lbID string) error
	// Health is what the monitors know of a load balancer's members, by member id. It does not block.
	Health(lbID string) map[string]balancer.Health
}

// Null is a Balancer that moves no bytes and finds every member healthy, for scale tests.
type Null struct {
	mu      sync.Mutex
	configs map[string]balancer.Config
}

// Apply implements Balancer.
func (n *Null) Apply(_ context.Context, cfg balancer.Config) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.configs == nil {
		n.configs = map[string]balancer.Config{}
	}
	n.configs[cfg.ID] = cfg
	return nil
}

// Remove implements Balancer.
func (n *Null) Remove(_ context.Context, lbID string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.configs, lbID)
	return nil
}

// Health implements Balancer.
func (n *Null) Health(lbID string) map[string]balancer.Health {
	n.mu.Lock()
	defer n.mu.Unlock()
	health := map[string]balancer.Health{}
	for _, l := range n.configs[lbID].Listeners {
		if l.Pool == nil {
			continue
		}
		for _, m := range l.Pool.Members {
			health[m.ID] = balancer.NoMonitor
			if l.Pool.Monitor != nil {
				health[m.ID] = balancer.Online
			}
		}
	}
	return health
}

// Config is what was last applied for a load balancer.
func (n *Null) Config(lbID string) (balancer.Config, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	cfg, ok := n.configs[lbID]
	return cfg, ok
}
