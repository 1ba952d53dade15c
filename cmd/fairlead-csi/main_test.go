package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/fairlead-io/fairlead/pkg/devcloud"
	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/disk"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
	"github.com/fairlead-io/fairlead/tests/witness"
)

const gib = int64(1) << 30

// asProgram in the environment makes the test binary be the program.
const asProgram = "FAIRLEAD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(os.Args[1:]))
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"),
		// Idle connections of HTTP clients that live as long as the process.
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
	)
}

// startCloud runs the embedded cloud with real disks and two servers; its work on a disk takes that long.
func startCloud(t *testing.T, work time.Duration) (w witness.Witness, instances [2]string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("loop devices need root")
	}
	config := devcloud.DefaultConfig()
	config.Listen, config.StateDir = "127.0.0.1:0", t.TempDir()
	config.Times.Kinds = map[string]api.Duration{}
	for _, kind := range []string{"volume.create", "volume.attach", "volume.detach", "volume.extend", "volume.delete"} {
		config.Times.Kinds[kind] = api.Duration(work)
	}
	config.Networks = []network.NetworkConfig{
		{Name: "public", External: true, Subnets: []network.SubnetConfig{{Name: "public", CIDR: netip.MustParsePrefix("127.86.0.0/24")}}},
		{Name: "demo", Subnets: []network.SubnetConfig{{Name: "demo", CIDR: netip.MustParsePrefix("127.85.0.0/24")}}},
	}
	dev, err := devcloud.New(t.Context(), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- dev.Run(ctx) }()
	w = witness.Witness{URL: dev.URL}
	t.Cleanup(func() {
		if seen, err := w.Violations(ctx); err != nil || len(seen) > 0 {
			t.Errorf("violations %v, %v", seen, err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("devcloud: %v", err)
		}
		if err := dev.Close(); err != nil {
			t.Errorf("devcloud: %v", err)
		}
		if err := disk.Cleanup(context.WithoutCancel(t.Context()), config.StateDir); err != nil {
			t.Error(err)
		}
	})
	return w, twoServers(t, dev.URL)
}

func twoServers(t *testing.T, url string) (ids [2]string) {
	t.Helper()
	provider, err := openstack.AuthenticatedClient(t.Context(), gophercloud.AuthOptions{
		IdentityEndpoint: url + "/identity/v3", Username: "demo", Password: "demo", DomainName: "Default", TenantName: "demo",
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := openstack.NewComputeV2(provider, gophercloud.EndpointOpts{Region: "RegionOne"})
	if err != nil {
		t.Fatal(err)
	}
	client.Microversion = "2.37" // the first with a network of the cloud's choice
	for i := range ids {
		server, err := servers.Create(t.Context(), client, servers.CreateOpts{Name: fmt.Sprint("n", i), FlavorRef: "1", Networks: "auto"}, nil).Extract()
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = server.ID
		eventually(t, "server active", func() bool {
			got, err := servers.Get(t.Context(), client, server.ID).Extract()
			return err == nil && got.Status == "ACTIVE"
		})
	}
	return ids
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came true: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// cloudsYAML writes credentials for the cloud.
func cloudsYAML(t *testing.T, file, url, secret string) {
	t.Helper()
	text := fmt.Sprintf(`clouds:
  openstack:
    auth:
      auth_url: %s/identity
      username: demo
      user_domain_name: Default
      application_credential_name: kubernetes
      application_credential_secret: %s
    region_name: RegionOne
`, url, secret)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// program is a running fairlead-csi.
type program struct {
	conn *grpc.ClientConn
	http string
}

// command is the program, not yet started.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// start runs the program until the test ends, when it must stop cleanly.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &program{http: free.Addr().String()}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	endpoint := "unix://" + filepath.Join(t.TempDir(), "csi.sock")
	var out bytes.Buffer
	cmd := command(append(args, "--endpoint="+endpoint, "--http-endpoint="+p.http)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the program ended with %v", err)
		}
		if t.Failed() {
			t.Logf("its log:\n%s", out.String())
		}
	})
	if p.conn, err = grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.conn.Close() })
	return p
}

func (p *program) get(path string) (int, string) {
	resp, err := http.Get("http://" + p.http + path)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func startController(t *testing.T, w witness.Witness) csi.ControllerClient {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	cloudsYAML(t, file, w.URL, "kubernetes")
	p := start(t, "controller", "--cluster-id=c1", "--cloud-config="+file)
	eventually(t, "ready", func() bool { code, _ := p.get("/readyz"); return code == http.StatusOK })
	// Its requests are not those of the tests.
	eventually(t, "the cloud checked", func() bool {
		_, body := p.get("/metrics")
		return strings.Contains(body, `fairlead_cloud_preflight_findings{check="block-storage",level="ok"} 1`)
	})
	return csi.NewControllerClient(p.conn)
}

var writer = &csi.VolumeCapability{
	AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
	AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER},
}

