package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// debian fetches packages with apt and unpacks them without installing anything.
type debian struct{ cache string }

// deb is one package file as apt names it.
type deb struct{ file string }

var printedURI = regexp.MustCompile(`(?m)^'[^']+' (\S+\.deb) \d+`)

// closure resolves packages and all they depend on, as if nothing were installed.
func (d debian) closure(ctx context.Context, packages []string) ([]deb, error) {
	// apt prints only what its archive directory lacks: show it an empty one.
	nothing := filepath.Join(d.cache, "nothing")
	if err := os.MkdirAll(filepath.Join(nothing, "partial"), 0o755); err != nil {
		return nil, err
	}
	out, err := d.apt(ctx, nothing, append([]string{"--print-uris", "install"}, packages...)...)
	if err != nil {
		// A fresh machine has no package lists.
		if uerr := exec.CommandContext(ctx, "apt-get", "update", "-qq").Run(); uerr != nil {
			return nil, fmt.Errorf("apt-get update: %w", uerr)
		}
		if out, err = d.apt(ctx, nothing, append([]string{"--print-uris", "install"}, packages...)...); err != nil {
			return nil, err
		}
	}
	var debs []deb
	for _, m := range printedURI.FindAllSubmatch(out, -1) {
		debs = append(debs, deb{file: string(m[1])})
	}
	if len(debs) == 0 {
		return nil, fmt.Errorf("apt found no packages for %s", strings.Join(packages, " "))
	}
	return debs, nil
}

// unpack downloads what the cache lacks and unpacks the packages' closure into root.
func (d debian) unpack(ctx context.Context, packages []string, debs []deb, root string) error {
	for _, p := range debs {
		if _, err := os.Stat(filepath.Join(d.cache, p.file)); err != nil {
			if _, err := d.apt(ctx, d.cache, append([]string{"--download-only", "install"}, packages...)...); err != nil {
				return err
			}
			break
		}
	}
	// One file system tree as on every Debian since 12: /bin, /sbin, /lib are links into /usr.
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(root, "usr", dir), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+dir, filepath.Join(root, dir)); err != nil {
			return err
		}
	}
	for _, p := range debs {
		tarball := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", filepath.Join(d.cache, p.file))
		untar := exec.CommandContext(ctx, "tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", root)
		if err := pipe(tarball, untar); err != nil {
			return fmt.Errorf("unpack %s: %w", p.file, err)
		}
	}
	return nil
}

// apt runs apt-get against an empty package status and an archive directory of ours.
func (d debian) apt(ctx context.Context, archives string, args ...string) ([]byte, error) {
	empty := filepath.Join(d.cache, "status")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		return nil, err
	}
	options := []string{
		"-y", "-qq", "--no-install-recommends",
		"-o", "Dir::State::status=" + empty, "-o", "Dir::Cache::archives=" + archives,
		"-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1",
	}
	cmd := exec.CommandContext(ctx, "apt-get", append(options, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, stderr.Bytes())
	}
	return out, nil
}

func pipe(from, to *exec.Cmd) error {
	var stderr bytes.Buffer
	from.Stderr, to.Stderr = &stderr, &stderr
	r, err := from.StdoutPipe()
	if err != nil {
		return err
	}
	to.Stdin = r
	if err := from.Start(); err != nil {
		return err
	}
	toErr := to.Run()
	if err := from.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, stderr.Bytes())
	}
	if toErr != nil {
		return fmt.Errorf("%w: %s", toErr, stderr.Bytes())
	}
	return nil
}
