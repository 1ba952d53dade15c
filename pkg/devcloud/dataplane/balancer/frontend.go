package balancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// frontend is the running side of a Listener: a socket on every address.
type frontend struct {
	ctx   context.Context // the end of all its connections
	wg    *sync.WaitGroup
	log   klog.Logger
	limit *limiter

	sockets map[netip.AddrPort]*socket // changed by Apply and Remove only, one at a time

	mu       sync.Mutex
	settings settings
}

// settings are what a connection needs of the Listener when it begins.
type settings struct {
	allowed        []netip.Prefix // empty: everyone
	idle           time.Duration
	connectTimeout time.Duration
	pool           *pool // nil: none
}

func (s settings) allows(source netip.Addr) bool {
	return len(s.allowed) == 0 || slices.ContainsFunc(s.allowed, func(p netip.Prefix) bool { return p.Contains(source) })
}

func newFrontend(ctx context.Context, wg *sync.WaitGroup, log klog.Logger) *frontend {
	return &frontend{ctx: ctx, wg: wg, log: log, limit: newLimiter(), sockets: map[netip.AddrPort]*socket{}}
}

// configure takes over the listener's settings; connections that run keep theirs.
func (f *frontend) configure(l Listener, p *pool) {
	allowed, _ := parsePrefixes(l.AllowedCIDRs) // validated
	f.limit.set(l.ConnectionLimit)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settings = settings{
		allowed:        allowed,
		idle:           min(orDefault(l.ClientTimeout, defaultDataTimeout), orDefault(l.MemberTimeout, defaultDataTimeout)),
		connectTimeout: orDefault(l.MemberConnectTimeout, defaultConnectTimeout),
		pool:           p,
	}
}

func (f *frontend) current() settings {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.settings
}

// keepOnly closes all other sockets and resets their connections.
func (f *frontend) keepOnly(wanted []netip.AddrPort) {
	for address, s := range f.sockets {
		if !slices.Contains(wanted, address) {
			s.close()
			delete(f.sockets, address)
		}
	}
}

func (f *frontend) close() { f.keepOnly(nil) }

// open listens on those addresses where it does not yet.
func (f *frontend) open(wanted []netip.AddrPort) error {
	var failed []error
	for _, address := range wanted {
		if f.sockets[address] != nil {
			continue
		}
		listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(address))
		if err != nil {
			failed = append(failed, fmt.Errorf("listen: %w", err))
			continue
		}
		s := &socket{frontend: f, listener: listener}
		s.ctx, s.cancel = context.WithCancel(f.ctx)
		f.sockets[address] = s
		f.wg.Go(s.accept)
	}
	return errors.Join(failed...)
}

// socket is a frontend on one address.
type socket struct {
	frontend *frontend
	listener *net.TCPListener
	ctx      context.Context // its connections' life
	cancel   context.CancelFunc
}

func (s *socket) close() {
	s.cancel()
	s.listener.Close()
}

func (s *socket) accept() {
	for {
		conn, err := s.listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.frontend.log.Error(err, "Cannot accept connections for the moment")
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(100 * time.Millisecond): // out of file descriptors, most likely
			}
			continue
		}
		// As haproxy does, a connection over the limit waits, and the next ones in the kernel behind it.
		if s.frontend.limit.acquire(s.ctx) != nil {
			reset(conn)
			return
		}
		s.frontend.wg.Go(func() {
			defer s.frontend.limit.release()
			s.serve(conn)
		})
	}
}

// serve carries one connection from beginning to end.
func (s *socket) serve(client *net.TCPConn) {
	use := s.frontend.current()
	source := client.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	if use.pool == nil || !use.allows(source) {
		reset(client)
		return
	}
	conn, m, err := use.pool.connect(s.ctx, source, use.connectTimeout)
	if err != nil {
		s.frontend.log.V(4).Info("Connection reset", "source", source, "reason", err.Error())
		reset(client)
		return
	}
	defer use.pool.release(m)
	t := &tunnel{client: client, member: conn, idle: use.idle}
	t.run(s.ctx, m.ctx)
}

// reset ends a connection so that the other side gets an error and not an orderly end.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	conn.Close()
}

// limiter bounds the connections at the same time; the bound may change.
type limiter struct {
	mu      sync.Mutex
	limit   int
	active  int
	changed chan struct{} // closed at every change that may let somebody in
}

func newLimiter() *limiter { return &limiter{changed: make(chan struct{})} }

func (l *limiter) set(limit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = limit
	l.wake()
}

func (l *limiter) acquire(ctx context.Context) error {
	for {
		l.mu.Lock()
		if l.limit <= 0 || l.active < l.limit {
			l.active++
			l.mu.Unlock()
			return nil
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (l *limiter) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active--
	l.wake()
}

func (l *limiter) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}
