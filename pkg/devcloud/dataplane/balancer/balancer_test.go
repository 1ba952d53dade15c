package balancer

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConnectionsAreSharedByWeight(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	two, one, none := newBackend(t, "two"), newBackend(t, "one"), newBackend(t, "none")
	apply(t, b, config(vip, pool1(two.member(2), one.member(1), none.member(0))))
	got := map[string]int{}
	for range 9 {
		got[connect(t, vip).member]++
	}
	if diff := cmp.Diff(map[string]int{"two": 6, "one": 3}, got); diff != "" {
		t.Error(diff)
	}
}

func TestLeastConnectionsGoWhereOthersLeft(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	p := pool1(newBackend(t, "a").member(1), newBackend(t, "b").member(1))
	p.Algorithm = LeastConnections
	apply(t, b, config(vip, p))
	sessions := map[string][]*session{}
	for range 6 {
		s := connect(t, vip)
		sessions[s.member] = append(sessions[s.member], s)
	}
	if len(sessions["a"]) != 3 || len(sessions["b"]) != 3 {
		t.Fatalf("a has %d, b has %d", len(sessions["a"]), len(sessions["b"]))
	}
	for _, s := range sessions["b"] {
		s.Close()
	}
	running := b.balancers["lb-"+vip].pools["p1"]
	eventually(t, "b's connections have ended", func() bool {
		running.mu.Lock()
		defer running.mu.Unlock()
		return running.members[1].active == 0
	})
	for range 3 {
		if s := connect(t, vip); s.member != "b" {
			t.Errorf("went to %s", s.member)
		}
	}
}

func TestAClientStaysWithItsMember(t *testing.T) {
	for _, p := range []Pool{{Algorithm: SourceIP}, {Algorithm: RoundRobin, SourceIPPersistence: true}} {
		t.Run(fmt.Sprintf("%s persistence %v", p.Algorithm, p.SourceIPPersistence), func(t *testing.T) {
			b, vip := newBalancer(t), newVIP()
			p.ID = "p1"
			for _, name := range []string{"a", "b", "c"} {
				p.Members = append(p.Members, newBackend(t, name).member(1))
			}
			apply(t, b, config(vip, &p))
			used := map[string]bool{}
			for i := range 20 {
				source := fmt.Sprintf("127.0.1.%d", i+1)
				var member string
				for range 3 {
					s, err := dial(t, vip, source)
					if err != nil {
						t.Fatal(err)
					}
					if member != "" && s.member != member {
						t.Errorf("%s went to %s and to %s", source, member, s.member)
					}
					member = s.member
				}
				used[member] = true
			}
			if len(used) != 3 {
				t.Errorf("all 20 clients went to %v", used)
			}
		})
	}
}

