// Package compute is the embedded cloud's Nova without its HTTP: servers through their states, their ports and volumes.
// A server whose metadata has the key NodeKey is a node of the lab: its power is real, through the Hypervisor.
package compute

import (
	"context"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/hypervisor"
)

// NodeKey is the metadata key of servers behind which the hypervisor starts processes.
const NodeKey = "lab.fairlead.io:node"

// Status is a server's status in Nova's words.
type Status string

// The states of a server.
const (
	Build   Status = "BUILD"
	Active  Status = "ACTIVE"
	Shutoff Status = "SHUTOFF"
	Failed  Status = "ERROR"
)

// Statuses are those that Nova lists servers by, the ones included that servers of this cloud never have.
var Statuses = []Status{
	Active, Build, "DELETED", Failed, "HARD_REBOOT", "MIGRATING", "PASSWORD", "PAUSED", "REBOOT", "REBUILD", "RESCUE", "RESIZE",
	"REVERT_RESIZE", "SHELVED", "SHELVED_OFFLOADED", Shutoff, "SOFT_DELETED", "SUSPENDED", "UNKNOWN", "VERIFY_RESIZE",
}

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
	Images  []string // the ids of those that servers may be made of; a server may also have none
	Zones   []string
	Quota   Quota
	// PowerSync is how often is looked whether the nodes still run; 0 or less: never.
	PowerSync time.Duration
}

// DiskDirs are the directories on the host that servers see as /dev/disk.
type DiskDirs interface {
	ServerDiskDir(serverID string) (string, error)
	// RemoveServer forgets a server that is deleted; all its volumes have left.
	RemoveServer(ctx context.Context, serverID string) error
}

// Host is what stands behind servers.
type Host struct {
	Hypervisor Hypervisor
	Metadata   Metadata
	DiskDirs   DiskDirs
}

// NullHost is nothing: for simulations of thousands of servers.
func NullHost() Host { return Host{nullHypervisor{}, nullMetadata{}, nullDiskDirs{}} }

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

type nullHypervisor struct{}

func (nullHypervisor) Start(context.Context, hypervisor.Server) (hypervisor.Started, error) {
	return hypervisor.Started{}, nil
}
func (nullHypervisor) Stop(context.Context, string) error            { return nil }
func (nullHypervisor) Running(context.Context, string) (bool, error) { return true, nil }

type nullMetadata struct{}

func (nullMetadata) Serve(context.Context, string, string) error { return nil }
func (nullMetadata) Stop(string)                                 {}

type nullDiskDirs struct{}

func (nullDiskDirs) ServerDiskDir(string) (string, error)       { return "", nil }
func (nullDiskDirs) RemoveServer(context.Context, string) error { return nil }
