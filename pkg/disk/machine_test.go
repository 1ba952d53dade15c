package disk

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	utilexec "k8s.io/utils/exec"

	"github.com/fairlead-io/fairlead/pkg/disk/disktest"
)

const (
	mib = int64(1) << 20
	gib = int64(1) << 30
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is a host with one real disk attached, and the kubelet's directories.
type machine struct {
	*Host
	t                        *testing.T
	loop                     *disktest.Loop
	staging, target, target2 string
}

func newMachine(t *testing.T, size int64) *machine {
	t.Helper()
	loop := disktest.New(t, size)
	dir := t.TempDir()
	devDir := filepath.Join(dir, "dev")
	if err := loop.Link(devDir, volumeA); err != nil {
		t.Fatal(err)
	}
	m := &machine{
		Host:    NewHost(Options{DevDir: devDir, StateDir: filepath.Join(dir, "state"), DeviceTimeout: 50 * time.Millisecond}),
		t:       t,
		loop:    loop,
		staging: filepath.Join(dir, "global mount"), // the space is what the mount table escapes
		target:  filepath.Join(dir, "pods", "1", "mount"),
		target2: filepath.Join(dir, "pods", "2", "mount"),
	}
	t.Cleanup(func() {
		for _, path := range []string{m.target2, m.target, m.staging, filepath.Join(dir, "elsewhere")} {
			if err := unmountAll(path); err != nil {
				t.Errorf("clean up: %v", err)
			}
		}
	})
	return m
}

// successor is the same machine after its process was killed and started again.
func (m *machine) successor() *Host {
	return NewHost(Options{DevDir: m.devDir, StateDir: m.stateDir, DeviceTimeout: 50 * time.Millisecond})
}

func (m *machine) stage(fsType string, flags ...string) error {
	return m.Stage(m.t.Context(), StageRequest{VolumeID: volumeA, Path: m.staging, FSType: fsType, MountFlags: flags})
}

func (m *machine) publish(change func(*PublishRequest)) error {
	r := PublishRequest{VolumeID: volumeA, StagingPath: m.staging, TargetPath: m.target}
	if change != nil {
		change(&r)
	}
	return m.Publish(m.t.Context(), r)
}

func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// write makes a file on the volume, read tells what is in it.
func (m *machine) write(dir, content string) {
	m.t.Helper()
	m.must(os.WriteFile(filepath.Join(dir, "file"), []byte(content), 0o644))
}

func (m *machine) read(dir string) string {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "file"))
	m.must(err)
	return string(b)
}

// tool runs a program that prepares a disk for a test.
func (m *machine) tool(name string, args ...string) string {
	m.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// poke overwrites bytes of the disk.
func (m *machine) poke(at int64, b []byte) {
	m.t.Helper()
	f, err := os.OpenFile(m.loop.Path, os.O_RDWR, 0)
	m.must(err)
	_, err = f.WriteAt(b, at)
	m.must(err)
	m.must(f.Sync())
	m.must(f.Close())
}

// start returns the disk's first MiB, to prove that it did not change.
func (m *machine) start() []byte {
	m.t.Helper()
	b, err := readStart(m.loop.Path)
	m.must(err)
	return b
}

func (m *machine) mustNotChange(before []byte) {
	m.t.Helper()
	if !bytes.Equal(before, m.start()) {
		m.t.Error("the disk was changed")
	}
}

func fsSizeAt(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks) * st.Bsize
}

// mountedHow returns the mount's and the file system's options.
func mountedHow(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("findmnt", "-n", "-o", "FSTYPE,OPTIONS", "--mountpoint", path).CombinedOutput()
	if err != nil {
		t.Fatalf("findmnt %s: %v: %s", path, err, out)
	}
	return string(out)
}

// tools is an Exec that runs the real tools, but lets a test step in.
type tools struct {
	utilexec.Interface
	ran      []string
	instead  map[string]func(args []string) error // by tool: runs instead of it
	replaced map[string][]string                  // by tool: the command that is run instead
}

func (e *tools) Command(name string, args ...string) utilexec.Cmd {
	e.ran = append(e.ran, name+" "+strings.Join(args, " "))
	if f := e.instead[name]; f != nil {
		if err := f(args); err != nil {
			return e.Interface.Command("false")
		}
		return e.Interface.Command("true")
	}
	if c := e.replaced[name]; c != nil {
		return e.Interface.Command(c[0], c[1:]...)
	}
	return e.Interface.Command(name, args...)
}

func (e *tools) count(tool string) int {
	n := 0
	for _, r := range e.ran {
		if strings.HasPrefix(r, tool+" ") {
			n++
		}
	}
	return n
}

func spyOn(h *Host) *tools {
	e := &tools{Interface: utilexec.New(), instead: map[string]func([]string) error{}, replaced: map[string][]string{}}
	h.exec = e
	return e
}

// hasCapability tells whether this process has a Linux capability.
func hasCapability(t *testing.T, capability int) bool {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	return data[capability/32].Effective&(1<<(capability%32)) != 0
}
