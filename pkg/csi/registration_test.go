package csi

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/testing/protocmp"
	registerapi "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// registering is a Registration at work, and the kubelet's side of it.
type registering struct {
	*Registration
	t      *testing.T
	dir    string
	stop   context.CancelFunc
	ended  chan error
	events *fsnotify.Watcher
}

// startRegistering begins to register as soon as ready says nil.
func startRegistering(t *testing.T, ready func(context.Context) error) *registering {
	t.Helper()
	// Before the cleanups below: the last thing that is looked at.
	t.Cleanup(func() { goleak.VerifyNone(t) })
	dir, err := os.MkdirTemp("", "reg") // t.TempDir's names are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = watcher.Close() })
	if err := watcher.Add(dir); err != nil {
		t.Fatal(err)
	}
	r, err := NewRegistration(RegistrationOptions{
		DriverName: "disk.csi.fairlead.io", Dir: dir, Endpoint: "/var/lib/kubelet/plugins/disk.csi.fairlead.io/csi.sock",
		Ready: ready, RetryMin: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	reg := &registering{Registration: r, t: t, dir: dir, stop: stop, ended: make(chan error, 1), events: watcher}
	go func() { reg.ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-reg.ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if _, err := os.Lstat(r.socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
		if r.Registered() == nil {
			t.Error("still registered after the end")
		}
	})
	return reg
}

// kubelet does what the kubelet does when it sees the socket: it asks for the driver, then says how it went.
func (r *registering) kubelet(status *registerapi.RegistrationStatus) *registerapi.PluginInfo {
	r.t.Helper()
	conn, err := grpc.NewClient("unix://"+r.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := registerapi.NewRegistrationClient(conn)
	info, err := client.GetInfo(r.t.Context(), &registerapi.InfoRequest{}, grpc.WaitForReady(true))
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := client.NotifyRegistrationStatus(r.t.Context(), status); err != nil {
		r.t.Fatal(err)
	}
	return info
}

// awaitSocket waits until a socket is made.
func (r *registering) awaitSocket() {
	r.t.Helper()
	for {
		select {
		case e := <-r.events.Events:
			if e.Has(fsnotify.Create) {
				return
			}
		case <-r.t.Context().Done():
			r.t.Fatal("no socket")
		}
	}
}

var (
	always      = func(context.Context) error { return nil }
	registered  = &registerapi.RegistrationStatus{PluginRegistered: true}
	refusedByIt = &registerapi.RegistrationStatus{Error: "node not found"}
)

func TestTheKubeletLearnsOfTheDriver(t *testing.T) {
	r := startRegistering(t, always)
	r.awaitSocket()
	if err := r.Registered(); err == nil {
		t.Error("registered before the kubelet said so")
	}
	got := r.kubelet(registered)
	want := &registerapi.PluginInfo{
		Type: "CSIPlugin", Name: "disk.csi.fairlead.io", SupportedVersions: []string{"1.0.0"},
		Endpoint: "/var/lib/kubelet/plugins/disk.csi.fairlead.io/csi.sock",
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if err := r.Registered(); err != nil {
		t.Errorf("not registered: %v", err)
	}
	if st, err := os.Stat(r.socket); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, %v", st.Mode(), err)
	}
}

func TestNothingIsRegisteredBeforeTheDriverCanAnswer(t *testing.T) {
	var asked atomic.Int32
	r := startRegistering(t, withoutContext(func() error {
		if asked.Add(1) < 4 {
			return errors.New("the metadata service is not there yet")
		}
		return nil
	}))
	r.awaitSocket()
	if n := asked.Load(); n != 4 {
		t.Errorf("asked %d times before the socket was made, want 4", n)
	}
	if err := r.Registered(); !errors.Is(err, errNotYetRegistered) {
		t.Errorf("state %v: it waits for the kubelet now", err)
	}
}

func withoutContext(f func() error) func(context.Context) error {
	return func(context.Context) error { return f() }
}

func TestASocketThatTheKubeletRemovedIsMadeAnew(t *testing.T) {
	r := startRegistering(t, always)
	r.awaitSocket()
	r.kubelet(registered)
	for range 3 {
		if err := os.Remove(r.socket); err != nil {
			t.Fatal(err)
		}
		r.awaitSocket()
		if err := r.Registered(); err == nil || !strings.Contains(err.Error(), "removed") {
			t.Errorf("state %v, want that the socket was removed", err)
		}
		r.kubelet(registered)
		if err := r.Registered(); err != nil {
			t.Errorf("not registered again: %v", err)
		}
	}
}

func TestARefusalIsShownAndTriedAgain(t *testing.T) {
	r := startRegistering(t, always)
	r.awaitSocket()
	r.kubelet(refusedByIt)
	r.awaitSocket() // the kubelet looks at a failed driver again only when its socket is new
	if err := r.Registered(); err == nil || !strings.Contains(err.Error(), "node not found") {
		t.Errorf("state %v, want the kubelet's reason", err)
	}
	r.kubelet(registered)
	if err := r.Registered(); err != nil {
		t.Errorf("not registered: %v", err)
	}
}

func TestADirectoryThatDoesNotExistYetIsWaitedFor(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "plugins_registry")
	r, err := NewRegistration(RegistrationOptions{DriverName: "d", Dir: gone, Endpoint: "/e", RetryMin: time.Millisecond, Ready: always})
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan struct{})
	tries := 0
	r.options.Ready = withoutContext(func() error {
		if tries++; tries == 3 {
			close(failed)
		}
		return nil
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	<-failed
	if err := r.Registered(); err == nil || !strings.Contains(err.Error(), gone) {
		t.Errorf("state %v, want the directory's name", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestASocketLeftByAKilledPredecessorIsReplaced(t *testing.T) {
	first := make(chan struct{})
	r := startRegistering(t, withoutContext(func() error { <-first; return nil }))
	if err := os.WriteFile(r.socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.awaitSocket() // that file
	close(first)
	r.awaitSocket()
	r.kubelet(registered)
}

func TestTheSocketOfASuccessorIsNotRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, mine, err := listenUnix(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	successor, theirs, err := listenUnix(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	removeIfMine(path, mine)
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the successor's socket is gone: %v", err)
	}
	if err := successor.Close(); err != nil {
		t.Error(err)
	}
	removeIfMine(path, theirs)
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the own socket is left: %v", err)
	}
}

func TestARegistrationIsNotMadeWithoutWhatItNeeds(t *testing.T) {
	for name, o := range map[string]RegistrationOptions{
		"no driver":    {Dir: "d", Endpoint: "e", Ready: always},
		"no directory": {DriverName: "n", Endpoint: "e", Ready: always},
		"no endpoint":  {DriverName: "n", Dir: "d", Ready: always},
		"no readiness": {DriverName: "n", Dir: "d", Endpoint: "e"},
	} {
		if _, err := NewRegistration(o); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}
