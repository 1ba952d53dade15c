// Package lab runs a real Kubernetes on this machine, on the embedded cloud or on the real OpenStack of package
// openstack: the control plane and fairlead-devcloud are processes of the host on the bridge fairlead0, and every node is
// a server of the cloud with namespaces of its own. Down removes every trace; Up removes what an interrupted run has left before it begins.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/pki"
	"github.com/fairlead-io/fairlead/tests/lab/proc"
	"github.com/fairlead-io/fairlead/tests/tools"
)

// Options of Up.
type Options struct {
	// Nodes is how many nodes there shall be, up to layout.MaxNodes. None: the control plane alone, without a cloud.
	Nodes int
	// Cloud is what they are servers of: Devcloud (the default) or OpenStack.
	Cloud string
	// Bin is the directory with the built programs lab and fairlead-devcloud; a control plane alone needs neither.
	Bin string
	// Progress gets a line per step.
	Progress io.Writer
}

var errNotRoot = errors.New("the lab makes network namespaces, mounts and loop devices: run it as root")

// debianPackages are the programs that nodes take from the machine.
var debianPackages = []string{"nftables", "iproute2", "util-linux", "mount", "e2fsprogs", "xfsprogs"}

// What the control plane is made of, and what the nodes need besides.
var (
	controlPlaneTools = []string{"etcd", "kubernetes"}
	nodeTools         = []string{"containerd", "runc", "cni"}
)

// Up starts the lab and returns when all nodes are Ready and hold all images. A lab that is up on that cloud with as many
// nodes stays as it is, but gets new images.
func Up(ctx context.Context, opts Options) error {
	if opts.Nodes < 0 || opts.Nodes > layout.MaxNodes {
		return fmt.Errorf("cannot have %d nodes: 0 to %d", opts.Nodes, layout.MaxNodes)
	}
	var err error
	if opts.Cloud, err = opts.cloudName(); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	steps := newSteps(opts.Progress)
	if isUp(opts) {
		steps.say("the lab is up already")
		return loadImages(ctx, steps)
	}
	if err := down(ctx); err != nil {
		return fmt.Errorf("remove what an earlier run left: %w", err)
	}
	if opts.Nodes > 0 {
		if err := tools.InstallPackages(ctx, opts.Progress, debianPackages...); err != nil {
			return err
		}
	}
	if err := prepareState(ctx, opts); err != nil {
		return err
	}
	steps.done("programs and certificates are in %s", layout.StateDir)
	if err := makeBridge(); err != nil {
		return err
	}
	if err := startAll(ctx, opts, steps); err != nil {
		return fmt.Errorf("%w; the logs are in %s, `lab down` removes everything", err, layout.LogDir)
	}
	steps.done("the lab is up: export KUBECONFIG=%s PATH=$PATH:%s/kubernetes", layout.Kubeconfig, layout.ToolsDir)
	return os.WriteFile(layout.UpFile, []byte(strconv.Itoa(opts.Nodes)), 0o644)
}

// lock keeps two runs of up or down apart. It ends with the process, however that ends.
func lock() (unlock func(), err error) {
	listener, err := net.Listen("unix", layout.LockName) //nolint:noctx // binding an abstract name does not wait
	if err != nil {
		return nil, fmt.Errorf("another lab up or down is running on this machine: %w", err)
	}
	return func() { _ = listener.Close() }, nil
}

func isUp(opts Options) bool {
	status, err := ReadStatus()
	return err == nil && status.Complete() && status.Cloud == opts.Cloud && len(status.Nodes) == opts.Nodes
}

