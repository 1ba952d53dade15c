package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/node"
	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

// Leftovers names everything of the lab that is on this machine now: processes, cgroups, network namespaces, links,
// routes, mounts, loop devices, directories. After Down it is empty.
func Leftovers() ([]string, error) {
	checks := []func() ([]string, error){
		leftProcesses, leftCgroups, leftNetNS, leftLinks, leftRoutes, leftMounts, leftLoops, leftFiles,
	}
	var all []string
	for _, check := range checks {
		found, err := check()
		if err != nil {
			return nil, err
		}
		sort.Strings(found)
		all = append(all, found...)
	}
	return all, nil
}

func leftProcesses() ([]string, error) {
	marked, err := proc.Marked(layout.MarkVariable)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, id := range marked {
		found = append(found, fmt.Sprintf("process %d (%s)", id.PID, id.Name()))
	}
	return found, nil
}

func leftCgroups() ([]string, error) {
	dirs, err := node.Cgroups(layout.CgroupPrefix)
	if err != nil {
		return nil, err
	}
	return prefixed("cgroup ", dirs), nil
}

func leftNetNS() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(layout.NetNSDir, layout.NetNSPrefix+"*"))
	return prefixed("network namespace ", files), err
}

func leftLinks() ([]string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var found []string
	for _, link := range links {
		name := link.Attrs().Name
		if name == layout.Bridge || strings.HasPrefix(name, layout.VethPrefix) {
			found = append(found, "link "+name)
		}
	}
	return found, nil
}

// leftRoutes finds routes and addresses of the lab's networks, on whatever device.
func leftRoutes() ([]string, error) {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, 0)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var found []string
	for _, route := range routes {
		if route.Dst == nil {
			continue
		}
		for _, ours := range []string{"10.200.0.", "10.201.", "10.202.", "172.30.0."} {
			if strings.HasPrefix(route.Dst.String(), ours) {
				found = append(found, "route "+route.Dst.String())
			}
		}
	}
	return slices.Compact(found), nil
}

func leftMounts() ([]string, error) {
	targets, err := labMounts()
	return prefixed("mount ", targets), err
}

// labMounts are the mount points of this namespace that are on, or show a part of, the lab's state.
func labMounts() ([]string, error) {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseMounts(string(raw)), nil
}

// parseMounts reads lines like "36 35 98:0 /root /target opts - ext4 /dev/sda opts".
func parseMounts(mountinfo string) []string {
	var found []string
	for line := range strings.Lines(mountinfo) {
		before, _, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 5 {
			continue
		}
		root, target := fields[3], fields[4]
		if within(root, layout.StateDir) || within(target, layout.StateDir) ||
			strings.HasPrefix(target, filepath.Join(layout.NetNSDir, layout.NetNSPrefix)) {
			found = append(found, target)
		}
	}
	return found
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func leftLoops() ([]string, error) {
	devices, err := loops()
	if err != nil {
		return nil, err
	}
	var found []string
	for device, file := range devices {
		found = append(found, fmt.Sprintf("loop device %s over %s", device, file))
	}
	return found, nil
}

// loops are the loop devices over files of the lab's state, with their files; a deleted file still counts.
func loops() (map[string]string, error) {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil { // detached meanwhile
			continue
		}
		if backing := strings.TrimSpace(string(raw)); within(backing, layout.StateDir) {
			name, _, _ := strings.Cut(strings.TrimPrefix(file, "/sys/block/"), "/")
			found["/dev/"+name] = backing
		}
	}
	return found, nil
}

func leftFiles() ([]string, error) {
	_, err := os.Stat(layout.StateDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return []string{"directory " + layout.StateDir}, err
}

func prefixed(prefix string, all []string) []string {
	var out []string
	for _, s := range all {
		out = append(out, prefix+s)
	}
	return out
}
