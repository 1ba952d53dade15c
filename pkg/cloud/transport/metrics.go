package transport

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
)

// measured observes every attempt: fairlead_cloud_api_request_duration_seconds{service,method,route,code}, where code is
// the status, or "error" without an answer, and route is the path with every id replaced.
type measured struct {
	next    http.RoundTripper
	seconds *prometheus.HistogramVec
	clock   clock.Clock
}

func newMeasured(next http.RoundTripper, reg prometheus.Registerer, c clock.Clock) (http.RoundTripper, error) {
	if reg == nil {
		return next, nil
	}
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "fairlead_cloud_api_request_duration_seconds",
		Help:    "Time until the cloud's API answered a request, by service, method, route and status.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"service", "method", "route", "code"})
	if err := reg.Register(seconds); err != nil {
		var there prometheus.AlreadyRegisteredError
		if !errors.As(err, &there) {
			return nil, fmt.Errorf("register the cloud API metrics: %w", err)
		}
		existing, ok := there.ExistingCollector.(*prometheus.HistogramVec)
		if !ok {
			return nil, fmt.Errorf("register the cloud API metrics: %w", err)
		}
		seconds = existing
	}
	return &measured{next: next, seconds: seconds, clock: c}, nil
}

// RoundTrip implements http.RoundTripper.
func (m *measured) RoundTrip(req *http.Request) (*http.Response, error) {
	began := m.clock.Now()
	resp, err := m.next.RoundTrip(req)
	code := "error"
	if err == nil {
		code = strconv.Itoa(resp.StatusCode)
	}
	m.seconds.WithLabelValues(callOf(req.Context()).Service, req.Method, Route(req.URL.Path), code).
		Observe(m.clock.Since(began).Seconds())
	return resp, err
}

// Route is a path in which every segment that looks like an id (a UUID with or without dashes, or a number) is "{id}".
func Route(path string) string {
	segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
	for i, s := range segments {
		if isID(s) {
			segments[i] = "{id}"
		}
	}
	return strings.Join(segments, "/")
}

func isID(s string) bool {
	digits, letters := 0, 0
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
			letters++
		case c != '-':
			return false
		}
	}
	return digits > 0 && letters == 0 && !strings.Contains(s, "-") || digits+letters == 32
}
