// Package metadata is the metadata service of the embedded cloud: http://169.254.169.254 inside each server's network
// namespace.
package metadata

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// Address is where clouds serve metadata; it is link-local, so it means this server's own in every namespace.
const Address = "169.254.169.254"

// Service serves the metadata of all servers, each in its own network namespace.
type Service struct {
	lookup func(serverID string) (Document, bool)
	log    klog.Logger

	mu      sync.Mutex
	closed  bool
	servers map[string]*endpoint
}

// endpoint is the listener of one server.
type endpoint struct {
	namespace identity
	http      *http.Server
	done      chan struct{} // closed when nothing is served any more
}

// identity tells network namespaces apart: a new one may have the path of an old one.
type identity struct{ device, inode uint64 }

// New makes a Service that asks lookup at every request. Close it in the end.
func New(lookup func(serverID string) (Document, bool), log klog.Logger) *Service {
	return &Service{lookup: lookup, log: log, servers: map[string]*endpoint{}}
}

// Serve begins to serve the server's metadata in the network namespace of that path. When it does already, nothing
// happens; when the server has a new namespace, it moves there.
func (s *Service) Serve(ctx context.Context, serverID, netns string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("metadata of server %s: the service is closed", serverID)
	}
	namespace, err := identify(netns)
	if err != nil {
		return fmt.Errorf("metadata of server %s: %w", serverID, err)
	}
	if e := s.servers[serverID]; e != nil {
		if e.namespace == namespace {
			return nil
		}
		s.stop(serverID)
	}
	listener, err := Listen(ctx, netns)
	if err != nil {
		return fmt.Errorf("metadata of server %s: %w", serverID, err)
	}
	e := &endpoint{namespace: namespace, done: make(chan struct{}), http: &http.Server{
		Handler:           handler(func() (Document, bool) { return s.lookup(serverID) }),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
	}}
	s.servers[serverID] = e
	go func() { // ends with e.http.Close
		defer close(e.done)
		if err := e.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error(err, "Metadata is served no more", "server", serverID)
		}
	}()
	return nil
}

// Stop ends the service of one server. Call it when the server stops: an open listener keeps its namespace alive.
func (s *Service) Stop(serverID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop(serverID)
}

// Close ends the service of all servers.
func (s *Service) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for id := range s.servers {
		s.stop(id)
	}
}

func (s *Service) stop(serverID string) {
	e := s.servers[serverID]
	if e == nil {
		return
	}
	e.http.Close()
	<-e.done
	delete(s.servers, serverID)
}

func identify(netns string) (identity, error) {
	var st unix.Stat_t
	if err := unix.Stat(netns, &st); err != nil {
		return identity{}, fmt.Errorf("network namespace %q: %w", netns, err)
	}
	return identity{st.Dev, st.Ino}, nil
}

// Listen makes a listener on Address inside the network namespace. A socket stays in the namespace in which it was made,
// whoever uses it.
func Listen(ctx context.Context, netns string) (listener net.Listener, err error) {
	onDoomedThread(func() { listener, err = enterAndListen(ctx, netns) })
	return listener, err
}

// onDoomedThread runs f on a thread that ends afterwards, and with it whatever namespace f entered.
func onDoomedThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The process's first thread cannot end: it would keep the namespace alive, and /proc show it as ours.
			onDoomedThread(f) // runs elsewhere, for this thread is taken
			runtime.UnlockOSThread()
			return
		}
		f() // never unlocked: the runtime ends the thread with the goroutine
	}()
	<-done
}

func enterAndListen(ctx context.Context, netns string) (net.Listener, error) {
	ns, err := os.Open(netns)
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter network namespace %s: %w", netns, err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return nil, fmt.Errorf("loopback device in %s: %w", netns, err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return nil, fmt.Errorf("loopback device in %s: %w", netns, err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(Address), Mask: net.CIDRMask(32, 32)}}
	if err := netlink.AddrAdd(lo, address); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("add %s in %s: %w", Address, netns, err)
	}
	var c net.ListenConfig
	return c.Listen(ctx, "tcp4", Address+":80")
}
