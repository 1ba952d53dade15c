package transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"golang.org/x/time/rate"
	"k8s.io/utils/clock"

	"github.com/fairlead-io/fairlead/pkg/cloud/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hasty is a clock whose timers fire at once; it remembers what they were set to.
type hasty struct {
	clock.RealClock
	mu     sync.Mutex
	pauses []time.Duration
}

func (h *hasty) NewTimer(d time.Duration) clock.Timer {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pauses = append(h.pauses, d)
	return h.RealClock.NewTimer(0)
}

// server answers with the scripted steps, then with 200.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	steps  []func(w http.ResponseWriter, r *http.Request)
	bodies []string
	ids    []string
}

func newServer(t *testing.T, steps ...func(http.ResponseWriter, *http.Request)) *server {
	s := &server{steps: steps}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.bodies = append(s.bodies, string(body))
		s.ids = append(s.ids, r.Header.Get("X-Openstack-Request-Id"))
		step := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }
		if len(s.steps) > 0 {
			step, s.steps = s.steps[0], s.steps[1:]
		}
		s.mu.Unlock()
		step(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// seen are the bodies and request ids received so far.
func (s *server) seen() (bodies, ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bodies), slices.Clone(s.ids)
}

func status(code int, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// drop closes the connection without an answer.
func drop(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func newClient(t *testing.T, opts transport.Options) *http.Client {
	base := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(base.CloseIdleConnections)
	opts.Base = base
	rt, err := transport.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: rt}
}

// send makes one call and returns its status, 0 without an answer.
func send(ctx context.Context, t *testing.T, c *http.Client, method, url string) (int, *transport.Call, error) {
	t.Helper()
	call := &transport.Call{Service: "volume"}
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("payload")
	}
	req, err := http.NewRequestWithContext(transport.WithCall(ctx, call), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, call, err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.ReadAll(resp.Body); err != nil {
		return 0, call, err
	}
	return resp.StatusCode, call, nil
}

func TestTheMutationContract(t *testing.T) {
	type steps = []func(http.ResponseWriter, *http.Request)
	tests := []struct {
		name     string
		method   string
		steps    steps
		status   int // 0: an error
		attempts int
	}{
		{"a read is repeated after a gateway's 502", "GET", steps{status(502)}, 200, 2},
		{"a read is repeated after 503", "GET", steps{status(503)}, 200, 2},
		{"a read is repeated after a gateway's 504", "GET", steps{status(504)}, 200, 2},
		{"a read is repeated after a lost connection", "GET", steps{drop}, 200, 2},
		{"a read is repeated after 429", "GET", steps{status(429, "Retry-After", "1")}, 200, 2},
		{"a read is not repeated after 500", "GET", steps{status(500)}, 500, 1},
		{"a read is not repeated after 404", "GET", steps{status(404)}, 404, 1},
		{"a read is given up after four attempts", "GET", steps{status(502), status(502), status(502), status(503), status(200)}, 503, 4},
		{"a write is not repeated after a gateway's 502", "POST", steps{status(502)}, 502, 1},
		{"a write is not repeated after 503", "POST", steps{status(503)}, 503, 1},
		{"a write is not repeated after a gateway's 504", "PUT", steps{status(504)}, 504, 1},
		{"a write is not repeated after a lost connection", "DELETE", steps{drop}, 0, 1},
		{"a write is repeated after 429", "POST", steps{status(429), status(429, "Retry-After", "2")}, 200, 3},
		{"a long pause is the caller's to wait", "GET", steps{status(429, "Retry-After", "600")}, 429, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, tt.steps...)
			got, _, err := send(t.Context(), t, newClient(t, transport.Options{Clock: &hasty{}}), tt.method, s.URL)
			if got != tt.status || (err != nil) != (tt.status == 0) {
				t.Errorf("got %d, %v, want %d", got, err, tt.status)
			}
			bodies, ids := s.seen()
			if len(bodies) != tt.attempts {
				t.Errorf("%d attempts, want %d", len(bodies), tt.attempts)
			}
			if tt.method == "POST" && slices.ContainsFunc(bodies, func(b string) bool { return b != "payload" }) {
				t.Errorf("bodies %q: every attempt must send the whole body", bodies)
			}
			if ids = slices.Compact(ids); len(ids) != 1 || !strings.HasPrefix(ids[0], "req-") {
				t.Errorf("ids %q: all attempts share one", ids)
			}
		})
	}
}