// life is the life of one volume: what a step does, and its budget besides polls.
type life struct {
	client csi.ControllerClient
	name   string
	id     string
}

func (l *life) create(ctx context.Context) error {
	resp, err := l.client.CreateVolume(ctx, &csi.CreateVolumeRequest{
		Name: l.name, VolumeCapabilities: []*csi.VolumeCapability{writer}, CapacityRange: &csi.CapacityRange{RequiredBytes: gib},
		AccessibilityRequirements: &csi.TopologyRequirement{Preferred: []*csi.Topology{{Segments: map[string]string{"topology.disk.csi.fairlead.io/zone": "nova"}}}},
	})
	if err == nil {
		l.id = resp.GetVolume().GetVolumeId()
	}
	return err
}

func (l *life) publish(node string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := l.client.ControllerPublishVolume(ctx, &csi.ControllerPublishVolumeRequest{VolumeId: l.id, NodeId: node, VolumeCapability: writer})
		return err
	}
}

func (l *life) unpublish(node string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := l.client.ControllerUnpublishVolume(ctx, &csi.ControllerUnpublishVolumeRequest{VolumeId: l.id, NodeId: node})
		return err
	}
}

func (l *life) expand(ctx context.Context) error {
	_, err := l.client.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{VolumeId: l.id, CapacityRange: &csi.CapacityRange{RequiredBytes: 2 * gib}})
	return err
}

func (l *life) remove(ctx context.Context) error {
	_, err := l.client.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: l.id})
	return err
}

// calls counts what the program asked the cloud since a mark.
func calls(t *testing.T, w witness.Witness, mark int) (n int, list string) {
	t.Helper()
	counts, err := w.Calls(t.Context(), mark, "fairlead-csi/")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		n += c.Count
		list += fmt.Sprintf(" %d×%s %s %s", c.Count, c.Service, c.Method, c.Route)
	}
	return n, list
}

