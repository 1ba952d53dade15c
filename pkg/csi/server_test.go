package csi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"),
		// The sanity suite's test framework listens for interrupts as long as the process lives.
		goleak.IgnoreTopFunction("github.com/onsi/ginkgo/v2/internal/interrupt_handler.(*InterruptHandler).registerForInterrupts.func2"),
	)
}

// serving is a server on a unix socket and a client of it.
type serving struct {
	conn *grpc.ClientConn
	stop context.CancelFunc
	done chan error
}

func serve(t *testing.T, o ServerOptions) *serving {
	t.Helper()
	if o.Identity == nil {
		o.Identity = &Identity{DriverName: DefaultDriverName, Version: "test"}
	}
	server, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := "unix://" + filepath.Join(t.TempDir(), "csi.sock")
	listener, err := Listen(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &serving{stop: stop, done: make(chan error, 1)}
	go func() { s.done <- server.Serve(ctx, listener) }()
	s.conn, err = grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-s.done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		s.done <- nil
		if err := s.conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// slow is a controller whose calls wait for permission.
type slow struct {
	csi.UnimplementedControllerServer
	begun, end chan struct{}
	err        error
}

func newSlow() *slow { return &slow{begun: make(chan struct{}, 10), end: make(chan struct{})} }

func (s *slow) work(ctx context.Context) error {
	s.begun <- struct{}{}
	select {
	case <-s.end:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slow) DeleteVolume(ctx context.Context, _ *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	return &csi.DeleteVolumeResponse{}, s.work(ctx)
}

func (s *slow) ControllerUnpublishVolume(ctx context.Context, _ *csi.ControllerUnpublishVolumeRequest) (*csi.ControllerUnpublishVolumeResponse, error) {
	return &csi.ControllerUnpublishVolumeResponse{}, s.work(ctx)
}

func TestASecondCallForAVolumeIsAbortedAndOneForAnotherIsNot(t *testing.T) {
	svc := newSlow()
	client := csi.NewControllerClient(serve(t, ServerOptions{Controller: svc}).conn)
	first := make(chan error, 2)
	go func() {
		_, err := client.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: "v1"})
		first <- err
	}()
	<-svc.begun
	_, err := client.ControllerUnpublishVolume(t.Context(), &csi.ControllerUnpublishVolumeRequest{VolumeId: "v1"})
	wantCode(t, err, codes.Aborted, "v1", "DeleteVolume is under way")
	go func() {
		_, err := client.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: "v2"})
		first <- err
	}()
	<-svc.begun
	close(svc.end)
	for range 2 {
		if err := <-first; err != nil {
			t.Error(err)
		}
	}
	if _, err := client.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: "v1"}); err != nil {
		t.Errorf("after the first had ended: %v", err)
	}
}

func TestAWaitEndsWithTheCallersPatienceAndFreesTheVolume(t *testing.T) {
	m := cloudtest.NewMemory(cloudtest.MemoryOptions{Work: func(cloudtest.Op) time.Duration { return time.Hour }})
	m.PutDisk(cloud.Disk{ID: "v1", State: cloud.DiskAvailable, RawState: "available"})
	m.PutInstance(cloud.Instance{ID: "i1"})
	client := csi.NewControllerClient(serve(t, ServerOptions{Controller: NewController(m, ControllerOptions{ClusterID: "c1"})}).conn)
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		_, err := client.ControllerPublishVolume(ctx, &csi.ControllerPublishVolumeRequest{VolumeId: "v1", NodeId: "i1", VolumeCapability: writer})
		cancel()
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
		// The server notices at about the same time as the client.
		waitFor(t, func() bool {
			_, err := client.ControllerPublishVolume(t.Context(), &csi.ControllerPublishVolumeRequest{VolumeId: "v1"})
			return status.Code(err) == codes.InvalidArgument
		})
	}
	if n := m.Count(cloudtest.OpAttachDisk); n != 2 {
		t.Errorf("%d attach requests", n)
	}
}

func waitFor(t *testing.T, what func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !what() {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// The caller's own timer ends with the deadline: an answer that came only then would never be read, and the event on the
// pod would say "context deadline exceeded" and nothing else.
func TestWhyACallTookTooLongReachesTheCaller(t *testing.T) {
	m := cloudtest.NewMemory(cloudtest.MemoryOptions{Instances: []cloud.Instance{{ID: inst1}}})
	m.PutDisk(cloud.Disk{ID: "v1", State: cloud.DiskAttaching, RawState: "reserved", Repair: "repair v1"})
	client := csi.NewControllerClient(serve(t, ServerOptions{Controller: NewController(m, ControllerOptions{ClusterID: "c1"})}).conn)
	for range 5 { // a race would not be lost every time
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_, err := client.ControllerPublishVolume(ctx, &csi.ControllerPublishVolumeRequest{VolumeId: "v1", NodeId: inst1, VolumeCapability: writer})
		cancel()
		wantCode(t, err, codes.DeadlineExceeded, `still "reserved"`, "repair v1")
	}
}

func TestAStoppingServerFinishesTheCallsUnderWay(t *testing.T) {
	svc := newSlow()
	s := serve(t, ServerOptions{Controller: svc})
	client := csi.NewControllerClient(s.conn)
	result := make(chan error, 1)
	go func() {
		_, err := client.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: "v1"})
		result <- err
	}()
	<-svc.begun
	s.stop()
	waitFor(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := client.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: "v2"})
		return status.Code(err) == codes.Unavailable
	})
	close(svc.end)
	if err := <-result; err != nil {
		t.Errorf("the call under way: %v", err)
	}
}

