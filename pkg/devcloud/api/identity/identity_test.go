package identity

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/identity"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// keystone serves one user with two projects and two credentials, of which one ends after an hour.
func keystone(t *testing.T) (http.Handler, *clocktesting.FakeClock) {
	t.Helper()
	clock := clocktesting.NewFakeClock(start)
	e, err := engine.New(engine.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	s, err := identity.New(e, identity.Options{
		Projects:    []identity.Project{{ID: "p1", Name: "one"}, {ID: "p2", Name: "two"}},
		Users:       []identity.User{{ID: "u1", Name: "demo", Password: "secret", ProjectIDs: []string{"p1"}, Roles: []string{"member"}}},
		Credentials: []identity.ApplicationCredential{{ID: "c1", Name: "k8s", Secret: "s", UserID: "u1", ProjectID: "p1", Expires: start.Add(time.Hour)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(api.NewCore(Tokens{s}, "http://cloud", clock), s, Options{Region: "R", Endpoints: []Endpoint{
		{Type: "volumev3", Name: "cinder", URL: "http://cloud/volume/v3/{project_id}"},
	}}), clock
}

func call(t *testing.T, h http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const credential = `{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"id":"c1","secret":"s"}}}}`

func tokenBy(t *testing.T, h http.Handler, body string) string {
	t.Helper()
	w := call(t, h, "POST", "/v3/auth/tokens", body)
	token := w.Header().Get("X-Subject-Token")
	if w.Code != http.StatusCreated || token == "" {
		t.Fatalf("login: %d %s", w.Code, w.Body)
	}
	return token
}

// byPassword is a login of that user with that scope.
func byPassword(user, scope string) string {
	return `{"auth":{"identity":{"methods":["password"],"password":{"user":` + user + `}}` + scope + `}}`
}

func TestLogins(t *testing.T) {
	t.Parallel()
	const demo = `{"id":"u1","password":"secret"}`
	for _, tt := range []struct {
		name, body string
		want       int
	}{
		{"no JSON", `{`, 400},
		{"no auth", `{}`, 400},
		{"no method", `{"auth":{"identity":{"methods":[]}}}`, 401},
		{"two methods", `{"auth":{"identity":{"methods":["password","totp"]}}}`, 401},
		{"a wrong type", `{"auth":{"identity":{"methods":"password"}}}`, 400},
		{"an unknown token", `{"auth":{"identity":{"methods":["token"],"token":{"id":"x"}}}}`, 404},
		{"a method without its part", `{"auth":{"identity":{"methods":["password"]}}}`, 400},
		{"a name without a domain", byPassword(`{"name":"demo","password":"secret"}`, ``), 400},
		{"a name in another domain", byPassword(`{"name":"demo","domain":{"id":"other"},"password":"secret"}`, ``), 401},
		{"a name in the domain by name", byPassword(`{"name":"demo","domain":{"name":"Default"},"password":"secret"}`, ``), 201},
		{"a name in the domain by id", byPassword(`{"name":"demo","domain":{"id":"default"},"password":"secret"}`, ``), 201},
		{"a wrong password", byPassword(`{"id":"u1","password":"Secret"}`, ``), 401},
		{"no password", byPassword(`{"id":"u1"}`, ``), 401},
		{"an unknown user", byPassword(`{"id":"u2","password":"secret"}`, ``), 401},
		{"no scope", byPassword(demo, ``), 201},
		{"a scope of null", byPassword(demo, `,"scope":null`), 201},
		{"unscoped", byPassword(demo, `,"scope":"unscoped"`), 201},
		{"a scope of no shape", byPassword(demo, `,"scope":[1]`), 400},
		{"a project by id", byPassword(demo, `,"scope":{"project":{"id":"p1"}}`), 201},
		{"a project by name", byPassword(demo, `,"scope":{"project":{"name":"one","domain":{"id":"default"}}}`), 201},
		{"a project by name in another domain", byPassword(demo, `,"scope":{"project":{"name":"one","domain":{"id":"x"}}}`), 401},
		{"a project that the user is not in", byPassword(demo, `,"scope":{"project":{"id":"p2"}}`), 401},
		{"a domain", byPassword(demo, `,"scope":{"domain":{"id":"default"}}`), 401},
		{"the system", byPassword(demo, `,"scope":{"system":{"all":true}}`), 401},
		{"a credential", credential, 201},
		{"a credential with a scope", credential[:len(credential)-2] + `,"scope":{"project":{"id":"p1"}}}}`, 401},
		{"a credential by name without its user", strings.Replace(credential, `"id":"c1"`, `"name":"k8s"`, 1), 400},
		{"a credential by name of its user", strings.Replace(credential, `"id":"c1"`, `"name":"k8s","user":{"id":"u1"}`, 1), 201},
		{"a credential without its secret", strings.Replace(credential, `,"secret":"s"`, ``, 1), 401},
	} {
		h, _ := keystone(t)
		w := call(t, h, "POST", "/v3/auth/tokens", tt.body)
		if w.Code != tt.want || (w.Header().Get("X-Subject-Token") != "") != (tt.want == 201) {
			t.Errorf("%s: %d %s, want %d", tt.name, w.Code, w.Body, tt.want)
		}
		if tt.want == 201 {
			continue
		}
		var answer struct{ Error struct{ Code int } }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Error.Code != tt.want {
			t.Errorf("%s: %s is not Keystone's form: %v", tt.name, w.Body, err)
		}
	}
}

func TestATokenEndsInTimeWithItsCredentialOrWhenRevoked(t *testing.T) {
	t.Parallel()
	h, clock := keystone(t)
	password, ofCredential := tokenBy(t, h, byPassword(`{"id":"u1","password":"secret"}`, ``)), tokenBy(t, h, credential)
	is := func(when, token string, want int) {
		t.Helper()
		if w := call(t, h, "GET", "/v3/auth/catalog", "", "X-Auth-Token", token); w.Code != want {
			t.Errorf("%s: %d, want %d", when, w.Code, want)
		}
	}
	is("at once", ofCredential, 200)
	clock.Step(59 * time.Minute)
	is("while its credential lives", ofCredential, 200)
	clock.Step(time.Minute)
	is("when its credential has expired", ofCredential, 401)
	is("that of a password then", password, 200)
	clock.Step(3*time.Hour - time.Second)
	is("shortly before four hours", password, 200)
	clock.Step(time.Second)
	is("after four hours", password, 401)
	revoked := tokenBy(t, h, byPassword(`{"id":"u1","password":"secret"}`, ``))
	if w := call(t, h, "DELETE", "/v3/auth/tokens", "", "X-Auth-Token", revoked, "X-Subject-Token", revoked); w.Code != 204 {
		t.Errorf("revoke: %d %s", w.Code, w.Body)
	}
	is("when revoked", revoked, 401)
}

func TestWhatATokenIsAskedFor(t *testing.T) {
	t.Parallel()
	h, _ := keystone(t)
	token := tokenBy(t, h, credential)
	for _, tt := range []struct {
		name, method, path, token, subject string
		want                               int
		says                               string
	}{
		{"itself", "GET", "/v3/auth/tokens", token, token, 200, `"restricted":true`},
		{"an unknown one", "GET", "/v3/auth/tokens", token, "x", 404, "Could not find token"},
		{"nothing", "GET", "/v3/auth/tokens", token, "", 403, "identity:validate_token"},
		{"by nobody", "GET", "/v3/auth/tokens", "", token, 401, "requires authentication"},
		{"the end of an unknown one", "DELETE", "/v3/auth/tokens", token, "x", 404, "Could not find token"},
		{"its catalog", "GET", "/v3/auth/catalog", token, "", 200, "http://cloud/volume/v3/p1"},
		{"its user's projects", "GET", "/v3/auth/projects", token, "", 200, `"name":"one"`},
		{"all users", "GET", "/v3/users", token, "", 403, "identity:list_users"},
		{"all projects", "GET", "/v3/projects", token, "", 403, "identity:list_projects"},
		{"another user's projects", "GET", "/v3/users/somebody/projects", token, "", 403, "identity:list_user_projects"},
		{"another user's credentials", "GET", "/v3/users/somebody/application_credentials", token, "", 403, "identity:list_application_credentials"},
		{"a route that is not here", "GET", "/v3/groups", token, "", 404, "could not be found"},
		{"a method that is not here", "PUT", "/v3/auth/tokens", token, "", 405, "PUT is not allowed"},
		{"the versions", "GET", "/", "", "", 300, `"id":"v3.14"`},
	} {
		w := call(t, h, tt.method, tt.path, "", "X-Auth-Token", tt.token, "X-Subject-Token", tt.subject)
		if w.Code != tt.want || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: %d %s, want %d %q", tt.name, w.Code, w.Body, tt.want, tt.says)
		}
	}
}
