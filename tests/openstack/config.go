package openstack

import (
	"bytes"
	"crypto/rand"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed templates
var templateFiles embed.FS

// all: __init__.py begins with an underscore.
//
//go:embed all:python
var pythonFiles embed.FS

var templates = template.Must(template.New("").ParseFS(templateFiles, "templates/*"))

// values are what the templates of the configuration know.
type values struct {
	Dir, Address, Region, AuthURL string
	// Secret is the password of everything, made anew with every state: 32 hexadecimal digits.
	Secret string
	// User is the service's user in Keystone, see As. Host is a compute host's name; empty: a service of the control plane.
	User, Host string
}

func newValues(secret string) values {
	return values{Dir: Dir(), Address: Address, Region: Region, AuthURL: authURL(), Secret: secret}
}

// As is the same for a template about that user.
func (v values) As(user string) values { v.User = user; return v }

// Database is where SQLAlchemy finds the database.
func (v values) Database(name string) string {
	return fmt.Sprintf("mysql+pymysql://openstack:%s@%s/%s?charset=utf8", v.Secret, hostPort("mariadb"), name)
}

// MessageBus is where oslo.messaging finds RabbitMQ.
func (v values) MessageBus() string {
	return fmt.Sprintf("rabbit://openstack:%s@%s/", v.Secret, hostPort("rabbitmq"))
}

// Port and URL of a service.
func (v values) Port(service string) int   { return ports[service] }
func (v values) URL(service string) string { return urlOf(service) }

// configurations are the files below etc and the templates that they are made of.
func configurations() map[string]string {
	files := map[string]string{
		"keystone/keystone.conf":   "keystone.conf",
		"placement/placement.conf": "placement.conf",
		"nova/nova.conf":           "nova.conf",
		"glance/glance-api.conf":   "glance-api.conf",
		"cinder/cinder.conf":       "cinder.conf",
		"neutron/neutron.conf":     "neutron.conf",
		"octavia/octavia.conf":     "octavia.conf",
		"rabbitmq/rabbitmq.conf":   "rabbitmq.conf",
	}
	for _, host := range computeHosts {
		files["nova/"+host.name+".conf"] = "nova.conf"
	}
	return files
}

// render makes one file of the configuration.
func render(v values, file, name string) ([]byte, error) {
	base := strings.TrimSuffix(filepath.Base(file), ".conf")
	for _, host := range computeHosts {
		if host.name == base {
			v.Host = base
		}
	}
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, v); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return out.Bytes(), nil
}

// writeConfiguration writes everything below etc, the Python package and clouds.yaml. shared are files of Debian's
// packages, by their place below etc.
func writeConfiguration(shared map[string]string) (values, error) {
	secret, err := readSecret()
	if err != nil {
		return values{}, err
	}
	v := newValues(secret)
	for file, name := range configurations() {
		text, err := render(v, file, name)
		if err != nil {
			return values{}, err
		}
		if err := writeFile(etc(file), text); err != nil {
			return values{}, err
		}
	}
	for file, source := range shared {
		text, err := os.ReadFile(source)
		if err != nil {
			return values{}, err
		}
		if err := writeFile(etc(file), text); err != nil {
			return values{}, err
		}
	}
	return v, errors.Join(
		writeClouds(v),
		writeFile(etc("rabbitmq", "enabled_plugins"), []byte("[].\n")),
		writeCertificates(etc("octavia")),
		writeKeys(path("data", "keystone", "fernet-keys")),
		writeKeys(path("data", "keystone", "credential-keys")),
		writePython(),
	)
}

// readSecret reads the state's password, which it makes if there is none.
func readSecret() (string, error) {
	file := path("secret")
	raw, err := os.ReadFile(file)
	if err == nil {
		return string(raw), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	secret := hex.EncodeToString(random[:])
	return secret, writeFile(file, []byte(secret))
}

// writePython puts the Python package where PYTHONPATH points.
func writePython() error {
	return fs.WalkDir(pythonFiles, "python", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := pythonFiles.ReadFile(name)
		if err != nil {
			return err
		}
		return writeFile(path(name), text)
	})
}

// writeFile writes a file whole, with its directory. Everything may hold the secret.
func writeFile(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
