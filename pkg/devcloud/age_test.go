package devcloud

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answerTo is the answer to a request with the client's token.
func (c clients) answerTo(t *testing.T, method, url, body string, headers ...string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", c.provider.Token())
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.provider.HTTPClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestAnOlderCloudHasWhatItHadThen(t *testing.T) {
	t.Parallel()
	cloud := start(t, func(c *Config) {
		c.Microversions = map[string]string{"compute": "2.53", "volume": "3.27", "load-balancer": "2.11"}
	})
	c := connect(t, cloud.URL)
	project := cloud.config.projectID("demo")
	const version = "OpenStack-API-Version"
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		want                     int
		says, saysNot            string
	}{
		{name: "Nova tells its newest", method: "GET", path: "/compute/v2.1/", want: 200, says: `"version":"2.53"`},
		{name: "Cinder tells its newest", method: "GET", path: "/volume/v3/", want: 200, says: `"version":"3.27"`},
		{name: "Octavia tells its newest", method: "GET", path: "/load-balancer/", want: 200, says: `"id":"v2.11"`, saysNot: `"id":"v2.12"`},
		{name: "its newest is understood", method: "GET", path: "/compute/v2.1/servers", headers: []string{version, "compute 2.53"}, want: 200},
		{name: "a newer one is refused", method: "GET", path: "/compute/v2.1/servers", headers: []string{version, "compute 2.54"}, want: 406, says: "maximum is 2.53"},
		{name: "the latest is its own", method: "GET", path: "/volume/v3/" + project + "/volumes", headers: []string{version, "volume latest"}, want: 200},
		{name: "Cinder refuses a newer one", method: "GET", path: "/volume/v3/" + project + "/volumes", headers: []string{version, "volume 3.42"}, want: 406, says: "maximum is 3.27"},
		{name: "Octavia has no allowed_cidrs yet", method: "POST", path: "/load-balancer/v2/lbaas/loadbalancers",
			body: `{"loadbalancer":{"vip_subnet_id":"00000000-0000-4000-8000-000000000000","listeners":[{"allowed_cidrs":["10.0.0.0/8"]}]}}`, want: 400, says: "Unknown attribute for argument loadbalancer: allowed_cidrs"},
		{name: "not even to be emptied", method: "PUT", path: "/load-balancer/v2/lbaas/listeners/x", body: `{"listener":{"allowed_cidrs":[]}}`, want: 400, says: "allowed_cidrs"},
		{name: "Octavia has tags already", method: "POST", path: "/load-balancer/v2/lbaas/loadbalancers",
			body: `{"loadbalancer":{"vip_subnet_id":"00000000-0000-4000-8000-000000000000","tags":["a"]}}`, want: 400, says: "Subnet 00000000-0000-4000-8000-000000000000 not found"},
	} {
		if got, text := c.answerTo(t, tt.method, cloud.URL+tt.path, tt.body, tt.headers...); got != tt.want || !strings.Contains(text, tt.says) ||
			tt.saysNot != "" && strings.Contains(text, tt.saysNot) {
			t.Errorf("%s: %d %s", tt.name, got, text)
		}
	}
}

func TestMicroversionsThatAreNotHereAreAMistake(t *testing.T) {
	t.Parallel()
	for name, versions := range map[string]map[string]string{
		`"network" has none`:             {"network": "2.0"},
		`volume: "3.71": allowed is`:     {"volume": "3.71"},
		`compute: "2": allowed is`:       {"compute": "2"},
		`load-balancer: "2.13": allowed`: {"load-balancer": "2.13"},
	} {
		config := DefaultConfig()
		config.Microversions = versions
		if err := config.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v", versions, err)
		}
	}
}

func TestLoadBalancersTakeTheirRole(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		role        string
		read, write int
	}{
		{"member", 403, 403}, {"load-balancer_observer", 200, 403}, {"load-balancer_member", 200, 400}, {"load-balancer_admin", 200, 400},
	} {
		cloud := start(t, func(c *Config) { c.Users[0].Roles = []string{tt.role} })
		c := connect(t, cloud.URL)
		const path = "/load-balancer/v2.0/lbaas/loadbalancers"
		read, _ := c.answerTo(t, "GET", cloud.URL+path, "")
		write, text := c.answerTo(t, "POST", cloud.URL+path, `{"loadbalancer":{"vip_subnet_id":"00000000-0000-4000-8000-000000000000"}}`)
		if read != tt.read || write != tt.write || write == 403 && !strings.Contains(text, "Policy does not allow") {
			t.Errorf("%s: GET %d, POST %d %s", tt.role, read, write, text)
		}
	}
}

func TestAUserReadsItsOwnApplicationCredential(t *testing.T) {
	t.Parallel()
	expires := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	cloud := start(t, func(c *Config) {
		c.ApplicationCredentials[0].ID, c.ApplicationCredentials[0].Expires = "c1", &expires
		c.Users = append(c.Users, User{Name: "other", ID: "u2", Password: "other", Projects: []string{"demo"}})
		c.ApplicationCredentials = append(c.ApplicationCredentials, ApplicationCredential{Name: "others", ID: "c2", Secret: "s", User: "other", Project: "demo"})
	})
	c := connect(t, cloud.URL)
	user := cloud.config.userID("demo")
	for _, tt := range []struct {
		name, path string
		want       int
		says       string
	}{
		{"its own", user + "/application_credentials/c1", 200, `"expires_at":"` + expires.Format("2006-01-02T15:04:05.000000") + `"`},
		{"one that it does not have", user + "/application_credentials/c2", 404, "Could not find"},
		{"another user's", "u2/application_credentials/c2", 403, "not authorized"},
	} {
		got, text := c.answerTo(t, "GET", cloud.URL+"/identity/v3/users/"+tt.path, "")
		if got != tt.want || !strings.Contains(text, tt.says) || strings.Contains(text, "secret") {
			t.Errorf("%s: %d %s", tt.name, got, text)
		}
	}
}
