package drivers

import (
	"context"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/fairlead-io/fairlead/tests/witness"
)

const (
	gib = int64(1) << 30
	// clusterID is the identity of the cluster whose controller is tested.
	clusterID = "drivers-csi-cluster"
	// csiAgent is in the User-Agent of its requests.
	csiAgent = "drivers-csi"
	// zoneKey is the topology key of disks.
	zoneKey = "topology.disk.csi.fairlead.io/zone"
)

// csiCases are the tests of the controller's RPCs, by the capability that promises them.
var csiCases = map[csi.ControllerServiceCapability_RPC_Type]map[string]func(*testing.T, *controller){
	csi.ControllerServiceCapability_RPC_UNKNOWN:                  alwaysCases, // what every controller has
	csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME:     createCases,
	csi.ControllerServiceCapability_RPC_PUBLISH_UNPUBLISH_VOLUME: publishCases,
	csi.ControllerServiceCapability_RPC_EXPAND_VOLUME:            expandCases,
	csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER: modeCases,
}

func TestCSIControllerOnDevcloud(t *testing.T) { testController(t, onDevcloud(t)) }

func TestCSIControllerOnOpenStack(t *testing.T) { testController(t, onOpenStack(t)) }

// testController proves of each RPC that the controller declares what it does, on one cloud. Every case leaves the project
// as empty as it found it.
func testController(t *testing.T, p *project) {
	requests := p.count(t)
	c := &controller{project: p}
	c.start(t)
	declared := c.capabilities(t)
	for _, capability := range declared {
		if len(csiCases[capability]) == 0 {
			t.Errorf("the controller declares %s, and no case tests it", capability)
		}
	}
	for _, capability := range slices.Sorted(maps.Keys(csiCases)) {
		if !slices.Contains(declared, capability) {
			t.Errorf("%s is tested, and the controller does not declare it", capability)
			continue
		}
		t.Run(strings.ToLower(capability.String()), func(t *testing.T) { c.prove(t, csiCases[capability]) })
	}
	t.Run("process", func(t *testing.T) { c.prove(t, processCases) })
	for _, r := range requests() {
		if !strings.Contains(r, "os-volume_attachments") && strings.Contains(r, "attachments") {
			t.Errorf("only Nova may be asked to attach and detach, but Cinder was: %s", r)
		}
	}
}

// prove runs cases, one after another.
func (c *controller) prove(t *testing.T, cases map[string]func(*testing.T, *controller)) {
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { c.nothingLeft(t) })
			cases[name](t, c)
		})
	}
}

// controller is a running fairlead-csi controller.
type controller struct {
	*project
	csi.ControllerClient
	process *process
	http    string
	config  string // its clouds.yaml
	// excused are the violations that the tests provoked on purpose so far, by the id of the volume.
	excused []string
}

// start runs the program, and waits until it is ready.
func (c *controller) start(t *testing.T) {
	t.Helper()
	if c.config == "" {
		c.config = c.clouds
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.http = free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	endpoint := "unix://" + filepath.Join(t.TempDir(), "csi.sock")
	c.process = startProcess(t, program(t, "fairlead-csi"), "controller", "--endpoint="+endpoint, "--http-endpoint="+c.http,
		"--cluster-id="+clusterID, "--cloud-config="+c.config, "--cloud="+c.entry, "--user-agent="+csiAgent, "-v=2")
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c.ControllerClient = csi.NewControllerClient(conn)
	eventually(t, settleTime, "the controller is ready", func() bool { return c.ready() == nil })
	// Its requests are not those of the tests.
	eventually(t, settleTime, "the cloud is checked", func() bool { return strings.Contains(c.process.log.String(), "Cloud preflight done") })
}

// ready asks the program's readiness.
func (c *controller) ready() error {
	resp, err := http.Get("http://" + c.http + "/readyz")
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return status.Error(codes.Unavailable, resp.Status)
	}
	return nil
}

