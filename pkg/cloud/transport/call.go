package transport

import (
	"context"
	"sync/atomic"
)

// Call is one use of the cloud's API as its maker sees it: what it is for, and what became of it.
type Call struct {
	// Service is a label of the metrics ("compute").
	Service string
	sent    atomic.Bool
}

// Sent reports whether the last attempt may have reached the cloud: whether its headers were written to a connection.
// If not, nothing was changed.
func (c *Call) Sent() bool { return c.sent.Load() }

type callKey struct{}

// WithCall makes the chain report on the requests of ctx to call.
func WithCall(ctx context.Context, call *Call) context.Context {
	return context.WithValue(ctx, callKey{}, call)
}

func callOf(ctx context.Context) *Call {
	if call, ok := ctx.Value(callKey{}).(*Call); ok {
		return call
	}
	return &Call{Service: "unknown"}
}
