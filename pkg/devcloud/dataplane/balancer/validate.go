package balancer

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Octavia's defaults.
const (
	defaultDataTimeout    = 50 * time.Second
	defaultConnectTimeout = 5 * time.Second
	defaultProbeInterval  = 5 * time.Second
	defaultRetries        = 3
)

// validate returns the configuration's addresses, or names what is wrong with it.
func (c Config) validate() ([]netip.Addr, error) {
	addresses := make([]netip.Addr, 0, len(c.Addresses))
	for _, a := range c.Addresses {
		address, err := netip.ParseAddr(a)
		if err != nil {
			return nil, fmt.Errorf("load balancer %s: address: %w", c.ID, err)
		}
		addresses = append(addresses, address.Unmap())
	}
	ports := map[int]string{}
	for _, l := range c.Listeners {
		if other, taken := ports[l.Port]; taken {
			return nil, fmt.Errorf("load balancer %s: listeners %s and %s both have port %d", c.ID, other, l.ID, l.Port)
		}
		ports[l.Port] = l.ID
		if err := l.validate(); err != nil {
			return nil, fmt.Errorf("load balancer %s: listener %s: %w", c.ID, l.ID, err)
		}
	}
	return addresses, nil
}

func (l Listener) validate() error {
	if err := checkPort(l.Port); err != nil {
		return err
	}
	if _, err := parsePrefixes(l.AllowedCIDRs); err != nil {
		return err
	}
	if l.Pool == nil {
		return nil
	}
	if err := l.Pool.validate(); err != nil {
		return fmt.Errorf("pool %s: %w", l.Pool.ID, err)
	}
	return nil
}

func (p Pool) validate() error {
	switch p.Algorithm {
	case "", RoundRobin, LeastConnections, SourceIP:
	default:
		return fmt.Errorf("algorithm %q: want %s, %s or %s", p.Algorithm, RoundRobin, LeastConnections, SourceIP)
	}
	seen := map[string]bool{}
	for _, m := range p.Members {
		if seen[m.ID] {
			return fmt.Errorf("member %s: twice in the pool", m.ID)
		}
		seen[m.ID] = true
		if err := m.validate(); err != nil {
			return fmt.Errorf("member %s: %w", m.ID, err)
		}
	}
	if p.Monitor == nil {
		return nil
	}
	if p.Monitor.Type != MonitorTCP && p.Monitor.Type != MonitorHTTP {
		return fmt.Errorf("monitor type %q: want %s or %s", p.Monitor.Type, MonitorTCP, MonitorHTTP)
	}
	_, err := parseCodes(p.Monitor.ExpectedCodes)
	return err
}

func (m Member) validate() error {
	for _, address := range []string{m.Address, cmp.Or(m.MonitorAddress, m.Address)} {
		if _, err := netip.ParseAddr(address); err != nil {
			return err
		}
	}
	for _, port := range []int{m.Port, cmp.Or(m.MonitorPort, m.Port)} {
		if err := checkPort(port); err != nil {
			return err
		}
	}
	return nil
}

func checkPort(port int) error {
	if port < 1 || port > 65535 {
		return fmt.Errorf("port %d: want 1 to 65535", port)
	}
	return nil
}

func parsePrefixes(cidrs []string) ([]netip.Prefix, error) {
	prefixes := make([]netip.Prefix, 0, len(cidrs))
	for _, c := range cidrs {
		p, err := netip.ParsePrefix(c)
		if err != nil {
			return nil, fmt.Errorf("allowed CIDR: %w", err)
		}
		prefixes = append(prefixes, p.Masked())
	}
	return prefixes, nil
}

// codes are the HTTP status codes by which a probe succeeds.
type codes []struct{ first, last int }

func (c codes) contain(status int) bool {
	for _, r := range c {
		if r.first <= status && status <= r.last {
			return true
		}
	}
	return false
}

// parseCodes reads Octavia's expected_codes: "200", "200,202" or "200-204".
func parseCodes(s string) (codes, error) {
	if s == "" {
		s = "200"
	}
	var parsed codes
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || first < 100 || last > 599 || first > last {
			return nil, fmt.Errorf("expected codes %q: want for example 200, 200,202 or 200-204", s)
		}
		parsed = append(parsed, struct{ first, last int }{first, last})
	}
	return parsed, nil
}

// withDefaults fills in what was left zero.
func (m Monitor) withDefaults() Monitor {
	m.Delay = orDefault(m.Delay, defaultProbeInterval)
	m.Timeout = orDefault(m.Timeout, defaultProbeInterval)
	m.MaxRetries = orDefault(m.MaxRetries, defaultRetries)
	m.MaxRetriesDown = orDefault(m.MaxRetriesDown, defaultRetries)
	if m.Path == "" {
		m.Path = "/"
	}
	if m.Method == "" {
		m.Method = "GET"
	}
	return m
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}
