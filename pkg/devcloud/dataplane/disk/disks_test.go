package disk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
)

// newDisks gives Disks on a state directory of its own and takes the test's loop devices away afterwards.
func newDisks(t *testing.T) *Disks {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("loop devices need root")
	}
	dir := t.TempDir()
	d, err := New(dir)
	must(t, err)
	t.Cleanup(func() {
		must(t, Cleanup(context.Background(), dir))
		left, err := Leftovers(dir)
		must(t, err)
		if len(left) > 0 {
			t.Errorf("loop devices left over: %v", left)
		}
	})
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func create(t *testing.T, d *Disks, sizeGiB int64) (volume string) {
	t.Helper()
	volume = uuid.NewString()
	must(t, d.Create(t.Context(), volume, sizeGiB))
	return volume
}

// attach attaches and returns the device as the server sees it.
func attach(t *testing.T, d *Disks, volume, server string) (device string) {
	t.Helper()
	must(t, d.Attach(t.Context(), volume, server))
	return deviceOf(t, d, volume, server)
}

func deviceOf(t *testing.T, d *Disks, volume, server string) string {
	t.Helper()
	dir, err := d.ServerDiskDir(server)
	must(t, err)
	device, err := filepath.EvalSymlinks(filepath.Join(dir, "by-id", "virtio-"+volume[:20]))
	must(t, err)
	return device
}

func detach(t *testing.T, d *Disks, volume, server string) (inUse string) {
	t.Helper()
	inUse, err := d.Detach(t.Context(), volume, server)
	must(t, err)
	return inUse
}

func size(t *testing.T, device string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(run(t, "blockdev", "--getsize64", device)), 10, 64)
	must(t, err)
	return n
}

func mount(t *testing.T, device, fstype string) (point string) {
	t.Helper()
	point = t.TempDir()
	must(t, unix.Mount(device, point, fstype, 0, ""))
	t.Cleanup(func() { _ = unix.Unmount(point, unix.MNT_DETACH) })
	return point
}

func TestAFileSystemKeepsItsDataOverDetachAndAttachElsewhere(t *testing.T) {
	for _, fstype := range []string{"ext4", "xfs"} {
		t.Run(fstype, func(t *testing.T) {
			d := newDisks(t)
			volume, first, second := create(t, d, 1), uuid.NewString(), uuid.NewString()

			device := attach(t, d, volume, first)
			run(t, "mkfs."+fstype, "-q", device)
			point := mount(t, device, fstype)
			must(t, os.WriteFile(filepath.Join(point, "row"), []byte("42"), 0o600))
			must(t, unix.Unmount(point, 0))
			if who := detach(t, d, volume, first); who != "" {
				t.Errorf("a detach after umount found a user: %s", who)
			}

			point = mount(t, attach(t, d, volume, second), fstype)
			got, err := os.ReadFile(filepath.Join(point, "row"))
			if err != nil || string(got) != "42" {
				t.Errorf("read %q, %v", got, err)
			}
			must(t, unix.Unmount(point, 0))
		})
	}
}

func TestANewVolumeTakesNoSpaceAndReadsAsZeros(t *testing.T) {
	d := newDisks(t)
	volume := create(t, d, 1000)
	var st unix.Stat_t
	must(t, unix.Stat(d.volumeFile(volume), &st))
	if st.Size != 1000*GiB || st.Blocks > 64 {
		t.Errorf("size %d, %d blocks", st.Size, st.Blocks)
	}
	if got := size(t, attach(t, d, volume, "s1")); got != 1000*GiB {
		t.Errorf("device of %d bytes", got)
	}
}

func TestEveryAttachmentHasItsOwnDevice(t *testing.T) {
	d := newDisks(t)
	volume, first, second := create(t, d, 1), uuid.NewString(), uuid.NewString()
	a, b := attach(t, d, volume, first), attach(t, d, volume, second)
	if a == b {
		t.Fatalf("two servers share %s", a)
	}
	detach(t, d, volume, first)
	if _, err := os.Lstat(d.link(volume, first)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the first server still shows the disk: %v", err)
	}
	if got := deviceOf(t, d, volume, second); got != b || size(t, got) != GiB {
		t.Errorf("the second server's disk became %s", got)
	}
}

