package transport

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	firstPause = 200 * time.Millisecond
	lastPause  = 5 * time.Second
)

// retrying repeats what the mutation contract allows.
type retrying struct {
	next     http.RoundTripper
	attempts int
	maxPause time.Duration
	clock    clock.Clock
}

// RoundTrip implements http.RoundTripper.
func (r *retrying) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	for n := 1; ; n++ {
		resp, err := r.next.RoundTrip(req)
		if n >= r.attempts || !repeatable(req, resp, err) {
			return resp, err
		}
		pause, ok := r.pause(n, resp)
		if deadline, bounded := ctx.Deadline(); bounded && deadline.Before(r.clock.Now().Add(pause)) {
			ok = false // the pause alone would outlast the caller
		}
		if !ok {
			return resp, err
		}
		again, cloneErr := clone(req)
		if cloneErr != nil {
			return resp, err
		}
		klog.FromContext(ctx).V(3).Info("Cloud request will be repeated",
			"method", req.Method, "path", req.URL.Path, "outcome", outcome(resp, err), "attempt", n, "pause", pause)
		if resp != nil {
			drain(resp)
		}
		if werr := r.sleep(ctx, pause); werr != nil {
			closeBody(again)
			if resp != nil {
				callOf(ctx).sent.Store(false) // what is repeated had no effect
			}
			return nil, fmt.Errorf("%w while waiting to repeat the request after %s", werr, outcome(resp, err))
		}
		req = again
	}
}

// repeatable is the mutation contract.
func repeatable(req *http.Request, resp *http.Response, err error) bool {
	if req.Context().Err() != nil {
		return false
	}
	read := req.Method == http.MethodGet || req.Method == http.MethodHead
	if err != nil {
		return read
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return read
	}
	return false
}

// pause is how long to wait after the n-th attempt: as long as the cloud asks, or else doubling with full jitter.
// ok is false when the cloud asks for more than is waited here.
func (r *retrying) pause(n int, resp *http.Response) (d time.Duration, ok bool) {
	if resp != nil {
		if d := RetryAfter(resp.Header, r.clock.Now()); d > 0 {
			return d, d <= r.maxPause
		}
	}
	limit := min(firstPause<<(n-1), lastPause)
	return limit/4 + rand.N(limit*3/4), true
}

func (r *retrying) sleep(ctx context.Context, d time.Duration) error {
	timer := r.clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
		return nil
	}
}

// RetryAfter reads the header of that name, in either of its forms. 0 when it is absent, past or malformed.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	if s, err := strconv.Atoi(v); err == nil {
		return time.Duration(max(0, min(s, 24*3600))) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return max(0, at.Sub(now))
}

func clone(req *http.Request) (*http.Request, error) {
	again := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return again, nil
	}
	if req.GetBody == nil {
		return nil, fmt.Errorf("%s %s: the body cannot be sent twice", req.Method, req.URL.Path)
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	again.Body = body
	return again, nil
}

// drain reads the rest of a body so that its connection can be used again.
func drain(resp *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	_ = resp.Body.Close()
}

func outcome(resp *http.Response, err error) string {
	if err != nil {
		return err.Error()
	}
	return strconv.Itoa(resp.StatusCode)
}
