package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// contentKind is what a disk holds.
type contentKind int

const (
	contentEmpty      contentKind = iota // no signature that blkid knows, and nothing but zeros at its start
	contentFileSystem                    // a complete file system
	contentUnfinished                    // a file system whose mkfs says itself that it did not end
	contentOther                         // a signature of something else: partitions, LVM, RAID, encryption
	contentUnknown                       // no known signature, but not empty
)

// content is the result of a probe.
type content struct {
	kind   contentKind
	what   string // the file system's type, or what the signature says
	fsSize int64  // bytes that an ext4 or xfs file system spans; 0 when it cannot be told
}

// probeLength is how much of the disk's start has to be zero before it counts as empty.
const probeLength = 1 << 20

// probe looks at a disk without changing it. blkid alone does not decide that a disk is empty: it also says "nothing" of
// raw data and of a device that it cannot read.
func (h *Host) probe(ctx context.Context, path string) (content, error) {
	start, err := readStart(path)
	if err != nil {
		return content{}, err
	}
	out, status, err := h.run(ctx, "blkid", "-p", "-s", "TYPE", "-s", "PTTYPE", "-o", "export", path)
	if err != nil {
		return content{}, err
	}
	const nothing, ambivalent = 2, 8
	switch status {
	case 0:
		return classify(parseExport(out), start), nil
	case nothing:
		return classify(nil, start), nil
	case ambivalent:
		return content{kind: contentOther, what: "signatures of several kinds"}, nil
	}
	return content{}, fmt.Errorf("blkid %s: exit status %d: %s", path, status, out)
}

func readStart(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	defer func() { _ = f.Close() }()
	start := make([]byte, probeLength)
	n, err := io.ReadFull(f, start)
	if n == 0 || (err != nil && !errors.Is(err, io.ErrUnexpectedEOF)) {
		return nil, fmt.Errorf("probe %s: %w", path, err)
	}
	return start[:n], nil
}

// parseExport reads blkid's KEY=value lines.
func parseExport(out string) map[string]string {
	tags := map[string]string{}
	for line := range strings.Lines(out) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			tags[key] = value
		}
	}
	return tags
}

// classify decides what a disk holds from blkid's tags (nil: none) and the disk's first bytes.
func classify(tags map[string]string, start []byte) content {
	fsType, partitions := tags["TYPE"], tags["PTTYPE"]
	switch {
	case xfsUnfinished(start):
		return content{kind: contentUnfinished, what: XFS}
	case partitions != "":
		return content{kind: contentOther, what: partitions + " partition table"}
	case fsType == Ext4 || fsType == XFS:
		return content{kind: contentFileSystem, what: fsType, fsSize: fileSystemSize(fsType, start)}
	case fsType != "":
		return content{kind: contentOther, what: fsType}
	case len(bytes.Trim(start, "\x00")) != 0:
		return content{kind: contentUnknown, what: "data without a known signature"}
	}
	return content{kind: contentEmpty}
}

// Positions in XFS's superblock (struct xfs_dsb), which is at the disk's start, big endian.
const (
	xfsMagic            = "XFSB"
	xfsBlockSizeAt      = 4
	xfsBlocksAt         = 8
	xfsInProgressAt     = 126
	xfsSuperBlockLength = 264
)

// xfsUnfinished tells whether mkfs.xfs was interrupted: it sets sb_inprogress first and clears it last, and the kernel
// refuses to mount while it is set. So nobody can have written a file there, and it is safe to format again.
func xfsUnfinished(start []byte) bool {
	return len(start) >= xfsSuperBlockLength && string(start[:4]) == xfsMagic && start[xfsInProgressAt] != 0
}

// Positions in ext4's superblock (struct ext4_super_block), which is 1024 bytes into the disk, little endian.
const (
	extSuperBlockAt     = 1024
	extBlocksLowAt      = extSuperBlockAt + 0x4
	extLogBlockSizeAt   = extSuperBlockAt + 0x18
	extMagicAt          = extSuperBlockAt + 0x38
	extIncompatAt       = extSuperBlockAt + 0x60
	extBlocksHighAt     = extSuperBlockAt + 0x150
	extMagic            = 0xEF53
	extIncompat64Bit    = 0x80
	extSuperBlockLength = 1024
)

// fileSystemSize returns how many bytes a file system spans, read from its superblock; 0 when that makes no sense.
func fileSystemSize(fsType string, start []byte) int64 {
	switch {
	case fsType == XFS && len(start) >= xfsSuperBlockLength && string(start[:4]) == xfsMagic:
		return int64(binary.BigEndian.Uint32(start[xfsBlockSizeAt:])) * int64(binary.BigEndian.Uint64(start[xfsBlocksAt:]))
	case fsType == Ext4 && len(start) >= extSuperBlockAt+extSuperBlockLength &&
		binary.LittleEndian.Uint16(start[extMagicAt:]) == extMagic:
		blocks := uint64(binary.LittleEndian.Uint32(start[extBlocksLowAt:]))
		if binary.LittleEndian.Uint32(start[extIncompatAt:])&extIncompat64Bit != 0 {
			blocks |= uint64(binary.LittleEndian.Uint32(start[extBlocksHighAt:])) << 32
		}
		logSize := binary.LittleEndian.Uint32(start[extLogBlockSizeAt:])
		if logSize > 6 { // 64 KiB is the largest block
			return 0
		}
		return int64(blocks << (10 + logSize))
	}
	return 0
}
