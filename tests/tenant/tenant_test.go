package tenant

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
)

func TestFirstAddress(t *testing.T) {
	addresses := map[string]any{
		"own":   []any{map[string]any{"addr": "10.6.0.5"}, map[string]any{"addr": "172.24.4.9"}},
		"other": []any{map[string]any{"addr": "10.9.0.5"}},
		"odd":   "no list",
	}
	for network, want := range map[string]string{"own": "10.6.0.5", "other": "10.9.0.5", "odd": "", "none": ""} {
		if got := firstAddress(addresses, network); got != want {
			t.Errorf("on %s: %q, want %q", network, got, want)
		}
	}
}

// TestATenantLeavesNothing runs where FAIRLEAD_OPENSTACK_DIR names the state of a running tests/openstack cloud.
func TestATenantLeavesNothing(t *testing.T) {
	dir := os.Getenv("FAIRLEAD_OPENSTACK_DIR")
	if dir == "" {
		t.Skip("FAIRLEAD_OPENSTACK_DIR names no cloud")
	}
	ctx := t.Context()
	own, err := New(ctx, Options{CloudsFile: filepath.Join(dir, "clouds.yaml"), Name: "tenant-test", Servers: []Server{{Name: "one", Zone: "az1"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", own.Servers)
	left, err := own.Leftovers(ctx)
	if err != nil || !left.Empty() {
		t.Fatalf("a new tenant holds %v, %v", left, err)
	}
	user, err := own.login(ctx)
	if err != nil {
		t.Fatal(err)
	}
	client, err := openstack.NewBlockStorageV3(user, own.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := volumes.Create(ctx, client, volumes.CreateOpts{Size: 1, Name: "forgotten"}, nil).Extract(); err != nil {
		t.Fatal(err)
	}
	if err := own.Close(ctx); err == nil {
		t.Error("a forgotten volume was no error")
	}
	if err := own.removeByName(ctx); err != nil {
		t.Error("removing twice:", err)
	}
}
