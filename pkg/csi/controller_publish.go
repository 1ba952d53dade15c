package csi

import (
	"context"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
)

// ControllerPublishVolume implements csi.ControllerServer: the disk is attached to the server that the node is. It
// returns when it is.
func (c *Controller) ControllerPublishVolume(ctx context.Context, req *csi.ControllerPublishVolumeRequest) (*csi.ControllerPublishVolumeResponse, error) {
	switch {
	case req.GetVolumeId() == "":
		return nil, invalid("volume_id is missing")
	case req.GetNodeId() == "":
		return nil, invalid("node_id is missing")
	case req.GetReadonly():
		return nil, invalid("readonly attachments are not supported; mount the volume read-only in the pod instead")
	}
	if err := mountCapability(req.GetVolumeCapability()); err != nil {
		return nil, err
	}
	multiattach := req.GetVolumeContext()[volumeContextMultiattach] == "true"
	if err := c.disks.Attached(ctx, req.GetVolumeId(), req.GetNodeId(), multiattach); err != nil {
		return nil, err
	}
	return &csi.ControllerPublishVolumeResponse{}, nil
}

// ControllerUnpublishVolume implements csi.ControllerServer. It returns when the disk is detached, which it also is when
// disk or server exist no more.
func (c *Controller) ControllerUnpublishVolume(ctx context.Context, req *csi.ControllerUnpublishVolumeRequest) (*csi.ControllerUnpublishVolumeResponse, error) {
	switch {
	case req.GetVolumeId() == "":
		return nil, invalid("volume_id is missing")
	case req.GetNodeId() == "":
		// "From all nodes" is for volumes that can be on several.
		return nil, invalid("node_id is missing")
	}
	if err := c.disks.Detached(ctx, req.GetVolumeId(), req.GetNodeId()); err != nil {
		return nil, err
	}
	return &csi.ControllerUnpublishVolumeResponse{}, nil
}

// ControllerExpandVolume implements csi.ControllerServer. The node grows the file system afterwards.
func (c *Controller) ControllerExpandVolume(ctx context.Context, req *csi.ControllerExpandVolumeRequest) (*csi.ControllerExpandVolumeResponse, error) {
	switch {
	case req.GetVolumeId() == "":
		return nil, invalid("volume_id is missing")
	case req.GetCapacityRange() == nil:
		return nil, invalid("capacity_range is missing")
	}
	if req.GetVolumeCapability() != nil {
		if err := mountCapability(req.GetVolumeCapability()); err != nil {
			return nil, err
		}
	}
	size, err := sizeGiB(req.GetCapacityRange())
	if err != nil {
		return nil, err
	}
	disk, err := c.disks.Extended(ctx, req.GetVolumeId(), size)
	if err != nil {
		return nil, err
	}
	if limit := req.GetCapacityRange().GetLimitBytes(); limit > 0 && disk.SizeGiB*gib > limit {
		return nil, refuse(codes.OutOfRange, "disk %s has %d GiB already, more than capacity_range.limit_bytes %d; a disk cannot shrink",
			disk.ID, disk.SizeGiB, limit)
	}
	return &csi.ControllerExpandVolumeResponse{CapacityBytes: disk.SizeGiB * gib, NodeExpansionRequired: true}, nil
}
