package scenario

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/tests/openstack"
	"github.com/fairlead-io/fairlead/tests/witness"
)

// Witness tells what the cloud below the lab saw, and orders faults.
type Witness interface {
	// Watch begins to count requests; what it returns tells those since then.
	Watch(ctx context.Context) (Calls, error)
	// Violations are the moments that endangered data.
	Violations(ctx context.Context) ([]string, error)
	// DelayAttachment lets fairlead-csi wait that long for its next attachment, from the request to its end.
	DelayAttachment(ctx context.Context, d time.Duration) error
	// Heal ends all faults.
	Heal(ctx context.Context) error
}

// Calls tells the requests so far of clients whose user agent begins with the prefix, tokens excluded.
type Calls func(ctx context.Context, userAgent string) ([]api.Count, error)

// devcloudWitness asks the embedded cloud's admin endpoint.
type devcloudWitness struct{ witness.Witness }

func (w devcloudWitness) Watch(ctx context.Context) (Calls, error) {
	mark, err := w.Mark(ctx)
	return func(ctx context.Context, userAgent string) ([]api.Count, error) {
		return w.Calls(ctx, mark, userAgent)
	}, err
}

// DelayAttachment attaches at once and answers late.
func (w devcloudWitness) DelayAttachment(ctx context.Context, d time.Duration) error {
	return w.Inject(ctx, api.Fault{
		Service: "compute", Method: http.MethodPost, UserAgent: "fairlead-csi/", When: api.After, Delay: api.Duration(d), Count: 1,
	})
}

func (w devcloudWitness) Violations(ctx context.Context) ([]string, error) {
	all, err := w.Witness.Violations(ctx)
	var texts []string
	for _, v := range all {
		texts = append(texts, fmt.Sprintf("%+v", v))
	}
	return texts, err
}

// openstackWitness reads the access logs of the real services and what Nova's driver saw.
type openstackWitness struct{}

func (openstackWitness) Watch(ctx context.Context) (Calls, error) {
	since, err := openstack.Mark(ctx)
	return func(_ context.Context, userAgent string) ([]api.Count, error) {
		calls, err := openstack.Calls(since, userAgent)
		return count(calls), err
	}, err
}

// serviceTypes are the services in the catalog's words.
var serviceTypes = map[string]string{"nova": "compute", "cinder": "volume", "neutron": "network", "octavia": "load-balancer"}

// count is all calls but Keystone's, those that differ in their query only together.
func count(calls []openstack.Call) []api.Count {
	var counts []api.Count
	for _, call := range calls {
		if call.Service == "keystone" {
			continue
		}
		kind := api.Call{Service: cmp.Or(serviceTypes[call.Service], call.Service), Method: call.Method, Route: call.Path, UserAgent: call.Agent, Status: call.Status}
		i := slices.IndexFunc(counts, func(c api.Count) bool { return c.Call == kind })
		if i < 0 {
			i, counts = len(counts), append(counts, api.Count{Call: kind})
		}
		counts[i].Count++
	}
	return counts
}

func (openstackWitness) Violations(context.Context) ([]string, error) {
	all, err := openstack.Violations()
	var texts []string
	for _, v := range all {
		texts = append(texts, fmt.Sprintf("%+v", v))
	}
	return texts, err
}

// DelayAttachment answers at once, as Nova does, and attaches late.
func (openstackWitness) DelayAttachment(_ context.Context, d time.Duration) error {
	return openstack.Inject("nova.attach_volume", openstack.Fault{Sleep: d, Times: 1})
}

func (openstackWitness) Heal(context.Context) error { return openstack.Heal() }
