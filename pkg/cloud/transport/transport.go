// Package transport is the one way out to a cloud's HTTP API: a chain of http.RoundTrippers that gives every request an
// id, measures it, keeps to a rate, repeats what may be repeated, and bounds every attempt in time.
//
// What may be repeated is the mutation contract. GET and HEAD are repeated after a lost connection and after 429, 502,
// 503 and 504; any method after 429, which promises that nothing was done. Every other failed write is the caller's to
// judge, who learns from Call.Sent whether the request can have reached the cloud.
package transport

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// Options configure a chain. The zero value works.
type Options struct {
	// Base sends the requests; nil is http.DefaultTransport.
	Base http.RoundTripper
	// AttemptTimeout bounds one attempt up to the end of its body; 0 is 60 s.
	AttemptTimeout time.Duration
	// MaxAttempts bounds the attempts of one request; 0 is 4.
	MaxAttempts int
	// MaxRetryAfter is the longest pause asked for by the cloud that is waited out here. A longer one goes to the
	// caller with the answer. 0 is 20 s.
	MaxRetryAfter time.Duration
	// Limiter paces the attempts; nil does not.
	Limiter *rate.Limiter
	// Registerer takes the metrics; nil: none are kept.
	Registerer prometheus.Registerer
	// Clock times pauses; nil is the real one.
	Clock clock.Clock
}

// New builds the chain.
func New(opts Options) (http.RoundTripper, error) {
	if opts.Base == nil {
		opts.Base = http.DefaultTransport
	}
	if opts.AttemptTimeout == 0 {
		opts.AttemptTimeout = time.Minute
	}
	if opts.MaxAttempts == 0 {
		opts.MaxAttempts = 4
	}
	if opts.MaxRetryAfter == 0 {
		opts.MaxRetryAfter = 20 * time.Second
	}
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	var chain http.RoundTripper = &attempt{next: opts.Base, timeout: opts.AttemptTimeout}
	chain, err := newMeasured(chain, opts.Registerer, opts.Clock)
	if err != nil {
		return nil, err
	}
	if opts.Limiter != nil {
		chain = &limited{next: chain, limiter: opts.Limiter}
	}
	chain = &retrying{next: chain, attempts: opts.MaxAttempts, maxPause: opts.MaxRetryAfter, clock: opts.Clock}
	return &identified{next: chain}, nil
}

// limited waits for the client's own rate limit.
type limited struct {
	next    http.RoundTripper
	limiter *rate.Limiter
}

// RoundTrip implements http.RoundTripper.
func (l *limited) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := l.limiter.Wait(req.Context()); err != nil {
		closeBody(req)
		return nil, err
	}
	return l.next.RoundTrip(req)
}

// closeBody does what a RoundTripper owes even a request that it does not send.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
