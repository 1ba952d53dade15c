package csi

import (
	"context"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"k8s.io/klog/v2"
)

// measured observes calls under the name and labels that CSI's own library gives to plugins.
func measured(reg prometheus.Registerer, driver string) (grpc.UnaryServerInterceptor, error) {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "csi_plugin_operations_seconds",
		Help:    "Container Storage Interface operation duration with gRPC error code status total",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600},
	}, []string{"driver_name", "method_name", "grpc_status_code"})
	if reg != nil {
		if err := reg.Register(seconds); err != nil {
			return nil, fmt.Errorf("register the CSI metrics: %w", err)
		}
	}
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		start := time.Now()
		resp, err := handler(ctx, req)
		seconds.WithLabelValues(driver, info.FullMethod, status.Code(err).String()).Observe(time.Since(start).Seconds())
		return resp, err
	}, nil
}

// logged writes a line for every call that failed or changed something, and gives the call a logger that names it.
func logged(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	log := klog.FromContext(ctx).WithValues("method", path.Base(info.FullMethod))
	if volume := volumeOf(req); volume != "" {
		log = log.WithValues("volume", volume)
	}
	if v := log.V(5); v.Enabled() {
		v.Info("Call", "request", withoutSecrets(req))
	}
	start := time.Now()
	resp, err := handler(klog.NewContext(ctx, log), req)
	took := time.Since(start).Round(time.Millisecond)
	switch {
	case err != nil:
		log.Info("Call failed", "code", status.Code(err), "took", took, "err", status.Convert(err).Message())
	case slices.Contains(quiet, path.Base(info.FullMethod)):
		log.V(4).Info("Call done", "took", took)
	default:
		log.V(2).Info("Call done", "took", took)
	}
	return resp, err
}

// quiet are the methods that others call all the time and that change nothing.
var quiet = []string{
	"Probe", "GetPluginInfo", "GetPluginCapabilities", "ControllerGetCapabilities", "NodeGetCapabilities", "NodeGetInfo",
	"NodeGetVolumeStats",
}

// coded turns errors into codes.
func coded(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	resp, err := handler(ctx, req)
	if err != nil {
		return nil, statusOf(err)
	}
	return resp, nil
}

// earlyAtMost is how long before its caller's deadline a call ends at the latest.
const earlyAtMost = time.Second

// early ends a call a little before its caller gives up, who would otherwise never read why it took too long: in which
// state the disk is, and what its operator can do.
func early(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-min(earlyAtMost, time.Until(deadline)/10)))
		defer cancel()
	}
	return handler(ctx, req)
}

// inFlight are the volumes that a service works on, with the method of each.
type inFlight struct {
	mu      sync.Mutex
	volumes map[inFlightKey]string
}

// inFlightKey keeps the services apart: in one process the controller may have left a volume that the node works on.
type inFlightKey struct{ service, volume string }

// exclusive lets one call at a time work on a volume: a second one is Aborted, as CSI wants it. A call that goes on after
// its caller has left, because a mkfs is never cut short, keeps the volume until it ends.
func (f *inFlight) exclusive(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	service, method := path.Split(info.FullMethod)
	key := inFlightKey{service, volumeOf(req)}
	if key.volume == "" || slices.Contains(reading, method) {
		return handler(ctx, req)
	}
	if other, free := f.take(key, method); !free {
		return nil, refuse(codes.Aborted, "volume %s: %s is under way; call again when it has finished", key.volume, other)
	}
	defer f.release(key)
	return handler(ctx, req)
}

// reading are the methods about one volume that change nothing.
var reading = []string{"ValidateVolumeCapabilities", "NodeGetVolumeStats"}

func (f *inFlight) take(key inFlightKey, method string) (other string, free bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if other, taken := f.volumes[key]; taken {
		return other, false
	}
	if f.volumes == nil {
		f.volumes = map[inFlightKey]string{}
	}
	f.volumes[key] = method
	return "", true
}

func (f *inFlight) release(key inFlightKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.volumes, key)
}

// volumeOf is the volume that a request is about: its id, or the name of one to be created.
func volumeOf(req any) string {
	switch r := req.(type) {
	case interface{ GetVolumeId() string }:
		return r.GetVolumeId()
	case *csi.CreateVolumeRequest:
		return r.GetName()
	}
	return ""
}

// withoutSecrets is a request as JSON, with the fields emptied that the CSI specification marks as secret.
func withoutSecrets(req any) string {
	m, ok := req.(proto.Message)
	if !ok {
		return fmt.Sprintf("%T", req)
	}
	m = proto.Clone(m)
	strip(m.ProtoReflect())
	text, err := protojson.Marshal(m)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func strip(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		options, _ := f.Options().(*descriptorpb.FieldOptions)
		secret, _ := proto.GetExtension(options, csi.E_CsiSecret).(bool)
		switch {
		case secret:
			m.Clear(f)
		case f.IsMap() && f.MapValue().Message() != nil:
			v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { strip(v.Message()); return true })
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				strip(v.List().Get(i).Message())
			}
		case f.Message() != nil && !f.IsMap():
			strip(v.Message())
		}
		return true
	})
}
