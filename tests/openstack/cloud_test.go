package openstack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/openstack/config"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fairlead-io/fairlead/tests/tenant"
)

const testAgent = "fairlead-openstack-test"

// project is a tenant and the clients of its user.
type project struct {
	*tenant.Tenant
	compute, storage, balancers *gophercloud.ServiceClient
}

func newProject(t *testing.T, name string, servers ...tenant.Server) project {
	t.Helper()
	Need(t)
	made, err := tenant.New(t.Context(), tenant.Options{CloudsFile: CloudsFile(), Name: name, Servers: servers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	auth, endpoint, _, err := clouds.Parse(clouds.WithLocations(made.CloudsFile), clouds.WithCloudName(name))
	if err != nil {
		t.Fatal(err)
	}
	provider, err := config.NewProviderClient(t.Context(), auth)
	if err != nil {
		t.Fatal(err)
	}
	provider.UserAgent.Prepend(testAgent)
	p := project{Tenant: made}
	for _, c := range []struct {
		into *(*gophercloud.ServiceClient)
		make func(*gophercloud.ProviderClient, gophercloud.EndpointOpts) (*gophercloud.ServiceClient, error)
	}{{&p.compute, openstack.NewComputeV2}, {&p.storage, openstack.NewBlockStorageV3}, {&p.balancers, openstack.NewLoadBalancerV2}} {
		if *c.into, err = c.make(provider, endpoint); err != nil {
			t.Fatal(err)
		}
	}
	p.storage.Microversion = "3.42" // extends volumes in use
	return p
}

func (p project) createVolume(t *testing.T, opts volumes.CreateOpts) string {
	t.Helper()
	opts.Size = 1
	volume, err := volumes.Create(t.Context(), p.storage, opts, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	p.awaitVolume(t, volume.ID, "available")
	return volume.ID
}

func (p project) awaitVolume(t *testing.T, id, status string) {
	t.Helper()
	last := ""
	err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		volume, err := volumes.Get(ctx, p.storage, id).Extract()
		if err == nil {
			last = volume.Status
		}
		return last == status, err
	})
	if err != nil {
		t.Fatalf("volume %s is %s and not %s: %v", id, last, status, err)
	}
}

// attach attaches the volume and returns the device that its server alone shows.
func (p project) attach(t *testing.T, volume string, server tenant.Server) string {
	t.Helper()
	if _, err := volumeattach.Create(t.Context(), p.compute, server.ID, volumeattach.CreateOpts{VolumeID: volume}).Extract(); err != nil {
		t.Fatal(err)
	}
	p.awaitVolume(t, volume, "in-use")
	device, err := filepath.EvalSymlinks(link(volume, server))
	if err != nil {
		t.Fatal(err)
	}
	return device
}

func (p project) detach(t *testing.T, volume string, server tenant.Server) {
	t.Helper()
	if err := volumeattach.Delete(t.Context(), p.compute, server.ID, volume).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	p.awaitVolume(t, volume, "available")
	if _, err := os.Lstat(link(volume, server)); !os.IsNotExist(err) {
		t.Errorf("after the detach %s still shows the disk: %v", server.Name, err)
	}
}

func (p project) deleteVolume(t *testing.T, id string) {
	t.Helper()
	if err := volumes.Delete(t.Context(), p.storage, id, nil).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := volumes.Get(ctx, p.storage, id).Err
		return gophercloud.ResponseCodeIs(err, http.StatusNotFound), nil
	})
	if err != nil {
		t.Fatalf("volume %s is not gone: %v", id, err)
	}
}

func link(volume string, server tenant.Server) string {
	return path("servers", server.ID, "disk", "by-id", "virtio-"+volume[:20])
}

