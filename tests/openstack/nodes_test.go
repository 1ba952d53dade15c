package openstack

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNovaBelievesWhoAsksForMetadata(t *testing.T) {
	got := metadataHeaders(Node{ID: "8da1f1aa", Project: "lab", Address: "10.200.0.11"}, "5ec2e7")
	want := map[string]string{
		"X-Instance-ID":           "8da1f1aa",
		"X-Tenant-ID":             "lab",
		"X-Forwarded-For":         "10.200.0.11",
		"X-Instance-ID-Signature": "0dcf7cf4858e94bf7bf1044fe9140b8a80eac119de748df0dda37cae574b91a7", // Python's hmac says so
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMetadataOfANodeThatIsOffIsLeftAlone(t *testing.T) {
	t.Setenv(DirVariable, t.TempDir())
	node := []byte(`{"id": "8da1f1aa", "project": "lab", "address": "10.200.0.11", "netns": "/run/netns/fairlead-none"}`)
	if err := writeFile(nodeFile("8da1f1aa"), node); err != nil {
		t.Fatal(err)
	}
	if err := healMetadata(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(pidFile(metadataName("8da1f1aa"))); !os.IsNotExist(err) {
		t.Errorf("a process was started: %v", err)
	}
}
