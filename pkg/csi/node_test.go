package csi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/fairlead-io/fairlead/pkg/disk"
	"github.com/fairlead-io/fairlead/pkg/disk/disktest"
)

const nodeTestVolume = "8a3f1c52-4c1e-4d5b-9f1a-2b6c7d8e9f00"

// scriptedHost answers every call with the same error, after what a test wants to happen meanwhile.
type scriptedHost struct {
	err       error
	meanwhile func()
	calls     []any
}

func (h *scriptedHost) did(call any) error {
	h.calls = append(h.calls, call)
	if f := h.meanwhile; f != nil {
		h.meanwhile = nil
		f()
	}
	return h.err
}

func (h *scriptedHost) Stage(_ context.Context, r disk.StageRequest) error { return h.did(r) }
func (h *scriptedHost) Unstage(_ context.Context, id, path string) error {
	return h.did([]string{id, path})
}
func (h *scriptedHost) Publish(_ context.Context, r disk.PublishRequest) error { return h.did(r) }
func (h *scriptedHost) Unpublish(_ context.Context, id, path string) error {
	return h.did([]string{id, path})
}
func (h *scriptedHost) Grow(_ context.Context, id, path string, minBytes int64) (int64, error) {
	return 7, h.did([]any{id, path, minBytes})
}
func (h *scriptedHost) Stats(id, path string) (disk.Stats, error) {
	return disk.Stats{}, h.did([]string{id, path})
}

func nodeOf(t *testing.T, host NodeHost) *Node {
	t.Helper()
	n, err := NewNode(NodeOptions{
		Host:     host,
		Identify: func(context.Context) (NodeIdentity, error) { return NodeIdentity{"server-1", "az1"}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// mountedAs is the capability that the kubelet sends for a PV.
func mountedAs(mode csi.VolumeCapability_AccessMode_Mode, fsType string, flags ...string) *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: mode},
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{FsType: fsType, MountFlags: flags}},
	}
}

// codeFor is the code that the server answers with.
func codeFor(err error) codes.Code { return status.Code(statusOf(err)) }

// nodeRequests are valid requests, one of each kind that changes something about a volume.
func nodeRequests() map[string]proto.Message {
	capability := mountedAs(csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER, "ext4")
	return map[string]proto.Message{
		"NodeStageVolume":   &csi.NodeStageVolumeRequest{VolumeId: "v", StagingTargetPath: "/s", VolumeCapability: capability},
		"NodeUnstageVolume": &csi.NodeUnstageVolumeRequest{VolumeId: "v", StagingTargetPath: "/s"},
		"NodePublishVolume": &csi.NodePublishVolumeRequest{
			VolumeId: "v", StagingTargetPath: "/s", TargetPath: "/t", VolumeCapability: capability,
		},
		"NodeUnpublishVolume": &csi.NodeUnpublishVolumeRequest{VolumeId: "v", TargetPath: "/t"},
		"NodeExpandVolume":    &csi.NodeExpandVolumeRequest{VolumeId: "v", VolumePath: "/t"},
	}
}

// callNode makes a call as the server would.
func callNode(t *testing.T, n *Node, method string, request proto.Message, intercept grpc.UnaryServerInterceptor) error {
	t.Helper()
	for _, m := range csi.Node_ServiceDesc.Methods {
		if m.MethodName == method {
			decode := func(into any) error { proto.Merge(into.(proto.Message), request); return nil }
			_, err := m.Handler(n, t.Context(), decode, intercept)
			return err
		}
	}
	t.Fatalf("no method %s", method)
	return nil
}

func TestWhatTheKubeletSendsReachesTheHost(t *testing.T) {
	host := &scriptedHost{}
	n := nodeOf(t, host)
	ctx := t.Context()
	once := mountedAs(csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER, "xfs", "noatime")
	if _, err := n.NodeStageVolume(ctx, &csi.NodeStageVolumeRequest{VolumeId: "v", StagingTargetPath: "/s", VolumeCapability: once}); err != nil {
		t.Error(err)
	}
	if _, err := n.NodePublishVolume(ctx, &csi.NodePublishVolumeRequest{
		VolumeId: "v", StagingTargetPath: "/s", TargetPath: "/t", VolumeCapability: once, Readonly: true,
	}); err != nil {
		t.Error(err)
	}
	grown, err := n.NodeExpandVolume(ctx, &csi.NodeExpandVolumeRequest{
		VolumeId: "v", VolumePath: "/t", CapacityRange: &csi.CapacityRange{RequiredBytes: 5}, VolumeCapability: once,
	})
	if err != nil || grown.GetCapacityBytes() != 7 {
		t.Errorf("grown to %d, %v", grown.GetCapacityBytes(), err)
	}
	want := []any{
		disk.StageRequest{VolumeID: "v", Path: "/s", FSType: "xfs", MountFlags: []string{"noatime"}},
		disk.PublishRequest{
			VolumeID: "v", StagingPath: "/s", TargetPath: "/t", ReadOnly: true, MountFlags: []string{"noatime"}, Exclusive: true,
		},
		[]any{"v", "/t", int64(5)},
	}
	if diff := cmp.Diff(want, host.calls); diff != "" {
		t.Error(diff)
	}
}

