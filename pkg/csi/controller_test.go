package csi

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
	"github.com/fairlead-io/fairlead/pkg/cloud/ensure"
)

const (
	inst1 = "11111111-0000-4000-8000-000000000001"
	inst2 = "11111111-0000-4000-8000-000000000002"
)

// controlled runs a test of a controller on a memory cloud, in virtual time.
func controlled(t *testing.T, opts cloudtest.MemoryOptions, zones ZonePolicy, test func(t *testing.T, m *cloudtest.Memory, c *Controller)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		opts.Instances = []cloud.Instance{{ID: inst1}, {ID: inst2}}
		if opts.Work == nil {
			opts.Work = func(cloudtest.Op) time.Duration { return 4 * time.Second }
		}
		m := cloudtest.NewMemory(opts)
		test(t, m, NewController(m, ControllerOptions{ClusterID: "c1", Zones: zones}))
	})
}

func mounted(mode csi.VolumeCapability_AccessMode_Mode) *csi.VolumeCapability {
	return mountedAs(mode, "")
}

var writer = mounted(csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER)

func order(change func(*csi.CreateVolumeRequest)) *csi.CreateVolumeRequest {
	req := &csi.CreateVolumeRequest{
		Name:               "pvc-1",
		VolumeCapabilities: []*csi.VolumeCapability{writer},
		CapacityRange:      &csi.CapacityRange{RequiredBytes: gib},
		Parameters:         map[string]string{},
	}
	if change != nil {
		change(req)
	}
	return req
}

func inZones(zones ...string) *csi.TopologyRequirement {
	r := &csi.TopologyRequirement{}
	for _, z := range zones {
		r.Requisite = append(r.Requisite, &csi.Topology{Segments: map[string]string{TopologyZone: z}})
	}
	return r
}

// wantCode asserts the code that a caller would see and what the message says.
func wantCode(t *testing.T, err error, code codes.Code, says ...string) {
	t.Helper()
	err = statusOf(err)
	if status.Code(err) != code {
		t.Fatalf("got %v, want %v", err, code)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%q does not say %q", err, s)
		}
	}
}

