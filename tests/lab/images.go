package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/node"
	"github.com/fairlead-io/fairlead/tests/tools"
)

// ImagesDir is where deploy/images leaves the container images, as docker archives.
func ImagesDir() (string, error) {
	cache, err := tools.CacheDir()
	return filepath.Join(cache, "images", "current"), err
}

// LoadImages imports the images that a running node does not have in their present content.
func LoadImages(ctx context.Context, progress io.Writer) error {
	return loadImages(ctx, newSteps(progress))
}

func loadImages(ctx context.Context, steps *steps) error {
	dir, err := ImagesDir()
	if err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(dir, "*.tar"))
	if err != nil {
		return err
	}
	if len(archives) == 0 {
		steps.say("no images in %s: no pod can start before `lab images load`", dir)
		return nil
	}
	all, ctx := errgroup.WithContext(ctx)
	for i := 1; i <= layout.MaxNodes; i++ {
		place := layout.NodeAt(i)
		if !node.Running(place) {
			continue
		}
		all.Go(func() error {
			loaded, err := loadInto(ctx, place, archives)
			if len(loaded) > 0 {
				steps.done("%s has the images %s", place.Name, strings.Join(loaded, ", "))
			}
			return err
		})
	}
	return all.Wait()
}

func loadInto(ctx context.Context, place layout.Node, archives []string) (loaded []string, err error) {
	for _, archive := range archives {
		name := strings.TrimSuffix(filepath.Base(archive), ".tar")
		content, err := contentOf(archive)
		if err != nil {
			return loaded, err
		}
		note := filepath.Join(place.Dir(), "images", name)
		if before, err := os.ReadFile(note); err == nil && string(before) == content {
			continue
		}
		if err := importImage(ctx, place, archive); err != nil {
			return loaded, fmt.Errorf("import %s: %w", archive, err)
		}
		if err := os.MkdirAll(filepath.Dir(note), 0o755); err != nil {
			return loaded, err
		}
		if err := os.WriteFile(note, []byte(content), 0o644); err != nil {
			return loaded, err
		}
		loaded = append(loaded, name)
	}
	return loaded, nil
}

// contentOf tells two contents of an archive apart: the file behind the link, its size and its time of change.
func contentOf(archive string) (string, error) {
	file, err := filepath.EvalSymlinks(archive)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %d %s", file, info.Size(), info.ModTime().UTC().Format(time.RFC3339Nano)), nil
}

// importImage hands the archive over on standard input: the cache need not be visible inside the node.
func importImage(ctx context.Context, place layout.Node, archive string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	cmd, err := Command(ctx, place.Name, "ctr", "--namespace=k8s.io", "images", "import", "-")
	if err != nil {
		return err
	}
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file, &out, &out
	if err := cmd.Run(); err != nil {
		return errors.Join(err, errors.New(strings.TrimSpace(out.String())))
	}
	return nil
}