func TestANodeRequestThatIsNotValidNamesTheFieldAndTouchesNothing(t *testing.T) {
	const writer = csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER
	ext4 := mountedAs(writer, "ext4")
	block := &csi.VolumeCapability{AccessMode: ext4.AccessMode, AccessType: &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}}}
	noType := &csi.VolumeCapability{AccessMode: ext4.AccessMode}
	stage := func(id, path string, c *csi.VolumeCapability) func(*Node) error {
		return func(n *Node) error {
			_, err := n.NodeStageVolume(t.Context(), &csi.NodeStageVolumeRequest{VolumeId: id, StagingTargetPath: path, VolumeCapability: c})
			return err
		}
	}
	publish := func(r *csi.NodePublishVolumeRequest) func(*Node) error {
		return func(n *Node) error { _, err := n.NodePublishVolume(t.Context(), r); return err }
	}
	for _, tc := range []struct {
		name string
		call func(*Node) error
		code codes.Code
		says string
	}{
		{"stage without a volume", stage("", "/s", ext4), codes.InvalidArgument, "volume_id"},
		{"stage without a path", stage("v", "", ext4), codes.InvalidArgument, "staging_target_path"},
		{"stage without a capability", stage("v", "/s", nil), codes.InvalidArgument, "volume_capability"},
		{"stage without an access type", stage("v", "/s", noType), codes.InvalidArgument, "access_type"},
		{"stage a block volume", stage("v", "/s", block), codes.InvalidArgument, "use volumeMode Filesystem"},
		{"stage for many nodes", stage("v", "/s", mountedAs(csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER, "ext4")),
			codes.InvalidArgument, "MULTI_NODE_MULTI_WRITER is not supported; use ReadWriteOnce"},
		{"stage without an access mode", stage("v", "/s", mountedAs(csi.VolumeCapability_AccessMode_UNKNOWN, "ext4")), codes.InvalidArgument, "access_mode"},
		{"stage with a file system that we do not make", stage("v", "/s", mountedAs(writer, "btrfs")), codes.InvalidArgument, "allowed are ext4 and xfs"},
		{"stage with a mount option that is not one", stage("v", "/s", mountedAs(writer, "ext4", "bind")), codes.InvalidArgument, `"bind"`},
		{"publish without a volume", publish(&csi.NodePublishVolumeRequest{TargetPath: "/t", StagingTargetPath: "/s", VolumeCapability: ext4}), codes.InvalidArgument, "volume_id"},
		{"publish without a target", publish(&csi.NodePublishVolumeRequest{VolumeId: "v", StagingTargetPath: "/s", VolumeCapability: ext4}), codes.InvalidArgument, "target_path"},
		{"publish without staging", publish(&csi.NodePublishVolumeRequest{VolumeId: "v", TargetPath: "/t", VolumeCapability: ext4}), codes.FailedPrecondition, "staging_target_path"},
		{"publish a block volume", publish(&csi.NodePublishVolumeRequest{VolumeId: "v", TargetPath: "/t", StagingTargetPath: "/s", VolumeCapability: block}), codes.InvalidArgument, "Block"},
		{"unstage without a path", func(n *Node) error {
			_, err := n.NodeUnstageVolume(t.Context(), &csi.NodeUnstageVolumeRequest{VolumeId: "v"})
			return err
		}, codes.InvalidArgument, "staging_target_path"},
		{"unpublish without a volume", func(n *Node) error {
			_, err := n.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{TargetPath: "/t"})
			return err
		}, codes.InvalidArgument, "volume_id"},
		{"expand without a path", func(n *Node) error {
			_, err := n.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{VolumeId: "v"})
			return err
		}, codes.InvalidArgument, "volume_path"},
		{"expand a block volume", func(n *Node) error {
			_, err := n.NodeExpandVolume(t.Context(), &csi.NodeExpandVolumeRequest{VolumeId: "v", VolumePath: "/t", VolumeCapability: block})
			return err
		}, codes.InvalidArgument, "Block"},
		{"stats without a path", func(n *Node) error {
			_, err := n.NodeGetVolumeStats(t.Context(), &csi.NodeGetVolumeStatsRequest{VolumeId: "v"})
			return err
		}, codes.InvalidArgument, "volume_path"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			host := &scriptedHost{}
			err := tc.call(nodeOf(t, host))
			if codeFor(err) != tc.code || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want %s with %s", err, tc.code, tc.says)
			}
			if len(host.calls) != 0 {
				t.Errorf("the host was asked: %v", host.calls)
			}
		})
	}
}

