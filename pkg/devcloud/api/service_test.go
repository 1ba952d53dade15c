package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

type tokens map[string]Caller

func (t tokens) Caller(token string) (Caller, bool) {
	c, ok := t[token]
	return c, ok
}

// newServer serves one service of that dialect with a route for every kind of outcome.
func newServer(t *testing.T, d Dialect) (*Core, string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.Start()
	t.Cleanup(srv.Close)
	core := NewCore(tokens{"good": {UserID: "u", ProjectID: "p"}}, srv.URL, nil)
	s := NewService(core, d)
	s.Public("GET /{$}", func(*Request) (int, any, error) { return http.StatusOK, map[string]any{"versions": []any{}}, nil })
	s.Handle("GET /things/{id}", func(r *Request) (int, any, error) {
		if id := r.PathValue("id"); id != "1" {
			return 0, nil, engine.RefuseAs(engine.NotFound, "ThingNotFound", "Thing %s could not be found.", id)
		}
		return http.StatusOK, map[string]any{"project": r.Caller.ProjectID, "version": r.Version.String()}, nil
	})
	s.Handle("DELETE /things/{id}", func(*Request) (int, any, error) { return http.StatusNoContent, nil, nil })
	s.Handle("POST /things", func(r *Request) (int, any, error) {
		var body struct{ Thing struct{ Size int } }
		if err := r.Decode(&body); err != nil {
			return 0, nil, err
		}
		if body.Thing.Size > 10 {
			return 0, nil, engine.RefuseAs(engine.OverQuota, "", "too large")
		}
		return http.StatusAccepted, map[string]any{"size": body.Thing.Size}, nil
	})
	s.Handle("GET /broken", func(*Request) (int, any, error) { return 0, nil, errors.New("secret detail") })
	srv.Config.Handler = http.StripPrefix("/"+d.Service, s)
	return core, srv.URL + "/" + d.Service
}