func mark(t *testing.T, w witness.Witness) int {
	t.Helper()
	m, err := w.Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAVolumesLifeWithinItsBudgets(t *testing.T) {
	const work = 1200 * time.Millisecond
	w, nodes := startCloud(t, work)
	l := &life{client: startController(t, w), name: "pvc-1"}
	const polls = 1 + int(work/(500*time.Millisecond))
	for _, step := range []struct {
		name   string
		run    func(context.Context) error
		budget int
	}{
		{"create", l.create, 2 + polls},
		{"create again", l.create, 2},
		{"publish", func(ctx context.Context) error { return l.publish(nodes[0])(ctx) }, 1 + polls},
		{"publish again", func(ctx context.Context) error { return l.publish(nodes[0])(ctx) }, 2},
		{"expand", l.expand, 2 + polls},
		{"expand again", l.expand, 2},
		{"unpublish", func(ctx context.Context) error { return l.unpublish(nodes[0])(ctx) }, 1 + polls},
		{"unpublish again", func(ctx context.Context) error { return l.unpublish(nodes[0])(ctx) }, 2},
		{"publish elsewhere", func(ctx context.Context) error { return l.publish(nodes[1])(ctx) }, 1 + polls},
		{"unpublish elsewhere", func(ctx context.Context) error { return l.unpublish(nodes[1])(ctx) }, 1 + polls},
		{"delete", l.remove, 2 + polls},
		{"delete again", l.remove, 2},
	} {
		since := mark(t, w)
		if err := step.run(t.Context()); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if n, list := calls(t, w, since); n > step.budget {
			t.Errorf("%s: %d calls, budget %d:%s", step.name, n, step.budget, list)
		}
	}
}

func TestManyVolumesAtOnceShareTheCalls(t *testing.T) {
	w, nodes := startCloud(t, 50*time.Millisecond)
	const many = 20
	client := startController(t, w)
	lives := make([]*life, many)
	for i := range lives {
		lives[i] = &life{client: client, name: fmt.Sprint("pvc-", i)}
	}
	for _, step := range []struct {
		name string
		run  func(*life) func(context.Context) error
	}{
		{"create", func(l *life) func(context.Context) error { return l.create }},
		{"publish", func(l *life) func(context.Context) error { return l.publish(nodes[0]) }},
		{"unpublish", func(l *life) func(context.Context) error { return l.unpublish(nodes[0]) }},
		{"delete", func(l *life) func(context.Context) error { return l.remove }},
	} {
		since := mark(t, w)
		var wg sync.WaitGroup
		for _, l := range lives {
			wg.Go(func() {
				if err := step.run(l)(t.Context()); err != nil {
					t.Errorf("%s %s: %v", step.name, l.name, err)
				}
			})
		}
		wg.Wait()
		budget := many * 3 / 2
		if step.name == "delete" {
			budget = many*3 + many/2 // each is first looked at (whose is it?), and its absence is confirmed
		}
		if n, list := calls(t, w, since); n > budget {
			t.Errorf("%s: %d calls for %d volumes:%s", step.name, n, many, list)
		}
	}
}

func TestLostAnswersOnlyDelayTheOutcome(t *testing.T) {
	w, nodes := startCloud(t, 50*time.Millisecond)
	l := &life{client: startController(t, w), name: "pvc-1"}
	for _, step := range []struct {
		name  string
		fault api.Fault
		run   func(context.Context) error
	}{
		{"create, dropped after the effect", api.Fault{Service: "volume", Method: "POST", When: "after", Drop: true, Count: 1}, l.create},
		{"publish, 502 after the effect", api.Fault{Service: "compute", Method: "POST", When: "after", Status: 502, Count: 1},
			func(ctx context.Context) error { return l.publish(nodes[0])(ctx) }},
		{"expand, 504 before the effect", api.Fault{Service: "volume", Method: "POST", When: "before", Status: 504, Count: 1}, l.expand},
		{"unpublish, dropped after the effect", api.Fault{Service: "compute", Method: "DELETE", When: "after", Drop: true, Count: 1},
			func(ctx context.Context) error { return l.unpublish(nodes[0])(ctx) }},
		{"delete, 503 before the effect", api.Fault{Service: "volume", Method: "DELETE", When: "before", Status: 503, Count: 1}, l.remove},
	} {
		if err := w.Inject(t.Context(), step.fault); err != nil {
			t.Fatal(err)
		}
		var err error
		for range 3 { // as a sidecar does
			if err = step.run(t.Context()); err == nil {
				break
			}
			t.Logf("%s: %v", step.name, err)
		}
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
	}
}

func TestWrongCredentialsAreNamedAndTheRightOnesNeedNoRestart(t *testing.T) {
	w, _ := startCloud(t, 50*time.Millisecond)
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	cloudsYAML(t, file, w.URL, "wrong-secret")
	p := start(t, "controller", "--cluster-id=c1", "--cloud-config="+file)
	eventually(t, "alive", func() bool { code, _ := p.get("/healthz"); return code == http.StatusOK })
	if code, body := p.get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("readyz %d %s", code, body)
	}
	cloudsYAML(t, file, w.URL, "kubernetes")
	eventually(t, "ready", func() bool { code, _ := p.get("/readyz"); return code == http.StatusOK })
	l := &life{client: csi.NewControllerClient(p.conn), name: "pvc-1"}
	if err := l.create(t.Context()); err != nil {
		t.Error(err)
	}
	if err := l.remove(t.Context()); err != nil {
		t.Error(err)
	}
	if _, body := p.get("/metrics"); !strings.Contains(body, "csi_plugin_operations_seconds_count") ||
		!strings.Contains(body, "fairlead_cloud_api_request_duration_seconds_count") || strings.Contains(body, l.id) {
		t.Errorf("metrics: %s", body)
	}
}

func TestMistakesInFlagsAndFilesAreNamedOnTheFirstLine(t *testing.T) {
	malformed := filepath.Join(t.TempDir(), "clouds.yaml")
	if err := os.WriteFile(malformed, []byte("clouds: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		says []string
	}{
		"no credentials file":        {[]string{"controller", "--cloud-config=/nowhere/clouds.yaml"}, []string{"/nowhere/clouds.yaml", "no such file"}},
		"a malformed one":            {[]string{"controller", "--cloud-config=" + malformed}, []string{malformed, "not a valid clouds.yaml"}},
		"a zone policy":              {[]string{"controller", "--volume-zones=some"}, []string{"--volume-zones", `"some"`, "auto, match, ignore"}},
		"an endpoint that is TCP":    {[]string{"controller", "--endpoint=tcp://0.0.0.0:1"}, []string{"--endpoint", "unix"}},
		"an unknown flag":            {[]string{"node", "--nodename=x"}, []string{"--nodename"}},
		"an unknown identity source": {[]string{"node", "--identity-sources=oracle"}, []string{"--identity-sources", `"oracle"`, "node, metadata, configdrive, dmi"}},
		"a log format":               {[]string{"controller", "--logging-format=xml"}, []string{"logging", "xml"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := tc.args
			if !strings.Contains(strings.Join(args, " "), "--endpoint") {
				args = append(args, "--endpoint=unix://"+filepath.Join(t.TempDir(), "csi.sock"))
			}
			out, err := command(append(args, "--http-endpoint=")...).CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Fatalf("it ended with %v", err)
			}
			first, rest, _ := strings.Cut(string(out), "\n")
			for _, s := range tc.says {
				if !strings.Contains(first, s) {
					t.Errorf("%q does not say %q", first, s)
				}
			}
			if rest != "" {
				t.Errorf("it also printed %s", rest)
			}
		})
	}
}
