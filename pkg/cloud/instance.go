package cloud

import "context"

// InstanceState is whether an instance runs.
type InstanceState string

// The states of an instance that a cluster has to tell apart.
const (
	InstanceBuilding InstanceState = "building"
	InstanceRunning  InstanceState = "running"
	InstanceStopped  InstanceState = "stopped" // powered off: nothing runs on it
	InstanceDeleted  InstanceState = "deleted"
	InstanceError    InstanceState = "error"
	InstanceUnknown  InstanceState = "unknown"
)

// AddressKind is where an instance's address is valid.
type AddressKind string

// The kinds of addresses.
const (
	AddressInternal AddressKind = "internal" // fixed, on one of the instance's networks
	AddressExternal AddressKind = "external" // floating or access address
)

// Address is one address of an instance.
type Address struct {
	Kind    AddressKind
	Network string // the network's name
	IP      string
}

// Instance is a machine of the cloud.
type Instance struct {
	ID        string
	Name      string
	State     InstanceState
	RawState  string
	Flavor    string // the flavor's name
	Zone      string
	Region    string
	Addresses []Address
}

// Instances is what a cloud tells of machines. Every method is one request (ListInstances: one per page).
type Instances interface {
	// GetInstance reads one instance, always from the cloud itself. ErrNotFound is proof of absence.
	GetInstance(ctx context.Context, id string) (Instance, error)
	// ListInstances reads all instances of the project. Absence from it is a hint, not proof.
	ListInstances(ctx context.Context) ([]Instance, error)
}
