package csi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// NodeIdentity is which instance of the cloud this node is, and where it is.
type NodeIdentity struct {
	InstanceID string
	Zone       string
}

func (i NodeIdentity) complete() bool { return i.InstanceID != "" && i.Zone != "" }

// IdentitySource is one place where a node can learn who it is. An answer may lack a part.
type IdentitySource interface {
	Name() string
	Identity(ctx context.Context) (NodeIdentity, error)
}

// identityTimeout bounds the question to one source, so that one that does not answer leaves time for the next.
const identityTimeout = 3 * time.Second

// errIdentityUnknown: no source knows the whole identity yet.
var errIdentityUnknown = errors.New("this node's instance or zone is not known yet")

// NodeIdentifier asks the sources in their order. What it learned once holds for the life of the process: an instance
// changes neither its id nor, while it runs, its zone.
type NodeIdentifier struct {
	sources []IdentitySource

	mu    sync.Mutex
	known NodeIdentity
}

// NewNodeIdentifier makes an identifier of the given sources, the most trusted first.
func NewNodeIdentifier(sources ...IdentitySource) *NodeIdentifier {
	return &NodeIdentifier{sources: sources}
}

// Identify returns the node's identity. The instance is taken from the first source that names it; the zone from the
// same source, or from the first that has one. Unavailable, with what each source said, while a part is missing.
func (n *NodeIdentifier) Identify(ctx context.Context) (NodeIdentity, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known.complete() {
		return n.known, nil
	}
	var found NodeIdentity
	var said []string
	for _, s := range n.sources {
		id, err := ask(ctx, s)
		if err != nil {
			said = append(said, fmt.Sprintf("%s: %v", s.Name(), err))
			continue
		}
		if found.InstanceID == "" && id.InstanceID != "" {
			found.InstanceID = id.InstanceID
			if id.Zone != "" {
				found.Zone = id.Zone
			}
		}
		if found.Zone == "" {
			found.Zone = id.Zone
		}
		if found.complete() {
			n.known = found
			klog.FromContext(ctx).Info("Learned this node's identity", "instance", found.InstanceID, "zone", found.Zone, "source", s.Name())
			return found, nil
		}
		said = append(said, fmt.Sprintf("%s: instance %q, zone %q", s.Name(), id.InstanceID, id.Zone))
	}
	return NodeIdentity{}, fmt.Errorf("%w (%s)", errIdentityUnknown, strings.Join(said, "; "))
}

func ask(ctx context.Context, s IdentitySource) (NodeIdentity, error) {
	ctx, cancel := context.WithTimeout(ctx, identityTimeout)
	defer cancel()
	return s.Identity(ctx)
}

// instanceOfProviderID takes the instance out of a Node's provider id: openstack:///<id> or openstack://<region>/<id>.
func instanceOfProviderID(providerID string) (string, error) {
	if providerID == "" {
		return "", nil
	}
	rest, ok := strings.CutPrefix(providerID, "openstack://")
	_, id, slash := strings.Cut(rest, "/")
	if !ok || !slash || id == "" || strings.Contains(id, "/") {
		return "", fmt.Errorf("provider id %q: want openstack:///<instance> or openstack://<region>/<instance>", providerID)
	}
	return id, nil
}

// The names of the identity sources, in the default order.
const (
	SourceNode        = "node"
	SourceMetadata    = "metadata"
	SourceConfigDrive = "configdrive"
	SourceDMI         = "dmi"
)

// DefaultIdentitySources is the default order: the Node object is right wherever a cloud controller manager runs, and
// costs no call to the cloud; DMI knows no zone and can be wrong in nested virtualisation.
var DefaultIdentitySources = []string{SourceNode, SourceMetadata, SourceConfigDrive, SourceDMI}

// ConfiguredIdentitySources picks sources by name, in that order.
func ConfiguredIdentitySources(names []string, available ...IdentitySource) ([]IdentitySource, error) {
	if len(names) == 0 {
		return nil, errors.New("identity sources: at least one is needed")
	}
	var sources []IdentitySource
	for _, name := range names {
		i := slices.IndexFunc(available, func(s IdentitySource) bool { return s.Name() == name })
		if i < 0 {
			var allowed []string
			for _, s := range available {
				allowed = append(allowed, s.Name())
			}
			return nil, fmt.Errorf("identity source %q: allowed are %s", name, strings.Join(allowed, ", "))
		}
		sources = append(sources, available[i])
	}
	return sources, nil
}
