package transport

import (
	"net/http"
	"time"

	"github.com/google/uuid"
	"k8s.io/klog/v2"
)

// headerRequestID carries our id to the cloud, which logs it as the global request id, and the cloud's own id back.
const headerRequestID = "X-Openstack-Request-Id"

// identified gives a request an id that all its attempts share, and an answer without an id (a gateway's) that one.
type identified struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (i *identified) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, id := req.Context(), "req-"+uuid.NewString()
	req = req.Clone(ctx)
	req.Header.Set(headerRequestID, id)
	began := time.Now()
	resp, err := i.next.RoundTrip(req)
	log := klog.FromContext(ctx).V(5)
	if err != nil {
		log.Info("Cloud request failed", "method", req.Method, "url", req.URL.Redacted(), "took", time.Since(began), "globalRequestID", id, "err", err)
		return nil, err
	}
	if RequestID(resp.Header) == "" {
		resp.Header.Set(headerRequestID, id)
	}
	log.Info("Cloud request", "method", req.Method, "url", req.URL.Redacted(), "status", resp.StatusCode,
		"took", time.Since(began), "requestID", RequestID(resp.Header), "globalRequestID", id)
	return resp, nil
}

// RequestID is the id of an answer.
func RequestID(h http.Header) string {
	if id := h.Get(headerRequestID); id != "" {
		return id
	}
	return h.Get("X-Compute-Request-Id")
}
