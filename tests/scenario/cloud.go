package scenario

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/fairlead-io/fairlead/tests/lab"
	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/witness"
)

// cloud is what the main job must know of a cloud below the lab. The steps are the same on all.
type cloud struct {
	witness Witness
	// balances: packets pass through its load balancers. Else psql asks the pod itself.
	balances bool
	looks    looks
}

var clouds = map[string]cloud{
	lab.Devcloud:  {witness: devcloudWitness{Devcloud()}, balances: true, looks: looksAtOnce},
	lab.OpenStack: {witness: openstackWitness{}, looks: looksWhileItWorks},
}

func (c *Cluster) cloud() cloud { return clouds[c.Cloud] }

// Members are the addresses of the members of the project's pools, sorted.
func (c *Cluster) Members(ctx context.Context) ([]string, error) {
	addresses, err := witness.Members(ctx, layout.CloudsYAML, layout.CloudName)
	slices.Sort(addresses)
	return addresses, err
}

// GetHTTP asks for a page, on a connection of its own, and returns its content.
func GetHTTP(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return string(b), err
}
