package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ReadFromLabel reads one file from the file system with a label (a config drive, say). It is mounted read-only, for as
// long as it takes to read, in a private directory made for it. ErrNoDevice when no device has the label.
func (h *Host) ReadFromLabel(ctx context.Context, label, file string) (content []byte, err error) {
	device, err := h.labelled(ctx, label)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(h.stateDir, "label-*")
	if err != nil {
		return nil, fmt.Errorf("read %s from %q: %w", file, label, err)
	}
	defer func() {
		err = errors.Join(err, unmountAll(dir), os.Remove(dir))
	}()
	if err := h.mounter.Mount(device, dir, "", []string{"ro"}); err != nil {
		return nil, fmt.Errorf("read %s from %q on %s: %w", file, label, device, err)
	}
	content, err = os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, fmt.Errorf("read %s from %q on %s: %w", file, label, device, err)
	}
	return content, nil
}

// labelled finds a device by the label of its file system: by udev's link, else by asking blkid to look at them all.
// VFAT labels are upper case.
func (h *Host) labelled(ctx context.Context, label string) (string, error) {
	for _, l := range []string{label, strings.ToUpper(label)} {
		path, err := filepath.EvalSymlinks(filepath.Join(h.devDir, "disk", "by-label", l))
		if err == nil {
			return path, nil
		}
	}
	for _, l := range []string{label, strings.ToUpper(label)} {
		out, status, err := h.run(ctx, "blkid", "-c", "/dev/null", "-l", "-t", "LABEL="+l, "-o", "device")
		if err != nil {
			return "", err
		}
		if status == 0 && out != "" {
			return out, nil
		}
	}
	return "", fmt.Errorf("label %q: %w", label, ErrNoDevice)
}
