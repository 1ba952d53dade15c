package tools

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// keep is how many builds of one tool stay in the cache.
const keep = 2

// Build returns the directory that holds the tool's programs, building them first if the cache has none of this
// content. It may be called by several processes at once; one of them builds. Progress goes to the writer.
func Build(ctx context.Context, name string, progress io.Writer) (string, error) {
	tool, err := lookUp(name)
	if err != nil {
		return "", err
	}
	module, err := moduleDir(name)
	if err != nil {
		return "", err
	}
	goVersion, err := goEnv(ctx, module, "GOVERSION")
	if err != nil {
		return "", err
	}
	sum, err := key(module, tool, goVersion, runtime.GOOS+"/"+runtime.GOARCH)
	if err != nil {
		return "", err
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	store := store{dir: filepath.Join(cache, "tools"), name: name}
	if dir, ok := store.find(sum); ok {
		return dir, nil
	}
	unlock, err := store.lock(ctx, progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	if dir, ok := store.find(sum); ok {
		return dir, nil
	}
	if err := InstallPackages(ctx, progress, tool.Debian...); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return store.add(sum, func(dir string) error { return tool.build(ctx, name, module, dir, progress) })
}

func goEnv(ctx context.Context, dir, variable string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", variable)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go env %s in %s: %w; is Go on PATH?", variable, dir, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// build compiles the tool's programs into dir.
func (t Tool) build(ctx context.Context, name, module, dir string, progress io.Writer) error {
	started := time.Now()
	_, _ = fmt.Fprintf(progress, "%s: building (the first time takes %s)\n", name, t.Cold)
	args := append([]string{"build"}, t.Flags...)
	args = append(args, "-o", filepath.Join(dir, t.Output)+t.trailingSlash())
	args = append(args, t.Packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	cgo := "0"
	if t.Cgo {
		cgo = "1"
	}
	// GOFLAGS is set, not added to: the user's own flags would change the result without changing the key.
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false -trimpath", "CGO_ENABLED="+cgo, "GOWORK=off")
	cmd.Stdout, cmd.Stderr = progress, progress
	done := tick(progress, name, started)
	err := cmd.Run()
	done()
	if err != nil {
		return fmt.Errorf("build %s in %s: %w; the compiler's output is above", name, module, err)
	}
	for link, target := range t.Links {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			return err
		}
	}
	_, _ = fmt.Fprintf(progress, "%s: built in %s\n", name, time.Since(started).Round(time.Second))
	return nil
}

func (t Tool) trailingSlash() string {
	if t.Output == "" {
		return "/"
	}
	return ""
}

// tick prints the elapsed time every 15 seconds until the returned function is called.
func tick(progress io.Writer, name string, started time.Time) (stop func()) {
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		ticker := time.NewTicker(15 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				_, _ = fmt.Fprintf(progress, "%s: still building, %s\n", name, time.Since(started).Round(time.Second))
			}
		}
	}()
	return func() { close(quit); <-gone }
}

// store is the part of the cache that belongs to one tool: directories NAME-<key>.
type store struct{ dir, name string }

func (s store) path(sum string) string { return filepath.Join(s.dir, s.name+"-"+sum) }

// find answers from the cache, and marks the entry as used.
func (s store) find(sum string) (string, bool) {
	path := s.path(sum)
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return "", false
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now)
	return path, true
}

// lock waits until no other process builds this tool.
func (s store) lock(ctx context.Context, progress io.Writer) (unlock func(), err error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(s.dir, s.name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for said := false; ; {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if err != unix.EWOULDBLOCK {
			_ = file.Close()
			return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
		}
		if !said {
			_, _ = fmt.Fprintf(progress, "%s: another process builds it; waiting\n", s.name)
			said = true
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// add fills a new entry; it appears whole or not at all. The lock must be held.
func (s store) add(sum string, fill func(dir string) error) (string, error) {
	stale, err := filepath.Glob(filepath.Join(s.dir, ".building-"+s.name+"-*"))
	if err != nil {
		return "", err
	}
	for _, dir := range stale {
		_ = os.RemoveAll(dir)
	}
	temp, err := os.MkdirTemp(s.dir, ".building-"+s.name+"-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	if err := os.Chmod(temp, 0o755); err != nil {
		return "", err
	}
	if err := fill(temp); err != nil {
		return "", err
	}
	if err := os.Rename(temp, s.path(sum)); err != nil {
		return "", err
	}
	return s.path(sum), s.prune()
}

// prune removes all but the entries used last.
func (s store) prune() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	var mine []fs.FileInfo
	for _, entry := range entries {
		sum, ok := strings.CutPrefix(entry.Name(), s.name+"-")
		if raw, err := hex.DecodeString(sum); !ok || err != nil || len(raw) != 32 {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mine = append(mine, info)
	}
	sort.Slice(mine, func(i, j int) bool { return mine[i].ModTime().After(mine[j].ModTime()) })
	for i := keep; i < len(mine); i++ {
		if err := os.RemoveAll(filepath.Join(s.dir, mine[i].Name())); err != nil {
			return err
		}
	}
	return nil
}