// prepareState fills the state directory: programs, links to tools, certificates.
func prepareState(ctx context.Context, opts Options) error {
	for _, dir := range []string{layout.BinDir, layout.ToolsDir, layout.LogDir, layout.RunDir, layout.NodesDir, layout.DevcloudDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(layout.CloudFile, []byte(opts.Cloud), 0o644); err != nil {
		return err
	}
	names, programs := controlPlaneTools, allClouds[opts.Cloud].programs()
	if opts.Nodes > 0 {
		names, programs = slices.Concat(controlPlaneTools, nodeTools), append(programs, "lab")
	}
	for _, name := range names {
		dir, err := tools.Build(ctx, name, opts.Progress)
		if err != nil {
			return err
		}
		if err := os.Symlink(dir, filepath.Join(layout.ToolsDir, name)); err != nil {
			return err
		}
	}
	for _, name := range programs {
		if err := install(opts.Bin, name); err != nil {
			return err
		}
	}
	if err := pki.WriteAll(layout.PKIDir, nodes(opts.Nodes), time.Now()); err != nil {
		return err
	}
	return copyFile(filepath.Join(layout.PKIDir, "admin.kubeconfig"), layout.Kubeconfig, 0o600)
}

func nodes(count int) []layout.Node {
	var all []layout.Node
	for i := 1; i <= count; i++ {
		all = append(all, layout.NodeAt(i))
	}
	return all
}

// install copies a built program into the lab.
func install(bin, name string) error {
	if err := copyFile(filepath.Join(bin, name), filepath.Join(layout.BinDir, name), 0o755); err != nil {
		return fmt.Errorf("%w; `make build` makes it", err)
	}
	return nil
}

// copyFile replaces the target whole, also while it is a running program.
func copyFile(from, to string, mode os.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	temp := to + ".new"
	target, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if err = errors.Join(err, target.Close()); err != nil {
		return err
	}
	return os.Rename(temp, to)
}

// startAll starts the cloud beside the control plane, then the nodes.
func startAll(ctx context.Context, opts Options, steps *steps) error {
	cloud := allClouds[opts.Cloud]
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() error {
		if err := cloud.start(bothCtx); err != nil {
			return err
		}
		if opts.Nodes > 0 {
			steps.done("the cloud (%s) answers", opts.Cloud)
		}
		return nil
	})
	both.Go(func() error {
		if err := startControlPlane(bothCtx); err != nil {
			return err
		}
		steps.done("the Kubernetes API answers at %s", layout.APIServerURL)
		return nil
	})
	if err := both.Wait(); err != nil || opts.Nodes == 0 {
		return err
	}
	if err := cloud.createServers(ctx, nodes(opts.Nodes)); err != nil {
		return err
	}
	steps.done("%d servers are ACTIVE", opts.Nodes)

	both, bothCtx = errgroup.WithContext(ctx)
	both.Go(func() error {
		if err := awaitReady(bothCtx, nodes(opts.Nodes)); err != nil {
			return err
		}
		steps.done("%d nodes are Ready", opts.Nodes)
		return nil
	})
	both.Go(func() error { return loadImages(bothCtx, steps) })
	return both.Wait()
}

// start starts a process of the host's part of the lab.
func start(name string, args []string) error {
	if _, err := proc.Read(pidFile(name)); err == nil {
		return nil
	}
	_, err := proc.Start(proc.Spec{
		Args:    args,
		Env:     []string{layout.MarkVariable + "=" + name},
		Dir:     layout.StateDir,
		Log:     filepath.Join(layout.LogDir, name+".log"),
		PIDFile: pidFile(name),
	})
	return err
}

func pidFile(name string) string { return filepath.Join(layout.RunDir, name+".pid") }

// steps prints what was done and after how long.
type steps struct {
	progress io.Writer
	started  time.Time
}

func newSteps(progress io.Writer) *steps { return &steps{progress: progress, started: time.Now()} }

func (s *steps) say(format string, args ...any) {
	_, _ = fmt.Fprintln(s.progress, "lab: "+strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (s *steps) done(format string, args ...any) {
	s.say("%6.1f s  "+format, append([]any{time.Since(s.started).Seconds()}, args...)...)
}
