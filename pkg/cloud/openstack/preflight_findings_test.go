package openstack

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// healthy are the facts of a cloud in which all is well for both programs.
func healthy() facts {
	token := tokenFacts{Issued: noon, Expires: noon.Add(4 * time.Hour), Project: named{ID: "p1", Name: "k8s"}, Roles: []named{{Name: "member"}, {Name: "load-balancer_member"}}}
	token.User.Name = "robot"
	token.CredentialOf = &struct {
		ID         string `json:"id"`
		Restricted bool   `json:"restricted"`
	}{"c1", true}
	offers := func(endpoint string, newest apiVersion) serviceFacts {
		return serviceFacts{endpoint: endpoint, versions: answered(versionRange{max: newest}, nil)}
	}
	return facts{
		now: noon, source: "clouds.yaml /f", region: "R1", endpoints: "public", token: token,
		use:        cloud.Use{Disks: true, ZoneWithoutDisks: cloud.LevelInfo, LoadBalancers: true},
		credential: answered(time.Time{}, nil),
		offers: map[service]serviceFacts{
			compute: offers("http://nova/", apiVersion{2, 93}), blockStorage: offers("http://cinder/", apiVersion{3, 70}),
			network: {endpoint: "http://neutron/"}, loadBalancer: offers("http://octavia/", apiVersion{2, 26}),
		},
		computeZones: answered([]string{"az1"}, nil), diskZones: answered([]string{"az1"}, nil), diskTypes: answered([]string{"ssd"}, nil),
		diskQuotas:        answered(map[string]quota{"volumes": {200, 3}, "gigabytes": {1000, 30}, "volumes_ssd": {-1, 3}, "snapshots": {0, 0}, "per_volume_gigabytes": {-1, 0}}, nil),
		networkExtensions: answered([]string{"router", "external-net", "standard-attr-description"}, nil),
		networks:          answered([]cloud.Network{{ID: "n1", Name: "public", External: true}, {ID: "n2", Name: "nodes"}}, nil),
		networkQuotas:     answered(map[string]quota{"floatingip": {50, 2}, "port": {500, 20}, "security_group": {0, 0}}, nil),
		balancers:         answered(2, nil), balancerQuota: answered(map[string]int64{"load_balancer": 10, "pool": -1}, nil),
	}
}

func TestAHealthyCloudHasNothingToReport(t *testing.T) {
	var checks []string
	for _, f := range findings(healthy()) {
		if f.Level != cloud.LevelOK || f.Message == "" {
			t.Errorf("%+v", f)
		}
		checks = append(checks, f.Check)
	}
	want := "credentials credentials-expiry roles compute compute-version block-storage block-storage-version zones disk-types quota-gigabytes quota-volumes " +
		"network network-version floating-network quota-floating-ips quota-ports load-balancer load-balancer-version load-balancer-role quota-load-balancers"
	if got := strings.Join(checks, " "); got != want {
		t.Errorf("checks\n got %s\nwant %s", got, want)
	}
}

func TestWhatIsNotUsedIsNotJudged(t *testing.T) {
	for name, tt := range map[string]struct {
		use     cloud.Use
		without string
	}{
		"disks only":         {cloud.Use{Disks: true}, "network load-balancer floating-network"},
		"load balancers":     {cloud.Use{LoadBalancers: true}, "block-storage zones disk-types quota-volumes"},
		"nodes only":         {cloud.Use{}, "network load-balancer block-storage"},
		"zones that nothing": {cloud.Use{Disks: true, ZoneWithoutDisks: cloud.LevelOK}, "zones"},
	} {
		f := healthy()
		f.use = tt.use
		for _, found := range findings(f) {
			for _, check := range strings.Fields(tt.without) {
				if found.Check == check {
					t.Errorf("%s: %+v", name, found)
				}
			}
		}
	}
}

