package csi

import (
	"context"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"github.com/fairlead-io/fairlead/pkg/disk"
)

// NodeStageVolume implements csi.NodeServer.
func (n *Node) NodeStageVolume(ctx context.Context, r *csi.NodeStageVolumeRequest) (*csi.NodeStageVolumeResponse, error) {
	if err := required("volume_id", r.GetVolumeId(), "staging_target_path", r.GetStagingTargetPath()); err != nil {
		return nil, err
	}
	if err := mountCapability(r.GetVolumeCapability()); err != nil {
		return nil, err
	}
	err := n.host.Stage(ctx, disk.StageRequest{
		VolumeID:   r.GetVolumeId(),
		Path:       r.GetStagingTargetPath(),
		FSType:     r.GetVolumeCapability().GetMount().GetFsType(),
		MountFlags: r.GetVolumeCapability().GetMount().GetMountFlags(),
	})
	if err != nil {
		return nil, err
	}
	return &csi.NodeStageVolumeResponse{}, nil
}

// NodeUnstageVolume implements csi.NodeServer.
func (n *Node) NodeUnstageVolume(ctx context.Context, r *csi.NodeUnstageVolumeRequest) (*csi.NodeUnstageVolumeResponse, error) {
	if err := required("volume_id", r.GetVolumeId(), "staging_target_path", r.GetStagingTargetPath()); err != nil {
		return nil, err
	}
	if err := n.host.Unstage(ctx, r.GetVolumeId(), r.GetStagingTargetPath()); err != nil {
		return nil, err
	}
	return &csi.NodeUnstageVolumeResponse{}, nil
}

// NodePublishVolume implements csi.NodeServer.
func (n *Node) NodePublishVolume(ctx context.Context, r *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	if err := required("volume_id", r.GetVolumeId(), "target_path", r.GetTargetPath()); err != nil {
		return nil, err
	}
	if err := mountCapability(r.GetVolumeCapability()); err != nil {
		return nil, err
	}
	if r.GetStagingTargetPath() == "" {
		return nil, refuse(codes.FailedPrecondition, "staging_target_path is missing: volumes are staged before they are published")
	}
	mode := r.GetVolumeCapability().GetAccessMode().GetMode()
	err := n.host.Publish(ctx, disk.PublishRequest{
		VolumeID:    r.GetVolumeId(),
		StagingPath: r.GetStagingTargetPath(),
		TargetPath:  r.GetTargetPath(),
		ReadOnly:    r.GetReadonly(),
		MountFlags:  r.GetVolumeCapability().GetMount().GetMountFlags(),
		Exclusive:   mode == csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER,
	})
	if err != nil {
		return nil, err
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

// NodeUnpublishVolume implements csi.NodeServer.
func (n *Node) NodeUnpublishVolume(ctx context.Context, r *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	if err := required("volume_id", r.GetVolumeId(), "target_path", r.GetTargetPath()); err != nil {
		return nil, err
	}
	if err := n.host.Unpublish(ctx, r.GetVolumeId(), r.GetTargetPath()); err != nil {
		return nil, err
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// NodeExpandVolume implements csi.NodeServer.
func (n *Node) NodeExpandVolume(ctx context.Context, r *csi.NodeExpandVolumeRequest) (*csi.NodeExpandVolumeResponse, error) {
	if err := required("volume_id", r.GetVolumeId(), "volume_path", r.GetVolumePath()); err != nil {
		return nil, err
	}
	if r.GetVolumeCapability() != nil {
		if err := mountCapability(r.GetVolumeCapability()); err != nil {
			return nil, err
		}
	}
	size, err := n.host.Grow(ctx, r.GetVolumeId(), r.GetVolumePath(), r.GetCapacityRange().GetRequiredBytes())
	if err != nil {
		return nil, err
	}
	return &csi.NodeExpandVolumeResponse{CapacityBytes: size}, nil
}

// NodeGetVolumeStats implements csi.NodeServer.
func (n *Node) NodeGetVolumeStats(_ context.Context, r *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	if err := required("volume_id", r.GetVolumeId(), "volume_path", r.GetVolumePath()); err != nil {
		return nil, err
	}
	s, err := n.host.Stats(r.GetVolumeId(), r.GetVolumePath())
	if err != nil {
		return nil, err
	}
	usage := func(u disk.Usage, unit csi.VolumeUsage_Unit) *csi.VolumeUsage {
		return &csi.VolumeUsage{Unit: unit, Total: u.Total, Used: u.Used, Available: u.Available}
	}
	return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{
		usage(s.Bytes, csi.VolumeUsage_BYTES),
		usage(s.Inodes, csi.VolumeUsage_INODES),
	}}, nil
}