func TestBadInputToCreateVolumeIsNamedAndChangesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*csi.CreateVolumeRequest)
		code   codes.Code
		says   []string
	}{
		"no name":         {func(r *csi.CreateVolumeRequest) { r.Name = "" }, codes.InvalidArgument, []string{"name"}},
		"no capabilities": {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities = nil }, codes.InvalidArgument, []string{"volume_capabilities"}},
		"an unknown parameter": {
			func(r *csi.CreateVolumeRequest) { r.Parameters["iops"] = "9" }, codes.InvalidArgument,
			[]string{`"iops"`, `"9"`, "allowed are availability, type"},
		},
		"an unknown type": {
			func(r *csi.CreateVolumeRequest) { r.Parameters["type"] = "gold" }, codes.InvalidArgument,
			[]string{`"type"`, `"gold"`, "allowed are standard, multiattach"},
		},
		"an unknown zone": {
			func(r *csi.CreateVolumeRequest) { r.Parameters["availability"] = "mars" }, codes.InvalidArgument,
			[]string{`"availability"`, `"mars"`, "allowed are az1, az2"},
		},
		"an unknown zone while the node's is known": {
			func(r *csi.CreateVolumeRequest) {
				r.Parameters["availability"] = "mars"
				r.AccessibilityRequirements = inZones("az1")
			}, codes.InvalidArgument, []string{`"mars"`, "allowed are az1, az2"},
		},
		"a zone that is not the node's": {
			func(r *csi.CreateVolumeRequest) {
				r.Parameters["availability"] = "az2"
				r.AccessibilityRequirements = inZones("az1")
			}, codes.ResourceExhausted, []string{`"az2"`, "az1", "allowedTopologies"},
		},
		"a size over quota": {
			func(r *csi.CreateVolumeRequest) { r.CapacityRange.RequiredBytes = 200 * gib }, codes.ResourceExhausted,
			[]string{"200 GiB", "quota"},
		},
		"a negative size": {
			func(r *csi.CreateVolumeRequest) { r.CapacityRange.RequiredBytes = -1 }, codes.InvalidArgument, []string{"required_bytes", "-1"},
		},
		"a limit below the request": {
			func(r *csi.CreateVolumeRequest) { r.CapacityRange.LimitBytes = 5 }, codes.InvalidArgument, []string{"limit_bytes"},
		},
		"a limit that no whole GiB keeps": {
			func(r *csi.CreateVolumeRequest) {
				r.CapacityRange = &csi.CapacityRange{RequiredBytes: gib + 1, LimitBytes: gib + 2}
			}, codes.OutOfRange, []string{"2 GiB"},
		},
		"many writers on many nodes": {
			func(r *csi.CreateVolumeRequest) {
				r.Parameters["type"] = "multiattach"
				r.VolumeCapabilities = []*csi.VolumeCapability{mounted(csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER)}
			}, codes.InvalidArgument, []string{"MULTI_NODE_MULTI_WRITER", "ReadWriteOnce"},
		},
		"a raw block device": {
			func(r *csi.CreateVolumeRequest) {
				r.VolumeCapabilities = []*csi.VolumeCapability{{
					AccessType: &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}},
					AccessMode: writer.GetAccessMode(),
				}}
			}, codes.InvalidArgument, []string{"Block", "Filesystem"},
		},
		"an unknown file system": {
			func(r *csi.CreateVolumeRequest) {
				r.VolumeCapabilities = []*csi.VolumeCapability{mountedAs(csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, "ntfs")}
			}, codes.InvalidArgument, []string{"ntfs", "ext4", "xfs"},
		},
		"a content source": {
			func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = &csi.VolumeContentSource{} }, codes.InvalidArgument,
			[]string{"volume_content_source"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			controlled(t, cloudtest.MemoryOptions{Quota: cloudtest.Quota{GiB: 100}}, "", func(t *testing.T, m *cloudtest.Memory, c *Controller) {
				_, err := c.CreateVolume(t.Context(), order(tc.change))
				wantCode(t, err, tc.code, tc.says...)
				if n := len(m.Disks()); n != 0 {
					t.Errorf("%d disks were created", n)
				}
				if _, err := c.CreateVolume(t.Context(), order(nil)); err != nil {
					t.Errorf("after it was corrected: %v", err)
				}
			})
		})
	}
}

