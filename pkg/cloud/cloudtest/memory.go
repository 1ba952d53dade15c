// Package cloudtest has what tests of cloud users and cloud providers need: an in-memory cloud, and the conformance
// suite that every provider passes.
package cloudtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"k8s.io/utils/clock"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// Op is one method of cloud.Cloud. Its text is the Op of the errors.
type Op string

// The operations. The reads begin with "get", "list" or "ping".
const (
	OpPing Op = "ping"

	OpCreateDisk Op = "create disk"
	OpGetDisk    Op = "get disk"
	OpListDisks  Op = "list disks"
	OpDeleteDisk Op = "delete disk"
	OpExtendDisk Op = "extend disk"
	OpAttachDisk Op = "attach disk"
	OpDetachDisk Op = "detach disk"
	OpDiskTypes  Op = "list disk types"
	OpDiskZones  Op = "list disk zones"

	OpGetInstance   Op = "get instance"
	OpListInstances Op = "list instances"

	OpCreateLoadBalancer   Op = "create load balancer"
	OpGetLoadBalancer      Op = "get load balancer"
	OpGetLoadBalancerState Op = "get load balancer state"
	OpGetLoadBalancerParts Op = "get load balancer parts"
	OpListLoadBalancers    Op = "list load balancers"
	OpSetLoadBalancerTags  Op = "set load balancer tags"
	OpDeleteLoadBalancer   Op = "delete load balancer"
	OpCreateListener       Op = "create listener"
	OpUpdateListener       Op = "update listener"
	OpDeleteListener       Op = "delete listener"
	OpCreatePool           Op = "create pool"
	OpUpdatePool           Op = "update pool"
	OpDeletePool           Op = "delete pool"
	OpSetMembers           Op = "set members"
	OpCreateMonitor        Op = "create monitor"
	OpUpdateMonitor        Op = "update monitor"
	OpDeleteMonitor        Op = "delete monitor"

	OpListNetworks        Op = "list networks"
	OpListSubnets         Op = "list subnets"
	OpListFloatingIPs     Op = "list floating IPs"
	OpCreateFloatingIP    Op = "create floating IP"
	OpAssociateFloatingIP Op = "associate floating IP"
	OpDeleteFloatingIP    Op = "delete floating IP"
)

// reads are the operations that change nothing.
var reads = map[Op]bool{
	OpPing: true, OpGetDisk: true, OpListDisks: true, OpDiskTypes: true, OpDiskZones: true,
	OpGetInstance: true, OpListInstances: true,
	OpGetLoadBalancer: true, OpGetLoadBalancerState: true, OpGetLoadBalancerParts: true,
	OpListLoadBalancers: true, OpListNetworks: true, OpListSubnets: true, OpListFloatingIPs: true,
}

// Quota limits what the memory cloud gives. Zero fields do not limit.
type Quota struct {
	Disks            int
	GiB              int64
	DisksPerInstance int
	LoadBalancers    int
	FloatingIPs      int
}

// MemoryOptions describe a memory cloud. The zero value has two zones, two disk types (the second multiattach), a
// private and an external network, no instances, no quota, and works in no time.
type MemoryOptions struct {
	Clock clock.Clock // nil: the real one
	// Work is how long the cloud works on an accepted operation (a disk is creating, a balancer pending). It is called
	// once per operation and may draw at random. nil: no time at all; even then an operation is seen as done by the
	// next call only.
	Work func(Op) time.Duration
	// Latency is how long the answer of a call takes. nil: none.
	Latency func(Op) time.Duration

	Region           string
	Zones            []string
	DiskTypes        []string
	MultiattachTypes []string // those of DiskTypes whose disks are multiattach
	Instances        []cloud.Instance
	Networks         []cloud.Network
	Subnets          []cloud.Subnet
	Quota            Quota

	// UnfinishedTrees is a defect of some clouds: a balancer that is created with its parts becomes active, and its parts
	// stay pending until each is written to again.
	UnfinishedTrees bool

	// OnAttach and OnDetach are called when an attachment is completed or has ended, under the cloud's lock: a test of
	// the node's side makes the device appear there. An error of OnAttach fails the attach.
	OnAttach func(diskID, instanceID string) error
	OnDetach func(diskID, instanceID string)
	// OnExtend is called when a disk has got its new size.
	OnExtend func(diskID string, sizeGiB int64)
}

// The networks of a memory cloud that was not told otherwise.
const (
	PrivateNetworkID  = "6f9bd2d6-0000-4000-8000-000000000001"
	PrivateSubnetID   = "6f9bd2d6-0000-4000-8000-000000000002"
	ExternalNetworkID = "6f9bd2d6-0000-4000-8000-000000000003"
	ExternalSubnetID  = "6f9bd2d6-0000-4000-8000-000000000004"
)

// Memory is a cloud in memory. What a real cloud does in the background it does by the clock: every call first brings
// the state up to the present. It is safe for concurrent use and starts no goroutine.
type Memory struct {
	opts  MemoryOptions
	clock clock.Clock

	mu        sync.Mutex
	disks     map[string]*cloud.Disk
	instances map[string]*cloud.Instance
	balancers map[string]*cloud.LoadBalancer
	// unfinished are the ids of the parts that were left pending: see MemoryOptions.UnfinishedTrees.
	unfinished map[string]bool
	stuck      map[string]bool // those that stay so: see LeaveUnfinished
	fips       map[string]*cloud.FloatingIP
	addresses  map[string]int // addresses given out so far, by subnet

	jobs  []job
	seq   int
	calls []Call
	rules []*rule
	hook  func(Call, Phase) error
}

var _ cloud.Cloud = (*Memory)(nil)

// job is work of the cloud that ends at a time.
type job struct {
	due time.Time
	seq int
	run func()
}