// capabilities are those that the controller declares, and UNKNOWN for what all have.
func (c *controller) capabilities(t *testing.T) []csi.ControllerServiceCapability_RPC_Type {
	t.Helper()
	resp, err := c.ControllerGetCapabilities(t.Context(), &csi.ControllerGetCapabilitiesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	declared := []csi.ControllerServiceCapability_RPC_Type{csi.ControllerServiceCapability_RPC_UNKNOWN}
	for _, one := range resp.GetCapabilities() {
		declared = append(declared, one.GetRpc().GetType())
	}
	return declared
}

// nothingLeft checks that the project holds nothing and that no data was endangered.
func (c *controller) nothingLeft(t *testing.T) {
	t.Helper()
	ctx := cleanup(t)
	left, err := witness.Project(ctx, c.clouds, c.userEntry)
	if err != nil || !left.Empty() {
		t.Errorf("left over: %v, %v", left, err)
	}
	seen, err := c.violations(ctx)
	seen = slices.DeleteFunc(seen, func(v string) bool {
		return slices.ContainsFunc(c.excused, func(id string) bool { return strings.Contains(v, id) })
	})
	if err != nil || len(seen) > 0 {
		t.Errorf("violations %v, %v", seen, err)
	}
}

// awaits runs a step that may make so many requests to the cloud besides the polls while the cloud works: one, and one
// for each half second that the step took.
func (c *controller) awaits(t *testing.T, what string, budget int, step func() error) {
	t.Helper()
	c.budgeted(t, what, func(took time.Duration) int { return budget + 1 + int(took/(500*time.Millisecond)) }, step)
}

// within runs a step that waits for nothing and may make so many requests to the cloud.
func (c *controller) within(t *testing.T, what string, budget int, step func() error) {
	t.Helper()
	c.budgeted(t, what, func(time.Duration) int { return budget }, step)
}

func (c *controller) budgeted(t *testing.T, what string, allowed func(took time.Duration) int, step func() error) {
	t.Helper()
	count := c.count(t)
	start := time.Now()
	if err := step(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	took := time.Since(start)
	if requests, budget := count(), allowed(took); len(requests) > budget {
		t.Errorf("%s: %d requests in %s, budget %d:\n  %s", what, len(requests), took.Round(time.Millisecond), budget, strings.Join(requests, "\n  "))
	}
}

var requestID = regexp.MustCompile(`request req-[0-9a-f-]{36}`)

// refused checks a refusal: its code, and the words it must have.
func refused(t *testing.T, what string, err error, code codes.Code, says ...string) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("%s: got %v, want %s", what, err, code)
		return
	}
	for _, word := range says {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %q does not say %q", what, err, word)
		}
	}
}

// refusedByCloud is refused, and the error carries the cloud's request id.
func refusedByCloud(t *testing.T, what string, err error, code codes.Code, says ...string) {
	t.Helper()
	refused(t, what, err, code, says...)
	if err != nil && !requestID.MatchString(err.Error()) {
		t.Errorf("%s: %q carries no request id", what, err)
	}
}

// writer is the capability of an ordinary volume: a file system for one node.
func writer() *csi.VolumeCapability { return mode(csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER) }

func mode(m csi.VolumeCapability_AccessMode_Mode) *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: m},
	}
}

// request asks for a volume of 1 GiB in the servers' zone.
func (c *controller) request(name string) *csi.CreateVolumeRequest {
	return &csi.CreateVolumeRequest{
		Name: name, VolumeCapabilities: []*csi.VolumeCapability{writer()}, CapacityRange: &csi.CapacityRange{RequiredBytes: gib},
		Parameters:                map[string]string{"type": "standard"},
		AccessibilityRequirements: inZones(c.zones[0]),
	}
}

func inZones(zones ...string) *csi.TopologyRequirement {
	r := &csi.TopologyRequirement{}
	for _, z := range zones {
		topology := &csi.Topology{Segments: map[string]string{zoneKey: z}}
		r.Preferred, r.Requisite = append(r.Preferred, topology), append(r.Requisite, topology)
	}
	return r
}

// create makes a volume that is removed with the test, whatever became of it.
func (c *controller) create(t *testing.T, req *csi.CreateVolumeRequest) *csi.Volume {
	t.Helper()
	resp, err := c.CreateVolume(t.Context(), req)
	if err != nil {
		t.Fatal("create:", err)
	}
	id := resp.GetVolume().GetVolumeId()
	t.Cleanup(func() { c.drop(t, id) })
	return resp.GetVolume()
}

// drop removes a volume, from its servers too.
func (c *controller) drop(t *testing.T, id string) {
	t.Helper()
	ctx := cleanup(t)
	var last error
	eventually(t, settleTime, "volume "+id+" can be removed", func() bool {
		if v, ok := c.volume(t, id); ok {
			for _, a := range v.Attachments {
				last = c.unpublish(ctx, id, a.ServerID)
			}
		}
		if err := c.remove(ctx, id); err != nil {
			last = err
			return false
		}
		return true
	})
	if t.Failed() && last != nil {
		t.Logf("removing volume %s: %v", id, last)
	}
}

func (c *controller) publish(ctx context.Context, v *csi.Volume, server string) error {
	_, err := c.ControllerPublishVolume(ctx, &csi.ControllerPublishVolumeRequest{
		VolumeId: v.GetVolumeId(), NodeId: server, VolumeCapability: writer(), VolumeContext: v.GetVolumeContext(),
	})
	return err
}

func (c *controller) unpublish(ctx context.Context, id, server string) error {
	_, err := c.ControllerUnpublishVolume(ctx, &csi.ControllerUnpublishVolumeRequest{VolumeId: id, NodeId: server})
	return err
}

func (c *controller) expand(ctx context.Context, id string, gibs int64) (*csi.ControllerExpandVolumeResponse, error) {
	return c.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{VolumeId: id, CapacityRange: &csi.CapacityRange{RequiredBytes: gibs * gib}})
}

func (c *controller) remove(ctx context.Context, id string) error {
	_, err := c.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: id})
	return err
}
