package openstack

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

func TestOpenAuthenticatesOnceAndNeedsNoDiscovery(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET /volume/v3/"+project+"/volumes/v1", sample(t, "cinder-volume-in-use"))
	c := connect(t, f)
	if c.Region() != "RegionOne" {
		t.Errorf("region %q", c.Region())
	}
	if _, err := c.GetDisk(t.Context(), "v1"); err != nil {
		t.Fatal(err)
	}
	if calls := f.calls(); len(calls) != 1 {
		t.Errorf("calls %v", calls)
	}
	h := f.last().header
	if ua := h.Get("User-Agent"); !strings.HasPrefix(ua, "fairlead-test/v0") {
		t.Errorf("user agent %q", ua)
	}
	if v := h.Get("OpenStack-API-Version"); v != "volume 3.42" {
		t.Errorf("microversion %q", v)
	}
	if id := h.Get("X-Openstack-Request-Id"); !strings.HasPrefix(id, "req-") {
		t.Errorf("global request id %q", id)
	}
}

func TestARegisteredProviderOpensByName(t *testing.T) {
	f := newFakeCloud(t)
	file := writeFile(t, filepath.Join(t.TempDir(), "clouds.yaml"), cloudsYAML(f.URL+"/identity/v3", f.secret))
	c, err := cloud.Open(t.Context(), "openstack", cloud.Config{File: file})
	if err != nil {
		t.Fatal(err)
	}
	c.(*Cloud).Close()
}

func TestOpenExplainsWhatIsWrong(t *testing.T) {
	f := newFakeCloud(t)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Close()
	good := cloudsYAML(f.URL+"/identity", f.secret)
	tests := []struct {
		name string
		text string
		kind error
		want string
	}{
		{"a wrong secret", strings.Replace(good, f.secret, "wr0ng", 1), cloud.ErrUnauthorized, "application_credential_secret"},
		{"an application credential that is gone", strings.Replace(good, credential, "another", 1), cloud.ErrUnauthorized, "application_credential_id"},
		{"no identity service at the URL", strings.Replace(good, "/identity", "/elsewhere", 1), cloud.ErrInvalid, "is not an identity service v3: check auth.auth_url in"},
		{"nobody at the URL", strings.Replace(good, f.Listener.Addr().String(), dead.Addr().String(), 1), cloud.ErrUnavailable, dead.Addr().String()},
		{"an unknown region", strings.Replace(good, "RegionOne", "Atlantis", 1), cloud.ErrInvalid, `region_name "Atlantis" is not in the catalog: it has RegionOne`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := writeFile(t, filepath.Join(t.TempDir(), "clouds.yaml"), tt.text)
			_, err := Open(t.Context(), cloud.Config{File: file})
			if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %v with %q", err, tt.kind, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "wr0ng") || strings.Contains(err.Error(), f.secret)) {
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
}

func TestAnExpiredTokenIsRenewedWithoutAnError(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET /volume/v3/"+project+"/volumes/v1", sample(t, "cinder-volume-in-use"))
	f.on("POST /volume/v3/"+project+"/volumes", sample(t, "cinder-volume-create"))
	c := connect(t, f)
	f.expire()
	if _, err := c.CreateDisk(t.Context(), cloud.DiskSpec{Name: "pvc-1", SizeGiB: 1}); err != nil {
		t.Errorf("a write: %v", err)
	}
	f.expire()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.GetDisk(t.Context(), "v1"); err != nil {
				t.Errorf("a read: %v", err)
			}
		})
	}
	wg.Wait()
	if f.tokens > 4 { // the first one, one per expiry, and at most one for a call that began in between
		t.Errorf("%d tokens", f.tokens)
	}
}

func TestPing(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET /identity/v3/auth/tokens", answer(200, `{"token":{}}`))
	c := connect(t, f)
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	f.on("GET /identity/v3/auth/tokens", answer(404, `{"error":{"code":404,"message":"no such token"}}`))
	f.expire()
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("with an expired token: %v", err)
	}
	f.mu.Lock()
	f.secret = "another"
	f.mu.Unlock()
	f.expire()
	if err := c.Ping(t.Context()); !errors.Is(err, cloud.ErrUnauthorized) {
		t.Errorf("with revoked credentials: %v", err)
	}
	f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.Ping(ctx); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("with a dead cloud: %v", err)
	}
}

