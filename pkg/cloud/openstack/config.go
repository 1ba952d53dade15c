package openstack

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// settings are what a credentials file says: how to authenticate, and which endpoints of the catalog to use.
type settings struct {
	auth     gophercloud.AuthOptions
	endpoint gophercloud.EndpointOpts
	tls      *tls.Config
	source   string // "clouds.yaml /etc/openstack/clouds.yaml, cloud "k8s"", for messages
	fields   *fieldNames
	digest   [sha256.Size]byte
}

// source is where a connection's settings come from, to be read again when the files change.
type source struct {
	file string
	name string
}

// newSource finds the credentials file: the given one, or $OS_CLIENT_CONFIG_FILE, or the usual places of clouds.yaml.
func newSource(cfg cloud.Config) (*source, error) {
	if cfg.File != "" {
		return &source{file: cfg.File, name: cfg.Name}, nil
	}
	if file := os.Getenv("OS_CLIENT_CONFIG_FILE"); file != "" {
		return &source{file: file, name: cfg.Name}, nil
	}
	places := []string{"clouds.yaml"}
	if dir, err := os.UserConfigDir(); err == nil {
		places = append(places, filepath.Join(dir, "openstack", "clouds.yaml"))
	}
	places = append(places, "/etc/openstack/clouds.yaml")
	for _, file := range places {
		if _, err := os.Stat(file); err == nil {
			return &source{file: file, name: cfg.Name}, nil
		}
	}
	return nil, configError("no credentials file: name one, or set OS_CLIENT_CONFIG_FILE, or put clouds.yaml at one of %s",
		strings.Join(places, ", "))
}

// configError is a mistake in the configuration; it never holds a secret.
func configError(format string, args ...any) error {
	return fmt.Errorf("%w: %w", cloud.ErrInvalid, fmt.Errorf(format, args...))
}

// load reads and checks the files.
func (s *source) load() (*settings, error) {
	text, err := os.ReadFile(s.file)
	if err != nil {
		var perr *os.PathError
		if errors.As(err, &perr) {
			err = perr.Err
		}
		return nil, configError("cloud credentials file %s: %w", s.file, err)
	}
	var set *settings
	if isCloudConf(text) {
		set, err = s.loadCloudConf(text)
	} else {
		set, err = s.loadCloudsYAML(text)
	}
	if err != nil {
		return nil, err
	}
	if err := set.check(); err != nil {
		return nil, err
	}
	// A token is renewed by our own re-authentication, which reads the files anew.
	set.auth.AllowReauth = false
	return set, nil
}

// isCloudConf tells the two formats apart: a cloud.conf begins with a section.
func isCloudConf(text []byte) bool {
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		return line[0] == '['
	}
	return false
}

// fieldNames are the names of the fields in the words of a file's format, for messages.
type fieldNames struct {
	authURL, username, password, project, userDomain, appID, appName, appSecret string
}

var (
	yamlNames = &fieldNames{
		"auth.auth_url", "auth.username", "auth.password", "auth.project_id (or auth.project_name)",
		"auth.user_domain_name (or auth.user_domain_id)",
		"auth.application_credential_id", "auth.application_credential_name", "auth.application_credential_secret",
	}
	confNames = &fieldNames{
		"auth-url", "username", "password", "tenant-id (or tenant-name)", "user-domain-name (or user-domain-id, domain-name, domain-id)",
		"application-credential-id", "application-credential-name", "application-credential-secret",
	}
)

// check says what is missing before the cloud has to.
func (s *settings) check() error {
	a, f := s.auth, s.fields
	if a.IdentityEndpoint == "" {
		return configError("%s: %s is missing: it is the identity service's URL, like https://keystone.example:5000/v3", s.source, f.authURL)
	}
	if u, err := url.Parse(a.IdentityEndpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return configError("%s: %s is not an http or https URL", s.source, f.authURL)
	}
	byUser := a.Username != "" || a.UserID != ""
	domain := a.UserID != "" || a.DomainID != "" || a.DomainName != ""
	switch {
	case a.TokenID != "":
		return configError("%s: auth.token cannot be renewed: use an application credential, or a user's name and password", s.source)
	case a.ApplicationCredentialID != "" || a.ApplicationCredentialName != "":
		if a.ApplicationCredentialSecret == "" {
			return configError("%s: %s is missing", s.source, f.appSecret)
		}
		if a.ApplicationCredentialID == "" && (!byUser || !domain) {
			return configError("%s: %s also needs %s and %s; %s needs neither", s.source, f.appName, f.username, f.userDomain, f.appID)
		}
		return nil
	case a.ApplicationCredentialSecret != "":
		return configError("%s: %s is missing, which belongs to %s", s.source, f.appID, f.appSecret)
	case !byUser:
		return configError("%s: no credentials: give %s and %s, or %s and %s", s.source, f.appID, f.appSecret, f.username, f.password)
	case a.Password == "":
		return configError("%s: %s is missing", s.source, f.password)
	case !domain:
		return configError("%s: %s is missing: the user's domain, often Default", s.source, f.userDomain)
	case a.TenantID == "" && a.TenantName == "":
		return configError("%s: %s is missing", s.source, f.project)
	}
	return nil
}
