package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// format is part of every key: raise it when the same inputs would give another archive.
const format = 1

type builder struct {
	out    string
	bins   []string
	files  string
	debian debian
}

// build returns the archive of the image, made now or found in the cache.
func (b builder) build(ctx context.Context, i image) (string, error) {
	start := time.Now()
	var debs []deb
	if len(i.Packages) > 0 {
		var err error
		if debs, err = b.debian.closure(ctx, i.Packages); err != nil {
			return "", err
		}
	}
	key, err := b.key(i, debs)
	if err != nil {
		return "", err
	}
	archive := filepath.Join(b.out, fmt.Sprintf("%s-%s.tar", i.Name, key))
	if _, err := os.Stat(archive); err == nil {
		return archive, nil
	}
	unpacked := ""
	if len(debs) > 0 {
		if unpacked, err = os.MkdirTemp(b.out, "unpack-"); err != nil {
			return "", err
		}
		defer func() { _ = os.RemoveAll(unpacked) }()
		if err := b.debian.unpack(ctx, i.Packages, debs, unpacked); err != nil {
			return "", err
		}
	}
	root, err := b.assemble(i, unpacked)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return "", err
	}
	if err := writeArchive(archive, i, root); err != nil {
		return "", err
	}
	b.forget(i.Name, archive)
	info, err := os.Stat(archive)
	if err != nil {
		return "", err
	}
	fmt.Printf("image %s/%s:%s  %.1f MB  %.1f s\n", registry, i.Name, i.Tag, float64(info.Size())/1e6, time.Since(start).Seconds())
	return archive, nil
}

// assemble gathers the image's entries.
func (b builder) assemble(i image, unpacked string) (*rootfs, error) {
	r := newRootfs(unpacked)
	for _, p := range i.Programs {
		if err := r.take(p); err != nil {
			return nil, err
		}
	}
	for _, t := range i.Trees {
		if t == certificateTree {
			if err := r.bundleCertificates(); err != nil {
				return nil, err
			}
			continue
		}
		if err := r.takeTree(t, i.Without); err != nil {
			return nil, err
		}
	}
	for dst, name := range i.Binaries {
		host, err := b.binary(name)
		if err != nil {
			return nil, err
		}
		r.put(dst, entry{mode: 0o755, from: host})
	}
	for dst, name := range i.Files {
		r.put(dst, entry{mode: 0o755, from: filepath.Join(b.files, name)})
	}
	for dst, text := range i.Texts {
		r.put(dst, entry{mode: 0o644, data: []byte(text)})
	}
	for dst, target := range i.Links {
		r.put(dst, entry{mode: fs.ModeSymlink | 0o777, link: target})
	}
	for dst, mode := range i.Dirs {
		r.dir(dst, 0o755)
		r.entries[r.canonical(dst)] = entry{mode: fs.ModeDir | fs.FileMode(mode)}
	}
	return r, nil
}

// key is a digest of everything that the archive is made of.
func (b builder) key(i image, debs []deb) (string, error) {
	h := sha256.New()
	spec, err := json.Marshal(i)
	if err != nil {
		return "", err
	}
	_, _ = fmt.Fprintf(h, "%d\n%s\n", format, spec)
	for _, d := range debs {
		_, _ = fmt.Fprintln(h, d.file)
	}
	var inputs []string
	for _, name := range i.Binaries {
		host, err := b.binary(name)
		if err != nil {
			return "", err
		}
		inputs = append(inputs, host)
	}
	for _, name := range i.Files {
		inputs = append(inputs, filepath.Join(b.files, name))
	}
	slices.Sort(inputs)
	for _, host := range inputs {
		sum, err := digest(host)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintln(h, filepath.Base(host), sum)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

func (b builder) binary(name string) (string, error) {
	for _, dir := range b.bins {
		p := filepath.Join(dir, name)
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("binary %s is in none of %s: build it first, or name its directory with --bin", name, strings.Join(b.bins, ", "))
}

// forget removes older archives of the image but the newest one: a cache, not an archive of archives.
func (b builder) forget(name, keep string) {
	old, _ := filepath.Glob(filepath.Join(b.out, name+"-????????????????.tar"))
	old = slices.DeleteFunc(old, func(p string) bool { return p == keep })
	age := func(p string) time.Time {
		info, err := os.Stat(p)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	slices.SortFunc(old, func(x, y string) int { return age(y).Compare(age(x)) })
	for _, p := range old[min(1, len(old)):] {
		_ = os.Remove(p)
	}
}

func digest(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
