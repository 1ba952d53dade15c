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
	"time"

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

// Inject orders a fault; Heal ends it.
func (w Witness) Inject(ctx context.Context, f api.Fault) error {
	return w.ask(ctx, http.MethodPost, "/admin/faults", f, nil)
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

// SetOperationTime makes one kind of operation ("loadbalancer.create") take that long.
func (w Witness) SetOperationTime(ctx context.Context, kind string, d time.Duration) error {
	return w.ask(ctx, http.MethodPut, "/admin/times", map[string]any{"kinds": map[string]string{kind: d.String()}}, nil)
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
