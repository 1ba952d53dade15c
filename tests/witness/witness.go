// Package witness asks the embedded cloud what happened: which calls were made, whether data was ever endangered, and
// what is left. It also orders faults. The leftovers are read through the OpenStack APIs, as any client sees them.
package witness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/config"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// Witness is a connection to one devcloud's admin endpoint.
type Witness struct {
	// URL is where devcloud serves, "http://10.200.0.1:8780".
	URL string
}

// Mark remembers this moment for Calls.
func (w Witness) Mark(ctx context.Context) (int, error) {
	var answer struct {
		Mark int `json:"mark"`
	}
	err := w.ask(ctx, http.MethodPost, "/admin/marks", nil, &answer)
	return answer.Mark, err
}

// Calls are the requests since the mark of clients whose user agent begins with the prefix, tokens excluded.
func (w Witness) Calls(ctx context.Context, since int, userAgent string) ([]api.Count, error) {
	var answer struct {
		Calls []api.Count `json:"calls"`
	}
	if err := w.ask(ctx, http.MethodGet, fmt.Sprintf("/admin/calls?since=%d", since), nil, &answer); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(answer.Calls, func(c api.Count) bool {
		return c.Service == "identity" || !strings.HasPrefix(c.UserAgent, userAgent)
	}), nil
}

// Inject orders a fault and returns its id.
func (w Witness) Inject(ctx context.Context, f api.Fault) (string, error) {
	var answer struct {
		Fault api.Fault `json:"fault"`
	}
	err := w.ask(ctx, http.MethodPost, "/admin/faults", f, &answer)
	return answer.Fault.ID, err
}

// Heal ends all faults.
func (w Witness) Heal(ctx context.Context) error {
	return w.ask(ctx, http.MethodDelete, "/admin/faults", nil, nil)
}

// Violations are the moments that endangered data.
func (w Witness) Violations(ctx context.Context) ([]engine.Violation, error) {
	var answer struct {
		Violations []engine.Violation `json:"violations"`
	}
	err := w.ask(ctx, http.MethodGet, "/admin/violations", nil, &answer)
	return answer.Violations, err
}

// SetTimes makes every kind of operation take as long as the profile says ("default", "realistic").
func (w Witness) SetTimes(ctx context.Context, profile string) error {
	return w.ask(ctx, http.MethodPut, "/admin/times", map[string]string{"profile": profile}, nil)
}

func (w Witness) ask(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, w.URL+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("devcloud's admin endpoint: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, b)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s %s: %w in %s", method, path, err, b)
	}
	return nil
}

// Leftovers are what a project still holds, by kind; each entry names the object.
type Leftovers struct {
	Disks, Attachments, LoadBalancers, Ports, FloatingIPs, SecurityGroups []string
}

// Empty reports whether nothing is left.
func (l Leftovers) Empty() bool {
	return len(l.Disks)+len(l.Attachments)+len(l.LoadBalancers)+len(l.Ports)+len(l.FloatingIPs)+len(l.SecurityGroups) == 0
}

// String names every object that is left.
func (l Leftovers) String() string {
	return fmt.Sprintf("disks %v, attachments %v, load balancers %v, ports %v, floating IPs %v, security groups %v",
		l.Disks, l.Attachments, l.LoadBalancers, l.Ports, l.FloatingIPs, l.SecurityGroups)
}

// Project reads what the project of a clouds.yaml holds that Kubernetes could have asked for: not its servers, their
// ports, and the default security group.
func Project(ctx context.Context, cloudsFile, cloud string) (Leftovers, error) {
	var left Leftovers
	auth, endpoint, tls, err := clouds.Parse(clouds.WithLocations(cloudsFile), clouds.WithCloudName(cloud))
	if err != nil {
		return left, fmt.Errorf("%s: %w", cloudsFile, err)
	}
	provider, err := config.NewProviderClient(ctx, auth, config.WithTLSConfig(tls))
	if err != nil {
		return left, err
	}
	for _, read := range []func(context.Context, *gophercloud.ProviderClient, gophercloud.EndpointOpts, *Leftovers) error{
		readDisks, readLoadBalancers, readNetwork,
	} {
		if err := read(ctx, provider, endpoint, &left); err != nil {
			return left, err
		}
	}
	return left, nil
}

func readDisks(ctx context.Context, p *gophercloud.ProviderClient, eo gophercloud.EndpointOpts, left *Leftovers) error {
	client, err := openstack.NewBlockStorageV3(p, eo)
	if err != nil {
		return err
	}
	pages, err := volumes.List(client, nil).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := volumes.ExtractVolumes(pages)
	if err != nil {
		return err
	}
	for _, v := range all {
		left.Disks = append(left.Disks, v.ID+" ("+v.Name+", "+v.Status+")")
		for _, a := range v.Attachments {
			left.Attachments = append(left.Attachments, v.ID+" on "+a.ServerID)
		}
	}
	return nil
}

func readLoadBalancers(ctx context.Context, p *gophercloud.ProviderClient, eo gophercloud.EndpointOpts, left *Leftovers) error {
	client, err := openstack.NewLoadBalancerV2(p, eo)
	if err != nil {
		return err
	}
	pages, err := loadbalancers.List(client, nil).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := loadbalancers.ExtractLoadBalancers(pages)
	if err != nil {
		return err
	}
	for _, lb := range all {
		left.LoadBalancers = append(left.LoadBalancers, lb.ID+" ("+lb.Name+", "+lb.ProvisioningStatus+")")
	}
	return nil
}

func readNetwork(ctx context.Context, p *gophercloud.ProviderClient, eo gophercloud.EndpointOpts, left *Leftovers) error {
	client, err := openstack.NewNetworkV2(p, eo)
	if err != nil {
		return err
	}
	pages, err := floatingips.List(client, nil).AllPages(ctx)
	if err != nil {
		return err
	}
	fips, err := floatingips.ExtractFloatingIPs(pages)
	if err != nil {
		return err
	}
	for _, f := range fips {
		left.FloatingIPs = append(left.FloatingIPs, f.FloatingIP+" ("+f.Description+")")
	}
	if pages, err = ports.List(client, nil).AllPages(ctx); err != nil {
		return err
	}
	allPorts, err := ports.ExtractPorts(pages)
	if err != nil {
		return err
	}
	for _, port := range allPorts {
		if !strings.HasPrefix(port.DeviceOwner, "compute:") && !strings.HasPrefix(port.DeviceOwner, "network:") {
			left.Ports = append(left.Ports, port.ID+" ("+port.Name+", "+port.DeviceOwner+")")
		}
	}
	if pages, err = groups.List(client, groups.ListOpts{}).AllPages(ctx); err != nil {
		return err
	}
	sgs, err := groups.ExtractGroups(pages)
	if err != nil {
		return err
	}
	for _, g := range sgs {
		if g.Name != "default" {
			left.SecurityGroups = append(left.SecurityGroups, g.ID+" ("+g.Name+")")
		}
	}
	return nil
}
