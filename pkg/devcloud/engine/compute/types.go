// Package compute is the embedded cloud's Nova without its HTTP: servers through their states, their ports and volumes.
// A server whose metadata has the key NodeKey is a node of the lab: its power is real, through the Hypervisor.
package compute

import (
	"context"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/hypervisor"
)

// NodeKey is the metadata key of servers behind which the hypervisor starts processes.
const NodeKey = "lab.fairlead.io/node"

// Status is a server's status in Nova's words.
type Status string

// The states of a server.
const (
	Build   Status = "BUILD"
	Active  Status = "ACTIVE"
	Shutoff Status = "SHUTOFF"
	Failed  Status = "ERROR"
)

// The operations under way on a server, in Nova's words.
const (
	taskNone        = ""
	TaskSpawning    = "spawning"
	TaskPoweringOff = "powering-off"
	TaskPoweringOn  = "powering-on"
	TaskDeleting    = "deleting"
)

// Server is one server.
type Server struct {
	ID, ProjectID, UserID string
	Name                  string
	Description           *string
	Status                Status
	Task                  string // one of the Task constants, or empty
	Fault                 string // why it is in ERROR
	Flavor                Flavor
	ImageID               string // empty: none
	Zone                  string
	KeyName               string
	Metadata              map[string]string
	SecurityGroups        []string // names
	Tags                  []string
	BorrowedPorts         []string // were there before it and stay behind it
	Created, Updated      time.Time
	Launched              time.Time
}

// IsNode reports whether the server's power is real.
func (s Server) IsNode() bool {
	_, ok := s.Metadata[NodeKey]
	return ok
}

// Flavor is a size of servers.
type Flavor struct {
	ID, Name string
	VCPUs    int
	RAMMiB   int
	DiskGiB  int
}

// Quota bounds a project; a negative number does not.
type Quota struct {
	Instances int
	Cores     int
	RAMMiB    int
	// VolumesPerServer is how many volumes one server may have; 0 or less is no limit.
	VolumesPerServer int
}

// Options configure the service.
type Options struct {
	Flavors []Flavor
	Zones   []string
	Quota   Quota
	// DiskDir is the directory on the host that a server sees as /dev/disk.
	DiskDir func(serverID string) string
}

// Hypervisor is what stands behind the servers that are nodes. All methods are idempotent.
type Hypervisor interface {
	Start(ctx context.Context, s hypervisor.Server) (hypervisor.Started, error)
	Stop(ctx context.Context, id string) error
	Running(ctx context.Context, id string) (bool, error)
}

// Metadata serves 169.254.169.254 inside a server's network namespace.
type Metadata interface {
	// Serve begins to serve, or goes on; netns is a path.
	Serve(ctx context.Context, serverID, netns string) error
	Stop(serverID string)
}

// NullHypervisor starts nothing: for simulations of thousands of servers.
type NullHypervisor struct{}

// Start implements Hypervisor.
func (NullHypervisor) Start(context.Context, hypervisor.Server) (hypervisor.Started, error) {
	return hypervisor.Started{}, nil
}

// Stop implements Hypervisor.
func (NullHypervisor) Stop(context.Context, string) error { return nil }

// Running implements Hypervisor.
func (NullHypervisor) Running(context.Context, string) (bool, error) { return true, nil }

// NullMetadata serves nothing.
type NullMetadata struct{}

// Serve implements Metadata.
func (NullMetadata) Serve(context.Context, string, string) error { return nil }

// Stop implements Metadata.
func (NullMetadata) Stop(string) {}
