package csi

import (
	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/fairlead-io/fairlead/pkg/disk"
)

// required refuses the first empty field of name, value pairs.
func required(fields ...string) error {
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i+1] == "" {
			return invalid("%s is missing", fields[i])
		}
	}
	return nil
}

// mountCapability refuses a volume unless it is wanted in a way that the node can keep.
func mountCapability(c *csi.VolumeCapability) error {
	switch {
	case c == nil:
		return invalid("volume_capability is missing")
	case c.GetBlock() != nil:
		return invalid("volume_capability: volumeMode Block is not supported; use volumeMode Filesystem")
	case c.GetMount() == nil:
		return invalid("volume_capability: access_type is missing")
	}
	switch mode := c.GetAccessMode().GetMode(); mode {
	case csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER,
		csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER,
		csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER:
	default:
		return invalid("volume_capability: access_mode %s is not supported; use ReadWriteOnce or ReadWriteOncePod", mode)
	}
	if err := disk.CheckFSType(c.GetMount().GetFsType()); err != nil {
		return err
	}
	return disk.CheckMountFlags(c.GetMount().GetMountFlags())
}
