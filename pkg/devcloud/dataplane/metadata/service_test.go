package metadata

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var namespaces atomic.Int32

// newNamespace makes a network namespace like a lab node's and returns its path.
func newNamespace(t *testing.T) (path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	name := fmt.Sprintf("fairlead-test-%d-%d", os.Getpid(), namespaces.Add(1))
	ip(t, "netns", "add", name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	return "/run/netns/" + name
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// get fetches from inside a namespace.
func get(t *testing.T, netns, path string) (status int, body string, err error) {
	t.Helper()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
			onDoomedThread(func() {
				ns, oerr := os.Open(netns)
				if oerr != nil {
					err = oerr
					return
				}
				defer ns.Close()
				if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
					return
				}
				conn, err = new(net.Dialer).DialContext(ctx, network, address)
			})
			return conn, err
		},
	}}
	response, err := client.Get("http://" + Address + path)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	return response.StatusCode, string(b), err
}

func expect(t *testing.T, netns, path, want string) {
	t.Helper()
	status, body, err := get(t, netns, path)
	if err != nil || status != http.StatusOK || body != want {
		t.Errorf("%s: %d %q, %v; want %q", path, status, body, err, want)
	}
}

// cloud is the documents of some servers.
type cloud struct{ sync.Map }

func (c *cloud) lookup(id string) (Document, bool) {
	d, ok := c.Load(id)
	if !ok {
		return Document{}, false
	}
	return d.(Document), true
}

func newService(t *testing.T, c *cloud) *Service {
	t.Helper()
	s := New(c.lookup, klog.Background())
	t.Cleanup(s.Close)
	return s
}

func serve(t *testing.T, s *Service, id, netns string) {
	t.Helper()
	if err := s.Serve(t.Context(), id, netns); err != nil {
		t.Fatal(err)
	}
}

var document = Document{
	ID: "6f70656e-7374-4163-8b00-000000000001", Name: "n1", AvailabilityZone: "az1", ProjectID: "p1", Address: "10.200.0.11",
	Metadata: map[string]string{"role": "worker"},
	Devices:  []Device{{Type: "disk", Bus: "virtio", Serial: "5d1f2c3a-0b7e-4a51-9", Path: "/dev/vdb"}},
	Networks: []Network{{ID: "net1", PortID: "0123456789abcdef", MACAddress: "fa:16:3e:00:00:01", Address: "10.200.0.11", Netmask: "255.255.255.0", Gateway: "10.200.0.1"}},
}

func TestAServerLearnsWhoItIs(t *testing.T) {
	c, netns := &cloud{}, newNamespace(t)
	c.Store("s1", document)
	s := newService(t, c)
	serve(t, s, "s1", netns)

	expect(t, netns, "/openstack", "2018-08-27\n2020-10-14\nlatest")
	expect(t, netns, "/openstack/latest/", "meta_data.json\nnetwork_data.json")
	expect(t, netns, "/latest/meta-data/local-ipv4", "10.200.0.11")
	expect(t, netns, "/latest/meta-data/hostname", "n1")
	expect(t, netns, "/latest/meta-data/placement/availability-zone", "az1")
	if _, id, err := get(t, netns, "/latest/meta-data/instance-id"); err != nil || !strings.HasPrefix(id, "i-") || len(id) != 10 {
		t.Errorf("instance id %q, %v", id, err)
	}
	if status, body, err := get(t, netns, "/latest/user-data"); err != nil || status != http.StatusNotFound {
		t.Errorf("user data, of which there is none: %d %q, %v", status, body, err)
	}
	expectJSON(t, netns, "/openstack/latest/meta_data.json", `{"uuid": "6f70656e-7374-4163-8b00-000000000001", "name": "n1", "hostname": "n1",
		"availability_zone": "az1", "project_id": "p1", "launch_index": 0, "meta": {"role": "worker"},
		"devices": [{"type": "disk", "bus": "virtio", "address": "", "serial": "5d1f2c3a-0b7e-4a51-9", "path": "/dev/vdb", "tags": null}]}`)
	expectJSON(t, netns, "/openstack/2018-08-27/network_data.json", `{"services": [],
		"links": [{"id": "tap0123456789a", "type": "bridge", "vif_id": "0123456789abcdef", "ethernet_mac_address": "fa:16:3e:00:00:01"}],
		"networks": [{"id": "network0", "type": "ipv4", "link": "tap0123456789a", "network_id": "net1", "ip_address": "10.200.0.11",
			"netmask": "255.255.255.0", "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.200.0.1"}]}]}`)
}