func command(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestAVolumeKeepsItsDataFromServerToServer(t *testing.T) {
	p := newProject(t, "openstack-disks", tenant.Server{Name: "one", Zone: "az1"}, tenant.Server{Name: "two", Zone: "az1"})
	one, two := p.Servers[0], p.Servers[1]
	volume := p.createVolume(t, volumes.CreateOpts{AvailabilityZone: "az1"})

	device := p.attach(t, volume, one)
	if _, err := os.Lstat(link(volume, two)); !os.IsNotExist(err) {
		t.Errorf("the other server shows the disk too: %v", err)
	}
	command(t, "dd", "if=/etc/hostname", "of="+device, "bs=512", "conv=sync", "oflag=direct", "status=none")
	if err := volumes.ExtendSize(t.Context(), p.storage, volume, volumes.ExtendSizeOpts{NewSize: 2}).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		return command(t, "blockdev", "--getsize64", device) == fmt.Sprint(2<<30), nil
	})
	if err != nil {
		t.Errorf("the device has %s bytes: %v", command(t, "blockdev", "--getsize64", device), err)
	}
	p.awaitVolume(t, volume, "in-use")
	p.detach(t, volume, one)

	device = p.attach(t, volume, two)
	if got := command(t, "dd", "if="+device, "bs=512", "count=1", "iflag=direct", "status=none"); !strings.HasPrefix(got, command(t, "cat", "/etc/hostname")) {
		t.Errorf("the other server reads %q", got)
	}
	p.detach(t, volume, two)
	p.deleteVolume(t, volume)
	if files, err := filepath.Glob(path("volumes", "volume-"+volume)); err != nil || len(files) > 0 {
		t.Errorf("the volume's file is still there: %v, %v", files, err)
	}
}

func TestADetachInUseIsWitnessed(t *testing.T) {
	p := newProject(t, "openstack-violation", tenant.Server{Name: "one", Zone: "az1"})
	volume := p.createVolume(t, volumes.CreateOpts{AvailabilityZone: "az1"})
	held, err := os.Open(p.attach(t, volume, p.Servers[0]))
	if err != nil {
		t.Fatal(err)
	}
	p.detach(t, volume, p.Servers[0])
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	p.deleteVolume(t, volume)
	all, err := Violations(p.Servers[0].ID)
	if err != nil || len(all) != 1 {
		t.Fatalf("violations %v, %v", all, err)
	}
	got := all[0]
	if got.Kind != "detach-in-use" || got.Volume != volume || got.Server != p.Servers[0].ID || !strings.Contains(got.Detail, "open in openstack.test") {
		t.Errorf("got %+v", got)
	}
}

