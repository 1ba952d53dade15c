package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

type nobody struct{}

func (nobody) Caller(string) (api.Caller, bool) { return api.Caller{}, false }

// serve makes the API of an engine that knows two kinds of operations.
func serve(t *testing.T, e *engine.Engine) http.Handler {
	t.Helper()
	for _, kind := range []string{"volume.attach", "loadbalancer.create"} {
		e.Handle(kind, func(context.Context, engine.Task) error { return nil })
	}
	return New(Options{
		Core: api.NewCore(nobody{}, "http://cloud", nil), Engine: e,
		Count:        func(cluster string) Leftovers { return Leftovers{Volumes: len(cluster)} },
		RevokeTokens: func() error { return errors.New("the disk is full") },
	})
}

// call returns the status and the JSON of the answer.
func call(t *testing.T, h http.Handler, method, path, body string) (int, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	var answer map[string]any
	if w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return w.Code, answer
}

func TestRefusalsNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	e, err := engine.New(engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := serve(t, e)
	for _, tt := range []struct {
		name, method, path, body string
		want                     int
		says                     string
	}{
		{"a mark that is no number", "GET", "/calls?since=x", "", 400, "since"},
		{"a mark that nobody set", "GET", "/calls?since=7", "", 400, "mark 7"},
		{"a time that is none", "GET", "/violations?since=yesterday", "", 400, "since"},
		{"a fault that is no JSON", "POST", "/faults", "{", 400, "EOF"},
		{"a fault with an unknown field", "POST", "/faults", `{"status": 500, "rout": "/"}`, 400, "rout"},
		{"times that are no JSON", "PUT", "/times", "fast", 400, "invalid character"},
		{"times with an unknown field", "PUT", "/times", `{"kind": {}}`, 400, "kind"},
		{"an unknown profile", "PUT", "/times", `{"profile": "fast"}`, 400, "default, realistic, instant"},
		{"an unknown kind", "PUT", "/times", `{"kinds": {"volume.atach": "1s"}}`, 400, `"volume.atach"`},
		{"a number without a unit", "PUT", "/times", `{"default": 5}`, 400, "1.5s"},
		{"a negative time of a kind", "PUT", "/times", `{"kinds": {"volume.attach": "-1s"}}`, 400, "volume.attach: -1s is negative"},
		{"a negative default", "PUT", "/times", `{"default": "-1s"}`, 400, "default: -1s is negative"},
		{"tokens that cannot be revoked", "DELETE", "/tokens", "", 400, "the disk is full"},
		{"a path that is none", "GET", "/nothing", "", 404, ""},
		{"a method that is none", "PATCH", "/times", "", 405, ""},
	} {
		code, answer := call(t, h, tt.method, tt.path, tt.body)
		says, _ := answer["error"].(string)
		if code != tt.want || !strings.Contains(says, tt.says) {
			t.Errorf("%s: %d %q, want %d %q", tt.name, code, says, tt.want, tt.says)
		}
	}
	if diff := cmp.Diff(engine.Times{}, e.Times()); diff != "" {
		t.Errorf("a refused request changed the times:\n%s", diff)
	}
}

func TestTimesThatAreNotGivenStayAsTheyAre(t *testing.T) {
	t.Parallel()
	e, err := engine.New(engine.Options{Times: engine.Times{Default: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	h := serve(t, e)
	for _, step := range []struct {
		name, body string
		want       engine.Times
	}{
		{"a kind keeps the default", `{"kinds": {"volume.attach": "7s"}}`,
			engine.Times{Default: time.Minute, ByKind: map[string]time.Duration{"volume.attach": 7 * time.Second}}},
		{"another kind keeps the first", `{"kinds": {"loadbalancer.create": "5s"}}`,
			engine.Times{Default: time.Minute, ByKind: map[string]time.Duration{"volume.attach": 7 * time.Second, "loadbalancer.create": 5 * time.Second}}},
		{"a default keeps the kinds", `{"default": "1s"}`,
			engine.Times{Default: time.Second, ByKind: map[string]time.Duration{"volume.attach": 7 * time.Second, "loadbalancer.create": 5 * time.Second}}},
		{"nothing changes nothing", `{}`,
			engine.Times{Default: time.Second, ByKind: map[string]time.Duration{"volume.attach": 7 * time.Second, "loadbalancer.create": 5 * time.Second}}},
		{"a profile begins anew", `{"profile": "default", "kinds": {"volume.attach": "2s"}}`,
			engine.Times{Default: engine.DefaultTime, ByKind: map[string]time.Duration{"volume.attach": 2 * time.Second}}},
	} {
		if code, answer := call(t, h, "PUT", "/times", step.body); code != 200 {
			t.Fatalf("%s: %d %v", step.name, code, answer)
		}
		if diff := cmp.Diff(step.want, e.Times()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	if realistic, _ := engine.Profile("realistic"); realistic.ByKind["volume.attach"] != 4*time.Second {
		t.Error("the profile itself was changed")
	}
}

func TestViolationsSinceATime(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakeClock(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	e, err := engine.New(engine.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	h := serve(t, e)
	for _, volume := range []string{"old", "new"} {
		err := e.Update(func(tx *engine.Tx) error {
			e.Violate(tx, engine.DetachInUse, volume, "mounted at /data")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		clock.Step(time.Hour)
	}
	for query, want := range map[string]int{
		"": 2, "?since=2026-01-01T12:00:00Z": 2, "?since=2026-01-01T12:30:00Z": 1, "?since=2026-01-01T14:30:00%2B01:00": 0,
	} {
		code, answer := call(t, h, "GET", "/violations"+query, "")
		if list, ok := answer["violations"].([]any); code != 200 || !ok || len(list) != want {
			t.Errorf("%q: %d %v, want %d", query, code, answer, want)
		}
	}
}
