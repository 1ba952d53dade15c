// Package openstack runs a real OpenStack on this machine, from Debian's packages: Keystone, Placement, Glance, Nova,
// Cinder, Neutron with OVN and Octavia, with MariaDB and RabbitMQ under them, as plain processes. Volumes hold data and
// appear as loop devices; servers, vswitches and amphorae are pretended. It is what judges Fairlead: nothing of
// OpenStack's API is ours.
package openstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fairlead-io/fairlead/tests/tools"
)

// Options of Up.
type Options struct {
	// Program is the built program openstack, which the drivers call; it is copied into the state.
	Program string
	// Progress gets a line per step.
	Progress io.Writer
}

var errNotRoot = errors.New("the stack makes addresses, mounts and loop devices: run it as root")

// Up starts the stack and returns when every service works. What runs already stays; what died is started again; a
// stack that was never completed, or was completed before the machine was rebooted, is removed and made anew. It installs Debian packages that are missing.
func Up(ctx context.Context, opts Options) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	log := &progress{to: opts.Progress, started: time.Now()}
	status, err := ReadStatus()
	if err != nil {
		return err
	}
	if status.Complete() {
		log.say("OpenStack is up already")
		// Services take a new program or driver when they start again.
		return errors.Join(copyProgram(opts.Program, path("bin", "openstack")), writePython(), healMetadata(ctx))
	}
	if !status.WasUp {
		if err := down(ctx); err != nil {
			return fmt.Errorf("remove what an earlier run left: %w", err)
		}
	}
	v, err := prepare(ctx, opts, log)
	if err != nil {
		return err
	}
	if err := runUnits(ctx, units(v), !status.WasUp, log); err != nil {
		return fmt.Errorf("%w; the logs are in %s, `openstack down` removes everything", err, path("log"))
	}
	if err := healMetadata(ctx); err != nil {
		return err
	}
	log.done("OpenStack is up: export OS_CLIENT_CONFIG_FILE=%s OS_CLOUD=admin", CloudsFile())
	boot, err := bootID()
	if err != nil {
		return err
	}
	return os.WriteFile(upFile(), boot, 0o644)
}

// bootID tells this boot of the machine from others: attachments do not survive one.
func bootID() ([]byte, error) { return os.ReadFile("/proc/sys/kernel/random/boot_id") }

// prepare does what is repeated at every start: packages, address, directories, programs, configuration.
func prepare(ctx context.Context, opts Options, log *progress) (values, error) {
	if err := tools.InstallPackages(ctx, opts.Progress, debianPackages...); err != nil {
		return values{}, err
	}
	shared, err := sharedFiles(ctx)
	if err != nil {
		return values{}, err
	}
	if err := makeState(); err != nil {
		return values{}, err
	}
	if err := copyProgram(opts.Program, path("bin", "openstack")); err != nil {
		return values{}, err
	}
	v, err := writeConfiguration(shared)
	if err != nil {
		return values{}, err
	}
	if err := addAddress(); err != nil {
		return values{}, err
	}
	log.done("packages and configuration are there")
	return v, nil
}

// makeState makes the state's directories, unless the place belongs to somebody else.
func makeState() error {
	if err := checkOurs(); err != nil {
		return err
	}
	for _, dir := range []string{"bin", "etc", "run", "run/root/octavia", "log", "faults", "plugged", "volumes", "servers", "data/home", "data/locks",
		"data/keystone", "data/ovn", "data/rabbitmq", "data/neutron", "data/cinder", "data/glance/images", "data/glance/tasks", "data/glance/staging"} {
		if err := os.MkdirAll(path(dir), 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(madeFile(), nil, 0o644)
}

// checkOurs keeps Up and Down off a directory that somebody else filled.
func checkOurs() error {
	entries, err := os.ReadDir(Dir())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(madeFile()); err != nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty and was not made by this program: set %s to another directory", Dir(), DirVariable)
	}
	return nil
}

// copyProgram replaces the target whole, also while it runs.
func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("%w; `make build` makes it", err)
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if err = errors.Join(err, target.Close()); err != nil {
		return err
	}
	return os.Rename(to+".new", to)
}

// lock keeps two runs of up or down apart. It ends with the process, however that ends.
func lock() (unlock func(), err error) {
	listener, err := net.Listen("unix", lockName) //nolint:noctx // binding an abstract name does not wait
	if err != nil {
		return nil, fmt.Errorf("another openstack up or down is running on this machine: %w", err)
	}
	return func() { _ = listener.Close() }, nil
}

// progress prints what was done and after how long.
type progress struct {
	mu      sync.Mutex
	to      io.Writer
	started time.Time
}

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintln(p.to, "openstack: "+strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (p *progress) done(format string, args ...any) {
	p.say("%6.1f s  "+format, append([]any{time.Since(p.started).Seconds()}, args...)...)
}

// environment is what every process of the stack gets: Debian's Python and nothing of the caller's.
func environment(name string) []string {
	return []string{
		markVariable + "=" + name,
		DirVariable + "=" + Dir(),
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + path("data", "home"),
		"LC_ALL=C.UTF-8",
		"PYTHONPATH=" + path("python"),
		"PYTHONDONTWRITEBYTECODE=1",
		"PYTHONUNBUFFERED=1",
		"SPT_NOENV=1", // process titles leave the environment alone, by which Down finds its processes
		"OS_KEYSTONE_CONFIG_FILES=" + path("etc", "keystone", "keystone.conf"),
		"OS_PLACEMENT_CONFIG_DIR=" + path("etc", "placement"),
		"OS_NOVA_CONFIG_DIR=" + path("etc", "nova"),
		"OS_GLANCE_CONFIG_DIR=" + path("etc", "glance"),
		"ERL_EPMD_ADDRESS=127.0.0.1",
		fmt.Sprintf("ERL_EPMD_PORT=%d", ports["epmd"]),
	}
}

// tail is the end of a log, for an error.
func tail(file string) string {
	const most = 3000
	raw, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	if len(raw) > most {
		raw = raw[len(raw)-most:]
	}
	return "end of " + filepath.Base(file) + ":\n" + strings.TrimSpace(string(raw))
}
