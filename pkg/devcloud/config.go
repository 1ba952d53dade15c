package devcloud

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api/admin"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/loadbalancer"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

// Config is the embedded cloud's configuration file.
type Config struct {
	// Listen is the address and port of all APIs; port 0 takes a free one.
	Listen string `json:"listen"`
	// PublicURL is how clients reach Listen; empty: http://<listen>.
	PublicURL string `json:"publicURL,omitempty"`
	// StateDir holds everything that survives a restart. Empty is only allowed with Simulate: nothing survives then.
	StateDir string `json:"stateDir,omitempty"`
	// Simulate runs the cloud without disks, load balancing and nodes: only the APIs and their states.
	Simulate bool   `json:"simulate,omitempty"`
	Region   string `json:"region,omitempty"` // default RegionOne

	Times admin.Times `json:"times,omitempty"`

	Projects               []Project               `json:"projects"`
	Users                  []User                  `json:"users"`
	ApplicationCredentials []ApplicationCredential `json:"applicationCredentials,omitempty"`
	TokenLifetime          api.Duration            `json:"tokenLifetime,omitempty"` // default 4h

	// Microversions are the newest that services offer which play older ones: compute, volume, load-balancer. What came
	// with later ones is refused as the older service does. Default: what is here.
	Microversions map[string]string `json:"microversions,omitempty"`

	Zones       Zones        `json:"zones"`
	VolumeTypes []VolumeType `json:"volumeTypes"` // the first is the default
	Flavors     []Flavor     `json:"flavors"`
	Images      []Image      `json:"images,omitempty"`
	Quotas      Quotas       `json:"quotas,omitempty"`

	Networks []network.NetworkConfig `json:"networks"`
	Routers  []network.RouterConfig  `json:"routers,omitempty"`

	AddressDevices AddressDevices `json:"addressDevices,omitempty"`
	Hypervisor     Hypervisor     `json:"hypervisor,omitempty"`
}

// Project owns resources.
type Project struct {
	Name string `json:"name"`
	ID   string `json:"id,omitempty"` // default: derived from the name
}

// User may ask for tokens by password.
type User struct {
	Name     string   `json:"name"`
	ID       string   `json:"id,omitempty"` // default: derived from the name
	Password string   `json:"password"`
	Projects []string `json:"projects"`        // by name; the first is the default
	Roles    []string `json:"roles,omitempty"` // default: member, reader, load-balancer_member
}

// ApplicationCredential may ask for tokens in its user's name.
type ApplicationCredential struct {
	Name    string     `json:"name"`
	ID      string     `json:"id,omitempty"` // default: derived from the name
	Secret  string     `json:"secret"`
	User    string     `json:"user"`    // by name
	Project string     `json:"project"` // by name
	Expires *time.Time `json:"expires,omitempty"`
}

// Zones are the availability zones; the first of each is the default.
type Zones struct {
	Volume  []string `json:"volume"`
	Compute []string `json:"compute"`
}

// VolumeType is a volume type.
type VolumeType struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Multiattach bool   `json:"multiattach,omitempty"`
}

// Flavor is a size of servers.
type Flavor struct {
	ID      string `json:"id,omitempty"` // default: derived from the name
	Name    string `json:"name"`
	VCPUs   int    `json:"vcpus"`
	RAMMiB  int    `json:"ramMiB"`
	DiskGiB int    `json:"diskGiB,omitempty"`
}

// Image is a name that servers can be created with; there is no data behind it.
type Image struct {
	ID   string `json:"id,omitempty"` // default: derived from the name
	Name string `json:"name"`
}

// Quotas are what each project may have; -1 is no limit.
type Quotas struct {
	Volumes          int64              `json:"volumes"`          // default 1000
	Gigabytes        int64              `json:"gigabytes"`        // default 20000
	Instances        int                `json:"instances"`        // default 100
	Cores            int                `json:"cores"`            // default 1000
	RAMMiB           int                `json:"ramMiB"`           // default 1000000
	VolumesPerServer int                `json:"volumesPerServer"` // default 0: no limit
	Network          network.Quota      `json:"network"`
	LoadBalancer     loadbalancer.Quota `json:"loadBalancer"`
}

// AddressDevices are the network devices of this machine that virtual addresses are put on. Empty: the addresses are
// there already, as those of 127.0.0.0/8 are.
type AddressDevices struct {
	VIP      string `json:"vip,omitempty"`      // for addresses of tenant networks
	Floating string `json:"floating,omitempty"` // for addresses of external networks
}

// Hypervisor is the command that starts and stops what stands behind a server that is a node.
type Hypervisor struct {
	Command []string     `json:"command,omitempty"`
	Timeout api.Duration `json:"timeout,omitempty"` // default 2m
	// PowerSync is how often is asked whether the nodes still run (default 10s; negative: never). A node that died by
	// itself becomes SHUTOFF then; Nova takes minutes for that (sync_power_state_interval).
	PowerSync api.Duration `json:"powerSync,omitempty"`
}

