package openstack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorded is an answer of a real OpenStack (Zed), recorded once.
type recorded struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

func sample(t testing.TB, name string) recorded {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r recorded) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for k, v := range r.Headers {
		w.Header().Set(k, v)
	}
	w.WriteHeader(r.Status)
	if len(r.Body) > 2 { // an empty body was recorded as ""
		_, _ = w.Write(r.Body)
	}
}

// seen is a request that the fake cloud received.
type seen struct {
	method, path, query, body string
	header                    http.Header
}

// fakeCloud is Keystone with one application credential, and scripted answers for everything else.
type fakeCloud struct {
	*httptest.Server
	mu       sync.Mutex
	secret   string
	tokens   int
	valid    string // the token that is accepted
	answers  map[string][]http.Handler
	requests []seen
	catalog  func(base string) []map[string]any
	token    map[string]any // further fields of tokens
}

func newFakeCloud(t *testing.T) *fakeCloud {
	f := &fakeCloud{secret: "right-secret", answers: map[string][]http.Handler{}, catalog: fullCatalog}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

const project = "be98d3fd90644ca09515c673a7da3c6c"

func fullCatalog(base string) []map[string]any {
	var entries []map[string]any
	for kind, url := range map[string]string{
		"volumev3": base + "/volume/v3/" + project, "compute": base + "/compute/v2.1",
		"network": base + "/network", "load-balancer": base + "/load-balancer",
	} {
		entries = append(entries, map[string]any{"type": kind, "name": kind, "endpoints": []map[string]any{
			{"interface": "public", "region": "RegionOne", "region_id": "RegionOne", "url": url},
		}})
	}
	return entries
}

// on scripts the answers to a request ("GET /volume/..."), in order; the last one stays.
func (f *fakeCloud) on(request string, answers ...http.Handler) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[request] = answers
}

func (f *fakeCloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, seen{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Header.Clone()})
	if r.Method == http.MethodPost && r.URL.Path == "/identity/v3/auth/tokens" {
		f.authenticate(w, body)
		return
	}
	if r.Header.Get("X-Auth-Token") != f.valid {
		answer(http.StatusUnauthorized, `{"error":{"code":401,"title":"Unauthorized","message":"The request you have made requires authentication."}}`).ServeHTTP(w, r)
		return
	}
	key := r.Method + " " + r.URL.Path
	script := f.answers[key]
	if len(script) == 0 {
		http.Error(w, "the test has no answer for "+key, http.StatusNotFound)
		return
	}
	if len(script) > 1 {
		f.answers[key] = script[1:]
	}
	script[0].ServeHTTP(w, r)
}

func (f *fakeCloud) authenticate(w http.ResponseWriter, body []byte) {
	if !strings.Contains(string(body), `"id":"`+credential+`"`) { // as Keystone does
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"error":{"code":404,"title":"Not Found","message":"Could not find Application Credential: another."}}`)
		return
	}
	if !strings.Contains(string(body), `"secret":"`+f.secret+`"`) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":{"code":401,"title":"Unauthorized","message":"The request you have made requires authentication."}}`)
		return
	}
	f.tokens++
	f.valid = fmt.Sprintf("token-%d", f.tokens)
	w.Header().Set("X-Subject-Token", f.valid)
	w.WriteHeader(http.StatusCreated)
	token := map[string]any{
		"expires_at": "2036-11-22T19:24:03.000000Z", "project": map[string]any{"id": project, "name": "k8s"}, "catalog": f.catalog(f.URL),
	}
	maps.Copy(token, f.token)
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token})
}

// answer is a status with a body.
func answer(status int, body string, header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// expire makes the token in use invalid.
func (f *fakeCloud) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.valid = "none"
}

// calls are the requests since the authentication, "METHOD path?query".
func (f *fakeCloud) calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []string
	for _, r := range f.requests {
		if r.path == "/identity/v3/auth/tokens" && r.method == http.MethodPost {
			continue
		}
		call := r.method + " " + r.path
		if r.query != "" {
			call += "?" + r.query
		}
		calls = append(calls, call)
	}
	return calls
}

func (f *fakeCloud) last() seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[len(f.requests)-1]
}

// credential is the id of the application credential that the fake cloud has.
const credential = "3579ab3b89104ffab3a7b0ab92019786"

func cloudsYAML(authURL, secret string) string {
	return fmt.Sprintf(`clouds:
  k8s:
    auth_type: v3applicationcredential
    auth:
      auth_url: %s
      application_credential_id: "%s"
      application_credential_secret: "%s"
    region_name: RegionOne
`, authURL, credential, secret)
}

func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	// As kubelet does with a Secret: the new content appears at once.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// connect opens the fake cloud with good credentials.
func connect(t *testing.T, f *fakeCloud) *Cloud {
	t.Helper()
	file := writeFile(t, filepath.Join(t.TempDir(), "clouds.yaml"), cloudsYAML(f.URL+"/identity", f.secret))
	c, err := Open(t.Context(), cloud.Config{File: file, UserAgent: "fairlead-test/v0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func sameJSON(t testing.TB, got, want string) bool {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("%v in %q", err, got)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("%v in %q", err, want)
	}
	a, _ := json.Marshal(g)
	b, _ := json.Marshal(w)
	return slices.Equal(a, b)
}
