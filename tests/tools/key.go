package tools

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// key is the sha256 over everything that decides what a build makes: the module's files, how it is built, and Go itself.
func key(dir string, tool Tool, goVersion, platform string) (string, error) {
	h := sha256.New()
	field := func(parts ...string) {
		for _, part := range parts {
			fmt.Fprintf(h, "%d:%s\n", len(part), part)
		}
	}
	field(goVersion, platform, tool.Output, fmt.Sprint(tool.Cgo))
	field(append([]string{"packages"}, tool.Packages...)...)
	field(append([]string{"flags"}, tool.Flags...)...)
	links := make([]string, 0, len(tool.Links))
	for link, target := range tool.Links {
		links = append(links, link+"="+target)
	}
	sort.Strings(links)
	field(append([]string{"links"}, links...)...)

	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !decides(entry.Name()) {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		field(rel)
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		_, err = io.Copy(h, file)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("hash %s: %w", dir, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func decides(name string) bool {
	return name == "go.mod" || name == "go.sum" || strings.HasSuffix(name, ".go")
}
