package csi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// CreateVolume implements csi.ControllerServer. It returns when the disk can be attached.
func (c *Controller) CreateVolume(ctx context.Context, req *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	if req.GetName() == "" {
		return nil, invalid("name is missing")
	}
	if err := checkCapabilities(req.GetVolumeCapabilities()); err != nil {
		return nil, err
	}
	if req.GetVolumeContentSource() != nil {
		return nil, invalid("volume_content_source is not supported: a new volume is empty")
	}
	size, err := sizeGiB(req.GetCapacityRange())
	if err != nil {
		return nil, err
	}
	params, err := parseParameters(req.GetParameters())
	if err != nil {
		return nil, err
	}
	where, err := c.place(ctx, wantedZones(req.GetAccessibilityRequirements()), params.availability)
	if err != nil {
		return nil, err
	}
	spec := cloud.DiskSpec{Name: req.GetName(), SizeGiB: size, Type: params.diskType, Zone: where.zone, Metadata: params.metadata}
	disk, err := c.disks.Created(ctx, spec)
	if err != nil {
		return nil, c.explain(ctx, err, spec)
	}
	if err := c.compatible(ctx, disk, spec, req.GetCapacityRange()); err != nil {
		return nil, err
	}
	klog.FromContext(ctx).V(2).Info("The disk is there", "disk", disk.ID, "sizeGiB", disk.SizeGiB, "type", disk.Type, "zone", disk.Zone)
	return &csi.CreateVolumeResponse{Volume: volume(disk, where)}, nil
}

// place chooses the disk's zone; the cloud's zones are asked for only when they matter.
func (c *Controller) place(ctx context.Context, wanted []string, availability string) (placement, error) {
	var offered []string
	if len(wanted) > 0 && c.policy != ZonesIgnore {
		var err error
		if offered, err = c.zones.Get(ctx, time.Time{}); err != nil {
			return placement{}, err
		}
	}
	where, err := place(c.policy, wanted, offered, availability)
	if err == nil && where.free && len(offered) > 0 {
		c.zoneFree.Do(func() {
			klog.FromContext(ctx).Info("The cloud makes no disks in the nodes' zones: disks are taken as usable in every zone",
				"nodeZones", wanted, "diskZones", offered, "policy", c.policy)
		})
	}
	return where, err
}

// explain finds out which parameter the cloud did not like, and says what it would have liked.
func (c *Controller) explain(ctx context.Context, err error, spec cloud.DiskSpec) error {
	switch {
	case errors.Is(err, cloud.ErrExhausted):
		return refuse(codes.ResourceExhausted, "no disk of %d GiB: %v", spec.SizeGiB, err)
	case !errors.Is(err, cloud.ErrInvalid):
		return err
	}
	if types, terr := c.catalog.DiskTypes(ctx); terr == nil && spec.Type != "" && !slices.Contains(types, spec.Type) {
		return invalid("StorageClass parameter %q: %q is not a disk type of this cloud; allowed are %s",
			ParameterType, spec.Type, strings.Join(types, ", "))
	}
	if zones, zerr := c.catalog.DiskZones(ctx); zerr == nil && spec.Zone != "" && !slices.Contains(zones, spec.Zone) {
		return unknownZone(spec.Zone, zones)
	}
	return err
}

// compatible refuses a disk that an earlier request of the same name made differently.
func (c *Controller) compatible(ctx context.Context, d cloud.Disk, spec cloud.DiskSpec, size *csi.CapacityRange) error {
	switch {
	case !within(size, d.SizeGiB):
		return refuse(codes.AlreadyExists, "volume %s exists as disk %s with %d GiB; requested were %d GiB", spec.Name, d.ID, d.SizeGiB, spec.SizeGiB)
	case spec.Zone != "" && d.Zone != spec.Zone:
		return refuse(codes.AlreadyExists, "volume %s exists as disk %s in zone %q; requested was zone %q", spec.Name, d.ID, d.Zone, spec.Zone)
	case spec.Type == "" || d.Type == "" || d.Type == spec.Type:
		return nil
	}
	// The cloud may know one type by its id and in other letter case too: only the name of another type is a difference.
	types, err := c.catalog.DiskTypes(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(types, spec.Type) {
		return refuse(codes.AlreadyExists, "volume %s exists as disk %s of type %q; requested was type %q", spec.Name, d.ID, d.Type, spec.Type)
	}
	return nil
}

// volume is a disk in the words of CSI.
func volume(d cloud.Disk, where placement) *csi.Volume {
	v := &csi.Volume{VolumeId: d.ID, CapacityBytes: d.SizeGiB * gib}
	if !where.free && d.Zone != "" {
		v.AccessibleTopology = []*csi.Topology{{Segments: map[string]string{TopologyZone: d.Zone}}}
	}
	if d.Multiattach {
		v.VolumeContext = map[string]string{volumeContextMultiattach: "true"}
	}
	return v
}

// DeleteVolume implements csi.ControllerServer. It returns when the disk is gone.
func (c *Controller) DeleteVolume(ctx context.Context, req *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	if req.GetVolumeId() == "" {
		return nil, invalid("volume_id is missing")
	}
	if err := c.disks.Deleted(ctx, req.GetVolumeId()); err != nil {
		return nil, err
	}
	return &csi.DeleteVolumeResponse{}, nil
}