func TestEveryFailureOfTheHostHasItsCode(t *testing.T) {
	for err, code := range map[error]codes.Code{
		disk.ErrInvalid:          codes.InvalidArgument,
		disk.ErrNoDevice:         codes.Unavailable,
		disk.ErrTooSmall:         codes.Unavailable,
		disk.ErrAmbiguous:        codes.FailedPrecondition,
		disk.ErrForeignData:      codes.FailedPrecondition,
		disk.ErrDamaged:          codes.FailedPrecondition,
		disk.ErrInUse:            codes.FailedPrecondition,
		disk.ErrNotStaged:        codes.FailedPrecondition,
		disk.ErrNotMounted:       codes.NotFound,
		context.Canceled:         codes.Canceled,
		context.DeadlineExceeded: codes.DeadlineExceeded,
		errors.New("surprise"):   codes.Internal,
	} {
		n := nodeOf(t, &scriptedHost{err: fmt.Errorf("volume v: %w", err)})
		for name, request := range nodeRequests() {
			got := callNode(t, n, name, request, nil)
			if codeFor(got) != code || !strings.Contains(got.Error(), "volume v") {
				t.Errorf("%s: %v became %v, want %s", name, err, got, code)
			}
		}
	}
}

func TestASecondCallForAVolumeIsAbortedWhileTheFirstRuns(t *testing.T) {
	host := &scriptedHost{}
	n, exclusive := nodeOf(t, host), (&inFlight{}).exclusive
	for first, begin := range nodeRequests() {
		host.meanwhile = func() {
			for second, request := range nodeRequests() {
				if err := callNode(t, n, second, request, exclusive); codeFor(err) != codes.Aborted || !strings.Contains(err.Error(), first) {
					t.Errorf("%s during %s: %v, want Aborted", second, first, err)
				}
			}
			for method, request := range map[string]proto.Message{
				"NodeUnstageVolume":  &csi.NodeUnstageVolumeRequest{VolumeId: "another", StagingTargetPath: "/s"},
				"NodeGetVolumeStats": &csi.NodeGetVolumeStatsRequest{VolumeId: "v", VolumePath: "/t"},
			} {
				if err := callNode(t, n, method, request, exclusive); err != nil {
					t.Errorf("%v during %s: %v", request, first, err)
				}
			}
		}
		for range 2 { // and again after it ended
			if err := callNode(t, n, first, begin, exclusive); err != nil {
				t.Errorf("%s: %v", first, err)
			}
		}
	}
}

