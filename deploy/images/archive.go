package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// writeArchive writes a docker archive with one layer, the same bytes for the same entries. It appears at path only
// when it is whole.
func writeArchive(path string, i image, root *rootfs) error {
	layer, err := os.CreateTemp("", "layer-")
	if err != nil {
		return err
	}
	defer func() { _ = layer.Close(); _ = os.Remove(layer.Name()) }()
	sum := sha256.New()
	if err := writeLayer(io.MultiWriter(layer, sum), root); err != nil {
		return err
	}
	layerID := hex.EncodeToString(sum.Sum(nil))
	configJSON, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": i.Config,
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layerID}},
		"history": []any{map[string]any{"created_by": "fairlead deploy/images"}},
	})
	if err != nil {
		return err
	}
	configSum := sha256.Sum256(configJSON)
	configName := hex.EncodeToString(configSum[:]) + ".json"
	manifest, err := json.Marshal([]any{map[string]any{
		"Config": configName, "RepoTags": []string{registry + "/" + i.Name + ":" + i.Tag}, "Layers": []string{layerID + "/layer.tar"},
	}})
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close(); _ = os.Remove(tmp) }()
	size, err := layer.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := layer.Seek(0, io.SeekStart); err != nil {
		return err
	}
	w := tar.NewWriter(f)
	parts := []struct {
		name string
		size int64
		data io.Reader
	}{
		{configName, int64(len(configJSON)), bytes.NewReader(configJSON)},
		{layerID + "/layer.tar", size, layer},
		{"manifest.json", int64(len(manifest)), bytes.NewReader(manifest)},
	}
	for _, p := range parts {
		if err := w.WriteHeader(&tar.Header{Name: p.name, Size: p.size, Mode: 0o644}); err != nil {
			return err
		}
		if _, err := io.Copy(w, p.data); err != nil {
			return fmt.Errorf("write %s: %w", p.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func writeLayer(out io.Writer, root *rootfs) error {
	w := tar.NewWriter(out)
	for _, p := range slices.Sorted(maps.Keys(root.entries)) {
		if err := writeEntry(w, strings.TrimPrefix(p, "/"), root.entries[p]); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return w.Close()
}

func writeEntry(w *tar.Writer, name string, e entry) error {
	h := &tar.Header{Name: name, Mode: int64(e.mode.Perm())}
	switch {
	case e.mode.IsDir():
		h.Typeflag = tar.TypeDir
		h.Name += "/"
		if e.mode&0o1000 != 0 { // sticky, as given in image.Dirs
			h.Mode |= 0o1000
		}
		return w.WriteHeader(h)
	case e.mode&fs.ModeSymlink != 0:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		return w.WriteHeader(h)
	}
	h.Typeflag = tar.TypeReg
	content, size, closer, err := e.open()
	if err != nil {
		return err
	}
	defer closer()
	h.Size = size
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(w, content)
	return err
}

func (e entry) open() (io.Reader, int64, func(), error) {
	if e.from == "" {
		return bytes.NewReader(e.data), int64(len(e.data)), func() {}, nil
	}
	f, err := os.Open(e.from)
	if err != nil {
		return nil, 0, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, nil, err
	}
	return f, info.Size(), func() { _ = f.Close() }, nil
}
