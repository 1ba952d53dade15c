package openstack

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/vishvananda/netlink"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/disk"
	"github.com/fairlead-io/fairlead/tests/lab/proc"
	"github.com/fairlead-io/fairlead/tests/tenant"
)

var life = flag.Bool("life", false, "run the test that starts, kills and ends a stack of its own, beside any other; needs root and Debian's packages")

const insideVariable = "FAIRLEAD_OPENSTACK_LIFE"

// TestLife goes through a stack's life, in namespaces of its own: another stack may run on the machine.
func TestLife(t *testing.T) {
	if !*life {
		t.Skip("without -life no stack is started")
	}
	if os.Getenv(insideVariable) == "" {
		enterNamespaces(t)
		return
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	*enabled = true
	program := buildProgram(t)
	t.Cleanup(func() { _ = Down(context.Background(), t.Output()) })

	killWhenItSays(t, exec.Command(program, "up"), "rabbitmq (")
	up := func() {
		t.Helper()
		if err := Up(t.Context(), Options{Program: program, Progress: t.Output()}); err != nil {
			t.Fatal(err)
		}
	}
	up()
	t.Run("a second up changes nothing", func(t *testing.T) {
		before := pids(t)
		up()
		for name, id := range pids(t) {
			if before[name] != id {
				t.Errorf("%s was %v and is %v", name, before[name], id)
			}
		}
	})
	t.Run("what died is started again", func(t *testing.T) { checkHealing(t, up) })

	down := exec.Command(program, "down")
	if err := down.Start(); err != nil {
		t.Fatal(err)
	}
	for pid := pids(t)["keystone"]; pid.Alive(); { // killed in the midst of it
	}
	_ = down.Process.Kill()
	_ = down.Wait()
	if err := Down(t.Context(), t.Output()); err != nil {
		t.Fatal(err)
	}
	if left, err := Leftovers(); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// enterNamespaces runs the test again where processes, addresses and mounts are its own.
func enterNamespaces(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("it needs root")
	}
	dir, err := os.MkdirTemp("", "fairlead-openstack-") // not t.TempDir: the path of a Unix socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(disk.Cleanup(context.Background(), dir), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	cmd := exec.CommandContext(t.Context(), "unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
		os.Args[0], "-test.run", "^TestLife$", "-test.v", "-test.timeout", "30m", "-life")
	cmd.Env = append(os.Environ(), insideVariable+"=1", DirVariable+"="+filepath.Join(dir, "state"))
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
}

func buildProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "openstack")
	if out, err := exec.Command("go", "build", "-o", program, "./cmd/openstack").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// killWhenItSays kills a program when it has written the text.
func killWhenItSays(t *testing.T, cmd *exec.Cmd, text string) {
	t.Helper()
	var all bytes.Buffer
	cmd.Stderr = writerFunc(func(p []byte) (int, error) {
		all.Write(p)
		if strings.Contains(all.String(), text) {
			_ = cmd.Process.Kill()
		}
		return len(p), nil
	})
	if err := cmd.Run(); err == nil || !strings.Contains(all.String(), text) {
		t.Fatalf("it ended before it said %q:\n%s", text, all.String())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// pids are the services' processes.
func pids(t *testing.T) map[string]proc.ID {
	t.Helper()
	status, err := ReadStatus()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]proc.ID{}
	for _, service := range status.Services {
		id, err := proc.Read(pidFile(service.Name))
		if err != nil {
			t.Errorf("%s does not run: %v", service.Name, err)
		}
		all[service.Name] = id
	}
	return all
}

// checkHealing kills single services and then all, under a volume that is attached.
func checkHealing(t *testing.T, up func()) {
	p := newProject(t, "openstack-life", tenant.Server{Name: "one", Zone: "az1"})
	volume := p.createVolume(t, volumes.CreateOpts{AvailabilityZone: "az1"})
	device := p.attach(t, volume, p.Servers[0])
	command(t, "dd", "if=/etc/hostname", "of="+device, "bs=512", "conv=sync", "oflag=direct", "status=none")

	running := pids(t)
	for _, name := range []string{"nova-cmp1", "nova-cmp2", "neutron", "cinder-volume", "octavia-driver-agent", "keystone", "rabbitmq"} {
		if err := running[name].Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	up()
	p.detach(t, volume, p.Servers[0])
	_ = p.attach(t, volume, p.Servers[0])

	if err := proc.KillMarked(t.Context(), markVariable); err != nil {
		t.Fatal(err)
	}
	up()
	p.detach(t, volume, p.Servers[0])
	device = p.attach(t, volume, p.Servers[0])
	if got := command(t, "dd", "if="+device, "bs=512", "count=1", "iflag=direct", "status=none"); !strings.HasPrefix(got, command(t, "cat", "/etc/hostname")) {
		t.Errorf("read %q", got)
	}
	p.detach(t, volume, p.Servers[0])
	p.deleteVolume(t, volume)
	if found, err := Violations(); err != nil || len(found) > 0 {
		t.Errorf("violations: %v, %v", found, err)
	}
}
