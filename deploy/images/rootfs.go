package main

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// entry is one path of an image.
type entry struct {
	mode fs.FileMode // type and permission bits
	link string      // symlink target
	from string      // host file with the content; empty: content
	data []byte
}

// rootfs collects an image's entries by path ("/bin/mount"). Paths under /bin, /sbin, /lib, /lib64 go to /usr.
type rootfs struct {
	unpacked string // where the packages were unpacked; empty without packages
	entries  map[string]entry
}

func newRootfs(unpacked string) *rootfs {
	r := &rootfs{unpacked: unpacked, entries: map[string]entry{}}
	if unpacked != "" {
		for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
			r.entries["/"+dir] = entry{mode: fs.ModeSymlink | 0o777, link: "usr/" + dir}
			r.dir("/usr/"+dir, 0o755)
		}
	}
	return r
}

func (r *rootfs) canonical(p string) string {
	p = path.Clean(p)
	if r.unpacked == "" {
		return p
	}
	for _, dir := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/"} {
		if strings.HasPrefix(p, dir) {
			return "/usr" + p
		}
	}
	return p
}

func (r *rootfs) put(p string, e entry) {
	p = r.canonical(p)
	r.dir(path.Dir(p), 0o755)
	r.entries[p] = e
}

func (r *rootfs) dir(p string, mode fs.FileMode) {
	if p == "/" || p == "." {
		return
	}
	p = r.canonical(p)
	if _, ok := r.entries[p]; !ok {
		r.dir(path.Dir(p), 0o755)
		r.entries[p] = entry{mode: fs.ModeDir | mode}
	}
}

// take copies one path of the packages, the targets of its links, and the libraries it needs.
func (r *rootfs) take(p string) error {
	p = r.canonical(p)
	if _, ok := r.entries[p]; ok {
		return nil
	}
	host := filepath.Join(r.unpacked, p)
	info, err := os.Lstat(host)
	if err != nil {
		return fmt.Errorf("%s is not in the packages: %w", p, err)
	}
	switch {
	case info.IsDir():
		r.dir(p, info.Mode().Perm())
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(host)
		if err != nil {
			return err
		}
		r.put(p, entry{mode: fs.ModeSymlink | 0o777, link: target})
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(p), target)
		}
		return r.take(target)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is neither file, directory nor link", p)
	}
	r.put(p, entry{mode: info.Mode().Perm() | 0o444, from: host})
	return r.takeLibraries(p, host)
}

var libraryDirs = []string{"/usr/lib/x86_64-linux-gnu", "/usr/lib", "/usr/lib64"}

// takeLibraries takes what the ELF file names as needed, and its interpreter.
func (r *rootfs) takeLibraries(p, host string) error {
	f, err := elf.Open(host)
	if err != nil {
		var notELF *elf.FormatError
		if errors.As(err, &notELF) || strings.Contains(err.Error(), "EOF") {
			return nil
		}
		return err
	}
	defer func() { _ = f.Close() }()
	needed, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	if s := f.Section(".interp"); s != nil {
		b, err := s.Data()
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if err := r.take(string(bytes.TrimRight(b, "\x00"))); err != nil {
			return err
		}
	}
	for _, lib := range needed {
		i := slices.IndexFunc(libraryDirs, func(d string) bool {
			_, err := os.Lstat(filepath.Join(r.unpacked, d, lib))
			return err == nil
		})
		if i < 0 {
			return fmt.Errorf("%s needs %s, which the packages do not hold", p, lib)
		}
		if err := r.take(path.Join(libraryDirs[i], lib)); err != nil {
			return err
		}
	}
	return nil
}

// takeTree takes all below a prefix but what is below one of without.
func (r *rootfs) takeTree(prefix string, without []string) error {
	prefix = r.canonical(prefix)
	return filepath.WalkDir(filepath.Join(r.unpacked, prefix), func(host string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		p := strings.TrimPrefix(host, r.unpacked)
		if slices.ContainsFunc(without, func(w string) bool { return strings.HasPrefix(p, w) }) {
			return nil
		}
		return r.take(p)
	})
}

// bundleCertificates joins the certificates of the packages into one file.
func (r *rootfs) bundleCertificates() error {
	files, err := filepath.Glob(filepath.Join(r.unpacked, certificateTree, "*", "*.crt"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no certificates below %s: %w", certificateTree, err)
	}
	var bundle bytes.Buffer
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		bundle.Write(b)
	}
	r.put(certificateBundle, entry{mode: 0o644, data: bundle.Bytes()})
	return nil
}
