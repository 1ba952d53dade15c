package disk

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Usage is how much of something a file system has.
type Usage struct {
	Total, Used, Available int64
}

// Stats is the fill level of a mounted file system.
type Stats struct {
	Bytes  Usage
	Inodes Usage
}

// Stats returns the fill level of the file system that is mounted at path. ErrNotMounted when there is none: the numbers
// of the node's own disk would be a lie.
func (h *Host) Stats(volumeID, path string) (Stats, error) {
	m, err := mountAt(volumeID, path)
	if err != nil {
		return Stats{}, fmt.Errorf("stats: %w", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(m.path, &st); err != nil {
		return Stats{}, fmt.Errorf("stats of volume %s: %w", volumeID, &os.PathError{Op: "statfs", Path: m.path, Err: err})
	}
	return statsOf(st), nil
}

func statsOf(st unix.Statfs_t) Stats {
	blocks := func(n uint64) int64 { return int64(n) * st.Bsize }
	return Stats{
		// Available is what a user without privileges can still write, so Used + Available may be less than Total.
		Bytes:  Usage{Total: blocks(st.Blocks), Used: blocks(st.Blocks - st.Bfree), Available: blocks(st.Bavail)},
		Inodes: Usage{Total: int64(st.Files), Used: int64(st.Files - st.Ffree), Available: int64(st.Ffree)},
	}
}
