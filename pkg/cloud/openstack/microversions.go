package openstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// The oldest microversions that have what we use. A newer one would shut out older clouds for nothing; an older cloud is
// spoken to in the newest that it has.
const (
	microversionCompute      = "2.60"
	microversionBlockStorage = "3.42"
)

// What came with which microversion.
var (
	versionFlavorName        = apiVersion{2, 47} // the flavor's name in the server (Pike)
	versionAttachMultiattach = apiVersion{2, 60} // attaching multiattach volumes (Queens)
	versionExtendAttached    = apiVersion{3, 42} // extending volumes that are in use (Pike)
)

// Octavia has versions but no header for them: a field that it does not know is refused with 400.
var (
	versionTags         = apiVersion{2, 5}  // tags, by which we know what is ours (Stein)
	versionAllowedCIDRs = apiVersion{2, 12} // loadBalancerSourceRanges (Train)
)

// apiVersion is the version of a service's API; the zero value is an unknown one.
type apiVersion struct{ major, minor int }

func (v apiVersion) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func (v apiVersion) less(w apiVersion) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

// parseVersion reads "2.60" and "v2.60"; anything else is the zero version.
func parseVersion(s string) apiVersion {
	major, minor, ok := strings.Cut(strings.TrimPrefix(s, "v"), ".")
	a, err := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	if !ok || err != nil || err2 != nil {
		return apiVersion{}
	}
	return apiVersion{a, b}
}

// versionRange is what a service offers.
type versionRange struct{ min, max apiVersion }

// nearest is the version of the range that is nearest to the wanted one.
func (r versionRange) nearest(wanted apiVersion) apiVersion {
	switch {
	case r.max.less(wanted):
		return r.max
	case wanted.less(r.min):
		return r.min
	}
	return wanted
}