func TestFindings(t *testing.T) {
	denied := &cloud.Error{Kind: cloud.ErrUnauthorized, Op: "list", Status: 403}
	down := &cloud.Error{Kind: cloud.ErrUnavailable, Op: "list", Err: errors.New("connection refused")}
	of := func(name service, change func(*serviceFacts)) func(*facts) {
		return func(f *facts) {
			s := f.offers[name]
			change(&s)
			f.offers[name] = s
		}
	}
	newest := func(name service, v apiVersion) func(*facts) {
		return of(name, func(s *serviceFacts) { s.versions = answered(versionRange{max: v}, nil) })
	}
	expiresIn := func(d time.Duration) func(*facts) {
		return func(f *facts) { f.credential = answered(noon.Add(d), nil) }
	}
	volumes := func(name string, q quota) func(*facts) {
		return func(f *facts) { f.diskQuotas = answered(map[string]quota{name: q}, nil) }
	}
	expires := "2026-12-01T00:00:00.000000"
	for _, tt := range []struct {
		name   string
		change func(*facts)
		check  string
		level  cloud.Level
		says   string
	}{
		{"a token for no project", func(f *facts) { f.token.Project = named{} }, "credentials", cloud.LevelError, "give the credentials one"},
		{"tokens of five minutes", func(f *facts) { f.token.Expires = noon.Add(5 * time.Minute) }, "credentials", cloud.LevelWarning, "5m0s only"},
		{"an unrestricted credential", func(f *facts) { f.token.CredentialOf.Restricted = false }, "credentials", cloud.LevelInfo, "--unrestricted"},
		{"a token that cannot be read", func(f *facts) { f.tokenErr = errors.New("no such shape") }, "credentials", cloud.LevelInfo, "no such shape"},
		{"a credential with a year left", expiresIn(365 * day), "credentials-expiry", cloud.LevelOK, "in 365 days"},
		{"a credential with 31 days left", expiresIn(31 * day), "credentials-expiry", cloud.LevelOK, "in 31 days"},
		{"a credential with 29 days left", expiresIn(29 * day), "credentials-expiry", cloud.LevelWarning, "in 29 days. Then nothing works any more: make a new one"},
		{"a credential with 6 days left", expiresIn(6 * day), "credentials-expiry", cloud.LevelError, "expires at 2026-11-28T12:00:00Z, in 6 days"},
		{"a credential with an hour left", expiresIn(time.Hour), "credentials-expiry", cloud.LevelError, "in 1h0m0s"},
		{"an expiry that may not be read", func(f *facts) { f.credential = answered(time.Time{}, error(denied)) }, "credentials-expiry", cloud.LevelInfo, "not known"},
		{"a password that expires", func(f *facts) { f.token.CredentialOf, f.token.User.PasswordExpires = nil, &expires }, "credentials-expiry", cloud.LevelWarning, "the user's password expires at 2026-12-01"},
		{"a password that does not expire", func(f *facts) { f.token.CredentialOf = nil }, "credentials-expiry", cloud.LevelOK, "password does not expire"},
		{"a reader", func(f *facts) { f.token.Roles = []named{{Name: "reader"}} }, "roles", cloud.LevelWarning, "Give the user the role member"},
		{"roles of the cloud's own", func(f *facts) { f.token.Roles = []named{{Name: "reader"}, {Name: "volume_operator"}} }, "roles", cloud.LevelOK, "reader, volume_operator"},
		{"nobody", func(f *facts) { f.token.Roles = nil }, "roles", cloud.LevelWarning, "the roles are none"},
		{"an administrator", func(f *facts) { f.token.Roles = []named{{Name: "admin"}} }, "roles", cloud.LevelInfo, "needs no admin"},

		{"no load-balancer service", of(loadBalancer, func(s *serviceFacts) { *s = serviceFacts{} }), "load-balancer", cloud.LevelError, "no load-balancer service: Services of type LoadBalancer cannot be served"},
		{"no block storage", of(blockStorage, func(s *serviceFacts) { *s = serviceFacts{} }), "block-storage", cloud.LevelError, "no disks without it"},
		{"a service in another region", of(compute, func(s *serviceFacts) { *s = serviceFacts{elsewhere: []string{"interface public in region R2"}} }), "compute", cloud.LevelError,
			"under the interface public in region R1, but under interface public in region R2"},
		{"a service that is down", of(network, func(s *serviceFacts) { s.reached = down }), "network", cloud.LevelError, "connection refused"},
		{"load balancers refused to the user", of(loadBalancer, func(s *serviceFacts) { s.reached = denied }), "load-balancer", cloud.LevelError, "role load-balancer_member"},
		{"disks refused to the user", of(blockStorage, func(s *serviceFacts) { s.reached = denied }), "block-storage", cloud.LevelError, "role member"},

		{"Nova of Queens", newest(compute, apiVersion{2, 60}), "compute-version", cloud.LevelOK, "2.60"},
		{"Nova of Pike", newest(compute, apiVersion{2, 53}), "compute-version", cloud.LevelWarning, "volumes of multiattach types cannot be attached;"},
		{"Nova of Ocata", newest(compute, apiVersion{2, 42}), "compute-version", cloud.LevelWarning, "their flavor's id as instance type"},
		{"Cinder of Pike", newest(blockStorage, apiVersion{3, 42}), "block-storage-version", cloud.LevelOK, "3.42"},
		{"Cinder of Ocata", newest(blockStorage, apiVersion{3, 27}), "block-storage-version", cloud.LevelWarning, "grows only while no node has it"},
		{"Octavia of Train", newest(loadBalancer, apiVersion{2, 12}), "load-balancer-version", cloud.LevelOK, "2.12"},
		{"Octavia of Stein", newest(loadBalancer, apiVersion{2, 10}), "load-balancer-version", cloud.LevelWarning, "loadBalancerSourceRanges are refused"},
		{"Octavia of Rocky", newest(loadBalancer, apiVersion{2, 2}), "load-balancer-version", cloud.LevelError, "by their tags"},
		{"versions that cannot be read", of(compute, func(s *serviceFacts) { s.versions = answered(versionRange{}, error(down)) }), "compute-version", cloud.LevelInfo, "not known"},

		{"zones that have nothing in common", func(f *facts) { f.diskZones.value = []string{"nova"} }, "zones", cloud.LevelInfo, "bound to any"},
		{"zones that must match and do not", func(f *facts) { f.diskZones.value, f.use.ZoneWithoutDisks = []string{"nova"}, cloud.LevelError }, "zones", cloud.LevelError, "nodes in az1 get no disks"},
		{"a zone without disks among others", func(f *facts) { f.computeZones.value = []string{"az1", "az2"} }, "zones", cloud.LevelWarning, "on nodes in az2"},
		{"no zone with disks", func(f *facts) { f.diskZones.value = nil }, "zones", cloud.LevelError, "no disk can be made"},
		{"no volume types", func(f *facts) { f.diskTypes.value = nil }, "disk-types", cloud.LevelInfo, "leave the parameter type out"},
		{"volume types that may not be read", func(f *facts) { f.diskTypes.err = denied }, "disk-types", cloud.LevelInfo, "cannot be read"},

		{"half of a quota used", volumes("volumes", quota{10, 5}), "quota-volumes", cloud.LevelOK, "5 of 10"},
		{"nine tenths of a quota used", volumes("volumes", quota{10, 9}), "quota-volumes", cloud.LevelWarning, "9 of 10 used"},
		{"a quota used up", volumes("gigabytes", quota{1000, 1000}), "quota-gigabytes", cloud.LevelError, "will be refused"},
		{"a quota of nothing", volumes("volumes", quota{0, 0}), "quota-volumes", cloud.LevelError, "the limit is 0"},
		{"no limit", volumes("volumes", quota{-1, 7}), "quota-volumes", cloud.LevelOK, "no limit"},
		{"a volume type with a quota of its own", volumes("gigabytes_ssd", quota{0, 0}), "quota-gigabytes", cloud.LevelError, "of the type ssd"},
		{"a largest volume", volumes("per_volume_gigabytes", quota{100, 0}), "quota-gigabytes", cloud.LevelInfo, "at most 100 GiB"},
		{"quotas that may not be read", func(f *facts) { f.diskQuotas.err = denied }, "quota-volumes", cloud.LevelInfo, "cannot be read"},
		{"no floating IPs left", func(f *facts) { f.networkQuotas.value["floatingip"] = quota{5, 5} }, "quota-floating-ips", cloud.LevelError, "floating IPs: 5 of 5"},
		{"hardly a port left", func(f *facts) { f.networkQuotas.value["port"] = quota{100, 95} }, "quota-ports", cloud.LevelWarning, "95 of 100"},
		{"network quotas that may not be read", func(f *facts) { f.networkQuotas.err = denied }, "quota-floating-ips", cloud.LevelInfo, "cannot be read"},
		{"as many load balancers as there may be", func(f *facts) { f.balancers.value = 10 }, "quota-load-balancers", cloud.LevelError, "10 of 10"},
		{"the quota's name until Rocky", func(f *facts) { f.balancerQuota.value = map[string]int64{"loadbalancer": 0} }, "quota-load-balancers", cloud.LevelError, "the limit is 0"},
		{"no pools allowed", func(f *facts) { f.balancerQuota.value = map[string]int64{"pool": 0} }, "quota-load-balancers", cloud.LevelError, "pools: the limit is 0"},

		{"a Neutron without descriptions", func(f *facts) { f.networkExtensions.value = []string{"router", "external-net"} }, "network-version", cloud.LevelError, "standard-attr-description"},
		{"no external network", func(f *facts) { f.networks.value = nil }, "floating-network", cloud.LevelWarning, "only internal Services"},
		{"two external networks", func(f *facts) {
			f.networks.value = append(f.networks.value, cloud.Network{ID: "n3", Name: "dmz", External: true})
		}, "floating-network", cloud.LevelWarning, "dmz (n3), public (n1)"},
		{"the configured one of two", func(f *facts) {
			f.networks.value, f.use.FloatingNetwork = append(f.networks.value, cloud.Network{ID: "n3", External: true}), "n3"
		}, "floating-network", cloud.LevelOK, "n3 exists"},
		{"a configured one that is not external", func(f *facts) { f.use.FloatingNetwork = "nodes" }, "floating-network", cloud.LevelError, `no external network "nodes": correct it; there is public (n1)`},
		{"a name that two external networks have", func(f *facts) {
			f.networks.value, f.use.FloatingNetwork = append(f.networks.value, cloud.Network{ID: "n3", Name: "public", External: true}), "public"
		}, "floating-network", cloud.LevelError, "use the id"},
		{"a configured network", func(f *facts) { f.use.Network = "nodes" }, "load-balancer-network", cloud.LevelOK, "nodes exists"},
		{"a configured network that is not there", func(f *facts) { f.use.Network = "node" }, "load-balancer-network", cloud.LevelError, "--network-id"},
		{"a configured subnet that is not there", func(f *facts) {
			f.use.Subnet, f.subnets = "s9", answered([]cloud.Subnet{{ID: "s1", Name: "nodes"}}, nil)
		}, "load-balancer-network", cloud.LevelError, "--subnet-id"},

		{"a role that may read and not make", func(f *facts) { f.mayBalance = answered(false, nil) }, "load-balancer-role", cloud.LevelError, "read but not made"},
		{"a role of another name that suffices", func(f *facts) { f.mayBalance = answered(true, nil) }, "load-balancer-role", cloud.LevelOK, "may be read and made"},
		{"a role that nobody knows of", func(f *facts) { f.mayBalance = answered(false, error(down)) }, "load-balancer-role", cloud.LevelInfo, "not known"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := healthy()
			tt.change(&f)
			var said []cloud.Finding
			for _, found := range findings(f) {
				if found.Check != tt.check {
					continue
				}
				if found.Level == tt.level && strings.Contains(found.Message, tt.says) {
					return
				}
				said = append(said, found)
			}
			t.Errorf("no %s %s that says %q among %+v", tt.check, tt.level, tt.says, said)
		})
	}
}

func TestServicesThatWereNotReachedAreToldOnce(t *testing.T) {
	f := facts{now: noon, use: cloud.Use{Disks: true, LoadBalancers: true}, token: healthy().token, credential: answered(time.Time{}, nil), offers: map[service]serviceFacts{}}
	errorsOf := map[string]int{}
	for _, found := range findings(f) {
		if found.Level == cloud.LevelError {
			errorsOf[found.Check]++
		} else if found.Level != cloud.LevelOK {
			t.Errorf("%+v", found)
		}
	}
	if len(errorsOf) != 4 || errorsOf["compute"] != 1 || errorsOf["block-storage"] != 1 || errorsOf["network"] != 1 || errorsOf["load-balancer"] != 1 {
		t.Errorf("%v", errorsOf)
	}
}
