package disk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestALabelledDiskIsReadInAPrivatePlaceThatIsGoneAfterwards(t *testing.T) {
	for _, byUdev := range []bool{true, false} {
		m := newMachine(t, 64*mib)
		m.must(os.Mkdir(m.stateDir, 0o700))
		label := "fairlead-test"
		m.tool("mkfs.ext4", "-q", "-L", label, m.loop.Path)
		m.must(os.MkdirAll(m.staging, 0o700))
		m.must(unix.Mount(m.loop.Path, m.staging, Ext4, 0, ""))
		m.must(os.MkdirAll(filepath.Join(m.staging, "openstack", "latest"), 0o755))
		m.must(os.WriteFile(filepath.Join(m.staging, "openstack", "latest", "meta_data.json"), []byte("{}"), 0o644))
		m.must(unix.Unmount(m.staging, 0))
		if byUdev {
			dir := filepath.Join(m.devDir, "disk", "by-label")
			m.must(os.MkdirAll(dir, 0o755))
			m.must(os.Symlink(m.loop.Path, filepath.Join(dir, label)))
		}
		got, err := m.ReadFromLabel(t.Context(), label, "openstack/latest/meta_data.json")
		if err != nil || string(got) != "{}" {
			t.Errorf("read %q, %v", got, err)
		}
		if _, err := m.ReadFromLabel(t.Context(), label, "no/such/file"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("error %v, want ErrNotExist", err)
		}
		if left, err := os.ReadDir(m.stateDir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
		if inUse, err := claimed(m.loop.Path); err != nil || inUse {
			t.Errorf("still mounted: %v, %v", inUse, err)
		}
	}
}

func TestALabelThatNoDiskHas(t *testing.T) {
	m := newMachine(t, 64*mib)
	if _, err := m.ReadFromLabel(t.Context(), "fairlead-no-such", "file"); !errors.Is(err, ErrNoDevice) {
		t.Errorf("error %v, want ErrNoDevice", err)
	}
}
