package drivers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	gopher "github.com/gophercloud/gophercloud/v2/openstack"
	blockquota "github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/applicationcredentials"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/endpoints"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projectendpoints"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/services"
	lbquota "github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/quotas"
	netquota "github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/quotas"

	"github.com/fairlead-io/fairlead/pkg/devcloud"
	"github.com/fairlead-io/fairlead/tests/tenant"
)

// table is what a program with --preflight printed, and how it ended.
type table struct {
	rows []row
	text string // with what it said on standard error
	code int
}

type row struct{ check, level, message string }

// has reports whether there is a row of that check and level whose message contains the words.
func (tb table) has(want row) bool {
	return slices.ContainsFunc(tb.rows, func(r row) bool {
		return r.check == want.check && r.level == want.level && strings.Contains(r.message, want.message)
	})
}

// fly runs the preflight of both programs with a clouds.yaml: what they print together is all that there is to find.
func fly(t *testing.T, clouds, entry string, more ...string) table {
	t.Helper()
	var both table
	for name, args := range map[string][]string{"fairlead-csi": {"controller"}, "fairlead-ccm": nil} {
		args = append(args, "--preflight", "--cloud-config="+clouds, "--cloud="+entry)
		if name == "fairlead-ccm" {
			args = append(args, more...)
		}
		var out, says bytes.Buffer
		cmd := exec.Command(program(t, name), args...)
		cmd.Stdout, cmd.Stderr = &out, &says
		var exit *exec.ExitError
		if err := cmd.Run(); errors.As(err, &exit) {
			both.code = max(both.code, exit.ExitCode())
		} else if err != nil {
			t.Fatal(err)
		}
		both.text += name + "\n" + out.String() + says.String()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if strings.Join(strings.Fields(lines[0]), " ") != "CHECK LEVEL MESSAGE" {
			t.Fatalf("%s printed no table:\n%s", name, both.text)
		}
		for _, line := range lines[1:] {
			fields := strings.Fields(line)
			both.rows = append(both.rows, row{fields[0], fields[1], strings.Join(fields[2:], " ")})
		}
	}
	return both
}

// expect is a table with those rows besides what is ok, and the exit status that belongs to them.
func (tb table) expect(t *testing.T, want ...row) {
	t.Helper()
	code := 0
	for _, w := range want {
		if !tb.has(w) {
			t.Errorf("no row %v", w)
		}
		if w.level == "error" {
			code = 1
		}
	}
	for _, r := range tb.rows {
		if r.level != "ok" && !slices.ContainsFunc(want, func(w row) bool { return w.check == r.check && w.level == r.level }) {
			t.Errorf("unexpected: %v", r)
		}
	}
	if tb.code != code {
		t.Errorf("exit status %d, want %d", tb.code, code)
	}
	if t.Failed() {
		t.Log(tb.text)
	}
}

// simulated starts an embedded cloud of APIs only, and writes the credentials for it.
func simulated(t *testing.T, more string) (clouds string) {
	t.Helper()
	if !strings.Contains(more, "\nzones:") {
		more += "\nzones: {volume: [az1], compute: [az1]}\n"
	}
	c, err := devcloud.ParseConfig([]byte(`
listen: 127.0.0.1:0
simulate: true
projects: [{name: drivers}]
volumeTypes: [{name: standard}]
flavors: [{id: "1", name: m1.tiny, vcpus: 1, ramMiB: 512, diskGiB: 1}]
networks: [{name: public, external: true, subnets: [{name: public, cidr: 127.83.0.0/24}]}]
` + more))
	if err != nil {
		t.Fatal(err)
	}
	dev, err := devcloud.New(t.Context(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(cleanup(t))
	ended := make(chan error, 1)
	go func() { ended <- dev.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, dev.Close()); err != nil {
			t.Error(err)
		}
	})
	clouds = filepath.Join(t.TempDir(), "clouds.yaml")
	writeClouds(t, clouds, dev.URL)
	return clouds
}

const (
	ordinaryUser       = "\nusers: [{name: drivers, password: secret, projects: [drivers]}]\n"
	ordinaryCredential = "\napplicationCredentials: [{name: kubernetes, secret: secret, user: drivers, project: drivers}]\n"
)

func userWith(roles string) string {
	return "\nusers: [{name: drivers, password: secret, projects: [drivers], roles: [" + roles + "]}]\n"
}

func credentialUntil(left time.Duration) string {
	return fmt.Sprintf("\napplicationCredentials: [{name: kubernetes, secret: secret, user: drivers, project: drivers, expires: %q}]\n",
		time.Now().Add(left).UTC().Format(time.RFC3339))
}

const day = 24 * time.Hour

