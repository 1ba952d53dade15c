package balancer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"k8s.io/klog/v2"
)

// Addresses puts virtual addresses on this machine.
type Addresses interface {
	// Set makes the addresses that owner needs exactly these; none takes all of them back.
	Set(ctx context.Context, owner string, addresses []netip.Addr) error
}

// Options configure a Balancer.
type Options struct {
	Addresses Addresses   // nil: all virtual addresses exist already, as those of 127.0.0.0/8 do
	Logger    klog.Logger // the zero value discards
}

// Balancer runs load balancers.
type Balancer struct {
	addresses Addresses
	log       klog.Logger
	ctx       context.Context // ends with Close: the life of all sockets, connections and probes
	stop      context.CancelFunc
	wg        sync.WaitGroup

	mu        sync.Mutex // one change at a time
	closed    bool
	balancers map[string]*loadBalancer
}

// loadBalancer is the running side of a Config.
type loadBalancer struct {
	addresses []netip.Addr
	frontends map[string]*frontend // by listener id
	pools     map[string]*pool     // by pool id: two listeners may share one
}

// New makes a Balancer without load balancers. Close it in the end.
func New(opts Options) *Balancer {
	ctx, stop := context.WithCancel(context.Background())
	return &Balancer{
		addresses: opts.Addresses, log: opts.Logger, ctx: ctx, stop: stop, balancers: map[string]*loadBalancer{},
	}
}

// Close ends all load balancers and their connections and returns when nothing runs any more. The addresses stay on the
// machine: the next process goes on with them.
func (b *Balancer) Close() {
	b.mu.Lock()
	b.closed = true
	for _, lb := range b.balancers {
		for _, f := range lb.frontends {
			f.close()
		}
	}
	b.mu.Unlock()
	b.stop()
	b.wg.Wait()
}

// Apply makes the load balancer what the configuration says. Only what differs is touched: connections of listeners,
// addresses and members that stay go on, those of removed ones are reset. After an error, for example about a port that
// another process has, the rest is applied nevertheless and Apply may be called again; a configuration that is wrong in
// itself changes nothing.
func (b *Balancer) Apply(ctx context.Context, c Config) error {
	addresses, err := c.validate()
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("load balancer %s: the balancer is closed", c.ID)
	}
	lb := b.balancers[c.ID]
	if lb == nil {
		lb = &loadBalancer{frontends: map[string]*frontend{}, pools: map[string]*pool{}}
		b.balancers[c.ID] = lb
	}
	// An address must exist before its sockets and outlive them.
	if err := b.setAddresses(ctx, c.ID, append(slices.Clone(lb.addresses), addresses...)); err != nil {
		return err
	}
	lb.addresses = append(lb.addresses, addresses...)
	failed := []error{b.applyListeners(lb, c, addresses)} //nolint:contextcheck // sockets and probes outlive this call
	if err := b.setAddresses(ctx, c.ID, addresses); err != nil {
		return errors.Join(append(failed, err)...)
	}
	lb.addresses = addresses
	return errors.Join(failed...)
}

func (b *Balancer) applyListeners(lb *loadBalancer, c Config, addresses []netip.Addr) error {
	listeners, pools := map[string]bool{}, map[string]bool{}
	for _, l := range c.Listeners {
		listeners[l.ID] = true
		if l.Pool != nil {
			pools[l.Pool.ID] = true
			if lb.pools[l.Pool.ID] == nil {
				lb.pools[l.Pool.ID] = newPool(b.ctx, &b.wg, b.log)
			}
			lb.pools[l.Pool.ID].update(*l.Pool)
		}
	}
	// First free the ports, also of a listener whose port another one takes over.
	for id, f := range lb.frontends {
		if !listeners[id] {
			f.close()
			delete(lb.frontends, id)
		}
	}
	for _, l := range c.Listeners {
		if f := lb.frontends[l.ID]; f != nil {
			f.keepOnly(sockets(addresses, l.Port))
		}
	}
	var failed []error
	for _, l := range c.Listeners {
		f := lb.frontends[l.ID]
		if f == nil {
			f = newFrontend(b.ctx, &b.wg, b.log.WithValues("loadBalancer", c.ID, "listener", l.ID))
			lb.frontends[l.ID] = f
		}
		f.configure(l, lb.poolOf(l))
		if err := f.open(sockets(addresses, l.Port)); err != nil {
			failed = append(failed, fmt.Errorf("load balancer %s: listener %s: %w", c.ID, l.ID, err))
		}
	}
	for id, p := range lb.pools {
		if !pools[id] {
			p.close()
			delete(lb.pools, id)
		}
	}
	return errors.Join(failed...)
}

func (lb *loadBalancer) poolOf(l Listener) *pool {
	if l.Pool == nil {
		return nil
	}
	return lb.pools[l.Pool.ID]
}

func sockets(addresses []netip.Addr, port int) []netip.AddrPort {
	all := make([]netip.AddrPort, len(addresses))
	for i, a := range addresses {
		all[i] = netip.AddrPortFrom(a, uint16(port))
	}
	return all
}

// Remove ends the load balancer, its connections and its addresses. One that is unknown, perhaps because a process
// before this one made it, loses its addresses too.
func (b *Balancer) Remove(ctx context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if lb := b.balancers[id]; lb != nil {
		for _, f := range lb.frontends {
			f.close()
		}
		for _, p := range lb.pools {
			p.close() //nolint:contextcheck // ends what has the balancer's context
		}
		delete(b.balancers, id)
	}
	return b.setAddresses(ctx, id, nil)
}

func (b *Balancer) setAddresses(ctx context.Context, id string, addresses []netip.Addr) error {
	if b.addresses == nil {
		return nil
	}
	if err := b.addresses.Set(ctx, id, addresses); err != nil {
		return fmt.Errorf("load balancer %s: %w", id, err)
	}
	return nil
}

// Health is what the monitors know of the load balancer's members, by member id. Members that are administratively down
// or were not probed yet are left out.
func (b *Balancer) Health(id string) map[string]Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]Health{}
	if lb := b.balancers[id]; lb != nil {
		for _, p := range lb.pools {
			p.health(all)
		}
	}
	return all
}
