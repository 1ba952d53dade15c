package openstack

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// Whoever has the packages has the files; without the network it needs the cache of an earlier up.
func TestSharedFilesAreDebians(t *testing.T) {
	if _, err := os.Stat("/usr/lib/python3/dist-packages/nova/cmd/compute.py"); err != nil {
		t.Skip("Debian's OpenStack packages are not installed: make openstack-up")
	}
	files, err := sharedFiles(t.Context())
	if err != nil {
		t.Skipf("neither cache nor mirror: %v", err)
	}
	for name, source := range files {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Error(err)
			continue
		}
		if strings.HasSuffix(name, "paste.ini") && !bytes.Contains(text, []byte("[filter:authtoken]")) {
			t.Errorf("%s has no authentication", name)
		}
	}
}
