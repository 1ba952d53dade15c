package lab

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/node"
	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

var controlPlane = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}

// Status says which parts of the lab run.
type Status struct {
	// Cloud is the name of the lab's cloud; "" if there is no lab.
	Cloud string
	// Programs of the host, and parts of the cloud, and whether they run.
	Programs map[string]bool
	// Nodes of the lab and whether they run.
	Nodes map[string]bool
	// Up says that `lab up` has succeeded.
	Up bool
}

// ReadStatus looks at the processes. A lab that is down has no nodes.
func ReadStatus() (Status, error) {
	status := Status{Nodes: map[string]bool{}}
	var err error
	if status.Programs, err = running(controlPlane...); err != nil {
		return Status{}, err
	}
	if status.Cloud, err = presentCloud(); err != nil || status.Cloud == "" {
		return status, err
	}
	parts, err := allClouds[status.Cloud].parts()
	if err != nil {
		return Status{}, err
	}
	maps.Copy(status.Programs, parts)
	raw, err := os.ReadFile(layout.UpFile)
	if errors.Is(err, os.ErrNotExist) {
		return status, nil
	}
	if err != nil {
		return Status{}, err
	}
	count, err := strconv.Atoi(string(raw))
	if err != nil {
		return Status{}, fmt.Errorf("%s: %w", layout.UpFile, err)
	}
	status.Up = true
	for _, place := range nodes(count) {
		status.Nodes[place.Name] = node.Running(place)
	}
	return status, nil
}

// running says which of the lab's processes on the host run.
func running(names ...string) (map[string]bool, error) {
	found := map[string]bool{}
	for _, name := range names {
		_, err := proc.Read(pidFile(name))
		if err != nil && !errors.Is(err, proc.ErrGone) {
			return nil, err
		}
		found[name] = err == nil
	}
	return found, nil
}

// Complete says that the lab was brought up and that every part runs.
func (s Status) Complete() bool {
	for _, parts := range []map[string]bool{s.Programs, s.Nodes} {
		for _, runs := range parts {
			if !runs {
				return false
			}
		}
	}
	return s.Up
}

// String has a line per part.
func (s Status) String() string {
	var out strings.Builder
	line := func(name string, runs bool) {
		word := "down"
		if runs {
			word = "up"
		}
		_, _ = fmt.Fprintf(&out, "%-26s %s\n", name, word)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Programs)) {
		line(name, s.Programs[name])
	}
	for i := 1; i <= layout.MaxNodes; i++ {
		if runs, known := s.Nodes[layout.NodeAt(i).Name]; known {
			line("node "+layout.NodeAt(i).Name, runs)
		}
	}
	return out.String()
}
