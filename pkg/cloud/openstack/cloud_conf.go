package openstack

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
)

// globalKeys are the keys of [Global] that we know.
var globalKeys = []string{
	"auth-url", "user-id", "username", "password", "application-credential-id", "application-credential-name",
	"application-credential-secret", "tenant-id", "tenant-name", "tenant-domain-id", "tenant-domain-name",
	"user-domain-id", "user-domain-name", "domain-id", "domain-name", "region", "os-endpoint-type", "ca-file",
	"tls-insecure", "use-clouds", "clouds-file", "cloud",
}

// loadCloudConf reads the [Global] section of a cloud.conf, the file of the in-tree provider and its successors. The
// other sections belong to other programs' options and are not looked at.
func (s *source) loadCloudConf(text []byte) (*settings, error) {
	file := "cloud.conf " + s.file + ", [Global]"
	sections, err := parseINI(string(text))
	if err != nil {
		return nil, configError("cloud.conf %s: %w", s.file, err)
	}
	i := slices.IndexFunc(sections, func(s section) bool { return strings.EqualFold(s.name, "Global") })
	if i < 0 {
		return nil, configError("%s: the section is missing", file)
	}
	keys := sections[i].keys
	for key := range keys {
		if !slices.Contains(globalKeys, key) {
			return nil, configError("%s: unknown key %q; known are %s", file, key, strings.Join(globalKeys, ", "))
		}
	}
	useClouds, err := boolean(file, keys, "use-clouds")
	if err != nil {
		return nil, err
	}
	if useClouds {
		return s.loadReferredClouds(file, text, keys)
	}
	tlsConfig, caText, err := confTLS(file, keys)
	if err != nil {
		return nil, err
	}
	set := &settings{
		auth: confAuth(keys), tls: tlsConfig, source: file, fields: confNames, digest: digest(text, caText),
		endpoint: gophercloud.EndpointOpts{Region: keys["region"], Availability: gophercloud.AvailabilityPublic},
	}
	switch t := keys["os-endpoint-type"]; t {
	case "", "public", "publicURL":
	case "internal", "internalURL":
		set.endpoint.Availability = gophercloud.AvailabilityInternal
	case "admin", "adminURL":
		set.endpoint.Availability = gophercloud.AvailabilityAdmin
	default:
		return nil, configError("%s: os-endpoint-type is %q; allowed are public, internal and admin", file, t)
	}
	return set, nil
}

// loadReferredClouds follows use-clouds to a clouds.yaml.
func (s *source) loadReferredClouds(file string, text []byte, keys map[string]string) (*settings, error) {
	other := &source{file: keys["clouds-file"], name: keys["cloud"]}
	if other.file == "" {
		other.file = filepath.Join(filepath.Dir(s.file), "clouds.yaml")
	}
	if s.name != "" {
		other.name = s.name
	}
	set, err := other.load()
	if err != nil {
		return nil, configError("%s, use-clouds: %w", file, err)
	}
	set.digest = digest(text, set.digest[:])
	return set, nil
}

func confAuth(k map[string]string) gophercloud.AuthOptions {
	first := func(keys ...string) string {
		for _, key := range keys {
			if k[key] != "" {
				return k[key]
			}
		}
		return ""
	}
	auth := gophercloud.AuthOptions{
		IdentityEndpoint:            k["auth-url"],
		UserID:                      k["user-id"],
		Username:                    k["username"],
		Password:                    k["password"],
		TenantID:                    k["tenant-id"],
		TenantName:                  k["tenant-name"],
		DomainID:                    first("user-domain-id", "domain-id"),
		ApplicationCredentialID:     k["application-credential-id"],
		ApplicationCredentialName:   k["application-credential-name"],
		ApplicationCredentialSecret: k["application-credential-secret"],
	}
	if auth.DomainID == "" {
		auth.DomainName = first("user-domain-name", "domain-name")
	}
	switch {
	case auth.TenantID != "":
		auth.Scope = &gophercloud.AuthScope{ProjectID: auth.TenantID}
	case auth.TenantName != "":
		auth.Scope = &gophercloud.AuthScope{ProjectName: auth.TenantName, DomainID: first("tenant-domain-id", "domain-id")}
		if auth.Scope.DomainID == "" {
			auth.Scope.DomainName = first("tenant-domain-name", "domain-name")
		}
		if auth.Scope.DomainID == "" && auth.Scope.DomainName == "" { // the user's own
			auth.Scope.DomainID, auth.Scope.DomainName = auth.DomainID, auth.DomainName
		}
	}
	return auth
}

// confTLS reads ca-file and tls-insecure; the file's text is returned so that its change is noticed.
func confTLS(file string, keys map[string]string) (*tls.Config, []byte, error) {
	insecure, err := boolean(file, keys, "tls-insecure")
	if err != nil {
		return nil, nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} //nolint:gosec // the user's explicit wish
	path := keys["ca-file"]
	if path == "" {
		return config, nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, configError("%s: ca-file: %w", file, err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(text) {
		return nil, nil, configError("%s: ca-file %s has no certificate in PEM form", file, path)
	}
	return config, text, nil
}

func boolean(file string, keys map[string]string, key string) (bool, error) {
	value, ok := keys[key]
	if !ok {
		return false, nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, configError("%s: %s is %q; allowed are true and false", file, key, value)
	}
	return b, nil
}
