package contract

import (
	"context"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	computequotas "github.com/gophercloud/gophercloud/v2/openstack/compute/v2/quotasets"

	stack "github.com/fairlead-io/fairlead/tests/openstack"
	"github.com/fairlead-io/fairlead/tests/tenant"
)

// faultNames are the operations' names among the faults of the real services.
var faultNames = map[string]string{
	"volume.create": "cinder.create_volume", "volume.delete": "cinder.delete_volume", "volume.extend": "cinder.extend_volume",
	"volume.attach": "nova.attach_volume", "volume.detach": "nova.detach_volume",
}

// newOpenStack makes a project with two servers on the real services. It is removed with the test; it is an error if the
// cases left anything in it.
func newOpenStack(t *testing.T) *Cloud {
	t.Helper()
	own, err := tenant.New(t.Context(), tenant.Options{
		CloudsFile: stack.CloudsFile(), Name: "contract",
		Servers: []tenant.Server{{Name: "server-0", Zone: "az1"}, {Name: "server-1", Zone: "az1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		seen, err := stack.Violations(own.Servers[0].ID, own.Servers[1].ID)
		if err != nil || len(seen) > 0 {
			t.Errorf("the cases endangered data: %+v, %v", seen, err)
		}
		own.Admin.HTTPClient.CloseIdleConnections()
	})
	if err := limit(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	c := &Cloud{
		Name: "OpenStack", Poll: 500 * time.Millisecond, ImageID: own.ImageID, FlavorID: "1",
		NetworkID: own.NetworkID, SubnetID: own.SubnetID, ExternalNetworkID: own.ExternalNetworkID,
		Servers: [2]string{own.Servers[0].ID, own.Servers[1].ID}, Zones: [2]string{"az1", "az2"},
		VolumeType: "standard", OtherType: "fast", MultiattachType: "multiattach",
	}
	if err := c.login(t.Context(), own.CloudsFile, own.Name+"-password"); err != nil {
		t.Fatal(err)
	}
	c.Password, c.AdminToken = own.Password, own.Admin.Token()
	t.Cleanup(c.client.CloseIdleConnections)
	c.Fail = func(t *T, operation string) {
		fault := stack.Fault{Fail: "ordered by the contract suite", Times: 1}
		if operation == "volume.create" {
			fault.Times = 3 // Cinder's scheduler_max_attempts
		}
		fault.Project = own.ProjectID
		inject(t, operation, fault)
	}
	c.Slow = func(t *T, operation string) {
		inject(t, operation, stack.Fault{Sleep: 2 * slowly, Times: 1, Project: own.ProjectID})
	}
	storage, err := openstack.NewBlockStorageV3(own.Admin, gophercloud.EndpointOpts{})
	if err != nil {
		t.Fatal(err)
	}
	c.Reset = resetVolume(storage)
	return c
}

// resetVolume has an administrator put volumes into error.
func resetVolume(admin *gophercloud.ServiceClient) func(t *T, volume string) {
	return func(t *T, volume string) {
		if err := volumes.ResetStatus(t.Context(), admin, volume, volumes.ResetStatusOpts{Status: "error"}).ExtractErr(); err != nil {
			t.Fatalf("%v", err)
		}
	}
}

// limit gives the project the quotas of devcloudConfig.
func limit(ctx context.Context, own *tenant.Tenant) error {
	storage, err := openstack.NewBlockStorageV3(own.Admin, gophercloud.EndpointOpts{})
	if err != nil {
		return err
	}
	_, err = quotasets.Update(ctx, storage, own.ProjectID, quotasets.UpdateOpts{Volumes: new(10), Gigabytes: new(1000)}).Extract()
	if err != nil {
		return err
	}
	compute, err := openstack.NewComputeV2(own.Admin, gophercloud.EndpointOpts{})
	if err != nil {
		return err
	}
	_, err = computequotas.Update(ctx, compute, own.ProjectID, computequotas.UpdateOpts{
		Instances: new(10), Cores: new(20), RAM: new(51200),
	}).Extract()
	return err
}

// inject orders a fault, and takes it back after the case if it did not strike.
func inject(t *T, operation string, fault stack.Fault) {
	if err := stack.Inject(faultNames[operation], fault); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := stack.Heal(fault.Project); err != nil {
			t.Errorf("%v", err)
		}
	})
}
