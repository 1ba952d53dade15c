package scenario

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/tests/lab"
	"github.com/fairlead-io/fairlead/tests/openstack"
	"github.com/fairlead-io/fairlead/tests/witness"
)

// Witness tells what the cloud below the lab saw, and orders faults.
type Witness interface {
	// Watch begins to count requests; what it returns tells those since then.
	Watch(ctx context.Context) (Watched, error)
	// Violations are the moments that endangered data.
	Violations(ctx context.Context) ([]string, error)
	// DelayAttachment lets fairlead-csi wait that long for its next attachment, from the request to its end.
	DelayAttachment(ctx context.Context, d time.Duration) error
	// Heal ends all faults.
	Heal(ctx context.Context) error
}

// Watched tells the requests so far to these services of clients whose user agent begins with the prefix.
type Watched func(ctx context.Context, userAgent string, services ...string) (Requests, error)

// Requests are those that differ in nothing but their query counted together.
type Requests struct {
	Counts []api.Count
	// Span is the time between the first and the last; zero where the cloud does not tell it.
	Span time.Duration
}

// Total is the number of requests.
func (r Requests) Total() int {
	n := 0
	for _, c := range r.Counts {
		n += c.Count
	}
	return n
}

// devcloudWitness asks the embedded cloud's admin endpoint.
type devcloudWitness struct{ witness.Witness }

func (w devcloudWitness) Watch(ctx context.Context) (Watched, error) {
	mark, err := w.Mark(ctx)
	return func(ctx context.Context, userAgent string, services ...string) (Requests, error) {
		counts, err := w.Calls(ctx, mark, userAgent)
		others := func(c api.Count) bool { return !slices.Contains(services, c.Service) }
		return Requests{Counts: slices.DeleteFunc(counts, others)}, err
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

func (openstackWitness) Watch(ctx context.Context) (Watched, error) {
	since, err := openstack.Mark(ctx)
	return func(_ context.Context, userAgent string, services ...string) (Requests, error) {
		calls, err := openstack.Calls(since, userAgent)
		return requests(calls, services), err
	}, err
}

// serviceTypes are the services in the catalog's words.
var serviceTypes = map[string]string{"nova": "compute", "cinder": "volume", "neutron": "network", "octavia": "load-balancer"}

// requests are the calls to these services, given in the order of time.
func requests(calls []openstack.Call, services []string) Requests {
	var r Requests
	var first time.Time
	for _, call := range calls {
		kind := api.Call{Service: serviceTypes[call.Service], Method: call.Method, Route: call.Path, UserAgent: call.Agent, Status: call.Status}
		if !slices.Contains(services, kind.Service) {
			continue
		}
		if first.IsZero() {
			first = call.Time
		}
		r.Span = call.Time.Sub(first)
		i := slices.IndexFunc(r.Counts, func(c api.Count) bool { return c.Call == kind })
		if i < 0 {
			i, r.Counts = len(r.Counts), append(r.Counts, api.Count{Call: kind})
		}
		r.Counts[i].Count++
	}
	return r
}

// Violations are those at the lab's own servers.
func (openstackWitness) Violations(ctx context.Context) ([]string, error) {
	servers, err := lab.ServerIDs(ctx)
	if err != nil || len(servers) == 0 {
		return nil, err
	}
	all, err := openstack.Violations(servers...)
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

func (openstackWitness) Heal(context.Context) error { return openstack.Heal("") }
