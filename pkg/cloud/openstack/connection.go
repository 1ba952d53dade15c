// Package openstack connects to an OpenStack cloud: Keystone v3, Nova, Cinder, Neutron and Octavia, in versions of which
// docs/support-matrix.md says what they are for. It makes raw calls only; waiting and idempotency are others' work.
// Importing it registers the provider "openstack".
package openstack

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	gopherstack "github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"golang.org/x/time/rate"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/transport"
)

func init() {
	cloud.Register("openstack", func(ctx context.Context, cfg cloud.Config) (cloud.Cloud, error) { return Open(ctx, cfg) })
}

// filesCheckedEvery is how often, at most, a call looks whether the credentials have changed.
const filesCheckedEvery = 5 * time.Second

// Cloud is a connection to an OpenStack cloud. It implements cloud.Cloud.
type Cloud struct {
	source   *source
	provider *gophercloud.ProviderClient
	base     *replaceable
	services atomic.Pointer[services]
	settings atomic.Pointer[settings] // the last that worked
	clock    clock.PassiveClock

	negotiating sync.Mutex // one negotiation of a microversion at a time

	files struct {
		sync.Mutex
		checked time.Time
		digest  [sha256.Size]byte // of the settings in use, or last tried
		tls     [sha256.Size]byte // of the settings that the transport was built for
	}
}

var _ cloud.Cloud = (*Cloud)(nil)