func TestWhatOneServerWritesTheOtherReadsOnAMultiattachVolume(t *testing.T) {
	d := newDisks(t)
	volume := create(t, d, 1)
	a, b := attach(t, d, volume, "s1"), attach(t, d, volume, "s2")
	run(t, "dd", "if=/etc/hostname", "of="+a, "bs=512", "conv=sync", "oflag=direct", "status=none")
	want, err := os.ReadFile("/etc/hostname")
	must(t, err)
	if got := run(t, "dd", "if="+b, "bs=512", "count=1", "iflag=direct", "status=none"); !strings.HasPrefix(got, string(want)) {
		t.Errorf("read %q, want %q", got, want)
	}
}

func TestCallsMayBeRepeated(t *testing.T) {
	d := newDisks(t)
	volume := create(t, d, 2)
	must(t, d.Create(t.Context(), volume, 1)) // a repeat never shrinks
	device := attach(t, d, volume, "s1")
	if again := attach(t, d, volume, "s1"); again != device {
		t.Errorf("attached again as %s, was %s", again, device)
	}
	if got := size(t, device); got != 2*GiB {
		t.Errorf("size %d", got)
	}
	for range 2 {
		if who := detach(t, d, volume, "s1"); who != "" {
			t.Errorf("in use: %s", who)
		}
		must(t, d.RemoveServer(t.Context(), "s1"))
	}
	for range 2 {
		must(t, d.Delete(t.Context(), volume))
	}
	if who := detach(t, d, volume, "s1"); who != "" {
		t.Errorf("in use: %s", who)
	}
}

// A process can die between any two steps; these are the states that it leaves.
func TestAttachGoesOnFromWhatACrashLeft(t *testing.T) {
	tests := []struct {
		name  string
		crash func(t *testing.T, d *Disks, volume, server string)
	}{
		{"a device without a link", func(t *testing.T, d *Disks, volume, server string) {
			_, err := configureFree(t.Context(), d.volumeFile(volume), loopName(volume, server))
			must(t, err)
		}},
		{"a device and the link's temporary name", func(t *testing.T, d *Disks, volume, server string) {
			device, err := configureFree(t.Context(), d.volumeFile(volume), loopName(volume, server))
			must(t, err)
			_, err = d.ServerDiskDir(server)
			must(t, err)
			must(t, os.Symlink(device, filepath.Join(d.serverDir(server), ".link-"+volume)))
		}},
		{"a link to a device of before a reboot", func(t *testing.T, d *Disks, volume, server string) {
			dir, err := d.ServerDiskDir(server)
			must(t, err)
			must(t, os.Symlink("/dev/loop4000", filepath.Join(dir, "by-id", "virtio-"+volume[:20])))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDisks(t)
			volume := create(t, d, 1)
			tt.crash(t, d, volume, "s1")
			restarted, err := New(d.dir)
			must(t, err)
			if got := size(t, attach(t, restarted, volume, "s1")); got != GiB {
				t.Errorf("size %d", got)
			}
			loops, err := Leftovers(d.dir)
			must(t, err)
			if len(loops) != 1 || loops[0].VolumeID != volume || loops[0].ServerID != "s1" {
				t.Errorf("loop devices: %+v, want one", loops)
			}
		})
	}
}

