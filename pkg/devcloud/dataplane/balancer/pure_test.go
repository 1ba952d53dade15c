package balancer

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

var client = netip.MustParseAddr("192.0.2.1")

func TestRoundRobinInterleavesByWeight(t *testing.T) {
	p := newPicker()
	var got []string
	for range 8 {
		got = append(got, p.pick(RoundRobin, false, client, []candidate{{id: "a", weight: 2}, {id: "b", weight: 1}, {id: "c", weight: 1}}))
	}
	if want := "a b c a a b c a"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestLeastConnections(t *testing.T) {
	tests := []struct {
		name       string
		candidates []candidate
		want       string
	}{
		{"the one with fewer connections is chosen", []candidate{{"a", 1, 3}, {"b", 1, 2}}, "b"},
		{"connections count in relation to the weight", []candidate{{"a", 10, 9}, {"b", 1, 1}}, "a"},
		{"a single member is chosen however loaded", []candidate{{"a", 1, 1000}}, "a"},
		{"equally loaded ones take turns, the heavier first", []candidate{{"a", 1, 0}, {"b", 2, 0}}, "b"},
		{"nobody is chosen when there is nobody", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := newPicker().pick(LeastConnections, false, client, tt.candidates); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func sources(n int) []netip.Addr {
	all := make([]netip.Addr, n)
	for i := range all {
		all[i] = netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
	}
	return all
}

func TestSourceIPMovesOnlyTheClientsOfARemovedMember(t *testing.T) {
	p := newPicker()
	all := []candidate{{id: "a", weight: 1}, {id: "b", weight: 1}, {id: "c", weight: 2}}
	count := map[string]float64{}
	for _, source := range sources(4000) {
		before := p.pick(SourceIP, false, source, all)
		count[before]++
		if after := p.pick(SourceIP, false, source, all[1:]); before != "a" && after != before {
			t.Fatalf("%s moved from %s to %s because a was removed", source, before, after)
		}
	}
	for id, want := range map[string]float64{"a": 1000, "b": 1000, "c": 2000} {
		if math.Abs(count[id]-want) > want/5 {
			t.Errorf("%s has %v of 4000 clients, want about %v", id, count[id], want)
		}
	}
}

func TestPersistence(t *testing.T) {
	p := newPicker()
	both := []candidate{{id: "a", weight: 1}, {id: "b", weight: 1}}
	first := p.pick(RoundRobin, true, client, both)
	for range 3 {
		if got := p.pick(RoundRobin, true, client, both); got != first {
			t.Fatalf("moved from %s to %s", first, got)
		}
	}
	others := slices.DeleteFunc(slices.Clone(both), func(c candidate) bool { return c.id == first })
	moved := p.pick(RoundRobin, true, client, others)
	if moved == first {
		t.Fatal("stayed with a member that takes no connections")
	}
	if got := p.pick(RoundRobin, true, client, both); got != moved {
		t.Errorf("went back to %s: its session is on %s now", got, moved)
	}
	for _, source := range sources(maxPersistent) {
		p.pick(RoundRobin, true, source, both)
	}
	if _, remembered := p.persistent[client]; remembered || len(p.persistent) != maxPersistent || len(p.oldest) != maxPersistent {
		t.Errorf("%d clients remembered, the oldest among them: %v", len(p.persistent), remembered)
	}
}

func TestMemberState(t *testing.T) {
	m := Monitor{MaxRetries: 2, MaxRetriesDown: 3}
	tests := []struct {
		name   string
		probes string // + success, - failure
		usable bool
	}{
		{"a new member is trusted", "", true},
		{"the first success settles it", "+", true},
		{"the first failure settles it", "-", false},
		{"fewer failures than MaxRetriesDown are forgiven", "+--", true},
		{"MaxRetriesDown failures in a row bring it down", "+---", false},
		{"a success between the failures starts the count anew", "+--+--", true},
		{"fewer successes than MaxRetries do not bring it back", "+---+", false},
		{"MaxRetries successes in a row bring it back", "+---++", true},
		{"a failure between the successes starts the count anew", "-+-+", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s memberState
			for _, p := range tt.probes {
				s = s.after(p == '+', m)
			}
			if s.usable() != tt.usable {
				t.Errorf("after %q: %+v", tt.probes, s)
			}
		})
	}
}

func TestExpectedCodes(t *testing.T) {
	tests := []struct {
		s       string
		in, out []int
	}{
		{"", []int{200}, []int{201, 199}},
		{"204", []int{204}, []int{200}},
		{"200,202", []int{200, 202}, []int{201}},
		{"200-204, 301", []int{200, 203, 204, 301}, []int{205, 300}},
	}
	for _, tt := range tests {
		c, err := parseCodes(tt.s)
		if err != nil {
			t.Errorf("%q: %v", tt.s, err)
		}
		for _, code := range tt.in {
			if !c.contain(code) {
				t.Errorf("%q does not contain %d", tt.s, code)
			}
		}
		for _, code := range tt.out {
			if c.contain(code) {
				t.Errorf("%q contains %d", tt.s, code)
			}
		}
	}
	for _, s := range []string{"ok", "200-", "204-200", "99", "200,,201"} {
		if _, err := parseCodes(s); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", s)) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestAWrongConfigurationIsNamed(t *testing.T) {
	good := func() Config {
		return Config{ID: "lb", Addresses: []string{"127.0.0.1"}, Listeners: []Listener{{ID: "l1", Port: 80, Pool: &Pool{
			ID: "p", Members: []Member{{ID: "m", Address: "127.0.0.1", Port: 80}}, Monitor: &Monitor{Type: MonitorTCP}}}}}
	}
	if _, err := good().validate(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		spoil func(c *Config)
		want  string
	}{
		{"address", func(c *Config) { c.Addresses = []string{"10.0.0.300"} }, "10.0.0.300"},
		{"port of a listener", func(c *Config) { c.Listeners[0].Port = 70000 }, "listener l1: port 70000: want 1 to 65535"},
		{"port used twice", func(c *Config) { c.Listeners = append(c.Listeners, Listener{ID: "l2", Port: 80}) }, "l1 and l2 both have port 80"},
		{"allowed CIDR", func(c *Config) { c.Listeners[0].AllowedCIDRs = []string{"10.0.0.0/33"} }, "10.0.0.0/33"},
		{"algorithm", func(c *Config) { c.Listeners[0].Pool.Algorithm = "RANDOM" }, `pool p: algorithm "RANDOM": want ROUND_ROBIN`},
		{"address of a member", func(c *Config) { c.Listeners[0].Pool.Members[0].Address = "web" }, "member m"},
		{"port of a member", func(c *Config) { c.Listeners[0].Pool.Members[0].Port = 0 }, "member m: port 0"},
		{"monitor address of a member", func(c *Config) { c.Listeners[0].Pool.Members[0].MonitorAddress = "web" }, "member m"},
		{"member twice", func(c *Config) {
			m := &c.Listeners[0].Pool.Members
			*m = append(*m, (*m)[0])
		}, "member m: twice"},
		{"type of the monitor", func(c *Config) { c.Listeners[0].Pool.Monitor.Type = "PING" }, `monitor type "PING": want TCP or HTTP`},
		{"expected codes", func(c *Config) { c.Listeners[0].Pool.Monitor.ExpectedCodes = "fine" }, `expected codes "fine"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good()
			tt.spoil(&c)
			if _, err := c.validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
