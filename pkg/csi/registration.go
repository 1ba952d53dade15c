package csi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"google.golang.org/grpc"
	"k8s.io/klog/v2"
	registerapi "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// RegistrationOptions are what the kubelet has to be told.
type RegistrationOptions struct {
	DriverName string
	// Dir is the kubelet's directory of registration sockets, /var/lib/kubelet/plugins_registry.
	Dir string
	// Endpoint is the path of the driver's CSI socket as the kubelet sees it.
	Endpoint string
	// Ready returns nil once the driver can answer NodeGetInfo. The kubelet asks that at once, and after a failure only
	// tries again when the socket is made anew.
	Ready func(ctx context.Context) error
	// RetryMin and RetryMax bound the pause between attempts. Default 0.5 s and 5 s.
	RetryMin, RetryMax time.Duration
}

// Registration makes the driver known to the kubelet, in process: it serves the kubelet's plugin registration API
// (pluginregistration v1) on a socket in the kubelet's directory, and keeps that socket there.
type Registration struct {
	registerapi.UnimplementedRegistrationServer
	options RegistrationOptions
	socket  string
	refused chan struct{}

	mu    sync.Mutex
	state error // nil: registered
}

var errNotYetRegistered = errors.New("the kubelet has not registered the driver yet")

// NewRegistration makes a registration; Run does it.
func NewRegistration(o RegistrationOptions) (*Registration, error) {
	if o.DriverName == "" || o.Dir == "" || o.Endpoint == "" || o.Ready == nil {
		return nil, errors.New("registration: DriverName, Dir, Endpoint and Ready are required")
	}
	if o.RetryMin <= 0 {
		o.RetryMin = 500 * time.Millisecond
	}
	if o.RetryMax < o.RetryMin {
		o.RetryMax = max(5*time.Second, o.RetryMin)
	}
	return &Registration{
		options: o,
		socket:  filepath.Join(o.Dir, o.DriverName+"-reg.sock"),
		refused: make(chan struct{}, 1),
		state:   errNotYetRegistered,
	}, nil
}

// Registered returns nil while the driver is registered, or why it is not.
func (r *Registration) Registered() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

func (r *Registration) set(state error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = state
}

// GetInfo implements the kubelet's Registration service.
func (r *Registration) GetInfo(context.Context, *registerapi.InfoRequest) (*registerapi.PluginInfo, error) {
	return &registerapi.PluginInfo{
		Type:              registerapi.CSIPlugin,
		Name:              r.options.DriverName,
		Endpoint:          r.options.Endpoint,
		SupportedVersions: []string{"1.0.0"}, // of CSI; the kubelet compares the major version
	}, nil
}

// NotifyRegistrationStatus implements the kubelet's Registration service.
func (r *Registration) NotifyRegistrationStatus(ctx context.Context, s *registerapi.RegistrationStatus) (*registerapi.RegistrationStatusResponse, error) {
	if s.GetPluginRegistered() {
		klog.FromContext(ctx).Info("The kubelet registered the driver", "driver", r.options.DriverName)
		r.set(nil)
		return &registerapi.RegistrationStatusResponse{}, nil
	}
	r.set(fmt.Errorf("the kubelet refused to register the driver: %s", s.GetError()))
	select {
	case r.refused <- struct{}{}:
	default: // one is enough
	}
	return &registerapi.RegistrationStatusResponse{}, nil
}

// Run registers the driver and keeps it registered until ctx ends, whatever happens to the socket. Then it removes the
// socket, so that the kubelet forgets the driver, and returns nil.
func (r *Registration) Run(ctx context.Context) error {
	log := klog.FromContext(ctx)
	pause, unready := r.options.RetryMin, false
	for {
		err := r.options.Ready(ctx)
		if err == nil {
			if unready {
				r.set(errNotYetRegistered) // what Ready said before is over; a refusal's reason stays visible
			}
			started := time.Now()
			err = r.serve(ctx)
			if time.Since(started) > r.options.RetryMax {
				pause = r.options.RetryMin // it worked for a while
			}
			unready = false
		} else {
			unready = true
		}
		if ctx.Err() != nil {
			r.set(errNotYetRegistered)
			return nil //nolint:nilerr // the end of the context is how Run ends
		}
		r.set(err)
		log.Info("Not registered with the kubelet; trying again", "driver", r.options.DriverName, "err", err, "pause", pause)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
		pause = min(2*pause, r.options.RetryMax)
	}
}

// serve offers the socket until ctx ends, the socket vanishes, or the kubelet refuses.
func (r *Registration) serve(ctx context.Context) error {
	watch, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", r.options.Dir, err)
	}
	defer func() { _ = watch.Close() }()
	if err := watch.Add(r.options.Dir); err != nil {
		return fmt.Errorf("watch the kubelet's directory %s: %w", r.options.Dir, err)
	}
	select {
	case <-r.refused: // of the socket before
	default:
	}
	listener, mine, err := listenUnix(ctx, r.socket)
	if err != nil {
		return err
	}
	defer removeIfMine(r.socket, mine)
	server := grpc.NewServer()
	registerapi.RegisterRegistrationServer(server, r)
	served := make(chan error, 1)
	var serving sync.WaitGroup
	serving.Go(func() { served <- server.Serve(listener) })
	err = r.whileThere(ctx, watch, mine, served)
	stopServing(server)
	serving.Wait()
	return err
}

// whileThere waits for a reason to stop serving.
func (r *Registration) whileThere(ctx context.Context, watch *fsnotify.Watcher, mine os.FileInfo, served <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return fmt.Errorf("serve %s: %w", r.socket, err)
		case <-r.refused:
			return r.Registered()
		case err := <-watch.Errors:
			return fmt.Errorf("watch %s: %w", r.options.Dir, err)
		case <-watch.Events:
			if now, err := os.Lstat(r.socket); err != nil || !os.SameFile(now, mine) {
				return fmt.Errorf("somebody removed %s", r.socket)
			}
		}
	}
}

// listenUnix listens on a socket that only root can use, in the place of one that a killed predecessor left.
func listenUnix(ctx context.Context, path string) (net.Listener, os.FileInfo, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("remove the old socket: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // by then the path may be a successor's
	err = os.Chmod(path, 0o600)
	if err == nil {
		var mine os.FileInfo
		if mine, err = os.Lstat(path); err == nil {
			return l, mine, nil
		}
	}
	return nil, nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), l.Close())
}

func removeIfMine(path string, mine os.FileInfo) {
	if now, err := os.Lstat(path); err == nil && os.SameFile(now, mine) {
		_ = os.Remove(path)
	}
}

// stopServing lets the kubelet have the answer that it waits for, but not forever.
func stopServing(server *grpc.Server) {
	timer := time.AfterFunc(time.Second, server.Stop)
	defer timer.Stop()
	server.GracefulStop()
}
