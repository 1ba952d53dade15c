package csi

import (
	"context"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/ensure"
	"github.com/fairlead-io/fairlead/pkg/cloud/observe"
)

// zonesTTL is how long the cloud's zones are believed: they change when its operator builds something.
const zonesTTL = 10 * time.Minute

// warmTimeout bounds what a start waits for although it could do without.
const warmTimeout = 10 * time.Second

// volumeContextMultiattach marks volumes of which the cloud itself does not refuse a second attachment.
const volumeContextMultiattach = "multiattach"

// ControllerOptions configure a Controller.
type ControllerOptions struct {
	// ClusterID is the cluster's identity: the UID of its namespace kube-system. Disks of others are never deleted.
	ClusterID string
	// Zones is the zone policy; empty is ZonesAuto.
	Zones ZonePolicy
}

// Controller is the CSI controller service. It knows no locks and no codes; the Server has them.
type Controller struct {
	csi.UnimplementedControllerServer
	catalog  cloud.Disks // types and zones only
	disks    *ensure.Disks
	policy   ZonePolicy
	zones    *observe.ListCache[string]
	zoneFree sync.Once
}

// NewController returns the service over a cloud's disks.
func NewController(disks cloud.Disks, opts ControllerOptions) *Controller {
	if opts.Zones == "" {
		opts.Zones = ZonesAuto
	}
	return &Controller{
		catalog: disks,
		disks:   ensure.NewDisks(disks, opts.ClusterID),
		policy:  opts.Zones,
		zones:   observe.NewListCache(disks.DiskZones, zonesTTL, clock.RealClock{}),
	}
}

// Warm reads what the first request would have to wait for. It may fail; then that request reads it.
func (c *Controller) Warm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	if _, err := c.zones.Get(ctx, time.Time{}); err != nil {
		klog.FromContext(ctx).Error(err, "Could not read the cloud's disk zones yet")
	}
}

// ControllerGetCapabilities implements csi.ControllerServer.
func (c *Controller) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	resp := &csi.ControllerGetCapabilitiesResponse{}
	for _, t := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_PUBLISH_UNPUBLISH_VOLUME,
		csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
		csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		resp.Capabilities = append(resp.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: t}},
		})
	}
	return resp, nil
}

// ValidateVolumeCapabilities implements csi.ControllerServer.
func (c *Controller) ValidateVolumeCapabilities(ctx context.Context, req *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if req.GetVolumeId() == "" {
		return nil, invalid("volume_id is missing")
	}
	if len(req.GetVolumeCapabilities()) == 0 {
		return nil, invalid("volume_capabilities are missing")
	}
	if _, err := c.disks.Get(ctx, req.GetVolumeId()); err != nil {
		return nil, err
	}
	if err := checkCapabilities(req.GetVolumeCapabilities()); err != nil {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: err.Error()}, nil //nolint:nilerr // "no" is an answer
	}
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
		VolumeContext: req.GetVolumeContext(), VolumeCapabilities: req.GetVolumeCapabilities(), Parameters: req.GetParameters(),
	}}, nil
}

// checkCapabilities refuses a volume unless every way in which it is wanted is one that the node can keep. A file system
// on two nodes at once is destroyed, so all modes are of one node, multiattach disk or not.
func checkCapabilities(all []*csi.VolumeCapability) error {
	if len(all) == 0 {
		return invalid("volume_capabilities are missing")
	}
	for _, c := range all {
		if err := mountCapability(c); err != nil {
			return err
		}
	}
	return nil
}
