package openstack

import (
	"os"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
)

func TestCloudsYAMLKeepsTheProject(t *testing.T) {
	t.Setenv(DirVariable, t.TempDir())
	v := newValues("5ec2e7")
	if err := writeClouds(v); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(path("project"), 0o700); err != nil {
		t.Fatal(err)
	}
	const project = "clouds:\n  fairlead:\n    auth_type: v3applicationcredential\n    auth: {auth_url: http://x/v3, application_credential_id: a, application_credential_secret: s}\n"
	if err := os.WriteFile(path("project", "clouds.yaml"), []byte(project), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second up writes it again
		if err := writeClouds(v); err != nil {
			t.Fatal(err)
		}
		admin, endpoint, _, err := clouds.Parse(clouds.WithLocations(CloudsFile()), clouds.WithCloudName("admin"))
		if err != nil || admin.Password != "5ec2e7" || admin.IdentityEndpoint != "http://10.203.0.1:5000/v3" || endpoint.Region != Region {
			t.Errorf("admin is %+v in %s, %v", admin.Username, endpoint.Region, err)
		}
		member, _, _, err := clouds.Parse(clouds.WithLocations(CloudsFile()), clouds.WithCloudName(ProjectCloud))
		if err != nil || member.ApplicationCredentialID != "a" {
			t.Errorf("the project's credential is %q, %v", member.ApplicationCredentialID, err)
		}
	}
}
