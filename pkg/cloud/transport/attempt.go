package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"time"
)

// attempt sends a request once, within a time, and notes whether it went out.
type attempt struct {
	next    http.RoundTripper
	timeout time.Duration
}

// RoundTrip implements http.RoundTripper.
func (a *attempt) RoundTrip(req *http.Request) (*http.Response, error) {
	call := callOf(req.Context())
	call.sent.Store(false)
	ctx, cancel := context.WithTimeoutCause(req.Context(), a.timeout, errAttemptTimeout)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// net/http takes another connection for a write only when nothing of it went over the first.
		GetConn:      func(string) { call.sent.Store(false) },
		WroteHeaders: func() { call.sent.Store(true) },
	})
	resp, err := a.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		if errors.Is(context.Cause(ctx), errAttemptTimeout) {
			err = errAttemptTimeout
		}
		cancel()
		return nil, err
	}
	resp.Body = &bounded{ReadCloser: resp.Body, cancel: cancel}
	return resp, nil
}

// timeoutError is a net.Error, as callers expect of a timeout.
type timeoutError struct{}

func (timeoutError) Error() string   { return "no answer within the time of one attempt" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

var errAttemptTimeout error = timeoutError{}

// bounded ends the attempt's context with its body.
type bounded struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (b *bounded) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