func TestSentSaysWhetherTheRequestCanHaveReachedTheCloud(t *testing.T) {
	t.Run("a refused connection sent nothing", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		_, call, err := send(t.Context(), t, newClient(t, transport.Options{Clock: &hasty{}}), "POST", "http://"+l.Addr().String())
		if err == nil || call.Sent() {
			t.Errorf("got %v, sent %v", err, call.Sent())
		}
	})
	t.Run("a connection lost after the request sent it", func(t *testing.T) {
		s := newServer(t, drop)
		_, call, err := send(t.Context(), t, newClient(t, transport.Options{Clock: &hasty{}}), "POST", s.URL)
		if err == nil || !call.Sent() {
			t.Errorf("got %v, sent %v", err, call.Sent())
		}
	})
	t.Run("a pooled connection that the cloud had closed is replaced, and the write arrives once", func(t *testing.T) {
		s := newServer(t)
		c := newClient(t, transport.Options{Clock: &hasty{}})
		if _, _, err := send(t.Context(), t, c, "GET", s.URL); err != nil {
			t.Fatal(err)
		}
		s.CloseClientConnections()
		got, call, err := send(t.Context(), t, c, "POST", s.URL)
		if err != nil && call.Sent() {
			t.Skip("net/http noticed the close only after it had written") // then Sent is right, and there is no answer
		}
		if bodies, _ := s.seen(); err != nil || got != 200 || len(bodies) != 2 {
			t.Errorf("got %d, %v, %d requests", got, err, len(bodies))
		}
	})
	t.Run("a context that ends in the pause after 429 leaves nothing sent", func(t *testing.T) {
		s := newServer(t, status(429, "Retry-After", "10"))
		ctx, cancel := context.WithCancel(t.Context())
		c := newClient(t, transport.Options{Clock: &cancelling{cancel: cancel}})
		_, call, err := send(ctx, t, c, "POST", s.URL)
		if !errors.Is(err, context.Canceled) || call.Sent() {
			t.Errorf("got %v, sent %v", err, call.Sent())
		}
	})
}

// cancelling cancels when a timer is made, which then never fires.
type cancelling struct {
	clock.RealClock
	cancel context.CancelFunc
}

func (c *cancelling) NewTimer(time.Duration) clock.Timer {
	c.cancel()
	return c.RealClock.NewTimer(time.Hour)
}

func TestAnAttemptWithoutAnAnswerEndsInTime(t *testing.T) {
	release := make(chan struct{})
	hang := func(http.ResponseWriter, *http.Request) { <-release }
	s := newServer(t, hang, hang)
	defer close(release)
	c := newClient(t, transport.Options{Clock: &hasty{}, AttemptTimeout: 50 * time.Millisecond})
	if got, _, err := send(t.Context(), t, c, "GET", s.URL); err != nil || got != 200 {
		t.Errorf("a read: got %d, %v; the third attempt is answered", got, err)
	}
	s.mu.Lock()
	s.steps = append(s.steps, hang)
	s.mu.Unlock()
	_, call, err := send(t.Context(), t, c, "POST", s.URL)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() || !call.Sent() {
		t.Errorf("a write: got %v, sent %v", err, call.Sent())
	}
}

