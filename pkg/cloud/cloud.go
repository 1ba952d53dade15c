// Package cloud says what an infrastructure cloud is to a cluster, in words of its own: disks, instances, load
// balancers. It has no word of any one cloud's API; providers live in sub-packages and register by name.
package cloud

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Cloud is a connection to one cloud, one project, one region. All of it is safe for concurrent use.
type Cloud interface {
	Disks
	Instances
	LoadBalancers
	Networks
	Preflight
	// Ping asks the cloud the cheapest authenticated question. It is for readiness, never for liveness.
	Ping(ctx context.Context) error
	// Region is the region's name; may be empty.
	Region() string
}

// Config is where a provider finds its cloud and how it presents itself.
type Config struct {
	// File is the credentials file (OpenStack: clouds.yaml, or a cloud.conf). Empty: the provider's usual places.
	File string
	// Name selects an entry of the file. Empty: the provider's default.
	Name string
	// UserAgent is sent with every request, "fairlead-csi/v0.1.0".
	UserAgent string
	// QPS and Burst limit the requests per second; 0 QPS does not.
	QPS   float64
	Burst int
	// Metrics takes the provider's metrics; nil: none are kept.
	Metrics prometheus.Registerer
}

// Opener connects to a cloud. A bad or missing configuration is an error that names the file and the field.
type Opener func(ctx context.Context, cfg Config) (Cloud, error)

var providers struct {
	sync.Mutex
	byName map[string]Opener
}

// Register makes a provider known; a provider's package calls it from init. A second registration of a name replaces
// the first.
func Register(name string, open Opener) {
	providers.Lock()
	defer providers.Unlock()
	if providers.byName == nil {
		providers.byName = map[string]Opener{}
	}
	providers.byName[name] = open
}

// Open connects to the cloud of the named provider.
func Open(ctx context.Context, provider string, cfg Config) (Cloud, error) {
	providers.Lock()
	open, ok := providers.byName[provider]
	var names []string
	for n := range providers.byName {
		names = append(names, n)
	}
	providers.Unlock()
	if !ok {
		slices.Sort(names)
		return nil, fmt.Errorf("cloud provider %q: %w: known are %s", provider, ErrInvalid, strings.Join(names, ", "))
	}
	return open(ctx, cfg)
}
