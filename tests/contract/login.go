package contract

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/config"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
)

// requestTimeout bounds one request; Nova takes some seconds to plug a port.
const requestTimeout = time.Minute

// login authenticates as an entry of a clouds.yaml, and takes the endpoints from the catalog.
func (c *Cloud) login(ctx context.Context, cloudsFile, entry string) error {
	c.client = &http.Client{
		Timeout:       requestTimeout,
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	auth, _, tls, err := clouds.Parse(clouds.WithLocations(cloudsFile), clouds.WithCloudName(entry))
	if err != nil {
		return fmt.Errorf("%s: %w", cloudsFile, err)
	}
	provider, err := config.NewProviderClient(ctx, auth, config.WithTLSConfig(tls))
	if err != nil {
		return fmt.Errorf("authenticate at %s: %w", c.Name, err)
	}
	defer provider.HTTPClient.CloseIdleConnections()
	c.Token = provider.Token()
	return c.readToken(provider)
}

// readToken takes project, user and endpoints from the answer to the authentication.
func (c *Cloud) readToken(provider *gophercloud.ProviderClient) error {
	token, ok := provider.GetAuthResult().(tokens.CreateResult)
	if !ok {
		return errors.New("the authentication was no request for a token")
	}
	user, err := token.ExtractUser()
	if err != nil {
		return err
	}
	project, err := token.ExtractProject()
	if err != nil {
		return err
	}
	catalog, err := token.ExtractServiceCatalog()
	if err != nil {
		return err
	}
	public := map[string]string{}
	for _, service := range catalog.Entries {
		i := slices.IndexFunc(service.Endpoints, func(e tokens.Endpoint) bool { return e.Interface == "public" })
		if i >= 0 {
			public[service.Type] = service.Endpoints[i].URL
		}
	}
	public[Volume] = cmp.Or(public[Volume], public["volumev3"])
	c.UserID, c.ProjectID, c.Endpoints = user.ID, project.ID, map[string]string{}
	for _, service := range []string{Identity, Volume, Compute, Network, LoadBalancer, Image} {
		c.Endpoints[service] = public[service]
		if c.Endpoints[service] == "" {
			return fmt.Errorf("%s has no %s service in its catalog", c.Name, service)
		}
	}
	return nil
}
