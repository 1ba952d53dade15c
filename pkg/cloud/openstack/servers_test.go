package openstack

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

func TestGetInstanceTranslatesAServer(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET /compute/v2.1/servers/s1", sample(t, "nova-server-with-fip"))
	i, err := connect(t, f).GetInstance(t.Context(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	want := cloud.Instance{
		ID: "44762a7a-8503-4e83-90ac-c2e00a7197f8", Name: "net-node-0", State: cloud.InstanceRunning, RawState: "ACTIVE",
		Flavor: "m1.tiny", Zone: "az1", Region: "RegionOne",
		Addresses: []cloud.Address{
			{Kind: cloud.AddressInternal, Network: "k8s-net", IP: "10.6.0.75"},
			{Kind: cloud.AddressExternal, Network: "k8s-net", IP: "172.24.4.252"},
		},
	}
	if diff := cmp.Diff(want, i); diff != "" {
		t.Error(diff)
	}
	if v := f.last().header.Get("OpenStack-API-Version"); v != "compute 2.60" {
		t.Errorf("microversion %q", v)
	}
}

func TestListInstancesFollowsPages(t *testing.T) {
	f := newFakeCloud(t)
	f.on("GET /compute/v2.1/servers/detail", sample(t, "nova-servers-page"), answer(200, `{"servers":[{"id":"s2","status":"SHUTOFF","accessIPv4":"203.0.113.9"}]}`))
	list, err := connect(t, f).ListInstances(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("got %v, %v", list, err)
	}
	if list[1].State != cloud.InstanceStopped || list[1].Addresses[0] != (cloud.Address{Kind: cloud.AddressExternal, IP: "203.0.113.9"}) {
		t.Errorf("got %+v", list[1])
	}
	if calls := f.calls(); calls[1] != "GET /compute/v2.1/servers/detail?limit=1&marker=742264ec-5f0c-4760-a054-fcd79beb47d9" {
		t.Errorf("calls %v", calls)
	}
}

func TestOnlyWhatCertainlyRunsNothingIsStopped(t *testing.T) {
	for status, want := range map[string]cloud.InstanceState{
		"SHUTOFF": cloud.InstanceStopped, "SHELVED_OFFLOADED": cloud.InstanceStopped,
		"PAUSED": cloud.InstanceUnknown, "SUSPENDED": cloud.InstanceUnknown, "RESCUE": cloud.InstanceUnknown, "RESIZE": cloud.InstanceUnknown,
		"UNKNOWN": cloud.InstanceUnknown, "": cloud.InstanceUnknown,
		"HARD_REBOOT": cloud.InstanceRunning, "DELETED": cloud.InstanceDeleted, "ERROR": cloud.InstanceError, "BUILD": cloud.InstanceBuilding,
	} {
		if got := (server{Status: status}).instance("").State; got != want {
			t.Errorf("%q is %s, want %s", status, got, want)
		}
	}
}

func TestAServerThatIsBusyIsWorthAnotherTry(t *testing.T) {
	f := newFakeCloud(t)
	path := "/compute/v2.1/servers/" + serverID + "/os-volume_attachments"
	busy := answer(409, `{"conflictingRequest":{"code":409,"message":"Cannot 'attach_volume' instance while it is in task_state rebooting"}}`)
	f.on("POST "+path, busy)
	f.on("DELETE "+path+"/"+volumeID, busy)
	c := connect(t, f)
	if err := c.AttachDisk(t.Context(), volumeID, serverID); !errors.Is(err, cloud.ErrBusy) {
		t.Errorf("attach: %v", err)
	}
	if err := c.DetachDisk(t.Context(), volumeID, serverID); !errors.Is(err, cloud.ErrBusy) {
		t.Errorf("detach: %v", err)
	}
}