func TestExtendIsSeenByTheKernelAtOnce(t *testing.T) {
	d := newDisks(t)
	volume := create(t, d, 1)
	a, b := attach(t, d, volume, "s1"), attach(t, d, volume, "s2")
	run(t, "mkfs.xfs", "-q", a)
	point := mount(t, a, "xfs")
	must(t, d.Extend(t.Context(), volume, 3))
	if size(t, a) != 3*GiB || size(t, b) != 3*GiB {
		t.Errorf("sizes %d and %d", size(t, a), size(t, b))
	}
	run(t, "xfs_growfs", point)
	var st unix.Statfs_t
	must(t, unix.Statfs(point, &st))
	if got := int64(st.Blocks) * st.Bsize; got < 2*GiB {
		t.Errorf("the mounted file system has %d bytes", got)
	}
	must(t, unix.Unmount(point, 0))
	must(t, d.Extend(t.Context(), volume, 2)) // never shrinks
	if got := size(t, a); got != 3*GiB {
		t.Errorf("size %d", got)
	}
	if err := d.Extend(t.Context(), uuid.NewString(), 2); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("extend of a volume that does not exist: %v", err)
	}
}

func TestDetachSaysWhoUsesTheDevice(t *testing.T) {
	tests := []struct {
		name string
		use  func(t *testing.T, device string) (end func(), want string)
	}{
		{"mounted here", func(t *testing.T, device string) (func(), string) {
			point := mount(t, device, "ext4")
			return func() { must(t, unix.Unmount(point, 0)) }, "mounted at " + point + ", seen by "
		}},
		{"mounted in another mount namespace", func(t *testing.T, device string) (func(), string) {
			point := t.TempDir()
			end := helper(t, "unshare", "--mount", "sh", "-c", fmt.Sprintf("mount %s %s && echo ready && read wait", device, point))
			return end, "mounted at " + point + ", seen by sh (pid "
		}},
		{"open in another process", func(t *testing.T, device string) (func(), string) {
			return helper(t, "sh", "-c", fmt.Sprintf("exec 3<>%s && echo ready && read wait", device)), "open in sh (pid "
		}},
		{"open under another name", func(t *testing.T, device string) (func(), string) {
			var st unix.Stat_t
			must(t, unix.Stat(device, &st))
			node := filepath.Join(t.TempDir(), "node")
			must(t, unix.Mknod(node, unix.S_IFBLK|0o600, int(st.Rdev)))
			return helper(t, "sh", "-c", fmt.Sprintf("exec 3<%s && echo ready && read wait", node)), "open in sh (pid "
		}},
		{"unmounted lazily with a file still open", func(t *testing.T, device string) (func(), string) {
			point := mount(t, device, "ext4")
			f, err := os.Open(filepath.Join(point, "lost+found"))
			must(t, err)
			must(t, unix.Unmount(point, unix.MNT_DETACH))
			return func() { f.Close() }, "claimed by a file system that no process sees"
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDisks(t)
			volume := create(t, d, 1)
			device := attach(t, d, volume, "s1")
			run(t, "mkfs.ext4", "-q", device)
			end, want := tt.use(t, device)
			if who := detach(t, d, volume, "s1"); !strings.Contains(who, want) {
				t.Errorf("in use: %q, want %q", who, want)
			}
			if _, err := os.Lstat(d.link(volume, "s1")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the server still shows the disk: %v", err)
			}
			// The device of the careless user is not handed out again.
			if again := attach(t, d, volume, "s1"); again == device {
				t.Errorf("attached as %s, which is in use since before the detach", again)
			}
			end()
			if who := detach(t, d, volume, "s1"); who != "" {
				t.Errorf("in use after its user has gone: %s", who)
			}
		})
	}
}

// helper runs a command until end is called; it has printed a line when helper returns.
func helper(t *testing.T, name string, args ...string) (end func()) {
	t.Helper()
	cmd := exec.Command(name, args...)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	end = sync.OnceFunc(func() {
		in.Close()
		_ = cmd.Wait() // sh's read fails at end of file
	})
	t.Cleanup(end)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return end
}