func expectJSON(t *testing.T, netns, path, want string) {
	t.Helper()
	_, body, err := get(t, netns, path)
	if err != nil {
		t.Fatal(err)
	}
	var got, wanted any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%s: %q: %v", path, body, err)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("%s: %s", path, diff)
	}
}

func TestEveryNamespaceHasItsOwnServersMetadata(t *testing.T) {
	c, first, second := &cloud{}, newNamespace(t), newNamespace(t)
	c.Store("s1", Document{ID: "s1", Address: "10.0.0.1"})
	c.Store("s2", Document{ID: "s2", Address: "10.0.0.2"})
	s := newService(t, c)
	serve(t, s, "s1", first)
	serve(t, s, "s2", second)
	expect(t, first, "/latest/meta-data/local-ipv4", "10.0.0.1")
	expect(t, second, "/latest/meta-data/local-ipv4", "10.0.0.2")

	c.Store("s1", Document{ID: "s1", Address: "10.0.0.9"}) // changes are seen at once
	expect(t, first, "/latest/meta-data/local-ipv4", "10.0.0.9")
	c.Delete("s1")
	if status, _, err := get(t, first, "/openstack/latest/meta_data.json"); err != nil || status != http.StatusNotFound {
		t.Errorf("metadata of a deleted server: %d, %v", status, err)
	}
}

func TestServeMayBeRepeatedAndStopped(t *testing.T) {
	c, netns := &cloud{}, newNamespace(t)
	c.Store("s1", document)
	s := newService(t, c)
	for range 3 {
		serve(t, s, "s1", netns)
		serve(t, s, "s1", netns)
		expect(t, netns, "/latest/meta-data/hostname", "n1")
		s.Stop("s1")
		s.Stop("s1")
		if _, _, err := get(t, netns, "/"); err == nil {
			t.Error("served after Stop")
		}
	}
	restarted := newService(t, c) // the address is still on the namespace's loopback device
	serve(t, restarted, "s1", netns)
	expect(t, netns, "/latest/meta-data/hostname", "n1")
}

func TestAServerWithANewNamespaceOfTheOldNameIsServedThere(t *testing.T) {
	c, netns := &cloud{}, newNamespace(t)
	c.Store("s1", document)
	s := newService(t, c)
	serve(t, s, "s1", netns)
	name := strings.TrimPrefix(netns, "/run/netns/")
	ip(t, "netns", "del", name)
	ip(t, "netns", "add", name)
	serve(t, s, "s1", netns)
	expect(t, netns, "/latest/meta-data/hostname", "n1")
}

func TestServeSaysWhatIsWrongWithTheNamespace(t *testing.T) {
	s := newService(t, &cloud{})
	for _, path := range []string{"", "/run/netns/fairlead-none", t.TempDir()} {
		if err := s.Serve(t.Context(), "s1", path); err == nil || !strings.Contains(err.Error(), "server s1") || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", path, err)
		}
	}
	s.Close()
	if err := s.Serve(t.Context(), "s1", newNamespace(t)); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Close: %v", err)
	}
}

// A thread that entered a namespace and came back to the runtime would make some later socket of the process land there.
func TestNoThreadOfTheProcessStaysInANamespace(t *testing.T) {
	s := newService(t, &cloud{})
	var mine []identity
	for i := range 20 {
		netns := newNamespace(t)
		serve(t, s, fmt.Sprint(i), netns)
		id, err := identify(netns)
		if err != nil {
			t.Fatal(err)
		}
		mine = append(mine, id)
	}
	stays := func() bool { // a doomed thread may need a moment to end
		threads, err := filepath.Glob("/proc/self/task/*/ns/net")
		if err != nil || len(threads) == 0 {
			t.Fatalf("threads: %v, %v", threads, err)
		}
		return slices.ContainsFunc(threads, func(thread string) bool {
			id, err := identify(thread)
			return err == nil && slices.Contains(mine, id)
		})
	}
	giveUp := time.Now().Add(10 * time.Second)
	for stays() {
		if time.Now().After(giveUp) {
			t.Fatal("a thread of this process is still in a server's namespace")
		}
		runtime.Gosched()
	}
}