func TestPreflightOnDevcloud(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		want         []row
	}{
		{"all is well", ordinaryUser + ordinaryCredential, nil},
		{"a credential for three weeks more", ordinaryUser + credentialUntil(21*day), []row{{"credentials-expiry", "warning", "in 20 days"}}},
		{"a credential for three days more", ordinaryUser + credentialUntil(3*day), []row{{"credentials-expiry", "error", "in 2 days"}}},
		{"a credential for an hour more", ordinaryUser + credentialUntil(time.Hour), []row{{"credentials-expiry", "error", "the application credential expires"}}},
		{"no load-balancer_member", userWith("member, reader") + ordinaryCredential, []row{{"load-balancer", "error", "role load-balancer_member"}}},
		{"an observer of load balancers", userWith("reader, load-balancer_observer") + ordinaryCredential,
			[]row{{"load-balancer-role", "error", "read but not made"}, {"roles", "warning", "load-balancer_observer, reader"}}},
		{"an administrator", userWith("admin, member") + ordinaryCredential, []row{{"roles", "info", "needs no admin"}}},
		{"short tokens", ordinaryUser + ordinaryCredential + "tokenLifetime: 5m\n", []row{{"credentials", "warning", "5m0s"}}},
		{"quotas of nothing", ordinaryUser + ordinaryCredential + "quotas: {volumes: 0, gigabytes: 0, loadBalancer: {load_balancer: 0}, network: {floatingip: 0}}\n",
			[]row{{"quota-volumes", "error", "volumes: the limit is 0"}, {"quota-gigabytes", "error", "GiB"}, {"quota-load-balancers", "error", "load balancers: the limit is 0"},
				{"quota-floating-ips", "error", "floating IPs: the limit is 0"}}},
		{"other zones", ordinaryUser + ordinaryCredential + "zones: {volume: [nova], compute: [az1]}\n", []row{{"zones", "info", "zones for disks: nova; for servers: az1"}}},
		{"one zone without disks", ordinaryUser + ordinaryCredential + "zones: {volume: [az1], compute: [az1, az2]}\n", []row{{"zones", "warning", "on nodes in az2"}}},
		{"an OpenStack of Ocata's age", ordinaryUser + ordinaryCredential + `microversions: {compute: "2.42", volume: "3.27", load-balancer: "2.0"}` + "\n",
			[]row{{"compute-version", "warning", "2.42"}, {"block-storage-version", "warning", "3.27"}, {"load-balancer-version", "error", "needs 2.5"}}},
		{"an Octavia of Stein", ordinaryUser + ordinaryCredential + `microversions: {load-balancer: "2.10"}` + "\n", []row{{"load-balancer-version", "warning", "loadBalancerSourceRanges"}}},
	} {
		t.Run(tt.name, func(t *testing.T) { fly(t, simulated(t, tt.config), "drivers").expect(t, tt.want...) })
	}
}

