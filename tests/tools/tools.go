// Package tools builds the programs that the lab and the tests need (Kubernetes, containerd, helm, ...) from the
// pinned Go modules in its sub-directories, once per content, and installs the Debian packages they need.
package tools

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// A Tool is one pinned module below tests/tools and how it is built.
type Tool struct {
	// Packages are given to `go build`; "tool" is every tool that the module's go.mod names.
	Packages []string
	// Output is the file's name if the module makes one program that Go would name otherwise.
	Output string
	// Flags of `go build`, without -o. -trimpath and -buildvcs=false are always added.
	Flags []string
	// Cgo is set for programs that link C libraries.
	Cgo bool
	// Debian names the packages that the build needs, beyond Go.
	Debian []string
	// Links are further names of a program: link -> program.
	Links map[string]string
	// Cold says how long a first build takes on two cores, for the progress message.
	Cold string
}

var stripped = []string{"-ldflags", "-s -w"}

// kubernetesVersion makes the programs say their version: being built as a Go module, they do not know it.
const kubernetesVersion = " -X k8s.io/component-base/version.gitVersion=v1.37.2" +
	" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37" +
	" -X k8s.io/client-go/pkg/version.gitVersion=v1.37.2"

var registry = map[string]Tool{
	"kubernetes": {
		Packages: []string{"./hyperkube", "tool"},
		Flags:    []string{"-ldflags", "-s -w" + kubernetesVersion},
		Links:    hyperkubeLinks(),
		Cold:     "about 10 minutes",
	},
	"containerd": {
		Packages: []string{"tool"},
		Flags: []string{"-tags", "no_btrfs,no_devmapper,no_zfs",
			"-ldflags", "-s -w -X github.com/containerd/containerd/v2/version.Version=v2.4.2"},
		Cold: "about 2 minutes",
	},
	"runc": {
		Packages: []string{"tool"},
		Flags:    []string{"-tags", "seccomp netgo osusergo urfave_cli_no_docs", "-ldflags", "-s -w -extldflags -static"},
		Cgo:      true,
		Debian:   []string{"gcc", "libc6-dev", "libseccomp-dev", "pkg-config"},
		Cold:     "about 10 seconds",
	},
	"cni":           {Packages: []string{"tool"}, Flags: stripped, Cold: "about 10 seconds"},
	"etcd":          {Packages: []string{"tool"}, Output: "etcd", Flags: stripped, Cold: "about half a minute"},
	"provisioner":   {Packages: []string{"tool"}, Flags: []string{"-ldflags", "-s -w -X main.version=v6.3.0"}, Cold: "about 3 minutes"},
	"helm":          {Packages: []string{"tool"}, Flags: stripped, Cold: "about a minute"},
	"golangci-lint": {Packages: []string{"tool"}, Flags: stripped, Cold: "about a minute"},
	"gotestsum":     {Packages: []string{"tool"}, Flags: stripped, Cold: "about 10 seconds"},
}

func hyperkubeLinks() map[string]string {
	links := map[string]string{}
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"} {
		links[name] = "hyperkube"
	}
	return links
}

// Names lists every tool, in alphabetical order.
func Names() []string {
	names := make([]string, 0, len(registry))
	for name := range registry {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// CacheDir is where everything that is built outside the checkout is kept: $XDG_CACHE_HOME/fairlead, or
// ~/.cache/fairlead. It may be deleted at any time; it is then filled again.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w; set XDG_CACHE_HOME or HOME", err)
	}
	return filepath.Join(base, "fairlead"), nil
}

// moduleDir finds the tool's module from the working directory upwards: callers run somewhere in the checkout.
func moduleDir(name string) (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		module := filepath.Join(dir, "tests", "tools", name)
		if _, err := os.Stat(filepath.Join(module, "go.mod")); err == nil {
			return module, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no tests/tools/%s at or above %s: run inside the checkout of Fairlead", name, start)
		}
	}
}

func lookUp(name string) (Tool, error) {
	tool, ok := registry[name]
	if !ok {
		return Tool{}, fmt.Errorf("no tool is named %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return tool, nil
}
