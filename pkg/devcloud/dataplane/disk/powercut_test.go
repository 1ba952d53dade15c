package disk

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A node that loses its power loses its mounts in all the mount namespaces of its containers; a detach that comes right
// after must not mistake what is being torn down for a careless user.
func TestAPowerCutLeavesNoUser(t *testing.T) {
	for _, fstype := range []string{"ext4", "xfs"} {
		t.Run(fstype, func(t *testing.T) {
			d := newDisks(t)
			volume := create(t, d, 1)
			device := attach(t, d, volume, "n1")
			run(t, "mkfs."+fstype, "-q", device)
			cut := startNode(t, device, t.TempDir())
			cut()
			if who := detach(t, d, volume, "n1"); who != "" {
				t.Errorf("in use: %s", who)
			}
			point := mount(t, attach(t, d, volume, "n2"), fstype)
			if _, err := os.Stat(filepath.Join(point, "row")); err != nil {
				t.Error(err)
			}
			must(t, syscall.Unmount(point, 0))
		})
	}
}

// startNode runs a process tree in its own pid namespace, which has the device mounted in two mount namespaces and
// writes to it, until cut kills its init.
func startNode(t *testing.T, device, point string) (cut func()) {
	t.Helper()
	container := fmt.Sprintf("exec 3>%s/row; echo ready; while :; do echo row >&3; done", point)
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
		fmt.Sprintf("mount %s %s; unshare --mount sh -c '%s'; :", device, point, container))
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
	must(t, err)
	var init int
	_, err = fmt.Sscan(strings.TrimSpace(string(children)), &init)
	must(t, err)
	return func() {
		must(t, syscall.Kill(init, syscall.SIGKILL))
		_ = cmd.Wait() // unshare ends when init has been reaped
	}
}

func BenchmarkAttachDetach(b *testing.B) {
	d, err := New(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	if err := d.Create(b.Context(), "v1", 1); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := d.Attach(b.Context(), "v1", "s1"); err != nil {
			b.Fatal(err)
		}
		if _, err := d.Detach(b.Context(), "v1", "s1"); err != nil {
			b.Fatal(err)
		}
	}
}