// Open reads the credentials and authenticates. A mistake in the files is cloud.ErrInvalid and names file and field;
// refused credentials are cloud.ErrUnauthorized; a cloud that does not answer is cloud.ErrUnavailable.
func Open(ctx context.Context, cfg cloud.Config) (*Cloud, error) {
	src, err := newSource(cfg)
	if err != nil {
		return nil, err
	}
	set, err := src.load()
	if err != nil {
		return nil, err
	}
	c := &Cloud{source: src, clock: clock.RealClock{}, base: &replaceable{}}
	topts := transport.Options{Base: c.base, Registerer: cfg.Metrics}
	if cfg.QPS > 0 {
		topts.Limiter = rate.NewLimiter(rate.Limit(cfg.QPS), max(1, cfg.Burst))
	}
	chain, err := transport.New(topts)
	if err != nil {
		return nil, err
	}
	c.provider, err = gopherstack.NewClient(set.auth.IdentityEndpoint)
	if err != nil {
		return nil, configError("%s: %s: %w", set.source, set.fields.authURL, err)
	}
	c.provider.HTTPClient = http.Client{Transport: chain}
	c.provider.UserAgent.Prepend(cmp.Or(cfg.UserAgent, "fairlead"))
	c.provider.MaxBackoffRetries = 0
	c.provider.ReauthFunc = c.authenticate
	if err := c.authenticate(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Region implements cloud.Cloud.
func (c *Cloud) Region() string { return c.services.Load().region }

// authenticate gets a token with what the files say now. gophercloud calls it when a token is refused, one call at a
// time. Files that have become unreadable change nothing: the settings in use are tried again.
func (c *Cloud) authenticate(ctx context.Context) (err error) {
	set, err := c.source.load()
	if err != nil {
		old := c.settings.Load()
		if old == nil {
			return err
		}
		klog.FromContext(ctx).Error(err, "The cloud credentials cannot be read; those in use stay in use")
		set = old
	}
	undo := c.adopt(set)
	defer func() {
		if err != nil {
			undo()
		}
	}()
	throwaway, err := gopherstack.NewClient(set.auth.IdentityEndpoint)
	if err != nil {
		return configError("%s: %s: %w", set.source, set.fields.authURL, err)
	}
	throwaway.HTTPClient = c.provider.HTTPClient
	throwaway.UserAgent = c.provider.UserAgent
	call := &transport.Call{Service: string(identity)}
	auth := set.auth
	if err := gopherstack.AuthenticateV3(transport.WithCall(ctx, call), throwaway, &auth, gophercloud.EndpointOpts{}); err != nil {
		return explainAuthentication(set, err)
	}
	result, ok := throwaway.GetAuthResult().(tokens.CreateResult)
	if !ok {
		return fmt.Errorf("%s: authenticate: unexpected result %T", set.source, throwaway.GetAuthResult())
	}
	catalog, err := result.ExtractServiceCatalog()
	if err != nil {
		return fmt.Errorf("%s: read the service catalog: %w", set.source, err)
	}
	project := ""
	if p, err := result.ExtractProject(); err == nil && p != nil {
		project = p.ID
	}
	found, err := newServices(c.provider, catalog, set.endpoint, project)
	if err != nil {
		return fmt.Errorf("%s: %w", set.source, err)
	}
	c.settings.Store(set)
	if !same(c.services.Load(), found) {
		c.services.Store(found)
	}
	return c.provider.SetTokenAndAuthResult(result)
}

// same reports whether two catalogs lead to the same endpoints.
func same(a, b *services) bool {
	if a == nil || a.region != b.region || a.project != b.project || len(a.clients) != len(b.clients) {
		return false
	}
	for name, client := range b.clients {
		if old, ok := a.clients[name]; !ok || old.Endpoint != client.Endpoint {
			return false
		}
	}
	return true
}

// explainAuthentication says what to do about a failed authentication. Keystone's answer never holds the secret.
func explainAuthentication(set *settings, err error) error {
	e := classify(failure{op: "authenticate", read: true}, err)
	if e.Status == http.StatusNotFound && e.Message != "" { // Keystone's own: an application credential that is gone
		e.Kind = cloud.ErrUnauthorized
	}
	switch {
	case errors.Is(e, cloud.ErrUnauthorized):
		e.Message = fmt.Sprintf("%s refuses the credentials of %s: check %s, %s (or %s, %s), and that they have not expired",
			set.auth.IdentityEndpoint, set.source, set.fields.appID, set.fields.appSecret, set.fields.username, set.fields.password)
	case e.Status == http.StatusNotFound:
		e.Kind = cloud.ErrInvalid
		e.Message = fmt.Sprintf("%s is not an identity service v3: check %s in %s", set.auth.IdentityEndpoint, set.fields.authURL, set.source)
	default:
		e.Object = set.auth.IdentityEndpoint
	}
	return e
}

// adopt notes the settings as tried, and builds the HTTP transport anew when they changed. undo puts the former one back,
// for settings with which the cloud cannot be reached.
func (c *Cloud) adopt(set *settings) (undo func()) {
	c.files.Lock()
	defer c.files.Unlock()
	c.files.checked, c.files.digest = c.clock.Now(), set.digest
	old, former := c.base.current.Load(), c.files.tls
	if old != nil && former == set.digest {
		return func() {}
	}
	c.files.tls = set.digest
	t := newHTTPTransport()
	t.TLSClientConfig = set.tls
	c.base.current.Store(t)
	if old == nil {
		return func() {}
	}
	old.CloseIdleConnections()
	return func() {
		c.files.Lock()
		defer c.files.Unlock()
		c.files.tls = former
		c.base.current.Store(old)
		t.CloseIdleConnections()
	}
}

// refresh authenticates anew when the files' content has changed. It never fails: what is wrong with the new content is
// logged, and the token in use stays in use.
func (c *Cloud) refresh(ctx context.Context) {
	c.files.Lock()
	due := c.clock.Since(c.files.checked) >= filesCheckedEvery
	if due {
		c.files.checked = c.clock.Now()
	}
	inUse := c.files.digest
	c.files.Unlock()
	if !due {
		return
	}
	set, err := c.source.load()
	if err != nil {
		klog.FromContext(ctx).Error(err, "The cloud credentials cannot be read; those in use stay in use")
		return
	}
	if set.digest == inUse {
		return
	}
	if err := c.provider.Reauthenticate(ctx, ""); err != nil {
		klog.FromContext(ctx).Error(err, "The changed cloud credentials do not work; those in use stay in use")
		return
	}
	klog.FromContext(ctx).Info("The cloud credentials have changed and are in use", "source", set.source)
}

// replaceable is an HTTP transport that can be exchanged while requests are under way.
type replaceable struct {
	current atomic.Pointer[http.Transport]
}

// RoundTrip implements http.RoundTripper.
func (r *replaceable) RoundTrip(req *http.Request) (*http.Response, error) {
	return r.current.Load().RoundTrip(req)
}

// CloseIdleConnections is used by http.Client.
func (r *replaceable) CloseIdleConnections() {
	if t := r.current.Load(); t != nil {
		t.CloseIdleConnections()
	}
}

// newHTTPTransport is the default one with room for as many idle connections as a busy controller uses.
func newHTTPTransport() *http.Transport {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 32
	return t
}

// Close closes idle connections. A Cloud needs no closing; tests that count goroutines do.
func (c *Cloud) Close() { c.base.CloseIdleConnections() }

// Ping implements cloud.Cloud: it asks Keystone whether our own token is valid.
func (c *Cloud) Ping(ctx context.Context) error {
	err := c.do(ctx, request{
		service: identity, op: "ping", method: http.MethodGet, path: "auth/tokens",
		headers: map[string]string{"X-Subject-Token": c.provider.Token()},
	})
	if errors.Is(err, cloud.ErrNotFound) {
		return nil // the token was renewed on the way, and the question was about the old one
	}
	return err
}
