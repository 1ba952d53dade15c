package openstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// questionTimeout bounds one question of preflight: a service that hangs is a finding, not a wait.
const questionTimeout = 15 * time.Second

// Preflight implements cloud.Preflight. It makes at most 7 requests for disks and 9 for load balancers: of Keystone 1, of
// Nova 2, of Cinder 4, of Neutron 3 (4 with a subnet configured), of Octavia 3 (4 when the roles leave a doubt).
func (c *Cloud) Preflight(ctx context.Context, use cloud.Use) []cloud.Finding {
	return findings(c.gather(ctx, use))
}

// gather asks the cloud. A service that does not answer its first question is asked no other.
func (c *Cloud) gather(ctx context.Context, use cloud.Use) facts {
	set := c.settings.Load()
	f := facts{
		now: c.clock.Now(), use: use, source: set.source, region: c.Region(), endpoints: string(set.endpoint.Availability),
		offers: map[service]serviceFacts{},
	}
	c.gatherCredentials(ctx, &f)
	c.gatherCompute(ctx, &f)
	if use.Disks {
		c.gatherBlockStorage(ctx, &f)
	}
	if use.LoadBalancers {
		c.gatherNetwork(ctx, &f)
		c.gatherBalancing(ctx, &f)
	}
	return f
}

// ask asks one question in bounded time.
func ask[T any](ctx context.Context, question func(context.Context) (T, error)) reply[T] {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	return answered(question(ctx))
}

// gatherCredentials reads what Keystone said with the token, and asks when the application credential expires.
func (c *Cloud) gatherCredentials(ctx context.Context, f *facts) {
	result, ok := c.provider.GetAuthResult().(tokens.CreateResult)
	if !ok {
		f.tokenErr = fmt.Errorf("unexpected authentication result %T", c.provider.GetAuthResult())
		return
	}
	if f.tokenErr = result.ExtractInto(&f.token); f.tokenErr != nil || f.token.CredentialOf == nil {
		return
	}
	f.credential = ask(ctx, func(ctx context.Context) (time.Time, error) {
		var answer struct {
			Credential struct {
				Expires *string `json:"expires_at"`
			} `json:"application_credential"`
		}
		err := c.do(ctx, request{
			service: identity, op: opPreflight, object: "application credential", method: http.MethodGet, into: &answer,
			path: "users/" + url.PathEscape(f.token.User.ID) + "/application_credentials/" + url.PathEscape(f.token.CredentialOf.ID),
		})
		if err != nil || answer.Credential.Expires == nil {
			return time.Time{}, err
		}
		return parseKeystoneTime(*answer.Credential.Expires)
	})
}

// parseKeystoneTime reads a time of Keystone, which means UTC with and without a zone.
func parseKeystoneTime(s string) (time.Time, error) {
	return time.Parse("2006-01-02T15:04:05.999999", strings.TrimSuffix(s, "Z"))
}

// gatherService looks a service up in the catalog and asks for its versions if it has any. It reports whether it is there.
func (c *Cloud) gatherService(ctx context.Context, f *facts, name service) bool {
	var s serviceFacts
	client, err := c.services.Load().client(name)
	if err != nil {
		s.elsewhere = c.elsewhere(name)
		f.offers[name] = s
		return false
	}
	s.endpoint = client.Endpoint
	if name != network {
		s.versions = ask(ctx, func(ctx context.Context) (versionRange, error) { return c.offered(ctx, name) })
	}
	f.offers[name] = s
	return true
}

