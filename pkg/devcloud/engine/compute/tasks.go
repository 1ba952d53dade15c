package compute

import (
	"context"
	"fmt"
	"time"

	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/hypervisor"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

const (
	taskCreate = "server.create"
	taskStart  = "server.start"
	taskStop   = "server.stop"
	taskDelete = "server.delete"
	taskResume = "server.resume" // at once after devcloud's start
)

// evictPoll is how often a deletion looks whether the server's volumes have left.
const evictPoll = 50 * time.Millisecond

type onServer struct{ ServerID string }

// load returns the task's server if it is still doing what the task is for.
func (s *Service) load(t engine.Task, doing string) (v Server, ok bool, err error) {
	var args onServer
	if err := t.Decode(&args); err != nil {
		return v, false, err
	}
	_ = s.engine.View(func(tx *engine.Tx) error {
		v, ok = s.servers.Get(tx, args.ServerID)
		return nil
	})
	return v, ok && v.Task == doing, nil
}

// settle records the end of an operation, unless another has taken its place.
func (s *Service) settle(id, doing string, change func(v Server) Server) error {
	return s.engine.Update(func(tx *engine.Tx) error {
		v, ok := s.servers.Get(tx, id)
		if !ok || v.Task != doing {
			return nil
		}
		v.Task = taskNone
		s.put(tx, change(v))
		return nil
	})
}

func (s *Service) create(ctx context.Context, t engine.Task) error {
	return s.power(ctx, t, TaskSpawning)
}

func (s *Service) start(ctx context.Context, t engine.Task) error {
	return s.power(ctx, t, TaskPoweringOn)
}

// power turns a server on, for the first time or again.
func (s *Service) power(ctx context.Context, t engine.Task, doing string) error {
	v, ok, err := s.load(t, doing)
	if err != nil || !ok {
		return err
	}
	err = s.switchOn(ctx, v)
	if err != nil && ctx.Err() != nil {
		return err
	}
	return s.settle(v.ID, doing, func(v Server) Server {
		if err != nil {
			klog.FromContext(ctx).Error(err, "Server could not be started", "server", v.ID, "name", v.Name)
			v.Status, v.Fault = Failed, err.Error()
			return v
		}
		v.Status, v.Fault = Active, ""
		if v.Launched.IsZero() {
			v.Launched = s.engine.Now()
		}
		return v
	})
}

func (s *Service) switchOn(ctx context.Context, v Server) error {
	if !v.IsNode() {
		return nil
	}
	dir, err := s.host.DiskDirs.ServerDiskDir(v.ID)
	if err != nil {
		return err
	}
	spec := hypervisor.Server{ID: v.ID, Name: v.Name, DiskDir: dir, Metadata: v.Metadata}
	_ = s.engine.View(func(tx *engine.Tx) error {
		spec.Address = s.firstAddress(tx, v.ID)
		return nil
	})
	started, err := s.host.Hypervisor.Start(ctx, spec)
	if err != nil || started.NetNS == "" {
		return err
	}
	return s.host.Metadata.Serve(ctx, v.ID, started.NetNS)
}

func (s *Service) switchOff(ctx context.Context, v Server) error {
	if !v.IsNode() {
		return nil
	}
	s.host.Metadata.Stop(v.ID)
	return s.host.Hypervisor.Stop(ctx, v.ID)
}

func (s *Service) stop(ctx context.Context, t engine.Task) error {
	v, ok, err := s.load(t, TaskPoweringOff)
	if err != nil || !ok {
		return err
	}
	if err := s.switchOff(ctx, v); err != nil {
		return fmt.Errorf("stop server %s: %w", v.ID, err)
	}
	return s.settle(v.ID, TaskPoweringOff, func(v Server) Server {
		v.Status = Shutoff
		return v
	})
}

// remove powers the server off, has its volumes leave, then its ports, then itself.
func (s *Service) remove(ctx context.Context, t engine.Task) error {
	v, ok, err := s.load(t, TaskDeleting)
	if err != nil || !ok {
		return err
	}
	if err := s.switchOff(ctx, v); err != nil {
		return fmt.Errorf("stop server %s: %w", v.ID, err)
	}
	left := 0
	err = s.engine.Update(func(tx *engine.Tx) error {
		left = len(s.volumes.OnServer(tx, v.ID))
		return s.volumes.Evict(tx, v.ID)
	})
	if err != nil {
		return err
	}
	if left > 0 {
		return engine.Again(evictPoll)
	}
	if err := s.host.DiskDirs.RemoveServer(ctx, v.ID); err != nil {
		return fmt.Errorf("delete server %s: %w", v.ID, err)
	}
	return s.engine.Update(func(tx *engine.Tx) error {
		for _, p := range s.Ports(tx, v.ID) {
			if err := s.unplug(tx, v, p.ID); err != nil {
				return err
			}
		}
		s.servers.Delete(tx, v.ID)
		return nil
	})
}

// Resume has the nodes started again that were running when the process ended, so that their metadata is served: for a
// node that still runs, starting changes nothing. From then on nodes that die by themselves are noticed.
func (s *Service) Resume(tx *engine.Tx) error {
	for _, v := range s.servers.Where(tx, func(v Server) bool { return v.IsNode() && v.Status == Active }) {
		if err := s.engine.ScheduleIn(tx, 0, taskResume, v.ID, onServer{v.ID}); err != nil {
			return err
		}
	}
	return s.scheduleSync(tx)
}

// resume starts a node again that should be running; if it does not start, that is logged and left to its operator.
func (s *Service) resume(ctx context.Context, t engine.Task) error {
	v, ok, err := s.load(t, taskNone)
	if err != nil || !ok || v.Status != Active {
		return err
	}
	if err := s.switchOn(ctx, v); err != nil {
		if ctx.Err() != nil {
			return err
		}
		klog.FromContext(ctx).Error(err, "Node could not be started again", "server", v.ID, "name", v.Name)
	}
	return nil
}
