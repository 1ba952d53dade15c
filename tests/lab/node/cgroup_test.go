package node

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseHierarchies(t *testing.T) {
	const (
		root    = "22 1 253:0 / / rw - ext4 /dev/vda rw\n"
		cpu     = "30 29 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:5 - cgroup cgroup rw,cpu,cpuacct\n"
		cpuset  = "31 29 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset,clone_children\n"
		named   = "32 29 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
		beside  = "33 29 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		unified = "34 22 0:30 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
		foreign = "35 22 0:31 / /mnt/cgroup rw - cgroup2 cgroup2 rw\n"
	)
	tests := []struct {
		name, mountinfo  string
		all, controllers []string
	}{
		{"cgroup v1", root + cpu + cpuset + named, []string{"cpu,cpuacct", "cpuset", "systemd"}, []string{"cpu,cpuacct", "cpuset", "systemd"}},
		{"cgroup v1 with v2 beside it", root + cpuset + beside, []string{"cpuset", "unified"}, []string{"cpuset"}},
		{"cgroup v2", root + unified, []string{"cgroup"}, []string{"cgroup"}},
		{"a mount elsewhere does not count", root + foreign, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			names := func(trees []hierarchy) (out []string) {
				for _, tree := range trees {
					out = append(out, filepath.Base(tree.dir))
					if (filepath.Base(tree.dir) == "cpuset") != tree.cpuset {
						t.Errorf("%s: cpuset is %t", tree.dir, tree.cpuset)
					}
				}
				return out
			}
			trees := parseHierarchies(tt.mountinfo)
			if diff := cmp.Diff(tt.all, names(trees)); diff != "" {
				t.Errorf("all: %s", diff)
			}
			if diff := cmp.Diff(tt.controllers, names(controlled(trees))); diff != "" {
				t.Errorf("with controllers: %s", diff)
			}
		})
	}
}

// TestRemoveCgroupKillsItsMembers is done on the machine's real cgroups.
func TestRemoveCgroupKillsItsMembers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("cgroups need root")
	}
	name := fmt.Sprintf("labtest-%d", os.Getpid())
	t.Cleanup(func() { _ = removeCgroup(t.Context(), name) })
	if err := makeCgroup(name); err != nil {
		t.Fatal(err)
	}
	sleep := exec.Command("sleep", "1000")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	trees, err := hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	for _, tree := range controlled(trees) {
		pods := filepath.Join(tree.dir, name, "kubepods", "pod1")
		if err := os.MkdirAll(pods, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	leaf := filepath.Join(controlled(trees)[0].dir, name, initCgroup)
	if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), fmt.Append(nil, sleep.Process.Pid), 0); err != nil {
		t.Fatal(err)
	}
	found, err := Cgroups(name)
	if err != nil || len(found) < len(controlled(trees)) {
		t.Errorf("found %v, %v", found, err)
	}
	if err := removeCgroup(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if found, _ := Cgroups(name); len(found) != 0 {
		t.Errorf("left: %v", found)
	}
	_ = sleep.Wait()
	status, ok := sleep.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("the member ended by %v", sleep.ProcessState)
	}
	if err := removeCgroup(t.Context(), name); err != nil {
		t.Errorf("removing again: %v", err)
	}
}