func TestCreateVolume(t *testing.T) {
	t.Run("gives a disk of whole GiB that can be attached, and keeps whose it is", func(t *testing.T) {
		controlled(t, cloudtest.MemoryOptions{}, "", func(t *testing.T, m *cloudtest.Memory, c *Controller) {
			resp, err := c.CreateVolume(t.Context(), order(func(r *csi.CreateVolumeRequest) {
				r.CapacityRange.RequiredBytes = gib + 1
				r.Parameters = map[string]string{
					"type": "standard", "csi.storage.k8s.io/pvc/name": "data", "csi.storage.k8s.io/pvc/namespace": "db",
					"csi.storage.k8s.io/pv/name": "pvc-1", "csi.storage.k8s.io/new-thing": "x",
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			d := m.Disks()[0]
			if resp.GetVolume().GetVolumeId() != d.ID || resp.GetVolume().GetCapacityBytes() != 2*gib || d.State != cloud.DiskAvailable {
				t.Errorf("%v for %+v", resp, d)
			}
			for key, want := range map[string]string{
				"kubernetes.io/created-for/pvc/name": "data", "kubernetes.io/created-for/pvc/namespace": "db",
				"kubernetes.io/created-for/pv/name": "pvc-1", ensure.MetadataVolume: "pvc-1", ensure.MetadataCluster: "c1",
			} {
				if d.Metadata[key] != want {
					t.Errorf("metadata %s is %q, want %q", key, d.Metadata[key], want)
				}
			}
		})
	})
	t.Run("of the same name gives the same volume, of another size is refused", func(t *testing.T) {
		controlled(t, cloudtest.MemoryOptions{}, "", func(t *testing.T, m *cloudtest.Memory, c *Controller) {
			first, err := c.CreateVolume(t.Context(), order(nil))
			if err != nil {
				t.Fatal(err)
			}
			second, err := c.CreateVolume(t.Context(), order(nil))
			if err != nil || first.GetVolume().GetVolumeId() != second.GetVolume().GetVolumeId() {
				t.Errorf("%v, %v", second, err)
			}
			_, err = c.CreateVolume(t.Context(), order(func(r *csi.CreateVolumeRequest) { r.CapacityRange.RequiredBytes = 2 * gib }))
			wantCode(t, err, codes.AlreadyExists, "1 GiB", "2 GiB")
			_, err = c.CreateVolume(t.Context(), order(func(r *csi.CreateVolumeRequest) { r.Parameters["type"] = "multiattach" }))
			wantCode(t, err, codes.AlreadyExists, `"multiattach"`)
			if n := len(m.Disks()); n != 1 {
				t.Errorf("%d disks", n)
			}
		})
	})
	t.Run("within two calls and polls, the zones read beforehand", func(t *testing.T) {
		controlled(t, cloudtest.MemoryOptions{}, "", func(t *testing.T, m *cloudtest.Memory, c *Controller) {
			c.Warm(t.Context())
			m.ResetCalls()
			req := order(func(r *csi.CreateVolumeRequest) { r.AccessibilityRequirements = inZones("az1") })
			if _, err := c.CreateVolume(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			if n := m.Count(); n > 2+9 {
				t.Errorf("%d calls: %v", n, m.Calls())
			}
		})
	})
	t.Run("that the cloud gives up never answers success", func(t *testing.T) {
		controlled(t, cloudtest.MemoryOptions{}, "", func(t *testing.T, m *cloudtest.Memory, c *Controller) {
			m.FailWork(cloudtest.OpCreateDisk, 1)
			_, err := c.CreateVolume(t.Context(), order(nil))
			wantCode(t, err, codes.Internal, "could not make the disk")
			if _, err = c.CreateVolume(t.Context(), order(nil)); err != nil {
				t.Error(err)
			}
		})
	})
}

// aliased is a cloud that knows a disk type by a second name, as clouds do by its id and by other letter case, and shows
// the first.
type aliased struct{ *cloudtest.Memory }

func (a aliased) CreateDisk(ctx context.Context, spec cloud.DiskSpec) (cloud.Disk, error) {
	if spec.Type == "0b9c8a3e-1111-4000-8000-00000000type" {
		spec.Type = "standard"
	}
	return a.Memory.CreateDisk(ctx, spec)
}

func TestATypeMayBeGivenByWhateverTheCloudKnowsItBy(t *testing.T) {
	controlled(t, cloudtest.MemoryOptions{}, "", func(t *testing.T, m *cloudtest.Memory, _ *Controller) {
		c := NewController(aliased{m}, ControllerOptions{ClusterID: "c1"})
		for range 2 {
			_, err := c.CreateVolume(t.Context(), order(func(r *csi.CreateVolumeRequest) {
				r.Parameters["type"] = "0b9c8a3e-1111-4000-8000-00000000type"
			}))
			if err != nil || len(m.Disks()) != 1 {
				t.Errorf("%v, and %d disks", err, len(m.Disks()))
			}
		}
	})
}

func TestZonesOfVolumes(t *testing.T) {
	for name, tc := range map[string]struct {
		zones        []string
		policy       ZonePolicy
		wanted       *csi.TopologyRequirement
		availability string
		disk         string
		accessible   string
		code         codes.Code
	}{
		"the node's zone, when the cloud has disks there":          {zones: []string{"az1", "az2"}, wanted: inZones("az2"), disk: "az2", accessible: "az2"},
		"the first wanted zone that the cloud has":                 {zones: []string{"az1", "az2"}, wanted: inZones("az3", "az2", "az1"), disk: "az2", accessible: "az2"},
		"any, when the cloud's disk zones have other names":        {zones: []string{"nova"}, wanted: inZones("az1"), disk: "nova"},
		"the one asked for, when the names are others":             {zones: []string{"nova", "ceph"}, wanted: inZones("az1"), availability: "ceph", disk: "ceph"},
		"none, when names must match and do not":                   {zones: []string{"nova"}, policy: ZonesMatch, wanted: inZones("az1"), code: codes.ResourceExhausted},
		"any, when zones are ignored":                              {zones: []string{"az1", "az2"}, policy: ZonesIgnore, wanted: inZones("az2"), disk: "az1"},
		"the one asked for, when it is the node's":                 {zones: []string{"az1", "az2"}, wanted: inZones("az1", "az2"), availability: "az2", disk: "az2", accessible: "az2"},
		"any, when the cluster knows no zones":                     {zones: []string{"az1", "az2"}, disk: "az1"},
		"that of the disk, when names must match and none is said": {zones: []string{"az1", "az2"}, policy: ZonesMatch, disk: "az1", accessible: "az1"},
	} {
		t.Run(name, func(t *testing.T) {
			controlled(t, cloudtest.MemoryOptions{Zones: tc.zones}, tc.policy, func(t *testing.T, m *cloudtest.Memory, c *Controller) {
				resp, err := c.CreateVolume(t.Context(), order(func(r *csi.CreateVolumeRequest) {
					r.AccessibilityRequirements = tc.wanted
					if tc.availability != "" {
						r.Parameters["availability"] = tc.availability
					}
				}))
				if tc.code != codes.OK {
					wantCode(t, err, tc.code)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				accessible := ""
				for _, topology := range resp.GetVolume().GetAccessibleTopology() {
					accessible += topology.GetSegments()[TopologyZone]
				}
				if got := m.Disks()[0].Zone; got != tc.disk || accessible != tc.accessible {
					t.Errorf("disk in %q, accessible from %q", got, accessible)
				}
			})
		})
	}
}

func TestPublishAndUnpublish(t *testing.T) {
	controlled(t, cloudtest.MemoryOptions{Quota: cloudtest.Quota{DisksPerInstance: 1}}, "", func(t *testing.T, m *cloudtest.Memory, c *Controller) {
		ctx := t.Context()
		made, err := c.CreateVolume(ctx, order(nil))
		if err != nil {
			t.Fatal(err)
		}
		id := made.GetVolume().GetVolumeId()
		publish := func(volume, node string) error {
			_, err := c.ControllerPublishVolume(ctx, &csi.ControllerPublishVolumeRequest{VolumeId: volume, NodeId: node, VolumeCapability: writer})
			return err
		}
		unpublish := func(volume, node string) error {
			_, err := c.ControllerUnpublishVolume(ctx, &csi.ControllerUnpublishVolumeRequest{VolumeId: volume, NodeId: node})
			return err
		}
		remove := func(volume string) error {
			_, err := c.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: volume})
			return err
		}
		wantCode(t, publish(id, "nowhere"), codes.NotFound, "nowhere")
		wantCode(t, publish("nothing", inst1), codes.NotFound, "nothing")
		wantCode(t, publish(id, inst1), codes.OK)
		wantCode(t, publish(id, inst1), codes.OK)
		wantCode(t, publish(id, inst2), codes.FailedPrecondition, inst1)
		wantCode(t, remove(id), codes.FailedPrecondition, inst1)

		other, err := c.CreateVolume(ctx, order(func(r *csi.CreateVolumeRequest) { r.Name = "pvc-2" }))
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, publish(other.GetVolume().GetVolumeId(), inst1), codes.ResourceExhausted, inst1)

		wantCode(t, unpublish(id, inst2), codes.OK)
		wantCode(t, unpublish(id, inst1), codes.OK)
		wantCode(t, unpublish(id, inst1), codes.OK)
		wantCode(t, unpublish("nothing", inst1), codes.OK)
		wantCode(t, remove(id), codes.OK)
		wantCode(t, remove(id), codes.OK)
		wantCode(t, remove("nothing"), codes.OK)
		if left := m.Disks(); len(left) != 1 || left[0].ID != other.GetVolume().GetVolumeId() {
			t.Errorf("left: %+v", left)
		}
	})
}

func TestAMultiattachVolumeIsOnOneNodeAllTheSame(t *testing.T) {
	controlled(t, cloudtest.MemoryOptions{}, "", func(t *testing.T, m *cloudtest.Memory, c *Controller) {
		made, err := c.CreateVolume(t.Context(), order(func(r *csi.CreateVolumeRequest) { r.Parameters["type"] = "multiattach" }))
		if err != nil {
			t.Fatal(err)
		}
		for node, code := range map[string]codes.Code{inst1: codes.OK, inst2: codes.OK} {
			_, err := c.ControllerPublishVolume(t.Context(), &csi.ControllerPublishVolumeRequest{
				VolumeId: made.GetVolume().GetVolumeId(), VolumeContext: made.GetVolume().GetVolumeContext(), NodeId: node, VolumeCapability: writer,
			})
			if len(m.Disks()[0].Attachments) > 1 {
				t.Fatalf("on two nodes: %+v", m.Disks()[0])
			}
			if m.Disks()[0].Attachments[0].InstanceID != node {
				code = codes.FailedPrecondition
			}
			wantCode(t, err, code)
		}
	})
}

func TestADiskThatIsNotOursIsNeverDeleted(t *testing.T) {
	controlled(t, cloudtest.MemoryOptions{}, "", func(t *testing.T, m *cloudtest.Memory, c *Controller) {
		theirs, err := NewController(m, ControllerOptions{ClusterID: "c2"}).CreateVolume(t.Context(), order(nil))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: theirs.GetVolume().GetVolumeId()})
		wantCode(t, err, codes.FailedPrecondition, "not this cluster's", `"c2"`)
	})
}

func TestExpandVolume(t *testing.T) {
	controlled(t, cloudtest.MemoryOptions{Quota: cloudtest.Quota{GiB: 10}}, "", func(t *testing.T, m *cloudtest.Memory, c *Controller) {
		ctx := t.Context()
		made, err := c.CreateVolume(ctx, order(nil))
		if err != nil {
			t.Fatal(err)
		}
		expand := func(r *csi.CapacityRange) (*csi.ControllerExpandVolumeResponse, error) {
			return c.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{VolumeId: made.GetVolume().GetVolumeId(), CapacityRange: r})
		}
		for range 2 {
			resp, err := expand(&csi.CapacityRange{RequiredBytes: 2*gib - 1})
			if err != nil || resp.GetCapacityBytes() != 2*gib || !resp.GetNodeExpansionRequired() {
				t.Errorf("%v, %v", resp, err)
			}
		}
		_, err = expand(&csi.CapacityRange{RequiredBytes: 20 * gib})
		wantCode(t, err, codes.ResourceExhausted, "quota")
		_, err = expand(&csi.CapacityRange{RequiredBytes: gib, LimitBytes: gib})
		wantCode(t, err, codes.OutOfRange, "2 GiB")
		_, err = c.ControllerExpandVolume(ctx, &csi.ControllerExpandVolumeRequest{VolumeId: "nothing", CapacityRange: &csi.CapacityRange{RequiredBytes: gib}})
		wantCode(t, err, codes.NotFound)
		if d := m.Disks()[0]; d.SizeGiB != 2 || d.State != cloud.DiskAvailable {
			t.Errorf("%+v", d)
		}
	})
}

func TestOnlyWhatTheControllerCanDoIsDeclared(t *testing.T) {
	controlled(t, cloudtest.MemoryOptions{}, "", func(t *testing.T, _ *cloudtest.Memory, c *Controller) {
		resp, err := c.ControllerGetCapabilities(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, capability := range resp.GetCapabilities() {
			got = append(got, capability.GetRpc().GetType().String())
		}
		want := "CREATE_DELETE_VOLUME PUBLISH_UNPUBLISH_VOLUME EXPAND_VOLUME SINGLE_NODE_MULTI_WRITER"
		if strings.Join(got, " ") != want {
			t.Errorf("declared %v, want %s", got, want)
		}
	})
}
