package balancer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// memberState is what the probes of a member have shown. The zero value is a member that was not probed yet.
type memberState struct {
	probed  bool
	healthy bool
	streak  int // probes in a row that contradict healthy
}

// usable tells whether the member may get connections: as in haproxy a new member is trusted until its first probe.
func (s memberState) usable() bool { return !s.probed || s.healthy }

// after is the state after one more probe. The first one decides alone; later it takes as many in a row as m says.
func (s memberState) after(success bool, m Monitor) memberState {
	if !s.probed {
		return memberState{probed: true, healthy: success}
	}
	if success == s.healthy {
		s.streak = 0
		return s
	}
	s.streak++
	needed := m.MaxRetries
	if s.healthy {
		needed = m.MaxRetriesDown
	}
	if s.streak >= needed {
		return memberState{probed: true, healthy: success}
	}
	return s
}

// probe asks a member once whether it is there; nil is yes.
type probe func(ctx context.Context) error

// newProbe makes the probe of one member; m has its defaults and is valid.
func newProbe(m Monitor, target netip.AddrPort) probe {
	if m.Type == MonitorHTTP {
		return httpProbe(m, target)
	}
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", target.String())
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

func httpProbe(m Monitor, target netip.AddrPort) probe {
	expected, err := parseCodes(m.ExpectedCodes)
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) error {
		if err != nil {
			return err
		}
		path, err := url.ParseRequestURI(m.Path)
		if err != nil {
			return fmt.Errorf("monitor path: %w", err)
		}
		request, err := http.NewRequestWithContext(ctx, m.Method, "http://"+target.String()+path.RequestURI(), nil)
		if err != nil {
			return fmt.Errorf("monitor request: %w", err)
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		response.Body.Close()
		if !expected.contain(response.StatusCode) {
			return fmt.Errorf("answered %d", response.StatusCode)
		}
		return nil
	}
}

// watch probes until ctx ends and reports every result.
func watch(ctx context.Context, m Monitor, p probe, report func(error)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		attempt, cancel := context.WithTimeout(ctx, m.Timeout)
		err := p(attempt)
		cancel()
		report(err)
		timer.Reset(m.Delay)
	}
}