// DefaultConfig is a small cloud for one project on 127.0.0.1.
func DefaultConfig() Config { return mustParse(defaultConfig) }

// LoadConfig reads a configuration file. Unknown fields and wrong values are errors that name the field.
func LoadConfig(path string) (Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	c, err := ParseConfig(b)
	if err != nil {
		return c, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// ParseConfig reads a configuration, fills in the defaults and checks it.
func ParseConfig(b []byte) (Config, error) {
	c := Config{Quotas: Quotas{
		Volumes: 1000, Gigabytes: 20000, Instances: 100, Cores: 1000, RAMMiB: 1000000,
		Network: network.DefaultQuota(), LoadBalancer: loadbalancer.DefaultQuota(),
	}}
	if err := yaml.UnmarshalStrict(b, &c); err != nil {
		return c, err
	}
	c.fill()
	return c, c.Validate()
}

func (c *Config) fill() {
	if c.Region == "" {
		c.Region = "RegionOne"
	}
	for i := range c.Users {
		if c.Users[i].Roles == nil {
			c.Users[i].Roles = []string{"load-balancer_member", "member", "reader"}
		}
	}
}

// Validate names everything that is wrong.
func (c *Config) Validate() error {
	var all []error
	wrong := func(field, format string, args ...any) {
		all = append(all, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		wrong("listen", "%q is no address and port such as 127.0.0.1:8780: %v", c.Listen, err)
	}
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Scheme == "" || u.Host == "") {
		wrong("publicURL", "%q is no URL such as http://10.200.0.1:8780", c.PublicURL)
	}
	switch {
	case c.StateDir == "" && !c.Simulate:
		wrong("stateDir", "must be given, unless simulate is true")
	case c.StateDir != "" && !filepath.IsAbs(c.StateDir):
		wrong("stateDir", "%q is no absolute path", c.StateDir)
	}
	if _, err := c.Times.Over(engine.Times{Default: engine.DefaultTime}); err != nil {
		wrong("times", "%v", err)
	}
	if _, err := c.newest(); err != nil {
		wrong("microversions", "%v", err)
	}
	c.validateIdentity(wrong)
	c.validateFacts(wrong)
	return errors.Join(all...)
}

type report func(field, format string, args ...any)

func (c *Config) validateIdentity(wrong report) {
	if len(c.Projects) == 0 {
		wrong("projects", "at least one is needed")
	}
	if len(c.Users) == 0 {
		wrong("users", "at least one is needed")
	}
	project := func(field, name string) {
		if !slices.ContainsFunc(c.Projects, func(p Project) bool { return p.Name == name }) {
			wrong(field, "there is no project %q", name)
		}
	}
	for i, p := range c.Projects {
		if p.Name == "" {
			wrong(fmt.Sprintf("projects[%d].name", i), "must not be empty")
		}
	}
	for i, u := range c.Users {
		at := fmt.Sprintf("users[%d]", i)
		if u.Name == "" || u.Password == "" {
			wrong(at, "name and password must not be empty")
		}
		if len(u.Projects) == 0 {
			wrong(at+".projects", "at least one is needed")
		}
		for j, name := range u.Projects {
			project(fmt.Sprintf("%s.projects[%d]", at, j), name)
		}
	}
	for i, a := range c.ApplicationCredentials {
		at := fmt.Sprintf("applicationCredentials[%d]", i)
		if a.Name == "" || a.Secret == "" {
			wrong(at, "name and secret must not be empty")
		}
		if !slices.ContainsFunc(c.Users, func(u User) bool { return u.Name == a.User }) {
			wrong(at+".user", "there is no user %q", a.User)
		}
		project(at+".project", a.Project)
	}
}

func (c *Config) validateFacts(wrong report) {
	if len(c.Zones.Volume) == 0 {
		wrong("zones.volume", "at least one is needed")
	}
	if len(c.Zones.Compute) == 0 {
		wrong("zones.compute", "at least one is needed")
	}
	if len(c.VolumeTypes) == 0 {
		wrong("volumeTypes", "at least one is needed")
	}
	for i, t := range c.VolumeTypes {
		if t.Name == "" {
			wrong(fmt.Sprintf("volumeTypes[%d].name", i), "must not be empty")
		}
	}
	if len(c.Flavors) == 0 {
		wrong("flavors", "at least one is needed")
	}
	for i, f := range c.Flavors {
		if f.Name == "" || f.VCPUs < 1 || f.RAMMiB < 1 {
			wrong(fmt.Sprintf("flavors[%d]", i), "name, vcpus and ramMiB must be given")
		}
	}
	if len(c.Networks) == 0 {
		wrong("networks", "at least one is needed")
	}
}
