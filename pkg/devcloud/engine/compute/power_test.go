package compute

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/hypervisor"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/blockstorage"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const project = "p"

// power is a hypervisor whose nodes can die.
type power struct {
	mu      sync.Mutex
	on      map[string]bool
	unknown bool   // nobody knows whether anything runs
	asked   func() // called at every question, without the lock
}

func (p *power) set(id string, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on[id] = on
}

func (p *power) Start(_ context.Context, s hypervisor.Server) (hypervisor.Started, error) {
	p.set(s.ID, true)
	return hypervisor.Started{}, nil
}

func (p *power) Stop(_ context.Context, id string) error {
	p.set(id, false)
	return nil
}

func (p *power) Running(_ context.Context, id string) (bool, error) {
	p.mu.Lock()
	on, unknown, asked := p.on[id], p.unknown, p.asked
	p.mu.Unlock()
	if asked != nil {
		asked()
	}
	if unknown {
		return false, errors.New("no such command")
	}
	return on, nil
}

// world is compute with one network and no storage behind it.
type world struct {
	*testing.T
	e     *engine.Engine
	s     *Service
	power *power
}

func newWorld(t *testing.T, sync time.Duration) *world {
	t.Helper()
	e, err := engine.New(engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := network.New(e, network.DefaultQuota())
	if err != nil {
		t.Fatal(err)
	}
	v, err := blockstorage.New(e, blockstorage.NullDisks{}, blockstorage.Options{
		Types: []blockstorage.Type{{ID: "t", Name: "t"}}, Zones: []string{"z"}, Quota: blockstorage.Quota{Volumes: -1, Gigabytes: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, e: e, power: &power{on: map[string]bool{}}}
	host := NullHost()
	host.Hypervisor = w.power
	w.s, err = New(e, v, n, host, Options{
		Flavors: []Flavor{{ID: "1", Name: "small", VCPUs: 1, RAMMiB: 1024}}, Zones: []string{"z"},
		Quota: Quota{Instances: -1, Cores: -1, RAMMiB: -1}, PowerSync: sync,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.do(func(tx *engine.Tx) error {
		return n.Seed(tx, network.Config{Networks: []network.NetworkConfig{{
			Name: "lab", Subnets: []network.SubnetConfig{{Name: "lab", CIDR: netip.MustParsePrefix("10.200.0.0/24")}},
		}}}, project)
	})
	return w
}

func (w *world) do(fn func(tx *engine.Tx) error) {
	w.Helper()
	if err := w.e.Update(fn); err != nil {
		w.Fatal(err)
	}
}

// run runs the engine, as after a start of the cloud, until stop is called or the test ends.
func (w *world) run() (stop func()) {
	w.Helper()
	w.do(w.s.Resume)
	ctx, cancel := context.WithCancel(w.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = w.e.Run(ctx) })
	stop = func() { cancel(); done.Wait() }
	w.Cleanup(stop)
	return stop
}

func (w *world) create(name string, metadata map[string]string) Server {
	w.Helper()
	var v Server
	w.do(func(tx *engine.Tx) (err error) {
		v, err = w.s.Create(tx, Spec{ProjectID: project, Name: name, FlavorID: "1", Metadata: metadata})
		return err
	})
	return v
}

func (w *world) find(id string) (v Server) {
	_ = w.e.View(func(tx *engine.Tx) error {
		v, _ = w.s.Find(tx, id)
		return nil
	})
	return v
}

func (w *world) is(id string, want Status) {
	w.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for v := w.find(id); v.Status != want || v.Task != taskNone; v = w.find(id) {
		if time.Now().After(deadline) {
			w.Fatalf("server %s is %s %s, want %s", v.Name, v.Status, v.Task, want)
		}
		time.Sleep(time.Millisecond)
	}
}

var node = map[string]string{NodeKey: "true"}

func TestANodeThatDiesBecomesShutoffAndStartsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5*time.Millisecond)
	w.run()
	dead, alive, plain := w.create("dead", node), w.create("alive", node), w.create("plain", nil)
	for _, v := range []Server{dead, alive, plain} {
		w.is(v.ID, Active)
	}
	w.power.set(dead.ID, false)
	w.is(dead.ID, Shutoff)
	w.do(func(tx *engine.Tx) error { return w.s.Start(tx, project, dead.ID) })
	w.is(dead.ID, Active)
	if a, p := w.find(alive.ID), w.find(plain.ID); a.Status != Active || p.Status != Active {
		t.Errorf("the others are %s and %s", a.Status, p.Status)
	}
}

// once runs one comparison by itself.
func (w *world) once() error {
	return w.s.syncPower(w.Context(), engine.Task{Kind: taskSync})
}

func TestOnlyANodeThatIsKnownToBeDeadIsStopped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		given func(w *world, v Server)
		stops bool
	}{
		{"a dead one is", func(*world, Server) {}, true},
		{"one of which nobody knows is not", func(w *world, _ Server) { w.power.unknown = true }, false},
		{"one that is being deleted is not", func(w *world, v Server) {
			w.do(func(tx *engine.Tx) error { return w.s.Delete(tx, project, v.ID) })
		}, false},
		{"one that is to be started again after a restart is not", func(w *world, _ Server) { w.do(w.s.Resume) }, false},
		{"one that was touched while it was looked at is not", func(w *world, v Server) {
			name := "new"
			w.power.asked = func() {
				w.do(func(tx *engine.Tx) error {
					_, err := w.s.Update(tx, project, v.ID, Change{Name: &name})
					return err
				})
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			stop := w.run()
			v := w.create("n1", node)
			w.is(v.ID, Active)
			stop()
			w.power.set(v.ID, false)
			tt.given(w, v)
			var again engine.Again
			if err := w.once(); !errors.As(err, &again) || time.Duration(again) != time.Hour {
				t.Errorf("got %v, want to look again in an hour", err)
			}
			if got := w.find(v.ID).Task == TaskPoweringOff; got != tt.stops {
				t.Errorf("stops: %v, want %v", got, tt.stops)
			}
		})
	}
}

func TestOneTaskComparesAllNodesHoweverOftenTheCloudStarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	for range 3 {
		w.do(w.s.Resume)
	}
	w.do(func(tx *engine.Tx) error {
		if !w.e.Pending(tx, taskSync) {
			t.Error("nothing looks")
		}
		return nil
	})
	w.s.opts.PowerSync = 0 // configured away
	if err := w.once(); err != nil {
		t.Errorf("the task goes on without being wanted: %v", err)
	}
}
