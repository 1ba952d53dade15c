package contract

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/fairlead-io/fairlead/tests/tenant"
)

// stateDir is the state directory of the real services on this machine.
func stateDir() string {
	if dir := os.Getenv("FAIRLEAD_OPENSTACK_DIR"); dir != "" {
		return dir
	}
	return "/var/lib/fairlead-openstack"
}

// faultFiles are the operations' names among the fault files of the real services.
var faultFiles = map[string]string{
	"volume.create": "cinder.create_volume", "volume.delete": "cinder.delete_volume", "volume.extend": "cinder.extend_volume",
	"volume.attach": "nova.attach_volume", "volume.detach": "nova.detach_volume",
}

// newOpenStack makes a project with two servers on the real services. It is removed with the test; it is an error if the
// cases left anything in it.
func newOpenStack(t *testing.T) *Cloud {
	t.Helper()
	dir := stateDir()
	own, err := tenant.New(t.Context(), tenant.Options{
		CloudsFile: filepath.Join(dir, "clouds.yaml"), Name: "contract",
		Servers: []tenant.Server{{Name: "server-0", Zone: "az1"}, {Name: "server-1", Zone: "az1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		own.Admin.HTTPClient.CloseIdleConnections()
	})
	c := &Cloud{
		Name: "OpenStack", ImageID: own.ImageID, FlavorID: "1",
		NetworkID: own.NetworkID, SubnetID: own.SubnetID, ExternalNetworkID: own.ExternalNetworkID,
		Servers: [2]string{own.Servers[0].ID, own.Servers[1].ID}, Zones: [2]string{"az1", "az2"},
		VolumeType: "standard", OtherType: "fast", MultiattachType: "multiattach",
	}
	if err := c.login(t.Context(), own.CloudsFile, own.Name+"-password"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.client.CloseIdleConnections)
	c.Fail = func(t *T, operation string) {
		file := filepath.Join(dir, "faults", faultFiles[operation])
		content, err := json.Marshal(object{"fail": "ordered by the contract suite", "times": 1, "project": c.ProjectID})
		if err == nil {
			err = os.WriteFile(file, content, 0o644) //nolint:gosec // read by services of other users
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
		t.Cleanup(func() {
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v", err)
			}
		})
	}
	return c
}
