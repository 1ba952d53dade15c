package openstack

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
	"sigs.k8s.io/yaml"
)

// loadCloudsYAML reads one entry of a clouds.yaml, with the secure.yaml beside it if there is one.
func (s *source) loadCloudsYAML(text []byte) (*settings, error) {
	file := "clouds.yaml " + s.file
	entries, err := parseClouds(file, text)
	if err != nil {
		return nil, err
	}
	name, err := s.choose(file, entries)
	if err != nil {
		return nil, err
	}
	securePath := filepath.Join(filepath.Dir(s.file), "secure.yaml")
	secure, err := os.ReadFile(securePath)
	if err != nil && !os.IsNotExist(err) {
		return nil, configError("secure.yaml %s: %w", securePath, err)
	}
	if _, err := parseClouds("secure.yaml "+securePath, secure); err != nil && len(secure) > 0 {
		return nil, err
	}
	source := fmt.Sprintf("%s, cloud %q", file, name)
	opts := []clouds.ParseOption{clouds.WithCloudName(name), clouds.WithCloudsYAML(bytes.NewReader(text))}
	if len(secure) > 0 {
		opts = append(opts, clouds.WithSecureYAML(bytes.NewReader(secure)))
	}
	auth, endpoint, tlsConfig, err := clouds.Parse(opts...)
	if err != nil {
		return nil, configError("%s: %s", source, withoutValues(err))
	}
	texts := append([][]byte{text, secure}, entries[name].tlsFiles()...)
	return &settings{auth: auth, endpoint: endpoint, tls: tlsConfig, source: source, fields: yamlNames, digest: digest(texts...)}, nil
}

// tlsFiles are the contents of the files that the entry names, so that their change is noticed.
func (e cloudEntry) tlsFiles() [][]byte {
	var texts [][]byte
	for _, path := range []*string{e.CACert, e.Cert, e.Key} {
		if path == nil {
			continue
		}
		if text, err := os.ReadFile(*path); err == nil { // else it was said when they were read in earnest
			texts = append(texts, text)
		}
	}
	return texts
}

func digest(texts ...[]byte) [sha256.Size]byte { return sha256.Sum256(bytes.Join(texts, []byte{0})) }

// choose picks the entry: the one asked for, or that of $OS_CLOUD, or the only one.
func (s *source) choose(file string, entries map[string]cloudEntry) (string, error) {
	names := slices.Sorted(maps.Keys(entries))
	name, asked := s.name, "asked for"
	if name == "" {
		name, asked = os.Getenv("OS_CLOUD"), "named by OS_CLOUD"
	}
	switch {
	case name == "" && len(names) == 1:
		return names[0], nil
	case name == "":
		return "", configError("%s: has the clouds %s: say which one (OS_CLOUD)", file, strings.Join(names, ", "))
	}
	if _, ok := entries[name]; !ok {
		return "", configError("%s: cloud %q, %s, is not in it: it has %s", file, name, asked, strings.Join(names, ", "))
	}
	return name, nil
}

// cloudEntry mirrors clouds.Cloud to check types and presence: gophercloud takes an entry without auth for granted, and
// its YAML errors can quote a secret.
type cloudEntry struct {
	Auth *struct {
		AuthURL                     *string `json:"auth_url"`
		Token                       *string `json:"token"`
		Username                    *string `json:"username"`
		UserID                      *string `json:"user_id"`
		Password                    *string `json:"password"`
		ApplicationCredentialID     *string `json:"application_credential_id"`
		ApplicationCredentialName   *string `json:"application_credential_name"`
		ApplicationCredentialSecret *string `json:"application_credential_secret"`
		ProjectName                 *string `json:"project_name"`
		ProjectID                   *string `json:"project_id"`
		UserDomainName              *string `json:"user_domain_name"`
		UserDomainID                *string `json:"user_domain_id"`
		ProjectDomainName           *string `json:"project_domain_name"`
		ProjectDomainID             *string `json:"project_domain_id"`
		DomainName                  *string `json:"domain_name"`
		DomainID                    *string `json:"domain_id"`
	} `json:"auth"`
	RegionName *string `json:"region_name"`
	Interface  *string `json:"interface"`
	Verify     *bool   `json:"verify"`
	CACert     *string `json:"cacert"`
	Cert       *string `json:"cert"`
	Key        *string `json:"key"`
}

// parseClouds reads the entries of a clouds.yaml. Its errors name lines or fields, never values.
func parseClouds(file string, text []byte) (map[string]cloudEntry, error) {
	var doc struct {
		Clouds map[string]*cloudEntry `json:"clouds"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, configError("%s: is not a valid clouds.yaml: %s", file, withoutValues(err))
	}
	if len(doc.Clouds) == 0 {
		return nil, configError("%s: clouds is missing or empty: it must be a map from a cloud's name to its settings", file)
	}
	var exact struct {
		Clouds map[string]map[string]any `json:"clouds"`
	}
	if err := yaml.Unmarshal(text, &exact); err != nil {
		return nil, configError("%s: is not a valid clouds.yaml: %s", file, withoutValues(err))
	}
	entries := map[string]cloudEntry{}
	for name, entry := range doc.Clouds {
		// JSON takes "Auth" for auth; gophercloud's YAML does not.
		if _, ok := exact.Clouds[name]["auth"].(map[string]any); entry == nil || entry.Auth == nil || !ok {
			return nil, configError("%s, cloud %q: auth is missing: it must be a map with auth_url and credentials", file, name)
		}
		entries[name] = *entry
	}
	return entries, nil
}

// withoutValues drops from a YAML error what is quoted out of the file, and the libraries' own prefixes.
func withoutValues(err error) string {
	text := err.Error()
	for _, prefix := range []string{"error converting YAML to JSON: ", "error unmarshaling JSON: ", "while decoding JSON: ", "yaml: ", "json: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	if i := strings.IndexAny(text, "`"); i >= 0 {
		text = strings.TrimSpace(text[:i])
	}
	text = strings.NewReplacer("Go struct field .clouds", "field clouds", "Go value of type", "a value of type").Replace(text)
	return oneLine(text)
}
