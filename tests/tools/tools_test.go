package tools

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestKey(t *testing.T) {
	base := Tool{Packages: []string{"tool"}, Flags: []string{"-tags", "a"}, Links: map[string]string{"x": "y", "z": "y"}}
	write := func(t *testing.T, dir, name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	module := func(t *testing.T) string {
		dir := t.TempDir()
		write(t, dir, "go.mod", "module m\n")
		write(t, dir, "go.sum", "sum\n")
		write(t, dir, "cmd/main.go", "package main\n")
		return dir
	}
	sum := func(t *testing.T, dir string, tool Tool, goVersion string) string {
		t.Helper()
		k, err := key(dir, tool, goVersion, "linux/amd64")
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	want := sum(t, module(t), base, "go1.26.8")

	tests := []struct {
		name   string
		change func(dir string, tool *Tool, goVersion *string)
		same   bool
	}{
		{"nothing changed, another directory", func(string, *Tool, *string) {}, true},
		{"a README is added", func(dir string, _ *Tool, _ *string) { write(t, dir, "README.md", "x") }, true},
		{"how long a build takes is said differently", func(_ string, tool *Tool, _ *string) { tool.Cold = "long" }, true},
		{"a version is raised in go.mod", func(dir string, _ *Tool, _ *string) { write(t, dir, "go.mod", "module m2\n") }, false},
		{"go.sum changes", func(dir string, _ *Tool, _ *string) { write(t, dir, "go.sum", "other\n") }, false},
		{"a source file changes", func(dir string, _ *Tool, _ *string) { write(t, dir, "cmd/main.go", "package x\n") }, false},
		{"a source file is added", func(dir string, _ *Tool, _ *string) { write(t, dir, "cmd/more.go", "") }, false},
		{"a flag changes", func(_ string, tool *Tool, _ *string) { tool.Flags = []string{"-tags", "b"} }, false},
		{"a flag is split otherwise", func(_ string, tool *Tool, _ *string) { tool.Flags = []string{"-tags a"} }, false},
		{"a link points elsewhere", func(_ string, tool *Tool, _ *string) { tool.Links = map[string]string{"x": "z", "z": "y"} }, false},
		{"cgo is switched on", func(_ string, tool *Tool, _ *string) { tool.Cgo = true }, false},
		{"another Go", func(_ string, _ *Tool, goVersion *string) { *goVersion = "go1.27.0" }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, tool, goVersion := module(t), base, "go1.26.8"
			tt.change(dir, &tool, &goVersion)
			if got := sum(t, dir, tool, goVersion); (got == want) != tt.same {
				t.Errorf("key is %s, first one was %s; same should be %t", got, want, tt.same)
			}
		})
	}
}

func sumOf(c string) string { return strings.Repeat(c, 64) }

func TestStoreAddsWholeEntriesOnly(t *testing.T) {
	s := store{dir: t.TempDir(), name: "helm"}
	if _, err := s.add(sumOf("a"), func(dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o600), errors.New("compiler error"))
	}); err == nil {
		t.Fatal("a failed build was stored")
	}
	if _, ok := s.find(sumOf("a")); ok {
		t.Error("a failed build is found")
	}
	if entries, _ := os.ReadDir(s.dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestStoreRemovesWhatAKilledBuildLeft(t *testing.T) {
	s := store{dir: t.TempDir(), name: "helm"}
	killed := filepath.Join(s.dir, ".building-helm-123")
	other := filepath.Join(s.dir, ".building-etcd-123")
	for _, dir := range []string{killed, other} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.add(sumOf("a"), func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(killed); !os.IsNotExist(err) {
		t.Error("the killed build's directory is still there")
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("another tool's running build was removed")
	}
}

func TestStoreKeepsTheTwoUsedLast(t *testing.T) {
	s := store{dir: t.TempDir(), name: "helm"}
	for i, c := range []string{"a", "b", "c"} {
		if _, err := s.add(sumOf(c), func(string) error { return nil }); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(s.path(sumOf(c)), at, at); err != nil {
			t.Fatal(err)
		}
		if c == "b" {
			s.find(sumOf("a")) // used again: now newer than b
		}
	}
	other := store{dir: s.dir, name: "helm-docs"} // its entries begin with "helm-" too
	if _, err := other.add(sumOf("d"), func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.prune(); err != nil {
		t.Fatal(err)
	}
	var got []string
	entries, _ := os.ReadDir(s.dir)
	for _, e := range entries {
		got = append(got, e.Name())
	}
	want := []string{"helm-" + sumOf("a"), "helm-" + sumOf("c"), "helm-docs-" + sumOf("d")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLockIsWaitedForAndCancelled(t *testing.T) {
	s := store{dir: t.TempDir(), name: "helm"}
	var said bytes.Buffer
	unlock, err := s.lock(t.Context(), &said)
	if err != nil || said.Len() != 0 {
		t.Fatalf("first lock: %v, said %q", err, said.String())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.lock(ctx, &said); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second lock: %v", err)
	}
	if !strings.Contains(said.String(), "another process builds it") {
		t.Errorf("the waiting process said %q", said.String())
	}
	unlock()
	unlock, err = s.lock(t.Context(), &said)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestEveryToolHasItsModule(t *testing.T) {
	for _, name := range Names() {
		dir, err := moduleDir(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "go.sum")); err != nil {
			t.Error(err)
		}
	}
}

func TestProgramsSayTheVersionOfTheirModule(t *testing.T) {
	for tool, module := range map[string]string{
		"kubernetes":  "k8s.io/kubernetes",
		"containerd":  "github.com/containerd/containerd/v2",
		"provisioner": "github.com/kubernetes-csi/external-provisioner/v6",
	} {
		dir, err := moduleDir(tool)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		_, after, found := strings.Cut(string(raw), module+" v")
		if !found {
			t.Fatalf("%s does not require %s", tool, module)
		}
		version := strings.Fields(after)[0]
		if flags := strings.Join(registry[tool].Flags, " "); !strings.Contains(flags, "ersion=v"+version) {
			t.Errorf("%s is v%s by its go.mod; its flags are %q", tool, version, flags)
		}
	}
}

func TestUnknownToolNamesTheKnownOnes(t *testing.T) {
	_, err := Build(t.Context(), "helmm", &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), `"helmm"`) || !strings.Contains(err.Error(), "golangci-lint") {
		t.Errorf("got %v", err)
	}
}

func TestNotInstalled(t *testing.T) {
	status := "nftables installed\nxfsprogs config-files\n"
	got := notInstalled(status, []string{"nftables", "xfsprogs", "unheard-of"})
	if diff := cmp.Diff([]string{"xfsprogs", "unheard-of"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestMissingPackagesAsksDpkg(t *testing.T) {
	got, err := missingPackages(t.Context(), []string{"dpkg", "fairlead-no-such-package"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"fairlead-no-such-package"}, got); diff != "" {
		t.Error(diff)
	}
}
