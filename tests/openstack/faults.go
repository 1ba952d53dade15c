package openstack

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// A Fault is what an operation of a service's driver is told to do.
//
// Operations: cinder.{create_volume, delete_volume, create_snapshot, delete_snapshot, extend_volume, retype, create_export,
// initialize_connection, terminate_connection} and nova.{spawn, attach_volume, detach_volume, extend_volume},
// octavia.update_load_balancer (the work on a load balancer that is PENDING_UPDATE).
// octavia.children_stuck is special: the project keeps Debian's defect that a load balancer which is created together with
// its listeners leaves them in PENDING_CREATE.
type Fault struct {
	// Sleep is how long the operation is held up.
	Sleep time.Duration
	// Hold holds it up until Heal; without Times.
	Hold bool
	// Fail makes it fail, with this message.
	Fail string
	// Times is how often the fault strikes; 0: until Heal.
	Times int
	// Project is the id of the project that it strikes; empty: every project.
	Project string
}

// Inject makes the fault strike from now on, in place of an earlier one of that operation and project.
func Inject(operation string, f Fault) error {
	spec := map[string]any{}
	if f.Sleep > 0 {
		spec["sleep"] = f.Sleep.Seconds()
	}
	if f.Hold {
		spec["hold"] = true
	}
	if f.Fail != "" {
		spec["fail"] = f.Fail
	}
	if f.Times > 0 {
		spec["times"] = f.Times
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	name := operation
	if f.Project != "" {
		name += "@" + f.Project
	}
	return writeFile(path("faults", name), text)
}

// Heal removes the faults of a project; of all, and those for every project, if it is empty.
func Heal(project string) error {
	pattern := "*"
	if project != "" {
		pattern += "@" + project
	}
	files, err := filepath.Glob(path("faults", pattern))
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range files {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
