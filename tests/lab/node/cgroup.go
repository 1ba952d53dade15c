package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// A hierarchy is one mounted tree of cgroups: several on cgroup v1, one on v2.
type hierarchy struct {
	dir     string
	unified bool // v2
	cpuset  bool // v1: a new cgroup has no processors until it is given some
}

// hierarchies finds the machine's cgroup trees.
func hierarchies() ([]hierarchy, error) {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	found := parseHierarchies(string(raw))
	if len(found) == 0 {
		return nil, errors.New("no cgroup file system is mounted below /sys/fs/cgroup")
	}
	return found, nil
}

// controlled leaves out a v2 tree beside v1 trees: it has no controllers. (runc makes cgroups in it all the same.)
func controlled(trees []hierarchy) []hierarchy {
	v1 := slices.DeleteFunc(slices.Clone(trees), func(tree hierarchy) bool { return tree.unified })
	if len(v1) > 0 {
		return v1
	}
	return trees
}

func parseHierarchies(mountinfo string) []hierarchy {
	var found []hierarchy
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 || !strings.HasPrefix(left[4], "/sys/fs/cgroup") {
			continue
		}
		switch right[0] {
		case "cgroup":
			found = append(found, hierarchy{dir: left[4], cpuset: slices.Contains(strings.Split(right[2], ","), "cpuset")})
		case "cgroup2":
			found = append(found, hierarchy{dir: left[4], unified: true})
		}
	}
	return found
}

// initCgroup is the leaf for the node's own programs; pods come beside it.
const initCgroup = "sys"

// makeCgroup makes the cgroup name and its leaf in every hierarchy with controllers.
func makeCgroup(name string) error {
	trees, err := hierarchies()
	if err != nil {
		return err
	}
	for _, tree := range controlled(trees) {
		for _, dir := range []string{filepath.Join(tree.dir, name), filepath.Join(tree.dir, name, initCgroup)} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			if !tree.cpuset {
				continue
			}
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				if err := copyFile(filepath.Join(filepath.Dir(dir), file), filepath.Join(dir, file)); err != nil {
					return err
				}
			}
		}
		if tree.unified {
			if err := delegate(tree.dir, filepath.Join(tree.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// delegate enables on v2 every controller of the root for the children of dir, down the path.
func delegate(root, dir string) error {
	raw, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return err
	}
	enable := "+" + strings.Join(strings.Fields(string(raw)), " +")
	for _, at := range []string{root, dir} {
		if err := os.WriteFile(filepath.Join(at, "cgroup.subtree_control"), []byte(enable), 0); err != nil {
			return fmt.Errorf("delegate cgroup controllers: %w", err)
		}
	}
	return nil
}

func copyFile(from, to string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, raw, 0o644)
}

// enterCgroup moves this process into the leaf of the cgroup name, in every hierarchy.
func enterCgroup(name string) error {
	trees, err := hierarchies()
	if err != nil {
		return err
	}
	for _, tree := range controlled(trees) {
		if err := os.WriteFile(filepath.Join(tree.dir, name, initCgroup, "cgroup.procs"), []byte("0"), 0); err != nil {
			return fmt.Errorf("enter cgroup: %w", err)
		}
	}
	return nil
}

// Cgroups lists the directories of the lab's cgroups whose name begins so, in every hierarchy.
func Cgroups(prefix string) ([]string, error) {
	trees, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, tree := range trees {
		dirs, err := filepath.Glob(filepath.Join(tree.dir, prefix+"*"))
		if err != nil {
			return nil, err
		}
		found = append(found, dirs...)
	}
	return found, nil
}

// removeCgroup kills what is left in the cgroup name and removes it from every hierarchy.
func removeCgroup(ctx context.Context, name string) error {
	trees, err := hierarchies()
	if err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 15*time.Second, true, func(context.Context) (bool, error) {
		last = nil
		for _, tree := range trees {
			last = errors.Join(last, removeTree(filepath.Join(tree.dir, name)))
		}
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("remove cgroup %s: %w", name, errors.Join(last, err))
	}
	return nil
}

// removeTree kills the members and removes directories from the leaves up; files of cgroups go with them.
func removeTree(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, path := range slices.Backward(dirs) {
		for _, pid := range members(path) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("rmdir %s: %w", path, err)
		}
	}
	return nil
}

// members are the processes in one cgroup directory, as this PID namespace sees them.
func members(dir string) []int {
	raw, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var pids []int
	for line := range strings.Lines(string(raw)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}
