package openstack

import (
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

const secret = "s3cr3t-w0rd"

// loadText loads a credentials file of that text.
func loadText(t testing.TB, text, name string) (*settings, error) {
	t.Helper()
	file := writeFile(t, filepath.Join(t.TempDir(), "credentials"), text)
	return (&source{file: file, name: name}).load()
}

func TestBadCredentialsFilesAreExplained(t *testing.T) {
	t.Setenv("OS_CLOUD", "")
	const app = "clouds:\n  k8s:\n    auth:\n      auth_url: http://keystone:5000\n      application_credential_id: id\n      application_credential_secret: " + secret + "\n"
	const user = "clouds:\n  k8s:\n    auth:\n      auth_url: http://keystone:5000\n      username: u\n      password: " + secret + "\n      user_domain_name: Default\n      project_name: p\n"
	without := func(text, field string) string {
		var kept []string
		for line := range strings.Lines(text) {
			if !strings.Contains(line, field+":") && !strings.HasPrefix(line, field+" ") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "")
	}
	const conf = "[Global]\nauth-url = http://keystone:5000\nusername = u\npassword = \"" + secret + "\"\ndomain-name = Default\ntenant-name = p\n"
	tests := []struct {
		name  string
		text  string
		cloud string
		want  []string
	}{
		{"an empty file", "", "", []string{"clouds is missing or empty"}},
		{"not YAML", "clouds: [\n" + secret, "", []string{"is not a valid clouds.yaml"}},
		{"a tab", "clouds:\n\tk8s: " + secret, "", []string{"is not a valid clouds.yaml", "line 2"}},
		{"a text where a map belongs", "clouds: " + secret, "", []string{"is not a valid clouds.yaml", "clouds"}},
		{"a list as password", "clouds: {k8s: {auth: {password: [" + secret + "]}}}", "", []string{"is not a valid clouds.yaml", "auth.password"}},
		{"a text as auth", "clouds: {k8s: {auth: " + secret + "}}", "", []string{"is not a valid clouds.yaml", "auth"}},
		{"no auth", "clouds: {k8s: {region_name: r}}", "", []string{`cloud "k8s"`, "auth is missing"}},
		{"auth in capitals", "clouds: {k8s: {Auth: {auth_url: \"http://k\"}}}", "", []string{`cloud "k8s"`, "auth is missing"}},
		{"an empty cloud", "clouds: {k8s: }", "", []string{`cloud "k8s"`, "auth is missing"}},
		{"another cloud", app, "prod", []string{`cloud "prod", asked for, is not in it: it has k8s`}},
		{"two clouds and no choice", app + "  other:\n    auth: {}\n", "", []string{"has the clouds k8s, other", "OS_CLOUD"}},
		{"no auth_url", without(app, "auth_url"), "", []string{"auth.auth_url is missing", "https://"}},
		{"an auth_url without a scheme", strings.Replace(app, "http://", "", 1), "", []string{"auth.auth_url is not an http or https URL"}},
		{"no secret", without(app, "application_credential_secret"), "", []string{"auth.application_credential_secret is missing"}},
		{"no id", without(app, "application_credential_id"), "", []string{"auth.application_credential_id is missing"}},
		{"a credential's name without its user", strings.Replace(app, "credential_id", "credential_name", 1), "", []string{"auth.application_credential_name also needs auth.username"}},
		{"no credentials", "clouds: {k8s: {auth: {auth_url: \"http://k\"}}}", "", []string{"no credentials: give auth.application_credential_id"}},
		{"no password", without(user, "password"), "", []string{"auth.password is missing"}},
		{"no domain", without(user, "user_domain_name"), "", []string{"auth.user_domain_name"}},
		{"no project", without(user, "project_name"), "", []string{"auth.project_id (or auth.project_name) is missing"}},
		{"a token", "clouds: {k8s: {auth: {auth_url: \"http://k\", token: " + secret + "}}}", "", []string{"auth.token cannot be renewed"}},
		{"a missing CA", app + "    cacert: /does/not/exist\n", "", []string{"/does/not/exist"}},

		{"conf: no [Global]", "[LoadBalancer]\nenabled = true\n", "", []string{"[Global]: the section is missing"}},
		{"conf: an unknown key", conf + "pasword = " + secret + "\n", "", []string{`unknown key "pasword"`, "known are auth-url"}},
		{"conf: no auth-url", without(conf, "auth-url"), "", []string{"auth-url is missing"}},
		{"conf: no password", without(conf, "password"), "", []string{"password is missing"}},
		{"conf: no domain", without(conf, "domain-name"), "", []string{"user-domain-name"}},
		{"conf: no tenant", without(conf, "tenant-name"), "", []string{"tenant-id (or tenant-name) is missing"}},
		{"conf: an open quote", "[Global]\npassword = \"" + secret + "\n", "", []string{"line 2: password: the closing quote is missing"}},
		{"conf: an open section", "[Global\n", "", []string{"line 1: a section looks like [Global]"}},
		{"conf: a boolean that is none", conf + "tls-insecure = perhaps\n", "", []string{`tls-insecure is "perhaps"; allowed are true and false`}},
		{"conf: an endpoint type", conf + "os-endpoint-type = secret\n", "", []string{`os-endpoint-type is "secret"; allowed are public, internal and admin`}},
		{"conf: a missing CA", conf + "ca-file = /does/not/exist\n", "", []string{"ca-file", "/does/not/exist"}},
		{"conf: clouds that are not there", "[Global]\nuse-clouds = true\nclouds-file = /does/not/exist\n", "", []string{"use-clouds", "/does/not/exist", "no such file"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadText(t, tt.text, tt.cloud)
			if !errors.Is(err, cloud.ErrInvalid) {
				t.Fatalf("got %v", err)
			}
			for _, want := range append(tt.want, "credentials") { // the file's name
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q holds the secret", err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has more than one line", err)
			}
		})
	}
}