func TestNodeGetInfoTellsInstanceZoneAndLimit(t *testing.T) {
	got, err := nodeOf(t, &scriptedHost{}).NodeGetInfo(t.Context(), &csi.NodeGetInfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := &csi.NodeGetInfoResponse{
		NodeId: "server-1", MaxVolumesPerNode: 24,
		AccessibleTopology: &csi.Topology{Segments: map[string]string{"topology.disk.csi.fairlead.io/zone": "az1"}},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestANodeThatDoesNotKnowItsZoneIsUnavailable(t *testing.T) {
	n, err := NewNode(NodeOptions{
		Host:     &scriptedHost{},
		Identify: NewNodeIdentifier(fixedSource{name: "dmi", id: NodeIdentity{InstanceID: "server-1"}}).Identify,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.NodeGetInfo(t.Context(), &csi.NodeGetInfoRequest{})
	if codeFor(err) != codes.Unavailable || !strings.Contains(err.Error(), `dmi: instance "server-1", zone ""`) {
		t.Errorf("error %v, want Unavailable with what was found", err)
	}
}

func TestANodeIsNotMadeWithoutWhatItNeeds(t *testing.T) {
	identify := func(context.Context) (NodeIdentity, error) { return NodeIdentity{}, nil }
	for name, o := range map[string]NodeOptions{
		"no host":        {Identify: identify},
		"no identity":    {Host: &scriptedHost{}},
		"negative limit": {Host: &scriptedHost{}, Identify: identify, MaxVolumes: -1},
	} {
		if _, err := NewNode(o); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

func TestOnlyWhatExistsIsDeclared(t *testing.T) {
	n := nodeOf(t, &scriptedHost{})
	r, err := n.NodeGetCapabilities(t.Context(), &csi.NodeGetCapabilitiesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range r.GetCapabilities() {
		got = append(got, c.GetRpc().GetType().String())
	}
	want := []string{"STAGE_UNSTAGE_VOLUME", "EXPAND_VOLUME", "GET_VOLUME_STATS", "SINGLE_NODE_MULTI_WRITER"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := n.NodeGetVolumeHealth(t.Context(), &csi.NodeGetVolumeHealthRequest{}); codeFor(err) != codes.Unimplemented {
		t.Errorf("volume health: %v, want Unimplemented", err)
	}
}

// The life of a volume on a node, with a real disk: staged, used by two pods, grown, measured, and let go.
func TestTheLifeOfAVolumeOnANode(t *testing.T) {
	loop := disktest.New(t, 1<<30)
	dir := t.TempDir()
	if err := loop.Link(filepath.Join(dir, "dev"), nodeTestVolume); err != nil {
		t.Fatal(err)
	}
	n := nodeOf(t, disk.NewHost(disk.Options{
		DevDir: filepath.Join(dir, "dev"), StateDir: filepath.Join(dir, "state"), DeviceTimeout: 100 * time.Millisecond,
	}))
	staging, pods := filepath.Join(dir, "globalmount"), []string{filepath.Join(dir, "pod1"), filepath.Join(dir, "pod2")}
	capability := mountedAs(csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER, "xfs")
	ctx := context.WithoutCancel(t.Context())
	end := func() {
		for _, pod := range pods {
			if _, err := n.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: nodeTestVolume, TargetPath: pod}); err != nil {
				t.Error(err)
			}
		}
		if _, err := n.NodeUnstageVolume(ctx, &csi.NodeUnstageVolumeRequest{VolumeId: nodeTestVolume, StagingTargetPath: staging}); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(end) // a second time, when the test went well

	for range 2 {
		if _, err := n.NodeStageVolume(ctx, &csi.NodeStageVolumeRequest{
			VolumeId: nodeTestVolume, StagingTargetPath: staging, VolumeCapability: capability,
		}); err != nil {
			t.Fatal(err)
		}
		for _, pod := range pods {
			if _, err := n.NodePublishVolume(ctx, &csi.NodePublishVolumeRequest{
				VolumeId: nodeTestVolume, StagingTargetPath: staging, TargetPath: pod, VolumeCapability: capability,
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(pods[0], "file"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(pods[1], "file")); err != nil || string(got) != "hello" {
		t.Errorf("the other pod reads %q, %v", got, err)
	}

	if err := loop.Resize(2 << 30); err != nil {
		t.Fatal(err)
	}
	grown, err := n.NodeExpandVolume(ctx, &csi.NodeExpandVolumeRequest{
		VolumeId: nodeTestVolume, VolumePath: pods[0], StagingTargetPath: staging, VolumeCapability: capability,
		CapacityRange: &csi.CapacityRange{RequiredBytes: 2 << 30},
	})
	if err != nil || grown.GetCapacityBytes() != 2<<30 {
		t.Errorf("grown to %d, %v", grown.GetCapacityBytes(), err)
	}
	stats, err := n.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: nodeTestVolume, VolumePath: pods[1]})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range stats.GetUsage() {
		if u.GetTotal() <= 0 || u.GetUsed() <= 0 || u.GetAvailable() <= 0 {
			t.Errorf("usage %v", u)
		}
		if u.GetUnit() == csi.VolumeUsage_BYTES && u.GetTotal() < 19<<30/10 {
			t.Errorf("%d bytes after growing to 2 GiB", u.GetTotal())
		}
	}
	end()
	if _, err := n.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: nodeTestVolume, VolumePath: pods[1]}); codeFor(err) != codes.NotFound {
		t.Errorf("stats of an unpublished volume: %v, want NotFound", err)
	}
}
