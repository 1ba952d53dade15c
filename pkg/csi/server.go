package csi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"k8s.io/klog/v2"
)

// shutdownTimeout bounds how long a stopping server waits for calls under way. What is cut off then is repeated by the
// sidecars, and meets its half-finished predecessor.
const shutdownTimeout = 20 * time.Second

// ServerOptions are the services of a process. Identity is required; of the others those that are nil are not served:
// a call to them is Unimplemented.
type ServerOptions struct {
	Identity   *Identity
	Controller csi.ControllerServer
	Node       csi.NodeServer
	// Registerer takes the metrics; nil: none are kept.
	Registerer prometheus.Registerer
}

// Server is the gRPC server around the services. It does for all of them what none has to know: it logs and measures
// calls, lets one call at a time work on a volume, and turns errors into codes.
type Server struct {
	grpc *grpc.Server
}

// NewServer makes a server. It can be served once.
func NewServer(o ServerOptions) (*Server, error) {
	measure, err := measured(o.Registerer, o.Identity.DriverName)
	if err != nil {
		return nil, err
	}
	s := &Server{grpc: grpc.NewServer(grpc.ChainUnaryInterceptor(measure, logged, coded, early, (&inFlight{}).exclusive))}
	csi.RegisterIdentityServer(s.grpc, o.Identity)
	if o.Controller != nil {
		csi.RegisterControllerServer(s.grpc, o.Controller)
	}
	if o.Node != nil {
		csi.RegisterNodeServer(s.grpc, o.Node)
	}
	return s, nil
}

// Serve answers calls on the listener until ctx ends. Then it accepts no more, waits a bounded time for those under way,
// and returns nil.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	klog.FromContext(ctx).Info("Stopping: no more calls are accepted")
	stopped := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(stopped)
	}()
	timer := time.NewTimer(shutdownTimeout)
	defer timer.Stop()
	select {
	case <-stopped:
	case <-timer.C:
		s.grpc.Stop() // makes GracefulStop return
		<-stopped
	}
	return <-served // nil: it was stopped
}

// Listen opens a CSI endpoint, unix:///path or unix:path or a path, in the place of a socket that a killed predecessor
// left.
func Listen(ctx context.Context, endpoint string) (net.Listener, error) {
	path := SocketPath(endpoint)
	if path == "" {
		return nil, fmt.Errorf("endpoint %q: want a unix socket, as in unix:///csi/csi.sock", endpoint)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("endpoint %s: remove the old socket: %w", endpoint, err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", endpoint, err)
	}
	return l, nil
}

// SocketPath is the path of a unix endpoint; empty when it is something else.
func SocketPath(endpoint string) string {
	scheme, rest, found := strings.Cut(endpoint, ":")
	switch {
	case !found && strings.HasPrefix(endpoint, "/"):
		return endpoint
	case !found || scheme != "unix":
		return ""
	}
	return strings.TrimPrefix(rest, "//")
}
