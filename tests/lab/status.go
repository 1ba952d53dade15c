package lab

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/node"
	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

var (
	controlPlane = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
	hostPrograms = append([]string{devcloudName}, controlPlane...)
)

// Status says which parts of the lab run.
type Status struct {
	// Programs of the host and whether they run.
	Programs map[string]bool
	// Nodes of the lab and whether they run.
	Nodes map[string]bool
	// Up says that `lab up` has succeeded.
	Up bool
}

// ReadStatus looks at the processes. A lab that is down has no nodes.
func ReadStatus() (Status, error) {
	status := Status{Programs: map[string]bool{}, Nodes: map[string]bool{}}
	for _, name := range hostPrograms {
		_, err := proc.Read(pidFile(name))
		if err != nil && !errors.Is(err, proc.ErrGone) {
			return Status{}, err
		}
		status.Programs[name] = err == nil
	}
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
	if count == 0 {
		delete(status.Programs, devcloudName)
	}
	for _, place := range nodes(count) {
		status.Nodes[place.Name] = node.Running(place)
	}
	return status, nil
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
	for _, name := range hostPrograms {
		if runs, known := s.Programs[name]; known {
			line(name, runs)
		}
	}
	for i := 1; i <= layout.MaxNodes; i++ {
		if runs, known := s.Nodes[layout.NodeAt(i).Name]; known {
			line("node "+layout.NodeAt(i).Name, runs)
		}
	}
	return out.String()
}
