package openstack

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

// Status says which services of the stack run.
type Status struct {
	// WasUp says that Up succeeded once on this state, in this boot of the machine.
	WasUp    bool
	Services []ServiceStatus
}

// ServiceStatus is one of them.
type ServiceStatus struct {
	Name string
	Runs bool
}

// ReadStatus looks at the processes.
func ReadStatus() (Status, error) {
	var status Status
	boot, err := bootID()
	if err != nil {
		return Status{}, err
	}
	made, err := os.ReadFile(upFile())
	status.WasUp = err == nil && bytes.Equal(made, boot)
	for _, u := range append(backing(), services()...) {
		_, err := proc.Read(pidFile(u.name))
		if err != nil && !errors.Is(err, proc.ErrGone) {
			return Status{}, err
		}
		if u.args != nil {
			status.Services = append(status.Services, ServiceStatus{Name: u.name, Runs: err == nil})
		}
	}
	return status, nil
}

// Complete says that the stack was brought up and that every service runs.
func (s Status) Complete() bool { return s.WasUp && len(s.dead()) == 0 }

func (s Status) dead() []string {
	var names []string
	for _, service := range s.Services {
		if !service.Runs {
			names = append(names, service.Name)
		}
	}
	return names
}

// String has a line per service.
func (s Status) String() string {
	var out strings.Builder
	for _, service := range s.Services {
		word := "down"
		if service.Runs {
			word = "up"
		}
		_, _ = fmt.Fprintf(&out, "%-22s %s\n", service.Name, word)
	}
	return out.String()
}
