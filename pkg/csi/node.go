package csi

import (
	"context"
	"errors"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/fairlead-io/fairlead/pkg/disk"
)

// DefaultMaxVolumes is how many volumes a node takes unless configured otherwise: virtio-blk names and, with Nova's usual
// machine types, PCI slots end at 26 disks, of which one is the root disk and one a config drive or ephemeral disk.
const DefaultMaxVolumes = 24

// NodeHost is the node's side of disks; *disk.Host implements it.
type NodeHost interface {
	Stage(ctx context.Context, r disk.StageRequest) error
	Unstage(ctx context.Context, volumeID, path string) error
	Publish(ctx context.Context, r disk.PublishRequest) error
	Unpublish(ctx context.Context, volumeID, targetPath string) error
	Grow(ctx context.Context, volumeID, path string, minBytes int64) (int64, error)
	Stats(volumeID, path string) (disk.Stats, error)
}

// NodeOptions are what a Node needs.
type NodeOptions struct {
	Host NodeHost
	// Identify tells which instance this node is; *NodeIdentifier's method.
	Identify func(ctx context.Context) (NodeIdentity, error)
	// TopologyKey is the key under which the node's zone is reported. Empty: TopologyZone.
	TopologyKey string
	// MaxVolumes is how many volumes the scheduler may place here. 0: DefaultMaxVolumes.
	MaxVolumes int64
}

// Node is the CSI node service. It has no cloud credentials, and needs none. It knows no locks and no codes; the Server
// has them.
type Node struct {
	csi.UnimplementedNodeServer
	host        NodeHost
	identify    func(ctx context.Context) (NodeIdentity, error)
	topologyKey string
	maxVolumes  int64
}

// NewNode makes a node service.
func NewNode(o NodeOptions) (*Node, error) {
	if o.Host == nil || o.Identify == nil {
		return nil, errors.New("node service: Host and Identify are required")
	}
	if o.TopologyKey == "" {
		o.TopologyKey = TopologyZone
	}
	if o.MaxVolumes < 0 {
		return nil, fmt.Errorf("node service: max volumes %d: must not be negative", o.MaxVolumes)
	}
	if o.MaxVolumes == 0 {
		o.MaxVolumes = DefaultMaxVolumes
	}
	return &Node{host: o.Host, identify: o.Identify, topologyKey: o.TopologyKey, maxVolumes: o.MaxVolumes}, nil
}

// NodeGetCapabilities implements csi.NodeServer.
func (n *Node) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	r := &csi.NodeGetCapabilitiesResponse{}
	for _, c := range []csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME,
		csi.NodeServiceCapability_RPC_EXPAND_VOLUME,
		csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
		csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		r.Capabilities = append(r.Capabilities, &csi.NodeServiceCapability{
			Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: c}},
		})
	}
	return r, nil
}

// NodeGetInfo implements csi.NodeServer. As long as the instance or its zone is unknown it is Unavailable: an empty
// topology would register a node on which no volume can ever be placed.
func (n *Node) NodeGetInfo(ctx context.Context, _ *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	id, err := n.identify(ctx)
	if err != nil {
		return nil, err
	}
	return &csi.NodeGetInfoResponse{
		NodeId:             id.InstanceID,
		MaxVolumesPerNode:  n.maxVolumes,
		AccessibleTopology: &csi.Topology{Segments: map[string]string{n.topologyKey: id.Zone}},
	}, nil
}
