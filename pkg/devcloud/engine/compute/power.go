package compute

import (
	"context"

	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// taskSync is one task for all nodes that never ends, under a key of its own.
const taskSync = "server.sync_power"

// scheduleSync begins to compare the nodes with their processes, unless the state file says that it goes on already.
func (s *Service) scheduleSync(tx *engine.Tx) error {
	if s.opts.PowerSync <= 0 || s.engine.Pending(tx, taskSync) {
		return nil
	}
	return s.engine.ScheduleIn(tx, s.opts.PowerSync, taskSync, taskSync, nil)
}

// syncPower finds nodes that died by themselves, as Nova's periodic task of that name does for its servers.
func (s *Service) syncPower(ctx context.Context, _ engine.Task) error {
	if s.opts.PowerSync <= 0 {
		return nil // was configured before a restart, and is no more
	}
	for _, v := range s.settledNodes() {
		runs, err := s.host.Hypervisor.Running(ctx, v.ID)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			klog.FromContext(ctx).Error(err, "Whether a node runs is unknown", "server", v.ID, "name", v.Name)
		}
		if err != nil || runs {
			continue
		}
		if err := s.died(ctx, v); err != nil {
			return err
		}
	}
	return engine.Again(s.opts.PowerSync)
}

// settledNodes are the nodes that should run and that no operation is changing.
func (s *Service) settledNodes() (nodes []Server) {
	_ = s.engine.View(func(tx *engine.Tx) error {
		nodes = s.servers.Where(tx, func(v Server) bool {
			return v.IsNode() && v.Status == Active && v.Task == taskNone
		})
		return nil
	})
	return nodes
}

// died asks for a stop of a node that was seen dead, as Nova does: that also sweeps up what the node left behind. A node
// with a task or touched since it was seen may have died by request or live again, and is looked at the next time.
func (s *Service) died(ctx context.Context, seen Server) error {
	return s.engine.Update(func(tx *engine.Tx) error {
		v, ok := s.servers.Get(tx, seen.ID)
		if !ok || !v.Updated.Equal(seen.Updated) || s.engine.Pending(tx, v.ID) {
			return nil
		}
		klog.FromContext(ctx).Info("Node died by itself and is stopped", "server", v.ID, "name", v.Name)
		return s.Stop(tx, v.ProjectID, v.ID)
	})
}