func call(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", "good")
	req.Header.Set("User-Agent", "test/1")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestEveryServiceRefusesInItsOwnWords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		dialect      Dialect
		method, path string
		body         string
		status       int
		want         string
	}{
		{"Cinder answers an unknown object with itemNotFound", BlockStorage, "GET", "/things/7", "", 404,
			`{"ThingNotFound":{"code":404,"message":"Thing 7 could not be found."}}`},
		{"Cinder answers an exceeded quota with 413 and retryAfter", BlockStorage, "POST", "/things", `{"thing":{"size":11}}`, 413,
			`{"overLimit":{"code":413,"message":"too large","retryAfter":"0"}}`},
		{"Nova answers an exceeded quota with 403", Compute, "POST", "/things", `{"thing":{"size":11}}`, 403,
			`{"forbidden":{"code":403,"message":"too large"}}`},
		{"Neutron answers an unknown object with its exception's name", Network, "GET", "/things/7", "", 404,
			`{"NeutronError":{"type":"ThingNotFound","message":"Thing 7 could not be found.","detail":""}}`},
		{"Neutron answers an exceeded quota with 409", Network, "POST", "/things", `{"thing":{"size":11}}`, 409,
			`{"NeutronError":{"type":"HTTPConflict","message":"too large","detail":""}}`},
		{"Octavia blames the client", LoadBalancer, "GET", "/things/7", "", 404,
			`{"faultcode":"Client","faultstring":"Thing 7 could not be found.","debuginfo":null}`},
		{"Octavia answers an exceeded quota with 403", LoadBalancer, "POST", "/things", `{"thing":{"size":11}}`, 403,
			`{"faultcode":"Client","faultstring":"too large","debuginfo":null}`},
		{"Keystone uses the common error shape", Identity, "GET", "/things/7", "", 404,
			`{"error":{"code":404,"title":"Not Found","message":"Thing 7 could not be found."}}`},
		{"an unexpected error is a 500 without its text", Compute, "GET", "/broken", "", 500,
			`{"computeFault":{"code":500,"message":"The server has either erred or is incapable of performing the requested operation."}}`},
		{"a body that is no JSON is a 400", LoadBalancer, "POST", "/things", `{`, 400,
			`{"faultcode":"Client","faultstring":"Malformed request body: unexpected end of JSON input","debuginfo":null}`},
		{"a wrong type is a 400 that names the field", BlockStorage, "POST", "/things", `{"thing":{"size":"big"}}`, 400,
			`{"badRequest":{"code":400,"message":"Invalid input for field/attribute Thing.Size. Value: string is not of type 'int'"}}`},
		{"Nova answers an unknown path in its framework's words", Compute, "GET", "/nothing", "", 404,
			`{"code":"404 Not Found","message":"The resource could not be found.<br /><br />\n\n\n","title":"Not Found"}`},
		{"and an unknown method like an unknown path", Compute, "PUT", "/things", "", 404,
			`{"code":"404 Not Found","message":"The resource could not be found.<br /><br />\n\n\n","title":"Not Found"}`},
		{"elsewhere an unknown path is a 404 in the service's form", Identity, "GET", "/nothing", "", 404,
			`{"error":{"code":404,"title":"Not Found","message":"The resource could not be found."}}`},
		{"and an unknown method a 405", Identity, "PUT", "/things", "", 405,
			`{"error":{"code":405,"title":"Method Not Allowed","message":"The method PUT is not allowed for this resource."}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, url := newServer(t, tt.dialect)
			resp, body := call(t, tt.method, url+tt.path, tt.body)
			if resp == nil || resp.StatusCode != tt.status {
				t.Fatalf("got %v %s, want status %d", resp, body, tt.status)
			}
			var got, want any
			if json.Unmarshal([]byte(body), &got) != nil || json.Unmarshal([]byte(tt.want), &want) != nil {
				t.Fatalf("not JSON: %s", body)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	for _, d := range []Dialect{Identity, BlockStorage, Compute, Network, LoadBalancer} {
		_, url := newServer(t, d)
		resp, body := call(t, "GET", url+"/things/1", "", "X-Auth-Token", "stale")
		if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `"title":"Unauthorized"`) {
			t.Errorf("%s: a stale token got %d %s", d.Service, resp.StatusCode, body)
		}
		if got := resp.Header.Get("X-Openstack-Request-Id") != ""; got != (len(d.EdgeIDs) > 0) {
			t.Errorf("%s: request id beside 401: %v, want %v", d.Service, got, d.EdgeIDs)
		}
		if resp, _ := call(t, "GET", url+"/", "", "X-Auth-Token", ""); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: discovery without a token got %d", d.Service, resp.StatusCode)
		}
		resp, _ = call(t, "GET", url+"/things/1", "")
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("X-Openstack-Request-Id"), "req-") {
			t.Errorf("%s: a good token got %d, headers %v", d.Service, resp.StatusCode, resp.Header)
		}
	}
}

func TestMicroversions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		dialect       Dialect
		header, asked string
		status        int
		version, says string
	}{
		{"no header gets the minimum", Compute, "", "", 200, "2.1", "compute 2.1"},
		{"the modern header is honoured", Compute, "OpenStack-API-Version", "compute 2.79", 200, "2.79", "compute 2.79"},
		{"Nova's old header is honoured", Compute, "X-OpenStack-Nova-API-Version", "2.60", 200, "2.60", "compute 2.60"},
		{"latest is the maximum", BlockStorage, "OpenStack-API-Version", "volume latest", 200, "3.70", "volume 3.70"},
		{"another service's version does not count", BlockStorage, "OpenStack-API-Version", "compute 2.79", 200, "3.0", "volume 3.0"},
		{"one of several is picked", BlockStorage, "OpenStack-API-Version", "compute 2.79, volume 3.42", 200, "3.42", "volume 3.42"},
		{"too new a version is a 406", Compute, "OpenStack-API-Version", "compute 2.999", 406, "", "compute 2.999"},
		{"nonsense is a 400", Compute, "OpenStack-API-Version", "compute two", 400, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, url := newServer(t, tt.dialect)
			var headers []string
			if tt.header != "" {
				headers = []string{tt.header, tt.asked}
			}
			resp, body := call(t, "GET", url+"/things/1", "", headers...)
			if resp.StatusCode != tt.status {
				t.Fatalf("got %d %s", resp.StatusCode, body)
			}
			if got := resp.Header.Get("OpenStack-API-Version"); got != tt.says {
				t.Errorf("answered version %q, want %q", got, tt.says)
			}
			if tt.status == 200 && !strings.Contains(body, `"version":"`+tt.version+`"`) {
				t.Errorf("handler saw %s, want %s", body, tt.version)
			}
			if varies := resp.Header.Get("Vary") != ""; varies != (tt.says != "") {
				t.Errorf("Vary header: %v", varies)
			}
		})
	}
}
