package cloudtest

import (
	"context"
	"slices"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

func copyInstance(i *cloud.Instance) cloud.Instance {
	c := *i
	c.Addresses = slices.Clone(i.Addresses)
	return c
}

// GetInstance implements cloud.Instances.
func (m *Memory) GetInstance(ctx context.Context, id string) (instance cloud.Instance, err error) {
	err = m.do(ctx, OpGetInstance, id, func() error {
		i, ok := m.instances[id]
		if !ok {
			return cloud.ErrNotFound
		}
		instance = copyInstance(i)
		return nil
	})
	return instance, err
}

// ListInstances implements cloud.Instances.
func (m *Memory) ListInstances(ctx context.Context) (instances []cloud.Instance, err error) {
	err = m.do(ctx, OpListInstances, "", func() error {
		for _, id := range sortedKeys(m.instances) {
			instances = append(instances, copyInstance(m.instances[id]))
		}
		return nil
	})
	return instances, err
}

// PutInstance adds or replaces an instance.
func (m *Memory) PutInstance(i cloud.Instance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := copyInstance(&i)
	m.instances[i.ID] = &c
}

// DropInstance deletes an instance; its disks become available, as when a server is deleted.
func (m *Memory) DropInstance(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	delete(m.instances, id)
	for _, d := range m.disks {
		if hasAttachment(d, id) {
			m.dropAttachment(d, id)
			setDisk(d, rest(d))
		}
	}
}
