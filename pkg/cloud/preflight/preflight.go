// Package preflight checks a cloud for what a program is going to use of it, and tells the findings: as a table on demand,
// and beside a running program in its log and metrics.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/klog/v2"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// repeatEvery is how often a running program checks again: credentials come to their end, quotas fill up.
const repeatEvery = 24 * time.Hour

// Run connects to the cloud and checks it. That there is no connection is a finding like others.
func Run(ctx context.Context, provider string, cfg cloud.Config, use cloud.Use) []cloud.Finding {
	c, err := cloud.Open(ctx, provider, cfg)
	if err != nil {
		return []cloud.Finding{Unconnected(err)}
	}
	return c.Preflight(ctx, use)
}

// Unconnected is the finding that a cloud could not be opened.
func Unconnected(err error) cloud.Finding {
	check := "configuration"
	switch {
	case errors.Is(err, cloud.ErrUnauthorized):
		check = "credentials"
	case errors.Is(err, cloud.ErrUnavailable):
		check = "identity"
	}
	return cloud.Finding{Check: check, Level: cloud.LevelError, Message: err.Error()}
}

// Print writes the findings as a table. Its error says how many of them are errors, or that it could not be written.
func Print(w io.Writer, findings []cloud.Finding) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(table, "CHECK\tLEVEL\tMESSAGE") // Flush tells what went wrong
	for _, f := range findings {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", f.Check, f.Level, f.Message)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("preflight: %w", err)
	}
	if n := count(findings)[cloud.LevelError]; n > 0 {
		return fmt.Errorf("preflight: %d of %d findings are errors", n, len(findings))
	}
	return nil
}

func count(findings []cloud.Finding) map[cloud.Level]int {
	n := map[cloud.Level]int{}
	for _, f := range findings {
		n[f.Level]++
	}
	return n
}

// Watch checks an open cloud at once and then daily, until ctx ends. A finding that is not ok is a line of the log each
// time, and all of them are counted in fairlead_cloud_preflight_findings{check,level}. Nothing else depends on it.
func Watch(ctx context.Context, c cloud.Preflight, use cloud.Use, metrics prometheus.Registerer) error {
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "fairlead_cloud_preflight_findings",
		Help: "Findings of the latest check of the cloud, by check and level (ok, info, warning, error).",
	}, []string{"check", "level"})
	if err := metrics.Register(gauge); err != nil {
		return fmt.Errorf("register the preflight metrics: %w", err)
	}
	ticker := time.NewTicker(repeatEvery)
	defer ticker.Stop()
	for {
		found := c.Preflight(ctx, use)
		if ctx.Err() != nil {
			return nil // what was found is about the end, not about the cloud
		}
		tell(ctx, found)
		gauge.Reset()
		for _, f := range found {
			gauge.WithLabelValues(f.Check, string(f.Level)).Inc()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// tell logs one line per finding, those that are ok for whoever wants to know more, and one with the sums.
func tell(ctx context.Context, findings []cloud.Finding) {
	logger := klog.FromContext(ctx)
	for _, f := range findings {
		details := []any{"check", f.Check, "level", f.Level, "finding", f.Message}
		switch f.Level {
		case cloud.LevelError:
			logger.Error(nil, "Cloud preflight", details...)
		case cloud.LevelOK:
			logger.V(4).Info("Cloud preflight", details...)
		default:
			logger.Info("Cloud preflight", details...)
		}
	}
	n := count(findings)
	logger.Info("Cloud preflight done", "ok", n[cloud.LevelOK], "info", n[cloud.LevelInfo],
		"warning", n[cloud.LevelWarning], "error", n[cloud.LevelError])
}
