package balancer

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func fast(kind string) *Monitor {
	return &Monitor{Type: kind, Delay: 5 * time.Millisecond, MaxRetries: 2, MaxRetriesDown: 2}
}

func TestAMemberThatFailsItsMonitorGetsNoConnections(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	good, bad := newBackend(t, "good"), newBackend(t, "bad")
	p := pool1(good.member(1), bad.member(1))
	p.Monitor = fast(MonitorTCP)
	c := config(vip, p)
	apply(t, b, c)
	health := func(want map[string]Health) func() bool {
		return func() bool { return cmp.Equal(b.Health(c.ID), want) }
	}
	eventually(t, "both are online", health(map[string]Health{"good": Online, "bad": Online}))

	address := bad.listener.Addr().String()
	bad.stop()
	eventually(t, "bad is in error", health(map[string]Health{"good": Online, "bad": Error}))
	for range 4 {
		if s := connect(t, vip); s.member != "good" {
			t.Errorf("connected to %s", s.member)
		}
	}
	apply(t, b, c) // nothing changed: what was learned stays
	if !health(map[string]Health{"good": Online, "bad": Error})() {
		t.Errorf("after applying the same again: %v", b.Health(c.ID))
	}
	newBackendAt(t, "bad", address)
	eventually(t, "bad is back", health(map[string]Health{"good": Online, "bad": Online}))
	got := map[string]int{}
	for range 4 {
		got[connect(t, vip).member]++
	}
	if diff := cmp.Diff(map[string]int{"good": 2, "bad": 2}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhenAllMembersFailConnectionsAreReset(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	m := newBackend(t, "m")
	p := pool1(m.member(1))
	p.Monitor = fast(MonitorTCP)
	p.Members[0].MonitorPort = 1 // nobody listens there
	c := config(vip, p)
	apply(t, b, c)
	eventually(t, "m is in error", func() bool { return b.Health(c.ID)["m"] == Error })
	mustNotConnect(t, vip, syscall.ECONNRESET)

	p = pool1(m.member(1)) // the monitor is removed
	apply(t, b, config(vip, p))
	if got := b.Health(c.ID)["m"]; got != NoMonitor {
		t.Errorf("health %s", got)
	}
	mustEcho(t, connect(t, vip))
}

func TestAnHTTPMonitorAsksForItsPathAndCodes(t *testing.T) {
	var status atomic.Int32
	status.Store(http.StatusNoContent)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead || r.URL.String() != "/healthz?full=1" {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
		w.Header().Set("Location", "http://192.0.2.1/") // a probe follows no redirect
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	host, checkPort, _ := net.SplitHostPort(server.Listener.Addr().String())

	b, vip := newBalancer(t), newVIP()
	p := pool1(newBackend(t, "m").member(1))
	p.Monitor = fast(MonitorHTTP)
	p.Monitor.Method, p.Monitor.Path, p.Monitor.ExpectedCodes = http.MethodHead, "/healthz?full=1", "200,204"
	p.Members[0].MonitorAddress = host
	p.Members[0].MonitorPort, _ = strconv.Atoi(checkPort)
	c := config(vip, p)
	apply(t, b, c)
	for _, step := range []struct {
		status int32
		want   Health
	}{{http.StatusNoContent, Online}, {http.StatusServiceUnavailable, Error}, {http.StatusOK, Online}, {http.StatusFound, Error}} {
		status.Store(step.status)
		eventually(t, string(step.want), func() bool { return b.Health(c.ID)["m"] == step.want })
	}
}

func TestAProbeThatGetsNoAnswerFails(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	b, vip := newBalancer(t), newVIP()
	p := pool1(newBackend(t, "m").member(1))
	p.Monitor = fast(MonitorHTTP)
	p.Monitor.Timeout = 20 * time.Millisecond
	p.Members[0].MonitorPort = silent.Addr().(*net.TCPAddr).Port
	c := config(vip, p)
	apply(t, b, c)
	eventually(t, "m is in error", func() bool { return b.Health(c.ID)["m"] == Error })
}

func TestAMemberThatIsAdminDownIsNotProbed(t *testing.T) {
	var probes atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { probes.Add(1) }))
	defer server.Close()
	a := server.Listener.Addr().(*net.TCPAddr)
	b, vip := newBalancer(t), newVIP()
	p := pool1(Member{ID: "m", Address: a.IP.String(), Port: a.Port, Weight: 1})
	p.Monitor = fast(MonitorHTTP)
	c := config(vip, p)
	apply(t, b, c)
	eventually(t, "m is probed", func() bool { return probes.Load() > 2 })
	p.Members[0].AdminDown = true
	apply(t, b, c)
	if h := b.Health(c.ID); len(h) != 0 {
		t.Errorf("health: %v", h)
	}
	server.Close() // waits for the last probe
	apply(t, b, c)
	if h := b.Health(c.ID); len(h) != 0 {
		t.Errorf("health: %v", h)
	}
}

func TestAChangedMonitorTakesOverAtOnce(t *testing.T) {
	b, vip := newBalancer(t), newVIP()
	p := pool1(newBackend(t, "m").member(1))
	p.Monitor = &Monitor{Type: MonitorTCP, Delay: time.Hour}
	c := config(vip, p)
	apply(t, b, c)
	eventually(t, "m is online", func() bool { return b.Health(c.ID)["m"] == Online })
	p.Members[0].MonitorPort = 1
	p.Monitor = &Monitor{Type: MonitorTCP, Delay: time.Millisecond}
	apply(t, b, c)
	eventually(t, "m is in error", func() bool { return b.Health(c.ID)["m"] == Error })
}