func TestAMissingFileIsNamed(t *testing.T) {
	_, err := Open(t.Context(), cloud.Config{File: "/does/not/exist.yaml"})
	if err == nil || !strings.Contains(err.Error(), "cloud credentials file /does/not/exist.yaml: no such file") {
		t.Errorf("got %v", err)
	}
	t.Setenv("OS_CLIENT_CONFIG_FILE", "/neither.yaml")
	if _, err := Open(t.Context(), cloud.Config{}); err == nil || !strings.Contains(err.Error(), "/neither.yaml") {
		t.Errorf("got %v", err)
	}
	t.Setenv("OS_CLIENT_CONFIG_FILE", "")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Chdir(t.TempDir())
	if _, err := Open(t.Context(), cloud.Config{}); err == nil || !strings.Contains(err.Error(), "put clouds.yaml at one of clouds.yaml, ") {
		t.Errorf("got %v", err)
	}
}

func TestTheCloudIsChosen(t *testing.T) {
	const two = `clouds:
  a: {auth: {auth_url: "http://a", application_credential_id: i, application_credential_secret: s}}
  b: {auth: {auth_url: "http://b", application_credential_id: i, application_credential_secret: s}}
`
	for _, tt := range []struct{ name, env, cloud, want string }{
		{"by name", "", "b", "http://b"},
		{"by OS_CLOUD", "a", "", "http://a"},
		{"by name before OS_CLOUD", "a", "b", "http://b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("OS_CLOUD", tt.env)
			set, err := loadText(t, two, tt.cloud)
			if err != nil || set.auth.IdentityEndpoint != tt.want {
				t.Errorf("got %+v, %v", set, err)
			}
		})
	}
}

func TestSecureYAMLBesideTheFileIsUsed(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "clouds.yaml"), "clouds: {k8s: {auth: {auth_url: \"http://k\", application_credential_id: i}}}")
	writeFile(t, filepath.Join(dir, "secure.yaml"), "clouds: {k8s: {auth: {application_credential_secret: "+secret+"}}}")
	src := &source{file: file}
	set, err := src.load()
	if err != nil || set.auth.ApplicationCredentialSecret != secret {
		t.Fatalf("got %v", err)
	}
	writeFile(t, filepath.Join(dir, "secure.yaml"), "clouds: {k8s: {auth: {application_credential_secret: other}}}")
	if again, err := src.load(); err != nil || again.digest == set.digest {
		t.Errorf("its change is not noticed: %v", err)
	}
}

