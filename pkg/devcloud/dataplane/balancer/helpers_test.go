package balancer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	port    = 5432
	patient = 20 * time.Second // until a test gives up; never the time that something takes
)

var vips atomic.Uint32

// newVIP is a loopback address that no other test, nor another run of the tests, uses.
func newVIP() string {
	pid := os.Getpid()
	return netip.AddrFrom4([4]byte{127, byte(pid>>8)%100 + 100, byte(pid), byte(vips.Add(1))}).String()
}

func newBalancer(t *testing.T) *Balancer {
	t.Helper()
	b := New(Options{})
	t.Cleanup(b.Close)
	return b
}

func apply(t *testing.T, b *Balancer, c Config) {
	t.Helper()
	if err := b.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// config is a load balancer with one listener on one address.
func config(vip string, p *Pool) Config {
	return Config{ID: "lb-" + vip, Addresses: []string{vip}, Listeners: []Listener{{ID: "l1", Port: port, Pool: p}}}
}

func pool1(members ...Member) *Pool { return &Pool{ID: "p1", Members: members} }

// backend is a server that says its name and then echoes; when the client has no more to say, it says bye.
type backend struct {
	name     string
	listener net.Listener
	conns    sync.Map
	wg       sync.WaitGroup
}

func newBackend(t *testing.T, name string) *backend {
	t.Helper()
	return newBackendAt(t, name, "127.0.0.1:0")
}

func newBackendAt(t *testing.T, name, address string) *backend {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &backend{name: name, listener: l}
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Store(conn, true)
			s.wg.Go(func() {
				defer s.conns.Delete(conn)
				defer conn.Close()
				fmt.Fprintln(conn, name)
				if _, err := io.Copy(conn, conn); err == nil {
					_, _ = io.WriteString(conn, "bye")
				}
			})
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *backend) stop() {
	s.listener.Close()
	s.conns.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
	s.wg.Wait()
}

func (s *backend) member(weight int) Member {
	a := s.listener.Addr().(*net.TCPAddr)
	return Member{ID: s.name, Address: a.IP.String(), Port: a.Port, Weight: weight}
}

// session is a client's connection and the member that it reached.
type session struct {
	*net.TCPConn
	r      *bufio.Reader
	member string
}

// connect dials and reads the member's name. The connection is closed with the test.
func connect(t *testing.T, vip string) *session {
	t.Helper()
	s, err := dial(t, vip, "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dial(t *testing.T, vip, source string) (*session, error) {
	t.Helper()
	var local net.Addr
	if source != "" {
		local = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	d := net.Dialer{Timeout: patient, LocalAddr: local}
	conn, err := d.DialContext(t.Context(), "tcp", fmt.Sprintf("%s:%d", vip, port))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patient))
	s := &session{TCPConn: conn.(*net.TCPConn), r: bufio.NewReader(conn)}
	name, err := s.r.ReadString('\n')
	if err != nil {
		conn.Close()
		return nil, err
	}
	s.member = name[:len(name)-1]
	return s, nil
}

// echo is one round trip.
func (s *session) echo() error {
	if _, err := fmt.Fprintln(s, "ping"); err != nil {
		return err
	}
	line, err := s.r.ReadString('\n')
	if err == nil && line != "ping\n" {
		return fmt.Errorf("echoed %q", line)
	}
	return err
}

func mustEcho(t *testing.T, s *session) {
	t.Helper()
	if err := s.echo(); err != nil {
		t.Errorf("connection to %s: %v", s.member, err)
	}
}

// mustBeCut waits until the connection is reset.
func mustBeCut(t *testing.T, s *session) {
	t.Helper()
	if _, err := s.r.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("connection to %s: %v, want a reset", s.member, err)
	}
}

func mustNotConnect(t *testing.T, vip string, want error) {
	t.Helper()
	if s, err := dial(t, vip, ""); !errors.Is(err, want) {
		t.Errorf("dial %s: %v, %v; want %v", vip, s, err, want)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	giveUp := time.After(patient)
	for !is() {
		select {
		case <-tick.C:
		case <-giveUp:
			t.Fatalf("never: %s", what)
		}
	}
}