// NewMemory makes a cloud.
func NewMemory(opts MemoryOptions) *Memory {
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Zones == nil {
		opts.Zones = []string{"az1", "az2"}
	}
	if opts.DiskTypes == nil {
		opts.DiskTypes, opts.MultiattachTypes = []string{"standard", "multiattach"}, []string{"multiattach"}
	}
	if opts.Networks == nil {
		opts.Networks = []cloud.Network{
			{ID: PrivateNetworkID, Name: "private", SubnetIDs: []string{PrivateSubnetID}},
			{ID: ExternalNetworkID, Name: "public", External: true, SubnetIDs: []string{ExternalSubnetID}},
		}
		opts.Subnets = []cloud.Subnet{
			{ID: PrivateSubnetID, Name: "private-subnet", NetworkID: PrivateNetworkID, CIDR: "10.200.0.0/24", IPVersion: 4},
			{ID: ExternalSubnetID, Name: "public-subnet", NetworkID: ExternalNetworkID, CIDR: "172.30.0.0/24", IPVersion: 4},
		}
	}
	m := &Memory{
		opts:      opts,
		clock:     opts.Clock,
		disks:     map[string]*cloud.Disk{},
		instances: map[string]*cloud.Instance{},
		balancers: map[string]*cloud.LoadBalancer{}, unfinished: map[string]bool{}, stuck: map[string]bool{},
		fips:      map[string]*cloud.FloatingIP{},
		addresses: map[string]int{},
	}
	for _, i := range opts.Instances {
		m.instances[i.ID] = &i
	}
	return m
}

// Region implements cloud.Cloud.
func (m *Memory) Region() string { return m.opts.Region }

// Ping implements cloud.Cloud.
func (m *Memory) Ping(ctx context.Context) error {
	return m.do(ctx, OpPing, "", func() error { return nil })
}

// Next is when the cloud's next background work ends; ok is false when it rests. A test with a virtual clock steps
// there.
func (m *Memory) Next() (at time.Time, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range m.jobs {
		if !ok || j.due.Before(at) {
			at, ok = j.due, true
		}
	}
	return at, ok
}

// do is the frame of every call: it counts, injects faults, brings the state up to date, runs the effect, and answers
// after the latency. A call whose context ends while the answer is under way has had its effect.
func (m *Memory) do(ctx context.Context, op Op, object string, effect func() error) error {
	if err := ctx.Err(); err != nil {
		return &cloud.Error{Kind: cloud.ErrUnavailable, Op: string(op), Object: object, Err: err}
	}
	n, err := m.locked(op, object, effect)
	if m.opts.Latency != nil {
		if werr := m.wait(ctx, m.opts.Latency(op)); werr != nil {
			kind := cloud.ErrOutcomeUnknown
			if reads[op] {
				kind = cloud.ErrUnavailable
			}
			return &cloud.Error{Kind: kind, Op: string(op), Object: object, Err: werr}
		}
	}
	if err == nil {
		cloud.Accepted(ctx, fmt.Sprint("call-", n))
	}
	return asError(op, object, err)
}

func (m *Memory) locked(op Op, object string, effect func() error) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	call := Call{N: len(m.calls) + 1, Op: op, Object: object}
	m.calls = append(m.calls, call)
	m.settle()
	if err := m.fault(call, Before); err != nil {
		return call.N, err
	}
	err = effect()
	if ferr := m.fault(call, After); ferr != nil {
		return call.N, ferr
	}
	return call.N, err
}

func (m *Memory) wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := m.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		return nil
	}
}

// asError dresses a failure as a provider does.
func asError(op Op, object string, err error) error {
	var known *cloud.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	for _, kind := range []error{
		cloud.ErrNotFound, cloud.ErrExhausted, cloud.ErrConflict, cloud.ErrBusy, cloud.ErrInvalid,
		cloud.ErrUnauthorized, cloud.ErrUnavailable, cloud.ErrOutcomeUnknown, cloud.ErrFailed,
	} {
		if errors.Is(err, kind) {
			e := &cloud.Error{Kind: kind, Op: string(op), Object: object}
			if err.Error() != kind.Error() {
				e.Message = err.Error()
			}
			return e
		}
	}
	return &cloud.Error{Kind: cloud.ErrUnavailable, Op: string(op), Object: object, Err: err}
}

// refuse is a failure of a kind, in words.
func refuse(kind error, format string, args ...any) error {
	return &refusal{kind: kind, text: fmt.Sprintf(format, args...)}
}

type refusal struct {
	kind error
	text string
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.kind }

// settle does the background work that is due, in the order in which it ended.
func (m *Memory) settle() {
	now := m.clock.Now()
	for {
		next := -1
		for i, j := range m.jobs {
			if j.due.After(now) {
				continue
			}
			if next < 0 || j.due.Before(m.jobs[next].due) || j.due.Equal(m.jobs[next].due) && j.seq < m.jobs[next].seq {
				next = i
			}
		}
		if next < 0 {
			return
		}
		j := m.jobs[next]
		m.jobs = slices.Delete(m.jobs, next, next+1)
		j.run()
	}
}

// work begins background work of an operation; done is told whether it is to fail.
func (m *Memory) work(op Op, done func(failed bool)) {
	var d time.Duration
	if m.opts.Work != nil {
		d = m.opts.Work(op)
	}
	failed := m.workFails(op)
	m.seq++
	m.jobs = append(m.jobs, job{due: m.clock.Now().Add(d), seq: m.seq, run: func() { done(failed) }})
}

func newID() string { return uuid.NewString() }

func sortedKeys[T any](rows map[string]*T) []string { return slices.Sorted(maps.Keys(rows)) }
