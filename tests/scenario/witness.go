package scenario

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
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
