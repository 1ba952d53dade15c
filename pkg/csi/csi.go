// Package csi is the Container Storage Interface driver: thin gRPC services over package ensure (the controller) and
// package disk (the node). A request is validated, locked by its volume, carried out, and its error mapped to a code; the
// last two happen in one place, the server.
package csi

const (
	// DefaultDriverName is the driver's name unless told otherwise.
	DefaultDriverName = "disk.csi.fairlead.io"
	// TopologyZone is the node label and volume affinity key of a volume's zone. Only this driver writes it.
	TopologyZone = "topology.disk.csi.fairlead.io/zone"
)

const gib = int64(1) << 30
