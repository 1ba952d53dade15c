package csi

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"
)

// NewHTTPHandler serves /healthz (the process lives; nobody else is asked), /readyz (ready, when not nil, answers) and
// /metrics.
func NewHTTPHandler(ready func(ctx context.Context) error, metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if ready != nil {
			if err := ready(r.Context()); err != nil {
				klog.FromContext(r.Context()).V(2).Info("Not ready", "err", err)
				say(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
				return
			}
		}
		say(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	return mux
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, text)
}

const (
	// readyFor is how long an answer about readiness is believed: the probes of several components share one question.
	readyFor = 10 * time.Second
	// readyRetry is how long a bad answer is.
	readyRetry = time.Second
	// readyTimeout is how long the answer may take.
	readyTimeout = 4 * time.Second
)

// Readiness remembers the answer to a question that is asked more often than it is worth asking.
type Readiness struct {
	ask func(ctx context.Context) error
	now func() time.Time

	mu    sync.Mutex
	until time.Time
	err   error
}

// NewReadiness returns the memory of ask, whose answer is nil or why the process cannot serve.
func NewReadiness(ask func(ctx context.Context) error) *Readiness {
	return &Readiness{ask: ask, now: time.Now}
}

// Check answers from memory, or asks. Callers that come while it asks wait for that answer.
func (r *Readiness) Check(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now().Before(r.until) {
		return r.err
	}
	// The answer is for everybody: it must not hang on one caller's patience.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	r.err = r.ask(ctx)
	r.until = r.now().Add(readyFor)
	if r.err != nil {
		r.until = r.now().Add(readyRetry)
	}
	return r.err
}