func TestChangedCredentialsAreUsedWithoutARestart(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET /volume/v3/"+project+"/volumes/v1", sample(t, "cinder-volume-in-use"))
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	writeFile(t, file, cloudsYAML(f.URL+"/identity", f.secret))
	c, err := Open(t.Context(), cloud.Config{File: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	clock := testclock.NewFakePassiveClock(time.Now())
	c.clock = clock
	use := func(what string, tokens int) {
		t.Helper()
		clock.SetTime(clock.Now().Add(time.Minute))
		if _, err := c.GetDisk(t.Context(), "v1"); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if f.tokens != tokens {
			t.Errorf("%s: %d tokens, want %d", what, f.tokens, tokens)
		}
	}
	use("unchanged files", 1)
	writeFile(t, file, "clouds: [")
	use("a malformed file leaves the token in use", 1)
	writeFile(t, file, cloudsYAML(f.URL+"/identity", "wrong"))
	use("wrong credentials leave the token in use", 1)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	f.expire()
	use("a missing file renews with the credentials that worked", 2)
	f.mu.Lock()
	f.secret = "rotated"
	f.mu.Unlock()
	writeFile(t, file, cloudsYAML(f.URL+"/identity", "rotated"))
	use("new credentials are taken while the old token still works", 3)
	use("and only once", 3)
	f.mu.Lock()
	f.secret = "rotated-again"
	f.mu.Unlock()
	writeFile(t, file, cloudsYAML(f.URL+"/identity", "rotated-again"))
	f.expire()
	if _, err := c.GetDisk(t.Context(), "v1"); err != nil || f.tokens != 4 {
		t.Errorf("a refused token makes the files be read at once: %v, %d tokens", err, f.tokens)
	}
}

func TestATrustThatDoesNotWorkLeavesTheOldInUse(t *testing.T) {
	f := newFakeCloud(t)
	secure := httptest.NewTLSServer(f)
	t.Cleanup(secure.Close)
	f.catalog = func(string) []map[string]any { return fullCatalog(secure.URL) }
	f.on("GET /volume/v3/"+project+"/volumes/v1", sample(t, "cinder-volume-in-use"))
	dir := t.TempDir()
	ca := writeFile(t, filepath.Join(dir, "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	trusting := cloudsYAML(secure.URL+"/identity", f.secret) + "    cacert: " + ca + "\n"
	file := writeFile(t, filepath.Join(dir, "clouds.yaml"), trusting)
	c, err := Open(t.Context(), cloud.Config{File: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	clock := testclock.NewFakePassiveClock(time.Now())
	c.clock = clock
	for _, text := range []string{cloudsYAML(secure.URL+"/identity", f.secret), trusting} { // without the CA, and with it again
		writeFile(t, file, text)
		for range 2 {
			clock.SetTime(clock.Now().Add(time.Minute))
			if _, err := c.GetDisk(t.Context(), "v1"); err != nil {
				t.Error(err)
			}
		}
	}
	if f.tokens != 2 {
		t.Errorf("%d tokens: the settings that work again were not taken", f.tokens)
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, ca, string(text)+"# renewed\n")
	clock.SetTime(clock.Now().Add(time.Minute))
	if _, err := c.GetDisk(t.Context(), "v1"); err != nil || f.tokens != 3 {
		t.Errorf("%v, %d tokens: a renewed CA file was not noticed", err, f.tokens)
	}
}

func TestAServiceThatTheCloudDoesNotHaveIsAnErrorWhenUsed(t *testing.T) {
	f := newFakeCloud(t)
	f.catalog = func(base string) []map[string]any {
		var entries []map[string]any
		for _, e := range fullCatalog(base) {
			if e["type"] != "load-balancer" {
				entries = append(entries, e)
			}
		}
		return entries
	}
	f.on("GET /network/v2.0/networks", answer(200, `{"networks":[]}`))
	c := connect(t, f)
	if _, err := c.ListNetworks(t.Context(), cloud.NetworkFilter{}); err != nil {
		t.Error(err)
	}
	_, err := c.ListLoadBalancers(t.Context())
	if !errors.Is(err, cloud.ErrInvalid) || !strings.Contains(err.Error(), "no load-balancer service") {
		t.Errorf("got %v", err)
	}
}

func TestLostAnswersOfWritesAreUnknownOutcomes(t *testing.T) {
	drop := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	volumes := "POST /volume/v3/" + project + "/volumes"
	tests := []struct {
		name   string
		answer http.Handler
		kind   error
	}{
		{"the connection is lost", drop, cloud.ErrOutcomeUnknown},
		{"a gateway answers 502", answer(502, "<html>Bad Gateway</html>"), cloud.ErrOutcomeUnknown},
		{"a gateway answers 504", answer(504, ""), cloud.ErrOutcomeUnknown},
		{"the service answers 500", answer(500, `{"computeFault":{"code":500,"message":"oops"}}`), cloud.ErrOutcomeUnknown},
		{"the answer breaks off", answer(202, `{"volume":{"id":"x`), cloud.ErrOutcomeUnknown},
		{"the gateway has no server", answer(503, ""), cloud.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeCloud(t)
			f.on(volumes, tt.answer)
			c := connect(t, f)
			_, err := c.CreateDisk(t.Context(), cloud.DiskSpec{Name: "pvc-1", SizeGiB: 1})
			if !errors.Is(err, tt.kind) {
				t.Errorf("got %v, want %v", err, tt.kind)
			}
			if calls := f.calls(); len(calls) != 1 {
				t.Errorf("calls %v: a write must not be repeated", calls)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		f := newFakeCloud(t)
		c := connect(t, f)
		f.Close()
		c.Close() // over a pooled connection nobody could say whether it was sent
		if _, err := c.CreateDisk(t.Context(), cloud.DiskSpec{Name: "pvc-1", SizeGiB: 1}); !errors.Is(err, cloud.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}
