package cloud

import "context"

// Receipt is the id of a request that the cloud accepted. When the cloud gives up the work later, its operator finds the
// reason in the logs under that id.
type Receipt struct {
	RequestID string // empty: no request was accepted, or the cloud gave no id
}

type receiptKey struct{}

// WithReceipt returns a context for one call at a time, and the receipt that the call fills in when it succeeds.
func WithReceipt(ctx context.Context) (context.Context, *Receipt) {
	r := &Receipt{}
	return context.WithValue(ctx, receiptKey{}, r), r
}

// Accepted fills in the receipt of the context, if there is one. Providers call it for every request that succeeded.
func Accepted(ctx context.Context, requestID string) {
	if r, ok := ctx.Value(receiptKey{}).(*Receipt); ok {
		r.RequestID = requestID
	}
}
