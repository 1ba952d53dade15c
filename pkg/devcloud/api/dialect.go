package api

import (
	"net/http"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// Dialect is how one OpenStack service speaks, apart from its routes.
type Dialect struct {
	// Service names it in the call log, in faults and in the microversion header.
	Service string
	// RequestIDs are the headers that carry the request id.
	RequestIDs []string
	// EdgeIDs are those of them that answers carry which the service's own code never saw: without a valid token, or to
	// an unknown path.
	EdgeIDs []string
	// Unrouted is the body of the answer to an unknown path; nil: that of a refusal. With it, an unknown method is
	// answered like an unknown path.
	Unrouted any
	// Vary is a header that all answers carry; empty: none.
	Vary string
	// Versions is the microversion range; nil when the service has none.
	Versions *Range
	// Statuses are the codes that differ from the common ones for a reason.
	Statuses map[engine.Reason]int
	// Body is the JSON of a refusal.
	Body func(e *Error) any
}

// The dialects of the services.
var (
	Identity = Dialect{
		Service: "identity", RequestIDs: []string{"X-Openstack-Request-Id"}, EdgeIDs: []string{"X-Openstack-Request-Id"}, Vary: "X-Auth-Token",
		Body: keystoneBody,
	}
	BlockStorage = Dialect{
		Service: "volume", RequestIDs: []string{"X-Openstack-Request-Id", "X-Compute-Request-Id"}, EdgeIDs: []string{"X-Openstack-Request-Id"},
		Unrouted: routesNotFound,
		Versions: &Range{Min: Version{3, 0}, Max: Version{3, 70}},
		Statuses: map[engine.Reason]int{engine.OverQuota: http.StatusRequestEntityTooLarge},
		Body:     faultBody,
	}
	Compute = Dialect{
		Service: "compute", RequestIDs: []string{"X-Openstack-Request-Id", "X-Compute-Request-Id"}, EdgeIDs: []string{"X-Openstack-Request-Id", "X-Compute-Request-Id"},
		Unrouted: routesNotFound,
		Versions: &Range{Min: Version{2, 1}, Max: Version{2, 93}, Legacy: "X-Openstack-Nova-Api-Version"},
		Body:     faultBody,
	}
	Network = Dialect{
		Service: "network", RequestIDs: []string{"X-Openstack-Request-Id"}, EdgeIDs: []string{"X-Openstack-Request-Id"},
		Statuses: map[engine.Reason]int{engine.OverQuota: http.StatusConflict},
		Body:     neutronBody,
	}
	Image = Dialect{
		Service: "image", RequestIDs: []string{"X-Openstack-Request-Id"}, EdgeIDs: []string{"X-Openstack-Request-Id"},
		Body: faultBody,
	}
	LoadBalancer = Dialect{
		Service: "load-balancer", RequestIDs: []string{"X-Openstack-Request-Id"},
		Body: octaviaBody,
	}
)

// routesNotFound is what Nova and Cinder say of an unknown path, in the words of their web framework.
var routesNotFound = map[string]any{
	"message": "The resource could not be found.<br /><br />\n\n\n", "code": "404 Not Found", "title": "Not Found",
}

var faultNames = map[int]string{
	http.StatusBadRequest:            "badRequest",
	http.StatusUnauthorized:          "unauthorized",
	http.StatusForbidden:             "forbidden",
	http.StatusNotFound:              "itemNotFound",
	http.StatusMethodNotAllowed:      "badMethod",
	http.StatusConflict:              "conflictingRequest",
	http.StatusRequestEntityTooLarge: "overLimit",
	http.StatusTooManyRequests:       "overLimit",
	http.StatusNotImplemented:        "notImplemented",
	http.StatusServiceUnavailable:    "serviceUnavailable",
}

// faultBody is Nova's and Cinder's shape: the fault's name is the key.
func faultBody(e *Error) any {
	name := e.Type
	if name == "" {
		name = faultNames[e.Status]
	}
	if name == "" {
		name = "computeFault"
	}
	fault := map[string]any{"code": e.Status, "message": e.Message}
	if name == "overLimit" {
		fault["retryAfter"] = "0"
	}
	return map[string]any{name: fault}
}

func neutronBody(e *Error) any {
	name := e.Type
	if name == "" {
		name = "HTTP" + strings.ReplaceAll(http.StatusText(e.Status), " ", "")
	}
	return map[string]any{"NeutronError": map[string]any{"type": name, "message": e.Message, "detail": ""}}
}

func octaviaBody(e *Error) any {
	side := "Client"
	if e.Status >= http.StatusInternalServerError {
		side = "Server"
	}
	return map[string]any{"faultcode": side, "faultstring": e.Message, "debuginfo": nil}
}

func keystoneBody(e *Error) any {
	return map[string]any{"error": map[string]any{
		"code": e.Status, "title": http.StatusText(e.Status), "message": e.Message,
	}}
}

// unauthorized is the answer of every service to a missing, unknown or expired token.
var unauthorized = map[string]any{"error": map[string]any{
	"code": http.StatusUnauthorized, "title": "Unauthorized",
	"message": "The request you have made requires authentication.",
}}