func TestTheCallersDeadlineIsNotSlept(t *testing.T) {
	s := newServer(t, status(429, "Retry-After", "5"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	clock := &hasty{}
	got, _, err := send(ctx, t, newClient(t, transport.Options{Clock: clock}), "GET", s.URL)
	if err != nil || got != 429 || len(clock.pauses) != 0 {
		t.Errorf("got %d, %v, pauses %v; want the answer 429 at once", got, err, clock.pauses)
	}
}

func TestPausesFollowRetryAfterOrGrow(t *testing.T) {
	s := newServer(t, status(503), status(503, "Retry-After", "3"), status(503))
	clock := &hasty{}
	if got, _, err := send(t.Context(), t, newClient(t, transport.Options{Clock: clock}), "GET", s.URL); err != nil || got != 200 {
		t.Fatalf("got %d, %v", got, err)
	}
	p := clock.pauses
	if len(p) != 3 || p[0] > 200*time.Millisecond || p[1] != 3*time.Second || p[2] > 800*time.Millisecond {
		t.Errorf("pauses %v", p)
	}
}

func TestTheLimiterPacesAttempts(t *testing.T) {
	s := newServer(t)
	c := newClient(t, transport.Options{Limiter: rate.NewLimiter(rate.Every(time.Hour), 1)})
	if _, _, err := send(t.Context(), t, c, "GET", s.URL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, call, err := send(ctx, t, c, "POST", s.URL); err == nil || call.Sent() {
		t.Errorf("the second call went out: %v, sent %v", err, call.Sent())
	}
	if bodies, _ := s.seen(); len(bodies) != 1 {
		t.Errorf("%d requests", len(bodies))
	}
}

func TestMetricsHaveFewLabels(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := newServer(t, status(404), drop)
	for range 2 { // a second chain shares the first one's metrics
		c := newClient(t, transport.Options{Clock: &hasty{}, Registerer: reg})
		_, _, _ = send(t.Context(), t, c, "DELETE", s.URL+"/v3/be98d3fd90644ca09515c673a7da3c6c/volumes/cbb4dce7-376a-4025-a47f-c461260b5a5e?x=y")
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "fairlead_cloud_api_request_duration_seconds" {
		t.Fatalf("gathered %v, %v", families, err)
	}
	var codes []string
	for _, m := range families[0].GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		codes = append(codes, labels["code"])
		if labels["route"] != "/v3/{id}/volumes/{id}" || labels["service"] != "volume" || labels["method"] != "DELETE" || len(labels) != 4 {
			t.Errorf("labels %v", labels)
		}
	}
	if !slices.Equal(codes, []string{"404", "error"}) {
		t.Errorf("codes %v", codes)
	}
}

func TestRoute(t *testing.T) {
	for path, want := range map[string]string{
		"/identity/v3/auth/tokens": "/identity/v3/auth/tokens",
		"/compute/v2.1/servers/923de0fa-0d8d-42f5-9164-cb2bc44882ac/os-volume_attachments/": "/compute/v2.1/servers/{id}/os-volume_attachments",
		"/v2.0/lbaas/pools/42/members": "/v2.0/lbaas/pools/{id}/members",
		"/volumes/detail":              "/volumes/detail",
		"/face/bead":                   "/face/bead",
	} {
		if got := transport.Route(path); got != want {
			t.Errorf("Route(%s) = %s, want %s", path, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-3": 0, "soon": 0,
		"Sun, 22 Nov 2026 12:00:09 GMT": 9 * time.Second,
		"Sun, 22 Nov 2026 11:00:00 GMT": 0,
		"99999999999":                   24 * time.Hour,
	} {
		if got := transport.RetryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("RetryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestAnAnswersRequestIDIsTheCloudsOwnOrElseOurs(t *testing.T) {
	s := newServer(t, status(200, "X-Compute-Request-Id", "req-theirs"), status(200))
	c := newClient(t, transport.Options{})
	for n, want := range []string{"req-theirs", ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if want == "" {
			_, ids := s.seen()
			want = ids[n]
		}
		if got := transport.RequestID(resp.Header); got != want {
			t.Errorf("request id %q, want %q", got, want)
		}
	}
}