// parseVersionDocument reads the version documents of Nova and Cinder, whose entries carry a range of microversions, and
// that of Octavia, whose entries are the versions. It picks the API with the highest version.
func parseVersionDocument(text []byte) (versionRange, error) {
	type entry struct {
		ID  string `json:"id"`
		Max string `json:"version"`
		Min string `json:"min_version"`
	}
	var doc struct {
		Version  *entry  `json:"version"`
		Versions []entry `json:"versions"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return versionRange{}, err
	}
	if doc.Version != nil {
		doc.Versions = append(doc.Versions, *doc.Version)
	}
	var found versionRange
	for _, e := range doc.Versions {
		r := versionRange{parseVersion(e.Min), parseVersion(e.Max)}
		if e.Max == "" {
			r = versionRange{max: parseVersion(e.ID)}
		}
		if found.max.less(r.max) {
			found = r
		}
	}
	if found.max == (apiVersion{}) {
		return versionRange{}, errors.New("it names no version")
	}
	return found, nil
}

var versionSegment = regexp.MustCompile(`^v\d+(\.\d+)?$`)

// versionURL is where a service tells its versions. Nova and Cinder do so at the root of the API with microversions,
// which is the path up to its version, Octavia above it.
func versionURL(name service, endpoint string) string {
	segments := strings.Split(strings.TrimSuffix(endpoint, "/"), "/")
	for i := len(segments) - 1; i > 2; i-- { // the first three are scheme and host
		if versionSegment.MatchString(segments[i]) {
			if name == loadBalancer {
				i--
			}
			return strings.Join(segments[:i+1], "/") + "/"
		}
	}
	return strings.TrimSuffix(endpoint, "/") + "/"
}

// offered asks a service for its versions.
func (c *Cloud) offered(ctx context.Context, name service) (versionRange, error) {
	client, err := c.services.Load().client(name)
	if err != nil {
		return versionRange{}, &cloud.Error{Kind: cloud.ErrInvalid, Op: opVersions, Err: err}
	}
	plain := *client
	plain.Microversion = ""
	var text json.RawMessage
	r := request{service: name, op: opVersions, object: string(name), method: http.MethodGet, into: &text, also: http.StatusMultipleChoices}
	target := versionURL(name, client.Endpoint)
	if err := c.send(ctx, &plain, target, r); err != nil {
		return versionRange{}, err
	}
	found, err := parseVersionDocument(text)
	if err != nil {
		return found, &cloud.Error{Kind: cloud.ErrUnavailable, Op: opVersions, Object: target, Message: "not a version document", Err: err}
	}
	return found, nil
}

// negotiate is called when a service refused our microversion, which changed nothing. It returns a client with one that
// the service has, and keeps it; nil when there is none to be found.
func (c *Cloud) negotiate(ctx context.Context, name service, refused *gophercloud.ServiceClient) *gophercloud.ServiceClient {
	c.negotiating.Lock()
	defer c.negotiating.Unlock()
	set := c.services.Load()
	current, err := set.client(name)
	if err != nil {
		return nil
	}
	if current.Microversion != refused.Microversion || current.Endpoint != refused.Endpoint {
		return current // somebody else did it meanwhile
	}
	offered, err := c.offered(ctx, name)
	if err != nil {
		klog.FromContext(ctx).Error(err, "The cloud refuses a microversion and does not say which it has", "service", name, "microversion", refused.Microversion)
		return nil
	}
	chosen := offered.nearest(parseVersion(refused.Microversion)).String()
	if chosen == refused.Microversion {
		return nil
	}
	klog.FromContext(ctx).Info("The cloud's API is not of the version that all features need; it is spoken to in one that it has",
		"service", name, "wanted", refused.Microversion, "offered", offered.max, "chosen", chosen)
	client := *current
	client.Microversion = chosen
	c.services.CompareAndSwap(set, set.with(name, &client)) // if the credentials changed meanwhile, the next refusal begins anew
	return &client
}

// with is a copy of the services with another client for one.
func (s *services) with(name service, client *gophercloud.ServiceClient) *services {
	changed := &services{clients: maps.Clone(s.clients), region: s.region, project: s.project}
	changed.clients[name] = client
	return changed
}

// inUse is the microversion in which a service is spoken to.
func (c *Cloud) inUse(name service) apiVersion {
	client, err := c.services.Load().client(name)
	if err != nil {
		return apiVersion{}
	}
	return parseVersion(client.Microversion)
}

// balancing is the version of Octavia's API, asked for once, when a refusal may be due to it.
func (c *Cloud) balancing(ctx context.Context) apiVersion {
	set := c.services.Load()
	if known := set.balancing.Load(); known != nil {
		return *known
	}
	offered, err := c.offered(ctx, loadBalancer)
	if err != nil {
		return apiVersion{}
	}
	set.balancing.Store(&offered.max)
	return offered.max
}

// balancingOlderThan reports whether Octavia's API is known to be older than v.
func (c *Cloud) balancingOlderThan(ctx context.Context, v apiVersion) bool {
	have := c.balancing(ctx)
	return have != (apiVersion{}) && have.less(v)
}

// explainAge says what a refusal with 400 means on an Octavia that is too old for what was asked.
func (c *Cloud) explainAge(ctx context.Context, err error, lb cloud.LoadBalancer) error {
	var e *cloud.Error
	if !refused(err, http.StatusBadRequest) || !errors.As(err, &e) {
		return err
	}
	cidrs := slices.ContainsFunc(lb.Listeners, func(l cloud.Listener) bool { return len(l.AllowedCIDRs) > 0 })
	switch {
	case lb.Tags != nil && c.balancingOlderThan(ctx, versionTags):
		e.Message = fmt.Sprintf("the load balancer API of this cloud is %s; Fairlead needs %s (Stein), because it knows its load balancers by their tags: %s",
			c.balancing(ctx), versionTags, e.Message)
	case cidrs && c.balancingOlderThan(ctx, versionAllowedCIDRs):
		e.Message = fmt.Sprintf("the load balancer API of this cloud is %s; loadBalancerSourceRanges need %s (Train): %s",
			c.balancing(ctx), versionAllowedCIDRs, e.Message)
	}
	return e
}

// refused reports whether the cloud answered with that status.
func refused(err error, status int) bool {
	var e *cloud.Error
	return errors.As(err, &e) && e.Status == status
}