func TestADeletedServerLeavesNoDevice(t *testing.T) {
	p := newProject(t, "openstack-delete", tenant.Server{Name: "one", Zone: "az2"})
	volume := p.createVolume(t, volumes.CreateOpts{AvailabilityZone: "az2"})
	device := p.attach(t, volume, p.Servers[0])
	response, err := p.compute.Delete(t.Context(), p.compute.ServiceURL("servers", p.Servers[0].ID), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	p.awaitVolume(t, volume, "available")
	if _, err := os.Stat(filepath.Join("/sys/block", filepath.Base(device), "loop")); !os.IsNotExist(err) {
		t.Errorf("%s is still bound: %v", device, err)
	}
	if _, err := os.Stat(path("servers", p.Servers[0].ID)); !os.IsNotExist(err) {
		t.Errorf("the server's directory is still there: %v", err)
	}
	p.deleteVolume(t, volume)
}

func TestAFaultStrikesAsOftenAsItWasTold(t *testing.T) {
	p := newProject(t, "openstack-faults")
	t.Cleanup(func() { _ = Heal(p.ProjectID) })
	// Cinder tries three times before it gives a volume up.
	if err := Inject("cinder.create_volume", Fault{Fail: "told to", Times: 3, Project: p.ProjectID}); err != nil {
		t.Fatal(err)
	}
	volume, err := volumes.Create(t.Context(), p.storage, volumes.CreateOpts{Size: 1, AvailabilityZone: "az2"}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	p.awaitVolume(t, volume.ID, "error")
	p.deleteVolume(t, volume.ID)
	p.deleteVolume(t, p.createVolume(t, volumes.CreateOpts{AvailabilityZone: "az2"}))
}

func TestCallsAreThoseOfOneAgentSinceTheMark(t *testing.T) {
	p := newProject(t, "openstack-calls")
	list := func() {
		response, err := p.storage.Get(t.Context(), p.storage.ServiceURL("volumes", "detail")+"?limit=7", nil, &gophercloud.RequestOpts{KeepResponseBody: true})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	list()
	mark, err := Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		list()
	}
	calls, err := Calls(mark, testAgent)
	if err != nil {
		t.Fatal(err)
	}
	if len(calls) != 3 {
		t.Fatalf("got %v", calls)
	}
	for _, c := range calls {
		if c.Service != "cinder" || c.Method != http.MethodGet || !strings.HasSuffix(c.Path, "/volumes/detail") || c.Query.Get("limit") != "7" || c.Status != http.StatusOK {
			t.Errorf("got %v", c)
		}
	}
	others, err := Calls(mark, "")
	if err != nil || len(others) < len(calls) {
		t.Errorf("all agents made %d calls, %v", len(others), err)
	}
}

// A load balancer that is created together with its listener becomes ACTIVE as a whole, by either provider; with
// Debian's defect its listener stays in PENDING_CREATE.
func TestAPopulatedLoadBalancer(t *testing.T) {
	p := newProject(t, "openstack-balancers")
	t.Cleanup(func() { _ = Heal(p.ProjectID) })
	tests := []struct {
		name, provider string
		stuck          bool
		listener       string
	}{
		{"amphora", "amphora", false, "ACTIVE"},
		{"OVN", "ovn", false, "ACTIVE"},
		{"amphora with Debian's defect", "amphora", true, "PENDING_CREATE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.stuck {
				if err := Inject("octavia.children_stuck", Fault{Project: p.ProjectID}); err != nil {
					t.Fatal(err)
				}
			}
			created, err := loadbalancers.Create(t.Context(), p.balancers, loadbalancers.CreateOpts{
				Name: tt.name, VipSubnetID: p.SubnetID, Provider: tt.provider,
				Listeners: []listeners.CreateOpts{{Name: "tcp", Protocol: listeners.ProtocolTCP, ProtocolPort: 80}},
			}).Extract()
			if err != nil {
				t.Fatal(err)
			}
			p.awaitBalancer(t, created.ID, "ACTIVE")
			pages, err := listeners.List(p.balancers, listeners.ListOpts{LoadbalancerID: created.ID}).AllPages(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			all, err := listeners.ExtractListeners(pages)
			if err != nil || len(all) != 1 || all[0].ProvisioningStatus != tt.listener {
				t.Errorf("got %+v, %v", all, err)
			}
			if err := loadbalancers.Delete(t.Context(), p.balancers, created.ID, loadbalancers.DeleteOpts{Cascade: true}).ExtractErr(); err != nil {
				t.Fatal(err)
			}
			p.awaitBalancer(t, created.ID, "")
		})
	}
}

// awaitBalancer waits for a provisioning status; empty: until the load balancer is gone.
func (p project) awaitBalancer(t *testing.T, id, status string) {
	t.Helper()
	last := ""
	err := wait.PollUntilContextTimeout(t.Context(), 300*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		lb, err := loadbalancers.Get(ctx, p.balancers, id).Extract()
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return status == "", nil
		}
		if err == nil {
			last = lb.ProvisioningStatus
		}
		return last == status, err
	})
	if err != nil {
		t.Fatalf("load balancer %s is %s and not %q: %v", id, last, status, err)
	}
}

func TestTheCloudHoldsWhatTestsExpect(t *testing.T) {
	p := newProject(t, "openstack-seed")
	for _, tt := range []struct {
		client *gophercloud.ServiceClient
		path   string
		key    string
		want   []string
	}{
		{p.compute, "flavors", "flavors", []string{"m1.small", "m1.tiny"}},
		{p.storage, "types", "volume_types", []string{"__DEFAULT__", "fast", "multiattach", "standard"}},
	} {
		var answer map[string][]struct{ Name string }
		response, err := tt.client.Get(t.Context(), tt.client.ServiceURL(tt.path), &answer, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		var names []string
		for _, thing := range answer[tt.key] {
			names = append(names, thing.Name)
		}
		slices.Sort(names)
		if !slices.Equal(names, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.path, names, tt.want)
		}
	}
}
