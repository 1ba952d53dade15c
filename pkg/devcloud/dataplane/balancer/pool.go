package balancer

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// errNoMember says that a connection cannot be served now.
var errNoMember = errors.New("no member of the pool takes connections")

// pool is the running side of a Pool.
type pool struct {
	ctx context.Context // the end of all members
	wg  *sync.WaitGroup
	log klog.Logger

	mu      sync.Mutex
	config  Pool
	members []*member // in the configuration's order
	picker  *picker
}

// member is the running side of a Member.
type member struct {
	target netip.AddrPort // of its connections; a member that moves is a new one
	config Member
	ctx    context.Context // its connections' life
	remove context.CancelFunc
	active int
	state  memberState

	stopWatch context.CancelFunc // nil: not probed
}

func newPool(ctx context.Context, wg *sync.WaitGroup, log klog.Logger) *pool {
	return &pool{ctx: ctx, wg: wg, log: log, picker: newPicker()}
}

// update makes the pool what the configuration says. Members that stay keep their connections and their state.
func (p *pool) update(config Pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if config.Monitor != nil {
		m := config.Monitor.withDefaults()
		config.Monitor = &m
	}
	monitorChanged := !reflect.DeepEqual(p.config.Monitor, config.Monitor)
	leaving := map[string]*member{}
	for _, m := range p.members {
		leaving[m.config.ID] = m
	}
	members := make([]*member, 0, len(config.Members))
	for _, c := range config.Members {
		m := leaving[c.ID]
		if m == nil || m.config.Address != c.Address || m.config.Port != c.Port {
			m = p.newMember(c)
		} else {
			delete(leaving, c.ID)
		}
		watchChanged := monitorChanged || probeTarget(m.config) != probeTarget(c) || m.config.AdminDown != c.AdminDown
		m.config = c
		if watchChanged || m.stopWatch == nil {
			p.watchMember(m, config.Monitor)
		}
		members = append(members, m)
	}
	for id, m := range leaving {
		m.remove()
		p.picker.forget(id)
	}
	p.config, p.members = config, members
}

// close ends the pool's connections and probes.
func (p *pool) close() { p.update(Pool{ID: p.config.ID}) }

func (p *pool) newMember(c Member) *member {
	ctx, remove := context.WithCancel(p.ctx)
	return &member{target: addrPort(c.Address, c.Port), config: c, ctx: ctx, remove: remove}
}

// watchMember starts, restarts or ends the probes of a member. Called with p.mu held.
func (p *pool) watchMember(m *member, monitor *Monitor) {
	if m.stopWatch != nil {
		m.stopWatch()
		m.stopWatch = nil
	}
	if monitor == nil || m.config.AdminDown {
		m.state = memberState{}
		return
	}
	ctx, stop := context.WithCancel(m.ctx)
	m.stopWatch = stop
	config, target := *monitor, probeTarget(m.config)
	p.wg.Go(func() {
		watch(ctx, config, newProbe(config, target), func(err error) { p.report(ctx, m, config, err) })
	})
}

// report takes in the result of a probe. One that was overtaken by a change of the configuration counts no more.
func (p *pool) report(watch context.Context, m *member, monitor Monitor, result error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if watch.Err() != nil {
		return
	}
	before := m.state
	m.state = before.after(result == nil, monitor)
	switch {
	case m.state.usable() == before.usable() && before.probed:
	case m.state.healthy:
		p.log.V(2).Info("Member is healthy", "pool", p.config.ID, "member", m.config.ID)
	default:
		p.log.Info("Member failed its health monitor", "pool", p.config.ID, "member", m.config.ID, "reason", result.Error())
	}
}

// health adds what is known of the pool's members to all. Members that are down by the administrator's wish or were not
// probed yet are left out.
func (p *pool) health(all map[string]Health) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		switch {
		case m.config.AdminDown:
		case p.config.Monitor == nil:
			all[m.config.ID] = NoMonitor
		case !m.state.probed:
		case m.state.healthy:
			all[m.config.ID] = Online
		default:
			all[m.config.ID] = Error
		}
	}
}

// connect opens a connection to the member that the algorithm chooses, and to another one if that fails. The
// connection counts as the member's until release is called.
func (p *pool) connect(ctx context.Context, source netip.Addr, timeout time.Duration) (*net.TCPConn, *member, error) {
	tried := map[*member]bool{}
	for {
		m := p.acquire(source, tried)
		if m == nil {
			return nil, nil, errNoMember
		}
		conn, err := m.dial(ctx, timeout)
		if err == nil {
			return conn, m, nil
		}
		p.release(m)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		tried[m] = true
	}
}

func (m *member) dial(ctx context.Context, timeout time.Duration) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)() //nolint:contextcheck // ends with the caller or with the member
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.target.String())
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// acquire chooses among the usable members that were not tried, nil if there is none.
func (p *pool) acquire(source netip.Addr, tried map[*member]bool) *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	byID := map[string]*member{}
	var candidates []candidate
	for _, m := range p.members {
		if m.config.AdminDown || m.config.Weight <= 0 || tried[m] || !m.state.usable() {
			continue
		}
		byID[m.config.ID] = m
		candidates = append(candidates, candidate{id: m.config.ID, weight: m.config.Weight, active: m.active})
	}
	m := byID[p.picker.pick(p.config.Algorithm, p.config.SourceIPPersistence, source, candidates)]
	if m != nil {
		m.active++
	}
	return m
}

func (p *pool) release(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.active--
}

// probeTarget is where the member is probed.
func probeTarget(m Member) netip.AddrPort {
	if m.MonitorAddress != "" {
		m.Address = m.MonitorAddress
	}
	if m.MonitorPort != 0 {
		m.Port = m.MonitorPort
	}
	return addrPort(m.Address, m.Port)
}

// addrPort is for addresses that were validated.
func addrPort(address string, port int) netip.AddrPort {
	a, _ := netip.ParseAddr(address)
	return netip.AddrPortFrom(a, uint16(port))
}