func TestManyVolumesAttachAtTheSameTime(t *testing.T) {
	const n = 20 // more than the kernel's eight static loop devices
	d := newDisks(t)
	other, err := New(d.dir) // a second instance shares no lock with the first: loop devices are raced for
	must(t, err)
	volumes := make([]string, n)
	var wg sync.WaitGroup
	failed := make([]error, n)
	for i := range n {
		volumes[i] = create(t, d, 1)
		wg.Go(func() {
			disks := d
			if i%2 == 1 {
				disks = other
			}
			failed[i] = disks.Attach(t.Context(), volumes[i], "s1")
		})
	}
	wg.Wait()
	must(t, errors.Join(failed...))
	seen := map[string]bool{}
	for _, volume := range volumes {
		device := deviceOf(t, d, volume, "s1")
		if seen[device] {
			t.Errorf("%s was given twice", device)
		}
		seen[device] = true
		backing, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(device), "loop/backing_file"))
		if err != nil || strings.TrimSpace(string(backing)) != d.volumeFile(volume) {
			t.Errorf("%s is over %s, %v", device, backing, err)
		}
	}
}

func TestDeleteRefusesAnAttachedVolume(t *testing.T) {
	d := newDisks(t)
	volume := create(t, d, 1)
	device := attach(t, d, volume, "s1")
	err := d.Delete(t.Context(), volume)
	if err == nil || !strings.Contains(err.Error(), "attached to server s1 as "+device) {
		t.Errorf("delete: %v", err)
	}
	if err := d.RemoveServer(t.Context(), "s1"); err == nil || !strings.Contains(err.Error(), volume) {
		t.Errorf("remove server: %v", err)
	}
	if got := size(t, device); got != GiB {
		t.Errorf("size %d", got)
	}
}

func TestCleanupReleasesWhatARemovedStateDirectoryLeft(t *testing.T) {
	d := newDisks(t)
	attach(t, d, create(t, d, 1), "s1")
	must(t, os.RemoveAll(d.dir))
	left, err := Leftovers(d.dir)
	must(t, err)
	if len(left) != 1 {
		t.Errorf("leftovers: %v, want one", left)
	}
	// newDisks asserts that Cleanup finds and releases it.
}

func TestCleanupNamesWhatIsStillInUse(t *testing.T) {
	d := newDisks(t)
	volume := create(t, d, 1)
	device := attach(t, d, volume, "s1")
	end := helper(t, "sh", "-c", fmt.Sprintf("exec 3<%s && echo ready && read wait", device))
	err := Cleanup(t.Context(), d.dir)
	if err == nil || !strings.Contains(err.Error(), volume) || !strings.Contains(err.Error(), "open in sh") {
		t.Errorf("cleanup: %v", err)
	}
	end()
}

func TestAnAttachThatWasCancelledTakesNoDevice(t *testing.T) {
	d := newDisks(t)
	volume := create(t, d, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Attach(ctx, volume, "s1"); !errors.Is(err, context.Canceled) {
		t.Errorf("attach: %v", err)
	}
	left, err := Leftovers(d.dir)
	must(t, err)
	if len(left) != 0 {
		t.Errorf("leftovers: %v", left)
	}
}

func TestIDsCannotLeaveTheStateDirectory(t *testing.T) {
	d, err := New(t.TempDir())
	must(t, err)
	for _, id := range []string{"", "..", "../x", "a/b", ".hidden", strings.Repeat("a", 37)} {
		if err := d.Create(t.Context(), id, 1); err == nil || !strings.Contains(err.Error(), "want 1 to 36") {
			t.Errorf("create %q: %v", id, err)
		}
		if err := d.Attach(t.Context(), "v1", id); err == nil {
			t.Errorf("attach to %q succeeded", id)
		}
	}
}

func TestParseMountPoints(t *testing.T) {
	const mountinfo = `27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 7:3 / /data\040disk/a\134b rw,relatime shared:5 - xfs /dev/loop3 rw
41 27 7:3 /sub /var/lib/kubelet/pods/x rw - xfs /dev/loop3 rw
42 27 7:33 / /other rw - xfs /dev/loop33 rw
`
	got := parseMountPoints(strings.NewReader(mountinfo), "7:3")
	if want := `/data disk/a\b,/var/lib/kubelet/pods/x`; strings.Join(got, ",") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