// The promise of the balancer: 200 busy connections over many changes, and none is cut.
func TestMemberChangesCutNoConnectionOfAMemberThatStays(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	a, c := newBackend(t, "a"), newBackend(t, "c")
	apply(t, b, config(vip, pool1(a.member(1), c.member(1))))

	sessions := make([]*session, 200)
	for i := range sessions {
		sessions[i] = connect(t, vip)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	rounds := make([]int, len(sessions))
	for i, s := range sessions {
		wg.Go(func() {
			for ctx.Err() == nil || rounds[i] == 0 {
				if err := s.echo(); err != nil {
					t.Errorf("connection %d to %s after %d round trips: %v", i, s.member, rounds[i], err)
					return
				}
				rounds[i]++
			}
		})
	}
	other := newBackend(t, "other")
	for range 10 {
		changed := config(vip, pool1(c.member(0), other.member(3), a.member(5)))
		changed.Addresses = append(changed.Addresses, newVIP())
		changed.Listeners[0].Pool.Algorithm = LeastConnections
		changed.Listeners[0].Pool.Monitor = &Monitor{Type: MonitorTCP, Delay: time.Millisecond}
		changed.Listeners[0].ConnectionLimit = 1000
		changed.Listeners = append(changed.Listeners, Listener{ID: "l2", Port: port + 1})
		apply(t, b, changed)
		victim, err := dial(t, vip, "")
		if err != nil || victim.member == "c" {
			t.Errorf("a new connection: %v, %v", victim, err)
		}
		apply(t, b, config(vip, pool1(a.member(1), c.member(1))))
	}
	stop()
	wg.Wait()
}

func TestARemovedMembersConnectionsAreCut(t *testing.T) {
	tests := []struct {
		name   string
		change func(leaving, staying Member) []Member
	}{
		{"removed", func(_, staying Member) []Member { return []Member{staying} }},
		{"moved to another port", func(leaving, staying Member) []Member {
			leaving.Port = staying.Port
			return []Member{leaving, staying}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, vip := newBalancer(t), newVIP()
			leaving, staying := newBackend(t, "leaving"), newBackend(t, "staying")
			apply(t, b, config(vip, pool1(leaving.member(1), staying.member(1))))
			first, second := connect(t, vip), connect(t, vip)
			apply(t, b, config(vip, pool1(tt.change(leaving.member(1), staying.member(1))...)))
			for _, s := range []*session{first, second} {
				if s.member == "leaving" {
					mustBeCut(t, s)
				} else {
					mustEcho(t, s)
				}
			}
			for range 2 {
				if s := connect(t, vip); s.member != "staying" {
					t.Errorf("new connection to %s", s.member)
				}
			}
		})
	}
}

func TestADrainedOrDisabledMemberKeepsItsConnectionsAndGetsNone(t *testing.T) {
	for _, name := range []string{"weight 0", "admin down"} {
		t.Run(name, func(t *testing.T) {
			b, vip := newBalancer(t), newVIP()
			m, other := newBackend(t, "m"), newBackend(t, "other")
			apply(t, b, config(vip, pool1(m.member(1))))
			s := connect(t, vip)
			drained := m.member(1)
			if name == "weight 0" {
				drained.Weight = 0
			} else {
				drained.AdminDown = true
			}
			apply(t, b, config(vip, pool1(drained, other.member(1))))
			mustEcho(t, s)
			for range 3 {
				if s := connect(t, vip); s.member != "other" {
					t.Errorf("new connection to %s", s.member)
				}
			}
		})
	}
}

func TestAnotherMemberIsTriedWhenOneRefuses(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	dead, alive := newBackend(t, "dead"), newBackend(t, "alive")
	apply(t, b, config(vip, pool1(dead.member(1), alive.member(1))))
	dead.stop()
	for range 6 {
		if s := connect(t, vip); s.member != "alive" {
			t.Errorf("reached %s", s.member)
		}
	}
	alive.stop()
	mustNotConnect(t, vip, syscall.ECONNRESET)
}

func TestWithoutAMemberConnectionsAreReset(t *testing.T) {
	drained := newBackend(t, "drained").member(0)
	for name, p := range map[string]*Pool{"no pool": nil, "no member": pool1(), "only a drained member": pool1(drained)} {
		t.Run(name, func(t *testing.T) {
			b, vip := newBalancer(t), newVIP()
			apply(t, b, config(vip, p))
			mustNotConnect(t, vip, syscall.ECONNRESET)
			apply(t, b, config(vip, pool1(newBackend(t, "m").member(1))))
			mustEcho(t, connect(t, vip))
		})
	}
}

func TestOnlyAllowedCIDRsConnect(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	c := config(vip, pool1(newBackend(t, "m").member(1)))
	c.Listeners[0].AllowedCIDRs = []string{"127.0.2.7/24", "10.0.0.0/8"}
	apply(t, b, c)
	if _, err := dial(t, vip, "127.0.2.200"); err != nil {
		t.Errorf("from an allowed address: %v", err)
	}
	if _, err := dial(t, vip, "127.0.3.1"); err == nil {
		t.Error("connected from an address that is not allowed")
	}
}

func TestAConnectionOverTheLimitWaits(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	c := config(vip, pool1(newBackend(t, "m").member(1)))
	c.Listeners[0].ConnectionLimit = 2
	apply(t, b, c)
	first, second := connect(t, vip), connect(t, vip)

	waiting := func() chan *session {
		got := make(chan *session, 1)
		go func() {
			s, err := dial(t, vip, "")
			if err != nil {
				t.Error(err)
			}
			got <- s
		}()
		return got
	}
	third := waiting()
	select {
	case <-third:
		t.Fatal("a third connection came through")
	case <-time.After(50 * time.Millisecond):
	}
	first.Close()
	mustEcho(t, <-third)

	fourth := waiting()
	c.Listeners[0].ConnectionLimit = 3
	apply(t, b, c)
	mustEcho(t, <-fourth)
	mustEcho(t, second)
}

func TestTheEndOfOneDirectionLeavesTheOtherOpen(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	apply(t, b, config(vip, pool1(newBackend(t, "m").member(1))))
	s := connect(t, vip)
	if _, err := io.WriteString(s, "question"); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(s.r)
	if err != nil || string(answer) != "questionbye" {
		t.Errorf("read %q, %v", answer, err)
	}
}

func TestAResetOfTheMemberReachesTheClient(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	m := newBackend(t, "m")
	apply(t, b, config(vip, pool1(m.member(1))))
	s := connect(t, vip)
	m.conns.Range(func(conn, _ any) bool { reset(conn.(*net.TCPConn)); return true })
	mustBeCut(t, s)
}

func TestASilentConnectionIsCutAndABusyOneIsNot(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	c := config(vip, pool1(newBackend(t, "m").member(1)))
	c.Listeners[0].ClientTimeout = 400 * time.Millisecond
	apply(t, b, c)
	silent, busy := connect(t, vip), connect(t, vip)
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		mustBeCut(t, silent)
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for after := 0; after < 40; { // twice the timeout after the silent one was cut
		mustEcho(t, busy)
		<-tick.C
		select {
		case <-cut:
			after++
		default:
		}
	}
}

func TestLargeTransfersArriveWhole(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	apply(t, b, config(vip, pool1(newBackend(t, "m").member(1))))
	data := make([]byte, 16<<20)
	_, _ = rand.Read(data)
	s := connect(t, vip)
	go func() {
		if _, err := s.Write(data); err != nil {
			t.Error(err)
		}
		_ = s.CloseWrite()
	}()
	got, err := io.ReadAll(s.r)
	if err != nil || !bytes.Equal(got, append(data, "bye"...)) {
		t.Errorf("read %d bytes of %d, %v", len(got), len(data)+3, err)
	}
}

func TestAddressesComeAndGoAlone(t *testing.T) {
	b, vip, floating := newBalancer(t), newVIP(), newVIP()
	c := config(vip, pool1(newBackend(t, "m").member(1)))
	apply(t, b, c)
	viaVIP := connect(t, vip)
	c.Addresses = []string{vip, floating}
	apply(t, b, c)
	viaFloating := connect(t, floating)
	c.Addresses = []string{vip}
	apply(t, b, c)
	mustBeCut(t, viaFloating)
	mustNotConnect(t, floating, syscall.ECONNREFUSED)
	mustEcho(t, viaVIP)
	mustEcho(t, connect(t, vip))
}

func TestARemovedListenerOrLoadBalancerRefuses(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	c := config(vip, pool1(newBackend(t, "m").member(1)))
	for _, remove := range []func() error{
		func() error { return b.Apply(t.Context(), Config{ID: c.ID, Addresses: c.Addresses}) },
		func() error { return b.Remove(t.Context(), c.ID) },
		func() error { // the port goes to another listener
			apply(t, b, c)
			moved := config(vip, nil)
			moved.Listeners[0] = Listener{ID: "l2", Port: port}
			moved.Listeners = append(moved.Listeners, Listener{ID: "l1", Port: port + 1})
			apply(t, b, moved)
			mustNotConnect(t, vip, syscall.ECONNRESET)
			return b.Remove(t.Context(), c.ID)
		},
	} {
		apply(t, b, c)
		s := connect(t, vip)
		for range 2 {
			if err := remove(); err != nil {
				t.Fatal(err)
			}
		}
		mustBeCut(t, s)
		mustNotConnect(t, vip, syscall.ECONNREFUSED)
	}
	if h := b.Health(c.ID); len(h) != 0 {
		t.Errorf("health of a removed load balancer: %v", h)
	}
}

func TestAPortThatIsTakenIsNamedAndTheRestWorks(t *testing.T) {
	b, vip, taken := newBalancer(t), newVIP(), newVIP()
	other, err := net.Listen("tcp", fmt.Sprintf("%s:%d", taken, port))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	c := config(vip, pool1(newBackend(t, "m").member(1)))
	c.Addresses = []string{taken, vip}
	err = b.Apply(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "listener l1") || !strings.Contains(err.Error(), taken) {
		t.Errorf("apply: %v", err)
	}
	s := connect(t, vip)
	other.Close()
	apply(t, b, c)
	mustEcho(t, connect(t, taken))
	mustEcho(t, s)
}

func TestAWrongConfigurationChangesNothing(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	apply(t, b, config(vip, pool1(newBackend(t, "m").member(1))))
	s := connect(t, vip)
	wrong := config(vip, pool1())
	wrong.Listeners[0].AllowedCIDRs = []string{"everyone"}
	if err := b.Apply(t.Context(), wrong); err == nil {
		t.Error("applied")
	}
	mustEcho(t, s)
	mustEcho(t, connect(t, vip))
}

// recorder is Addresses that tells what was asked for.
type recorder struct{ calls []string }

func (r *recorder) Set(_ context.Context, owner string, addresses []netip.Addr) error {
	r.calls = append(r.calls, fmt.Sprint(owner, addresses))
	return nil
}

func TestAddressesExistBeforeTheirSocketsAndOutliveThem(t *testing.T) {
	r, old, added := &recorder{}, newVIP(), newVIP()
	b := New(Options{Addresses: r})
	defer b.Close()
	apply(t, b, Config{ID: "lb", Addresses: []string{old}})
	r.calls = nil
	apply(t, b, Config{ID: "lb", Addresses: []string{added}})
	if err := b.Remove(t.Context(), "lb"); err != nil {
		t.Fatal(err)
	}
	want := []string{"lb[" + old + " " + added + "]", "lb[" + added + "]", "lb[]"}
	if diff := cmp.Diff(want, r.calls); diff != "" {
		t.Error(diff)
	}
}

func TestAClosedBalancerRefusesWork(t *testing.T) {
	b, vip := New(Options{}), newVIP()
	apply(t, b, config(vip, pool1(newBackend(t, "m").member(1))))
	s := connect(t, vip)
	b.Close()
	mustBeCut(t, s)
	if err := b.Apply(t.Context(), config(vip, nil)); err == nil {
		t.Error("applied")
	}
	b.Close()
}
