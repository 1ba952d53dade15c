package main

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPathsOfAMergedUsrTreeAreKeptOnce(t *testing.T) {
	r := newRootfs(t.TempDir())
	r.put("/bin/mount", entry{mode: 0o755, data: []byte("x")})
	r.put("/usr/bin/mount", entry{mode: 0o755, data: []byte("y")})
	if got := string(r.entries["/usr/bin/mount"].data); got != "y" {
		t.Errorf("content %q, want the later one", got)
	}
	if _, ok := r.entries["/bin/mount"]; ok {
		t.Error("/bin/mount stands beside the link /bin")
	}
	if e := r.entries["/bin"]; e.mode&fs.ModeSymlink == 0 || e.link != "usr/bin" {
		t.Errorf("/bin is %+v, want a link to usr/bin", e)
	}
}

func TestAProgramBringsItsLibrariesAndInterpreter(t *testing.T) {
	r := newRootfs("/") // this machine as the unpacked packages
	if err := r.take("/usr/bin/ls"); err != nil {
		t.Fatal(err)
	}
	var libs []string
	for p := range r.entries {
		if strings.Contains(p, "libc.so") || strings.Contains(p, "ld-linux") {
			libs = append(libs, filepath.Base(p))
		}
	}
	slices.Sort(libs)
	if !slices.Contains(libs, "libc.so.6") || !slices.Contains(libs, "ld-linux-x86-64.so.2") {
		t.Errorf("libraries %v lack libc or the interpreter", libs)
	}
}

func TestAMissingProgramIsNamed(t *testing.T) {
	err := newRootfs(t.TempDir()).take("/usr/sbin/mkfs.none")
	if err == nil || !strings.Contains(err.Error(), "/usr/sbin/mkfs.none") {
		t.Errorf("error %v does not name the path", err)
	}
}

func TestTheSameEntriesGiveTheSameBytes(t *testing.T) {
	dir := t.TempDir()
	var archives [2][]byte
	for n := range archives {
		r := newRootfs("")
		for _, p := range []string{"/b", "/a/c", "/a/b"} {
			r.put(p, entry{mode: 0o644, data: []byte(p)})
		}
		r.put("/l", entry{mode: fs.ModeSymlink | 0o777, link: "a/b"})
		path := filepath.Join(dir, string(rune('0'+n)))
		if err := writeArchive(path, image{Name: "x", Tag: "1"}, r); err != nil {
			t.Fatal(err)
		}
		var err error
		if archives[n], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of the same entries differ")
	}
	want := []string{"a/", "a/b", "a/c", "b", "l"}
	if diff := cmp.Diff(want, layerNames(t, archives[0])); diff != "" {
		t.Error(diff)
	}
}

func layerNames(t *testing.T, archive []byte) []string {
	t.Helper()
	outer := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := outer.Next()
		if err != nil {
			t.Fatal("no layer in the archive: ", err)
		}
		if !strings.HasSuffix(h.Name, "/layer.tar") {
			continue
		}
		var names []string
		inner := tar.NewReader(outer)
		for {
			e, err := inner.Next()
			if err == io.EOF {
				return names
			}
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, e.Name)
		}
	}
}
