package csi

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/kubernetes-csi/csi-test/v5/pkg/sanity"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
	"github.com/fairlead-io/fairlead/pkg/disk"
	"github.com/fairlead-io/fairlead/pkg/disk/disktest"
)

// machine is a node whose disks are loop devices: the cloud plugs them in and out.
type machine struct {
	t   *testing.T
	dir string

	mu    sync.Mutex
	sizes map[string]int64
	loops map[string]*disktest.Loop
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, dir: t.TempDir(), sizes: map[string]int64{}, loops: map[string]*disktest.Loop{}}
	t.Cleanup(func() {
		for id := range m.loops {
			t.Errorf("disk %s is still attached", id)
			m.unplug(id, "")
		}
	})
	return m
}

func (m *machine) dev() string { return filepath.Join(m.dir, "dev") }

func (m *machine) plug(diskID, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	loop, err := disktest.Open(filepath.Join(m.dir, diskID), max(gib, m.sizes[diskID]))
	if err != nil {
		return err
	}
	m.loops[diskID] = loop
	return loop.Link(m.dev(), diskID)
}

func (m *machine) unplug(diskID, _ string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := disktest.Unlink(m.dev(), diskID); err != nil {
		m.t.Error(err)
	}
	if err := m.loops[diskID].Close(); err != nil {
		m.t.Errorf("detach disk %s: %v", diskID, err)
	}
	delete(m.loops, diskID)
}

func (m *machine) resize(diskID string, gibs int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sizes[diskID] = gibs * gib
	if loop := m.loops[diskID]; loop != nil {
		if err := loop.Resize(gibs * gib); err != nil {
			m.t.Errorf("grow disk %s: %v", diskID, err)
		}
	}
}

// TestSanity runs the community's conformance suite on controller and node together, with real disks and file systems.
func TestSanity(t *testing.T) {
	disktest.Require(t)
	node := newMachine(t)
	m := cloudtest.NewMemory(cloudtest.MemoryOptions{
		Work:      func(cloudtest.Op) time.Duration { return 20 * time.Millisecond },
		Instances: []cloud.Instance{{ID: inst1}},
		OnAttach:  node.plug, OnDetach: node.unplug, OnExtend: node.resize,
	})
	service, err := NewNode(NodeOptions{
		Host:        disk.NewHost(disk.Options{DevDir: node.dev(), StateDir: filepath.Join(node.dir, "state")}),
		Identify:    func(context.Context) (NodeIdentity, error) { return NodeIdentity{InstanceID: inst1, Zone: "az1"}, nil },
		TopologyKey: TopologyZone,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, ServerOptions{
		Identity:   &Identity{DriverName: DefaultDriverName, Version: "test", Controller: true},
		Controller: NewController(m, ControllerOptions{ClusterID: "c1"}),
		Node:       service,
	})
	config := sanity.NewTestConfig()
	config.Address = s.conn.Target()
	config.TargetPath = filepath.Join(node.dir, "target")
	config.StagingPath = filepath.Join(node.dir, "staging")
	config.TestVolumeSize = gib
	config.TestVolumeExpandSize = 2 * gib
	config.IdempotentCount = 3
	config.IDGen = ids{}
	sanity.Test(t, config)
	if left := m.Disks(); len(left) != 0 {
		t.Errorf("disks left: %+v", left)
	}
}

// ids are as the cloud's.
type ids struct{}

func (ids) GenerateUniqueValidVolumeID() string { return uuid.NewString() }
func (ids) GenerateInvalidVolumeID() string     { return "not-an-id" }
func (ids) GenerateUniqueValidNodeID() string   { return uuid.NewString() }
func (ids) GenerateInvalidNodeID() string       { return "not-an-id" }