func TestAServiceThatIsNotThereIsUnimplemented(t *testing.T) {
	nodeOnly := serve(t, ServerOptions{Node: &csi.UnimplementedNodeServer{}})
	_, err := csi.NewControllerClient(nodeOnly.conn).CreateVolume(t.Context(), order(nil))
	wantCode(t, err, codes.Unimplemented)
	caps, err := csi.NewIdentityClient(nodeOnly.conn).GetPluginCapabilities(t.Context(), &csi.GetPluginCapabilitiesRequest{})
	if err != nil || strings.Contains(caps.String(), "CONTROLLER_SERVICE") {
		t.Errorf("%v, %v", caps, err)
	}
}

func TestEveryKindOfErrorHasItsCode(t *testing.T) {
	for kind, want := range map[error]codes.Code{
		cloud.ErrNotFound: codes.NotFound, cloud.ErrExhausted: codes.ResourceExhausted, cloud.ErrConflict: codes.FailedPrecondition,
		cloud.ErrBusy: codes.Aborted, cloud.ErrInvalid: codes.InvalidArgument, cloud.ErrUnauthorized: codes.PermissionDenied,
		cloud.ErrUnavailable: codes.Unavailable, cloud.ErrOutcomeUnknown: codes.Unavailable, cloud.ErrFailed: codes.Internal,
		context.DeadlineExceeded: codes.DeadlineExceeded, context.Canceled: codes.Canceled,
		errors.New("a surprise"):            codes.Internal,
		refuse(codes.OutOfRange, "too far"): codes.OutOfRange,
	} {
		svc := newSlow()
		svc.err = fmt.Errorf("delete disk v1 (request req-7): %w", kind)
		close(svc.end)
		_, err := csi.NewControllerClient(serve(t, ServerOptions{Controller: svc}).conn).DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: "v1"})
		wantCode(t, err, want, "req-7")
	}
	// A wait that ended says so, whatever trouble the cloud had meanwhile.
	wantCode(t, fmt.Errorf("%w (the cloud's last answer: %w)", context.DeadlineExceeded, cloud.ErrUnavailable), codes.DeadlineExceeded)
}

func TestSecretsAreNotLogged(t *testing.T) {
	var text bytes.Buffer
	logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&text), textlogger.Verbosity(5)))
	ctx := klog.NewContext(t.Context(), logger)
	req := order(func(r *csi.CreateVolumeRequest) { r.Secrets = map[string]string{"password": "hunter2"} })
	info := &grpc.UnaryServerInfo{FullMethod: "/csi.v1.Controller/CreateVolume"}
	_, err := logged(ctx, req, info, func(_ context.Context, got any) (any, error) {
		if got.(*csi.CreateVolumeRequest).GetSecrets()["password"] != "hunter2" {
			t.Error("the service did not get the secret")
		}
		return nil, status.Error(codes.NotFound, "no")
	})
	if status.Code(err) != codes.NotFound {
		t.Error(err)
	}
	if got := text.String(); strings.Contains(got, "hunter2") || !strings.Contains(got, "pvc-1") || !strings.Contains(got, "NotFound") {
		t.Errorf("logged %s", got)
	}
}

func TestHTTP(t *testing.T) {
	reg := prometheus.NewRegistry()
	asked, answer := 0, error(nil)
	readiness := NewReadiness(func(context.Context) error { asked++; return answer })
	now := time.Now()
	readiness.now = func() time.Time { return now }
	http1 := httptest.NewServer(NewHTTPHandler(readiness.Check, reg))
	defer http1.Close()
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http1.Client().Get(http1.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		var body bytes.Buffer
		_, _ = body.ReadFrom(resp.Body)
		return resp.StatusCode, body.String()
	}
	client := csi.NewIdentityClient(serve(t, ServerOptions{
		Registerer: reg, Identity: &Identity{DriverName: "d", Version: "v1", Ready: readiness.Check},
	}).conn)
	probe := func() bool {
		t.Helper()
		resp, err := client.Probe(t.Context(), &csi.ProbeRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetReady().GetValue()
	}

	for range 3 {
		if code, _ := get("/readyz"); code != http.StatusOK || !probe() {
			t.Errorf("ready: %d", code)
		}
	}
	if asked != 1 {
		t.Errorf("the cloud was asked %d times", asked)
	}
	answer = errors.New("the cloud is on fire")
	now = now.Add(time.Minute)
	if code, body := get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "on fire") || probe() {
		t.Errorf("not ready: %d %s", code, body)
	}
	before := asked
	if code, _ := get("/healthz"); code != http.StatusOK || asked != before {
		t.Errorf("alive: %d, and the cloud was asked %d times", code, asked-before)
	}
	if _, body := get("/metrics"); !strings.Contains(body, `csi_plugin_operations_seconds_count{driver_name="d",grpc_status_code="OK",method_name="/csi.v1.Identity/Probe"}`) {
		t.Errorf("metrics: %s", body)
	}
}

func TestSocketPath(t *testing.T) {
	for endpoint, want := range map[string]string{
		"unix:///csi/csi.sock": "/csi/csi.sock", "unix:/csi/csi.sock": "/csi/csi.sock", "/csi/csi.sock": "/csi/csi.sock",
		"unix://": "", "tcp://127.0.0.1:1": "", "csi.sock": "", "": "",
	} {
		if got := SocketPath(endpoint); got != want {
			t.Errorf("%q: got %q, want %q", endpoint, got, want)
		}
	}
}
