package conformance

import (
	"os"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
	fairstack "github.com/fairlead-io/fairlead/pkg/cloud/openstack"
)

// TestOpenStackConforms runs on the cloud that the usual OS_CLIENT_CONFIG_FILE and OS_CLOUD name. FAIRLEAD_CONFORMANCE
// names a YAML file that says what the suite may use there:
//
//	instances: [<id>, <id>]       # running, without disks besides their own
//	diskType: standard
//	multiattachType: multiattach  # optional
//	zone: nova
//	overQuotaGiB: 30000           # optional
//	subnetID: <id>                # routed to the external network
//	externalNetworkID: <id>
//	members: [10.6.0.11, 10.6.0.12]
func TestOpenStackConforms(t *testing.T) {
	path := os.Getenv("FAIRLEAD_CONFORMANCE")
	if path == "" {
		t.Skip("FAIRLEAD_CONFORMANCE names no file that describes an OpenStack")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var given struct {
		Instances         [2]string `json:"instances"`
		DiskType          string    `json:"diskType"`
		MultiattachType   string    `json:"multiattachType"`
		Zone              string    `json:"zone"`
		OverQuotaGiB      int64     `json:"overQuotaGiB"`
		SubnetID          string    `json:"subnetID"`
		ExternalNetworkID string    `json:"externalNetworkID"`
		Members           [2]string `json:"members"`
	}
	if err := yaml.UnmarshalStrict(text, &given); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	c, err := fairstack.Open(t.Context(), cloud.Config{UserAgent: userAgent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cloudtest.Run(t, func(*testing.T) cloudtest.Fixture {
		return cloudtest.Fixture{
			Cloud: c, Instances: given.Instances, DiskType: given.DiskType, MultiattachType: given.MultiattachType, Zone: given.Zone,
			OverQuotaGiB: given.OverQuotaGiB, SubnetID: given.SubnetID, ExternalNetworkID: given.ExternalNetworkID, Members: given.Members,
		}
	})
}