func TestPreflightNamesMistakesOfTheConfiguration(t *testing.T) {
	clouds := simulated(t, ordinaryUser+ordinaryCredential)
	for _, tt := range []struct {
		name, old, new, entry string
		more                  []string
		want                  row
	}{
		{name: "a wrong secret", old: "application_credential_secret: secret", new: "application_credential_secret: wrong", want: row{"credentials", "error", "refuses the credentials"}},
		{name: "another region", old: "RegionOne", new: "RegionTwo", want: row{"configuration", "error", `region_name "RegionTwo" is not in the catalog`}},
		{name: "nobody there", old: "http://", new: "http://x.invalid/", want: row{"identity", "error", "x.invalid"}},
		{name: "no such entry", entry: "other", want: row{"configuration", "error", "it has admin, drivers, drivers-password"}},
		{name: "a floating network that is not there", more: []string{"--floating-network-id=dmz"}, want: row{"floating-network", "error", `no external network "dmz"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := os.ReadFile(clouds)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "clouds.yaml")
			changed := string(text)
			if tt.old != "" {
				changed = strings.ReplaceAll(changed, tt.old, tt.new)
			}
			if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			entry := tt.entry
			if entry == "" {
				entry = "drivers"
			}
			fly(t, file, entry, tt.more...).expect(t, tt.want)
		})
	}
}

func TestPreflightOnOpenStack(t *testing.T) {
	own := newTenant(t, tenant.Options{Name: "drivers-preflight"})
	t.Run("all is well", func(t *testing.T) { fly(t, own.CloudsFile, own.Name).expect(t) })
	t.Run("a wrong secret", func(t *testing.T) {
		text, err := os.ReadFile(own.CloudsFile)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "clouds.yaml")
		wrong := strings.Replace(string(text), "application_credential_secret: ", "application_credential_secret: x", 1)
		if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		fly(t, file, own.Name).expect(t, row{"credentials", "error", "refuses the credentials"})
	})
	for _, tt := range []struct {
		left time.Duration
		want row
	}{
		{21 * day, row{"credentials-expiry", "warning", "in 20 days"}},
		{3 * day, row{"credentials-expiry", "error", "in 2 days"}},
	} {
		t.Run(fmt.Sprintf("a credential for %d days more", tt.left/day), func(t *testing.T) {
			end := time.Now().Add(tt.left)
			until := applicationcredentials.CreateOpts{Name: fmt.Sprint("until ", end), ExpiresAt: &end}
			fly(t, credential(t, own, until), "other").expect(t, tt.want)
		})
	}
	t.Run("quotas of nothing", func(t *testing.T) {
		noQuotas(t, own)
		fly(t, own.CloudsFile, own.Name).expect(t,
			row{"quota-volumes", "error", "volumes: the limit is 0"}, row{"quota-gigabytes", "error", "the limit is 0"},
			row{"quota-load-balancers", "error", "load balancers: the limit is 0"}, row{"quota-floating-ips", "error", "floating IPs: the limit is 0"})
	})
	t.Run("no load balancers in the catalog", func(t *testing.T) {
		hideService(t, own, "load-balancer")
		fly(t, own.CloudsFile, own.Name).expect(t, row{"load-balancer", "error", "the catalog has no load-balancer service"})
	})
	t.Run("no load-balancer_member", func(t *testing.T) {
		member := applicationcredentials.CreateOpts{Name: "member", Roles: []applicationcredentials.Role{{Name: "member"}, {Name: "reader"}}}
		fly(t, credential(t, own, member), "other").expect(t, row{"load-balancer", "error", "role load-balancer_member"})
	})
	t.Run("a reader", func(t *testing.T) {
		reader := applicationcredentials.CreateOpts{Name: "reader", Roles: []applicationcredentials.Role{{Name: "reader"}}}
		fly(t, credential(t, own, reader), "other").expect(t, row{"roles", "warning", "the roles are reader"}, row{"load-balancer", "error", "role load-balancer_member"})
	})
	t.Run("an unrestricted credential", func(t *testing.T) {
		free := applicationcredentials.CreateOpts{Name: "unrestricted", Unrestricted: true}
		fly(t, credential(t, own, free), "other").expect(t, row{"credentials", "info", "--unrestricted"})
	})
}

// credential makes another application credential of the tenant's user, and a clouds.yaml for it with the entry "other".
func credential(t *testing.T, own *tenant.Tenant, opts applicationcredentials.CreateOpts) (clouds string) {
	t.Helper()
	client, err := gopher.NewIdentityV3(login(t, own.CloudsFile, own.Name+"-password"), gophercloud.EndpointOpts{})
	if err != nil {
		t.Fatal(err)
	}
	made, err := applicationcredentials.Create(t.Context(), client, own.UserID, opts).Extract()
	if err != nil {
		t.Fatal(err)
	}
	clouds = filepath.Join(t.TempDir(), "clouds.yaml")
	text := fmt.Sprintf("clouds: {other: {auth: {auth_url: %q, application_credential_id: %q, application_credential_secret: %q}, region_name: RegionOne}}\n",
		own.Admin.IdentityEndpoint, made.ID, made.Secret)
	if err := os.WriteFile(clouds, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return clouds
}

// hideService leaves a service out of the tenant's catalog, for the test: of the endpoints that a project is given, it sees
// no others.
func hideService(t *testing.T, own *tenant.Tenant, kind string) {
	t.Helper()
	identity, err := gopher.NewIdentityV3(own.Admin, gophercloud.EndpointOpts{})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := services.List(identity, services.ListOpts{ServiceType: kind}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := services.ExtractServices(pages)
	if err != nil || len(hidden) != 1 {
		t.Fatalf("services %v, %v", hidden, err)
	}
	if pages, err = endpoints.List(identity, nil).AllPages(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := endpoints.ExtractEndpoints(pages)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.ServiceID == hidden[0].ID {
			continue
		}
		if err := projectendpoints.Create(t.Context(), identity, own.ProjectID, e.ID).Err; err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := projectendpoints.Delete(cleanup(t), identity, own.ProjectID, e.ID).Err; err != nil {
				t.Error(err)
			}
		})
	}
}

// noQuotas sets the tenant's quotas to nothing, as the administrator, for the test.
func noQuotas(t *testing.T, own *tenant.Tenant) {
	t.Helper()
	set := func(n int) error {
		ctx, where := cleanup(t), gophercloud.EndpointOpts{}
		volume, err := gopher.NewBlockStorageV3(own.Admin, where)
		if err != nil {
			return err
		}
		network, err := gopher.NewNetworkV2(own.Admin, where)
		if err != nil {
			return err
		}
		balancing, err := gopher.NewLoadBalancerV2(own.Admin, where)
		if err != nil {
			return err
		}
		_, err = blockquota.Update(ctx, volume, own.ProjectID, blockquota.UpdateOpts{Volumes: &n, Gigabytes: &n}).Extract()
		_, err2 := netquota.Update(ctx, network, own.ProjectID, netquota.UpdateOpts{FloatingIP: &n}).Extract()
		_, err3 := lbquota.Update(ctx, balancing, own.ProjectID, lbquota.UpdateOpts{Loadbalancer: &n}).Extract()
		return errors.Join(err, err2, err3)
	}
	t.Cleanup(func() {
		if err := set(10); err != nil {
			t.Error(err)
		}
	})
	if err := set(0); err != nil {
		t.Fatal(err)
	}
}
