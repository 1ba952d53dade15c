// Command images makes Fairlead's container images as docker archives, without a Docker daemon: root file systems come
// out of Debian packages and our static binaries. An image whose content is already in the cache is not made again.
//
//	go run ./deploy/images --bin bin --bin ~/.cache/fairlead/tools/kubernetes-...
//
// The archives are in DIR (default ~/.cache/fairlead/images); DIR/current links the ones that this call wanted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

type binDirs []string

func (b *binDirs) String() string     { return strings.Join(*b, ",") }
func (b *binDirs) Set(s string) error { *b = append(*b, s); return nil }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	var bins binDirs
	out := flag.String("out", filepath.Join(cache, "fairlead", "images"), "directory for the archives")
	only := flag.String("only", "", "comma-separated image names; empty makes all")
	sources := flag.String("source", "deploy/images/files", "directory of the images' own files")
	flag.Var(&bins, "bin", "directory of static binaries; may be repeated")
	flag.Parse()

	b := builder{out: *out, bins: bins, files: *sources, debian: debian{cache: filepath.Join(*out, "debs")}}
	wanted := images()
	if *only != "" {
		names := strings.Split(*only, ",")
		wanted = slices.DeleteFunc(wanted, func(i image) bool { return !slices.Contains(names, i.Name) })
	}
	made := map[string]string{}
	for _, i := range wanted {
		path, err := b.build(ctx, i)
		if err != nil {
			return fmt.Errorf("image %s: %w", i.Name, err)
		}
		made[i.Name+".tar"] = path
	}
	return relink(filepath.Join(*out, "current"), made, *only == "")
}

// relink points dir/NAME at the archives; with prune, links that are not in it go away.
func relink(dir string, links map[string]string, prune bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if prune {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if _, ok := links[e.Name()]; !ok {
				if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
					return err
				}
			}
		}
	}
	for name, path := range links {
		tmp := filepath.Join(dir, "."+name)
		_ = os.Remove(tmp)
		if err := os.Symlink(path, tmp); err != nil {
			return err
		}
		if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
