package openstack

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// options reads an INI file as oslo.config does: section -> name -> value.
func options(t *testing.T, text string) map[string]map[string]string {
	t.Helper()
	all, section := map[string]map[string]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
			if all[section] != nil {
				t.Errorf("section %s is there twice", section)
			}
			all[section] = map[string]string{}
		default:
			name, value, ok := strings.Cut(line, "=")
			if name = strings.TrimSpace(name); !ok || section == "" || all[section][name] != "" {
				t.Errorf("in section %q: %q is no option, or the second of its name", section, line)
			}
			all[section][name] = strings.TrimSpace(value)
		}
	}
	return all
}

func TestConfigurationsAreRendered(t *testing.T) {
	t.Setenv(DirVariable, "/state")
	v := newValues("5ec2e7")
	for file, name := range configurations() {
		t.Run(file, func(t *testing.T) {
			text, err := render(v, file, name)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "<no value>") || strings.Contains(string(text), "{{") {
				t.Errorf("got %s", text)
			}
			if strings.HasPrefix(file, "rabbitmq/") {
				return
			}
			got := options(t, string(text))
			if name == "keystone.conf" {
				return
			}
			auth := got["keystone_authtoken"]
			if auth["auth_url"] != "http://10.203.0.1:5000/v3" || auth["password"] != "5ec2e7" || auth["username"] != filepath.Dir(file) {
				t.Errorf("authenticates as %v", auth)
			}
		})
	}
}

func TestOnlyNovasControlPlaneKnowsItsDatabases(t *testing.T) {
	for file, name := range configurations() {
		if name != "nova.conf" {
			continue
		}
		text, err := render(newValues("5ec2e7"), file, name)
		if err != nil {
			t.Fatal(err)
		}
		got := options(t, string(text))
		isHost := file != "nova/nova.conf"
		if _, knows := got["database"]; knows == isHost {
			t.Errorf("%s: section database is there: %t", file, knows)
		}
		if want := strings.TrimSuffix(filepath.Base(file), ".conf"); isHost && got["DEFAULT"]["host"] != want {
			t.Errorf("%s is host %q", file, got["DEFAULT"]["host"])
		}
	}
}

func TestConfigurationIsWrittenOnceWithItsSecret(t *testing.T) {
	t.Setenv(DirVariable, t.TempDir())
	shared := filepath.Join(t.TempDir(), "paste")
	if err := os.WriteFile(shared, []byte("[pipeline]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := writeConfiguration(map[string]string{"nova/api-paste.ini": shared})
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(first.Secret) {
		t.Errorf("the secret is %q", first.Secret)
	}
	again, err := writeConfiguration(nil)
	if err != nil || again != first {
		t.Errorf("a second time it is %+v, %v", again, err)
	}
	for _, file := range []string{etc("nova", "nova.conf"), etc("nova", "cmp3.conf"), etc("nova", "api-paste.ini"), CloudsFile(),
		path("python", "fairlead_openstack", "__init__.py"), path("python", "fairlead_openstack-1.dist-info", "entry_points.txt")} {
		info, err := os.Stat(file)
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s is readable by others: %s", file, info.Mode())
		}
	}
}

func TestCertificatesAreOfOneAuthority(t *testing.T) {
	dir := t.TempDir()
	if err := writeCertificates(dir); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.pem"))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if err := writeCertificates(dir); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(filepath.Join(dir, "ca.pem")); err != nil || string(now) != string(authority) {
		t.Error("a second time they were made anew")
	}
}

func TestEveryTemplateIsUsed(t *testing.T) {
	used := []string{"common.tmpl", "clouds.yaml"}
	for _, name := range configurations() {
		used = append(used, name)
	}
	entries, err := fs.ReadDir(templateFiles, "templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !slices.Contains(used, entry.Name()) {
			t.Errorf("nothing is made of %s", entry.Name())
		}
	}
}

func TestKeysAreMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	read := func() (keys []string) {
		t.Helper()
		for _, name := range []string{"0", "1"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, string(text))
		}
		return keys
	}
	if err := writeKeys(dir); err != nil {
		t.Fatal(err)
	}
	first := read()
	if first[0] == first[1] {
		t.Error("both keys are the same")
	}
	for _, key := range first {
		if raw, err := base64.URLEncoding.DecodeString(key); err != nil || len(raw) != 32 {
			t.Errorf("Fernet takes no key like %q: %v", key, err)
		}
	}
	if err := writeKeys(dir); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(read(), first) {
		t.Error("a second time they were made anew")
	}
}
