package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Leftovers lists the loop devices over volumes below the state directory, which need not exist any more.
func Leftovers(stateDir string) ([]Loop, error) {
	dir, err := canonical(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		dir, err = filepath.Abs(stateDir)
	}
	if err != nil {
		return nil, err
	}
	return loopsBelow(filepath.Join(dir, "volumes"))
}

// Cleanup releases all loop devices over volumes below the state directory and removes their links. A device that is
// in use is released too, which takes effect when its last user ends, and named in the error.
func Cleanup(ctx context.Context, stateDir string) error {
	loops, err := Leftovers(stateDir)
	if err != nil {
		return err
	}
	var failed []error
	for _, l := range loops {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("release loop devices: %w", err)
		}
		link := filepath.Join(stateDir, "servers", l.ServerID, "disk", "by-id", "virtio-"+serial(l.VolumeID))
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
		users, err := l.release()
		if err == nil && len(users) > 0 {
			err = fmt.Errorf("%s of volume %s on server %s is still in use: %s", l.Device, l.VolumeID, l.ServerID, strings.Join(users, "; "))
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