func TestCloudConf(t *testing.T) {
	ca := httptest.NewTLSServer(nil)
	defer ca.Close()
	caFile := writeFile(t, filepath.Join(t.TempDir(), "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate().Raw})))
	set, err := loadText(t, `# migrated
[Global]
Auth-URL = https://keystone:5000/v3
username = u
password = "a \"quoted\" # word" ; comment
tenant-name = p
domain-name = Default
region = r1
ca-file = `+caFile+`
os-endpoint-type = internal

[LoadBalancer]
anything = goes
`, "")
	if err != nil {
		t.Fatal(err)
	}
	a := set.auth
	if a.IdentityEndpoint != "https://keystone:5000/v3" || a.Password != `a "quoted" # word` || a.TenantName != "p" || a.DomainName != "Default" {
		t.Errorf("got %+v", a)
	}
	if *a.Scope != (gophercloud.AuthScope{ProjectName: "p", DomainName: "Default"}) {
		t.Errorf("scope %+v", a.Scope)
	}
	if set.endpoint.Region != "r1" || set.endpoint.Availability != gophercloud.AvailabilityInternal {
		t.Errorf("endpoint %+v", set.endpoint)
	}
	if set.tls.RootCAs == nil || set.tls.InsecureSkipVerify {
		t.Errorf("tls %+v", set.tls)
	}
}

func TestCloudConfRefersToCloudsYAML(t *testing.T) {
	dir := t.TempDir()
	clouds := writeFile(t, filepath.Join(dir, "clouds.yaml"), cloudsYAML("http://k/identity", secret))
	conf := writeFile(t, filepath.Join(dir, "cloud.conf"), "[Global]\nuse-clouds\nclouds-file = "+clouds+"\ncloud = k8s\n")
	src := &source{file: conf}
	set, err := src.load()
	if err != nil || set.auth.ApplicationCredentialSecret != secret || set.endpoint.Region != "RegionOne" {
		t.Fatalf("got %+v, %v", set, err)
	}
	writeFile(t, clouds, cloudsYAML("http://k/identity", "other"))
	if again, err := src.load(); err != nil || again.digest == set.digest {
		t.Errorf("the change of the file referred to is not noticed: %v", err)
	}
}

func TestWithVersion(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://h/network/":     "http://h/network/v2.0/",
		"http://h:9696/":        "http://h:9696/v2.0/",
		"http://h:9696/v2.0/":   "http://h:9696/v2.0/",
		"http://h:9876/v2/":     "http://h:9876/v2/",
		"http://vault/network/": "http://vault/network/v2.0/",
	} {
		if got := withVersion(endpoint, "v2.0"); got != want {
			t.Errorf("%s: got %s, want %s", endpoint, got, want)
		}
	}
}

func FuzzParseINI(f *testing.F) {
	f.Add("[Global]\nauth-url = http://k\npassword = \"a\\\"b\" # c\n")
	f.Add("[LoadBalancerClass \"x\"]\nfloating-network-id=1\n")
	f.Add("\ufeff[a]\nkey\n;c\n")
	f.Add("[a]\nb = \"open")
	f.Fuzz(func(t *testing.T, text string) {
		sections, err := parseINI(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("%v names no line", err)
			}
			return
		}
		for _, s := range sections {
			if s.name == "" {
				t.Errorf("a section without a name in %q", text)
			}
			for key := range s.keys {
				if key == "" || key != strings.ToLower(key) {
					t.Errorf("key %q in %q", key, text)
				}
			}
		}
	})
}

func FuzzLoadCredentials(f *testing.F) {
	f.Add(cloudsYAML("http://k/identity", secret))
	f.Add("clouds: {k8s: {auth: {password: [s3cr3t-w0rd]}}}")
	f.Add("clouds: {a: {auth: {}, regions: [r, {name: q, values: {}}]}}")
	f.Add("[Global]\nauth-url = http://k\nusername=u\npassword=s3cr3t-w0rd\ndomain-id=d\ntenant-id=t\n")
	f.Add("clouds:\n\tpassword: s3cr3t-w0rd")
	f.Setenv("OS_CLOUD", "")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "clouds-file") || strings.Contains(text, "ca") && strings.Contains(text, "/") {
			t.Skip("it could name files of this machine")
		}
		set, err := (&source{file: writeFile(t, filepath.Join(dir, "f"), text)}).load()
		if err == nil && set.auth.IdentityEndpoint == "" {
			t.Errorf("settings without auth_url from %q", text)
		}
		if err != nil && !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%v is not ErrInvalid", err)
		}
	})
}
