package devcloud

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/utils"
)

// authenticate asks for a token with a client of its own.
func authenticate(t *testing.T, opts gophercloud.AuthOptions) (*gophercloud.ProviderClient, error) {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	provider, err := openstack.NewClient(opts.IdentityEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	provider.HTTPClient = http.Client{Transport: transport}
	return provider, openstack.Authenticate(t.Context(), provider, opts)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Hour)
	cloud := start(t, func(c *Config) {
		c.Projects = append(c.Projects, Project{Name: "other"})
		expired := c.ApplicationCredentials[0]
		expired.Name, expired.Expires = "expired", &past
		c.ApplicationCredentials = append(c.ApplicationCredentials, expired)
	})
	with := func(change func(o *gophercloud.AuthOptions)) gophercloud.AuthOptions {
		o := password(cloud.URL)
		change(&o)
		return o
	}
	credential := func(change func(o *gophercloud.AuthOptions)) gophercloud.AuthOptions {
		o := gophercloud.AuthOptions{
			IdentityEndpoint: cloud.URL + "/identity/v3", Username: "demo", DomainName: "Default",
			ApplicationCredentialName: "kubernetes", ApplicationCredentialSecret: "kubernetes",
		}
		change(&o)
		return o
	}
	config := cloud.config.identity()
	for name, tt := range map[string]struct {
		opts gophercloud.AuthOptions
		want int
	}{
		"password": {password(cloud.URL), 0},
		"password by user id": {with(func(o *gophercloud.AuthOptions) {
			o.Username, o.DomainName, o.UserID, o.TenantName, o.TenantID = "", "", config.Users[0].ID, "", config.Projects[0].ID
		}), 0},
		"unscoped takes the default":     {with(func(o *gophercloud.AuthOptions) { o.TenantName = "" }), 0},
		"a wrong password":               {with(func(o *gophercloud.AuthOptions) { o.Password = "x" }), 401},
		"an unknown user":                {with(func(o *gophercloud.AuthOptions) { o.Username = "x" }), 401},
		"another domain":                 {with(func(o *gophercloud.AuthOptions) { o.DomainName = "x" }), 401},
		"an unknown project":             {with(func(o *gophercloud.AuthOptions) { o.TenantName = "x" }), 401},
		"a project of others":            {with(func(o *gophercloud.AuthOptions) { o.TenantName = "other" }), 401},
		"application credential by name": {credential(func(*gophercloud.AuthOptions) {}), 0},
		"application credential by id": {credential(func(o *gophercloud.AuthOptions) {
			o.Username, o.DomainName, o.ApplicationCredentialName, o.ApplicationCredentialID = "", "", "", config.Credentials[0].ID
		}), 0},
		"a wrong secret":                  {credential(func(o *gophercloud.AuthOptions) { o.ApplicationCredentialSecret = "x" }), 401},
		"a credential of another user":    {credential(func(o *gophercloud.AuthOptions) { o.Username = "x" }), 401},
		"an expired credential":           {credential(func(o *gophercloud.AuthOptions) { o.ApplicationCredentialName = "expired" }), 401},
		"an empty secret is not accepted": {credential(func(o *gophercloud.AuthOptions) { o.ApplicationCredentialSecret = " " }), 401},
	} {
		if _, err := authenticate(t, tt.opts); status(t, err) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatATokenSays(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	c := connect(t, cloud.URL)
	identity, err := openstack.NewIdentityV3(c.provider, gophercloud.EndpointOpts{Region: "RegionOne"})
	if err != nil {
		t.Fatal(err)
	}
	answer := tokens.Get(t.Context(), identity, c.provider.Token())
	if user, err := answer.ExtractUser(); err != nil || user.Name != "demo" || user.Domain.ID != "default" {
		t.Errorf("user %+v, %v", user, err)
	}
	if project, err := answer.ExtractProject(); err != nil || project.Name != "demo" {
		t.Errorf("project %+v, %v", project, err)
	}
	if roles, err := answer.ExtractRoles(); err != nil || len(roles) != 3 {
		t.Errorf("roles %+v, %v", roles, err)
	}
	catalog, err := answer.ExtractServiceCatalog()
	if err != nil || len(catalog.Entries) != 7 {
		t.Errorf("catalog %+v, %v", catalog, err)
	}
	if token, err := answer.ExtractToken(); err != nil || time.Until(token.ExpiresAt) < 3*time.Hour {
		t.Errorf("token %+v, %v", token, err)
	}
	if err := tokens.Revoke(t.Context(), identity, c.provider.Token()).Err; err != nil {
		t.Fatal(err)
	}
	if _, ok := cloud.identity.Check(c.provider.Token()); ok {
		t.Error("a revoked token is still valid")
	}
}

func TestAClientWhoseTokenExpiredGoesOnWithANewOne(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	c := connect(t, cloud.URL)
	before := c.provider.Token()
	adminCall(t, cloud, "DELETE", "/tokens", nil, nil)
	v := c.newVolume(t, volumes.CreateOpts{Size: 1})
	if c.provider.Token() == before {
		t.Errorf("volume %s was made with the old token", v.ID)
	}
}

func TestClientsDiscoverVersions(t *testing.T) {
	t.Parallel()
	cloud := start(t, nil)
	for _, path := range []string{"/identity", "/identity/", "/identity/v3", "/identity/v3/"} {
		opts := password(cloud.URL)
		opts.IdentityEndpoint = cloud.URL + path
		if _, err := authenticate(t, opts); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, service := range []string{"identity", "volume", "compute", "network", "load-balancer"} {
		resp, err := http.DefaultTransport.RoundTrip(httptest.NewRequest(http.MethodGet, cloud.URL+"/"+service, nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusMultipleChoices { // no redirect
			t.Errorf("%s without a slash: %s", service, resp.Status)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	c := connect(t, cloud.URL)
	c.volume.Endpoint = cloud.URL + "/volume/v3/" // as in Cinder, nothing is said of versions below the project's URL
	for _, tt := range []struct {
		client   *gophercloud.ServiceClient
		major    int
		maxMinor int
	}{{c.compute, 2, 93}, {c.volume, 3, 70}} {
		got, err := utils.GetSupportedMicroversions(t.Context(), tt.client)
		if err != nil || got.MaxMajor != tt.major || got.MaxMinor != tt.maxMinor {
			t.Errorf("%s: %+v, %v", tt.client.Endpoint, got, err)
		}
	}
}