// elsewhere says under which interfaces and in which regions the catalog has a service.
func (c *Cloud) elsewhere(name service) []string {
	result, ok := c.provider.GetAuthResult().(tokens.CreateResult)
	if !ok {
		return nil
	}
	catalog, err := result.ExtractServiceCatalog()
	if err != nil {
		return nil
	}
	var places []string
	for _, entry := range catalog.Entries {
		for _, e := range entry.Endpoints {
			if slices.Contains(apis[name].types, entry.Type) {
				places = append(places, fmt.Sprintf("interface %s in region %s", e.Interface, regionOf(e)))
			}
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// reached notes the first answer that needed the token, and reports whether more can be asked.
func (f *facts) reached(name service, err error) bool {
	s := f.offers[name]
	s.reached = err
	f.offers[name] = s
	return err == nil
}

func (c *Cloud) gatherCompute(ctx context.Context, f *facts) {
	if !c.gatherService(ctx, f, compute) {
		return
	}
	f.computeZones = ask(ctx, func(ctx context.Context) ([]string, error) { return c.zones(ctx, compute, opInstanceZones) })
	f.reached(compute, f.computeZones.err)
}

func (c *Cloud) gatherBlockStorage(ctx context.Context, f *facts) {
	if !c.gatherService(ctx, f, blockStorage) {
		return
	}
	f.diskZones = ask(ctx, c.DiskZones)
	if !f.reached(blockStorage, f.diskZones.err) {
		return
	}
	f.diskTypes = ask(ctx, c.DiskTypes)
	f.diskQuotas = ask(ctx, func(ctx context.Context) (map[string]quota, error) {
		var answer struct {
			Set map[string]json.RawMessage `json:"quota_set"`
		}
		err := c.do(ctx, request{
			service: blockStorage, op: opPreflight, object: "quotas", method: http.MethodGet,
			path: "os-quota-sets/" + url.PathEscape(f.token.Project.ID), query: url.Values{"usage": {"True"}}, into: &answer,
		})
		return quotas(answer.Set), err
	})
}

// quotas reads Cinder's and Neutron's form, which differ in the word for what is used. What is no quota is left out.
func quotas(set map[string]json.RawMessage) map[string]quota {
	found := map[string]quota{}
	for name, text := range set {
		var q struct {
			Limit    *int64 `json:"limit"`
			InUse    int64  `json:"in_use"` // Cinder
			Used     int64  `json:"used"`   // Neutron
			Reserved int64  `json:"reserved"`
		}
		if json.Unmarshal(text, &q) == nil && q.Limit != nil {
			found[name] = quota{limit: *q.Limit, used: q.InUse + q.Used + q.Reserved}
		}
	}
	return found
}

func (c *Cloud) gatherNetwork(ctx context.Context, f *facts) {
	if !c.gatherService(ctx, f, network) {
		return
	}
	f.networks = ask(ctx, func(ctx context.Context) ([]cloud.Network, error) { return c.ListNetworks(ctx, cloud.NetworkFilter{}) })
	if !f.reached(network, f.networks.err) {
		return
	}
	f.networkExtensions = ask(ctx, func(ctx context.Context) ([]string, error) {
		extensions, err := list[struct{ Alias string }](ctx, c, request{
			service: network, op: opPreflight, object: "extensions", path: "extensions", query: url.Values{"fields": {"alias"}},
		}, "extensions")
		var aliases []string
		for _, e := range extensions {
			aliases = append(aliases, e.Alias)
		}
		return aliases, err
	})
	f.networkQuotas = ask(ctx, func(ctx context.Context) (map[string]quota, error) {
		var answer struct {
			Set map[string]json.RawMessage `json:"quota"`
		}
		err := c.do(ctx, request{
			service: network, op: opPreflight, object: "quotas", method: http.MethodGet,
			path: "quotas/" + url.PathEscape(f.token.Project.ID) + "/details.json", into: &answer,
		})
		return quotas(answer.Set), err
	})
	if f.use.Subnet != "" {
		f.subnets = ask(ctx, func(ctx context.Context) ([]cloud.Subnet, error) { return c.ListSubnets(ctx, "") })
	}
}

func (c *Cloud) gatherBalancing(ctx context.Context, f *facts) {
	if !c.gatherService(ctx, f, loadBalancer) {
		return
	}
	f.balancers = ask(ctx, func(ctx context.Context) (int, error) {
		found, err := c.ListLoadBalancers(ctx)
		return len(found), err
	})
	if !f.reached(loadBalancer, f.balancers.err) {
		return
	}
	f.balancerQuota = ask(ctx, func(ctx context.Context) (map[string]int64, error) {
		var answer struct {
			Quota map[string]int64 `json:"quota"`
		}
		err := c.do(ctx, request{
			service: loadBalancer, op: opPreflight, object: "quotas", method: http.MethodGet,
			path: "lbaas/quotas/" + url.PathEscape(f.token.Project.ID), into: &answer,
		})
		return answer.Quota, err
	})
	if !mayBalanceByName(f.token.Roles) {
		f.mayBalance = ask(ctx, c.mayBalance)
	}
}

// mayBalance finds out whether load balancers may be created, by asking for one in a subnet that cannot exist: Octavia
// looks at the role first, and refuses the subnet before it makes or counts anything.
func (c *Cloud) mayBalance(ctx context.Context) (bool, error) {
	var answer balancerAnswer
	err := c.do(ctx, request{
		service: loadBalancer, op: opPreflight, object: "role", method: http.MethodPost, path: "lbaas/loadbalancers", into: &answer,
		body: map[string]any{"loadbalancer": balancerCreate{Name: "fairlead-preflight", VIPSubnetID: uuid.NewString()}},
	})
	switch {
	case err == nil: // no Octavia known does this
		return true, c.DeleteLoadBalancer(context.WithoutCancel(ctx), answer.LoadBalancer.ID)
	case errors.Is(err, cloud.ErrUnauthorized):
		return false, nil
	case errors.Is(err, cloud.ErrInvalid), errors.Is(err, cloud.ErrNotFound):
		return true, nil
	}
	return false, err
}

// zones lists the available zones of a service.
func (c *Cloud) zones(ctx context.Context, of service, op string) ([]string, error) {
	var answer struct {
		Zones []struct {
			Name  string `json:"zoneName"`
			State struct {
				Available bool `json:"available"`
			} `json:"zoneState"`
		} `json:"availabilityZoneInfo"`
	}
	err := c.do(ctx, request{service: of, op: op, method: http.MethodGet, path: "os-availability-zone", into: &answer})
	names := map[string]bool{}
	for _, z := range answer.Zones {
		if z.State.Available {
			names[z.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names)), err
}
