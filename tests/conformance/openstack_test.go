package conformance

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	gopher "github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/quotasets"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
	fairstack "github.com/fairlead-io/fairlead/pkg/cloud/openstack"
	"github.com/fairlead-io/fairlead/tests/openstack"
	"github.com/fairlead-io/fairlead/tests/tenant"
)

// TestOpenStackConforms runs in a project of its own on a real OpenStack.
func TestOpenStackConforms(t *testing.T) {
	openstack.Need(t)
	own, err := tenant.New(t.Context(), tenant.Options{
		CloudsFile: openstack.CloudsFile(), Name: "conformance",
		Servers: []tenant.Server{{Name: "one", Zone: "az1"}, {Name: "two", Zone: "az1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	const quotaGiB = 100
	limitGigabytes(t, own, quotaGiB)
	c, err := fairstack.Open(t.Context(), cloud.Config{File: own.CloudsFile, Name: own.Name, UserAgent: userAgent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cloudtest.Run(t, func(*testing.T) cloudtest.Fixture {
		return cloudtest.Fixture{
			Cloud: c, Instances: [2]string{own.Servers[0].ID, own.Servers[1].ID}, DiskType: "standard", MultiattachType: "multiattach",
			Zone: "az1", OverQuotaGiB: quotaGiB + 1, SubnetID: own.SubnetID, ExternalNetworkID: own.ExternalNetworkID,
			Members: [2]string{own.Servers[0].Address, own.Servers[1].Address},
			Fail:    failDriver(own), Hold: holdOctavia(own),
			Pause: func() { time.Sleep(500 * time.Millisecond) }, Timeout: 2 * time.Minute, Requests: received(t),
		}
	})
}

// failDriver makes the services' own drivers fail.
func failDriver(own *tenant.Tenant) func(t *testing.T, op cloudtest.Op) {
	return func(t *testing.T, op cloudtest.Op) {
		t.Helper()
		orderFault(t, own, op)
	}
}

func orderFault(t *testing.T, own *tenant.Tenant, op cloudtest.Op) {
	t.Helper()
	methods := map[cloudtest.Op]string{
		cloudtest.OpCreateDisk: "cinder.create_volume", cloudtest.OpExtendDisk: "cinder.extend_volume",
		cloudtest.OpAttachDisk: "nova.attach_volume", cloudtest.OpDetachDisk: "nova.detach_volume",
	}
	fault := openstack.Fault{Fail: "ordered by tests/conformance", Times: 1, Project: own.ProjectID}
	if op == cloudtest.OpCreateDisk {
		fault.Times = 3 // Cinder's scheduler tries as often
	}
	inject(t, methods[op], fault)
}

// inject orders a fault until the test ends.
func inject(t *testing.T, operation string, fault openstack.Fault) {
	t.Helper()
	if err := openstack.Inject(operation, fault); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { heal(t, fault.Project) })
}

func heal(t *testing.T, project string) {
	t.Helper()
	if err := openstack.Heal(project); err != nil {
		t.Error(err)
	}
}

// holdOctavia makes Octavia's worker wait with the next update of a load balancer.
func holdOctavia(own *tenant.Tenant) func(t *testing.T) func() {
	return func(t *testing.T) func() {
		t.Helper()
		inject(t, "octavia.update_load_balancer", openstack.Fault{Hold: true, Project: own.ProjectID})
		return func() { heal(t, own.ProjectID) }
	}
}

func limitGigabytes(t *testing.T, own *tenant.Tenant, gib int) {
	t.Helper()
	client, err := gopher.NewBlockStorageV3(own.Admin, gophercloud.EndpointOpts{})
	if err == nil {
		_, err = quotasets.Update(t.Context(), client, own.ProjectID, quotasets.UpdateOpts{Gigabytes: &gib}).Extract()
	}
	if err != nil {
		t.Fatal("quota:", err)
	}
}

// received counts what the services received from us, tokens excluded, by their own access logs.
func received(t *testing.T) func() int {
	t.Helper()
	start, err := openstack.Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func() (n int) {
		calls, err := openstack.Calls(start, userAgent)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range calls {
			if token := c.Service == "keystone" && c.Method == http.MethodPost; !token {
				n++
			}
		}
		return n
	}
}
