package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// Core is what the services of one cloud have in common.
type Core struct {
	Tokens Tokens
	Calls  *CallLog
	Faults *Faults
	// PublicURL is where clients reach the cloud ("http://10.200.0.1:8780"); services live below it.
	PublicURL string
	// Newest are the versions at which services end that play older ones, by their name.
	Newest map[string]Version
}

// NewCore makes a Core with an empty call log and no faults. clk times injected delays; nil is the real clock.
func NewCore(tokens Tokens, publicURL string, clk clock.Clock) *Core {
	return &Core{Tokens: tokens, Calls: NewCallLog(), Faults: NewFaults(clk), PublicURL: strings.TrimRight(publicURL, "/")}
}

// Handler answers one request: a status with a JSON body (nil for none), or an error.
type Handler func(r *Request) (status int, body any, err error)

// Service serves the routes of one OpenStack service below /<service>, which the caller strips.
type Service struct {
	core    *Core
	dialect Dialect
	mux     *http.ServeMux
}

// NewService makes a service without routes.
func NewService(core *Core, d Dialect) *Service {
	if newest, ok := core.Newest[d.Service]; ok && d.Versions != nil {
		older := *d.Versions
		older.Max = newest
		d.Versions = &older
	}
	return &Service{core: core, dialect: d, mux: http.NewServeMux()}
}

// Handle adds a route ("GET /v2.0/networks/{id}") that asks for a valid token.
func (s *Service) Handle(pattern string, h Handler) { s.mux.Handle(pattern, s.route(h, false)) }

// Public adds a route that asks for no token and takes any microversion.
func (s *Service) Public(pattern string, h Handler) { s.mux.Handle(pattern, s.route(h, true)) }

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := s.mux.Handler(r); pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	if s.dialect.Unrouted != nil {
		s.route(func(r *Request) (int, any, error) {
			s.dialect.edge(r.answer)
			return http.StatusNotFound, s.dialect.Unrouted, nil
		}, true).ServeHTTP(w, r)
		return
	}
	// Let the mux tell 404 from 405, then say it in the service's own words.
	probe := httptest.NewRecorder()
	s.mux.ServeHTTP(probe, r)
	s.route(func(*Request) (int, any, error) {
		if probe.Code == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", probe.Header().Get("Allow"))
			return 0, nil, Errorf(probe.Code, "The method %s is not allowed for this resource.", r.Method)
		}
		return 0, nil, Errorf(http.StatusNotFound, "The resource could not be found.")
	}, true).ServeHTTP(w, r)
}

// route wraps a handler with everything that is the same for all of them.
func (s *Service) route(h Handler, public bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := Call{Service: s.dialect.Service, Method: r.Method, Route: routeOf(r), UserAgent: r.UserAgent()}
		fault := s.core.Faults.draw(call)
		if fault != nil && fault.When != After {
			if s.core.Faults.delay(r.Context(), fault) != nil || fault.Drop {
				s.core.Calls.add(call)
				panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to drop the connection
			}
		}
		a := s.answer(r, h, public, fault)
		call.Status = a.status
		if fault != nil && fault.When == After {
			if s.core.Faults.delay(r.Context(), fault) != nil || fault.Drop {
				call.Status = 0
				s.core.Calls.add(call)
				panic(http.ErrAbortHandler) //nolint:forbidigo // as above
			}
			if fault.Status != 0 {
				a = s.injected(fault, a.header)
				call.Status = a.status
			}
		}
		s.core.Calls.add(call)
		a.write(w)
	})
}

// answer is the whole answer to a request, not yet written.
func (s *Service) answer(r *http.Request, h Handler, public bool, fault *Fault) answer {
	a := answer{header: http.Header{}}
	id := "req-" + uuid.NewString()
	for _, name := range s.dialect.RequestIDs {
		a.header.Set(name, id)
	}
	if s.dialect.Vary != "" {
		a.header.Set("Vary", s.dialect.Vary)
	}
	if fault != nil && fault.When != After && fault.Status != 0 {
		return s.injected(fault, a.header)
	}
	req := &Request{Request: r, ID: id, Base: s.core.PublicURL + "/" + s.dialect.Service, Newest: s.core.Newest[s.dialect.Service], answer: a.header}
	if s.dialect.Versions != nil {
		req.Newest = s.dialect.Versions.Max
	}
	if !public {
		caller, ok := s.core.Tokens.Caller(r.Header.Get("X-Auth-Token"))
		if !ok {
			return s.anonymous(a.header)
		}
		req.Caller = caller
	}
	if vs := s.dialect.Versions; vs != nil {
		v, err := vs.negotiate(s.dialect.Service, r, a.header)
		if err != nil && !public {
			return s.refuse(r, a.header, err)
		}
		req.Version = v
	}
	status, body, err := h(req)
	if err != nil {
		return s.refuse(r, a.header, err)
	}
	a.status, a.body = status, body
	return a
}

func (s *Service) anonymous(header http.Header) answer {
	s.dialect.edge(header)
	header.Set("WWW-Authenticate", `Keystone uri="`+s.core.PublicURL+`/identity/v3"`)
	return answer{status: http.StatusUnauthorized, header: header, body: unauthorized}
}

// edge takes the request ids away that answers from the edge do not carry, and the microversion.
func (d Dialect) edge(header http.Header) {
	for _, name := range d.RequestIDs {
		if !slices.Contains(d.EdgeIDs, name) {
			header.Del(name)
		}
	}
	if d.Versions != nil {
		for _, name := range []string{"Vary", versionHeader, d.Versions.Legacy} {
			header.Del(name)
		}
	}
}

func (s *Service) refuse(r *http.Request, header http.Header, err error) answer {
	fault, unexpected := s.dialect.fault(err)
	if unexpected {
		klog.FromContext(r.Context()).Error(err, "Request failed", "method", r.Method, "path", r.URL.Path)
	}
	if fault.Status == http.StatusRequestEntityTooLarge {
		header.Set("Retry-After", "0")
	}
	return answer{status: fault.Status, header: header, body: s.dialect.Body(fault)}
}

func (s *Service) injected(f *Fault, header http.Header) answer {
	if f.RetryAfter != "" {
		header.Set("Retry-After", f.RetryAfter)
	}
	message := "Injected fault " + f.ID
	return answer{status: f.Status, header: header, body: s.dialect.Body(&Error{Status: f.Status, Message: message})}
}

// routeOf is the route's path pattern, without the method.
func routeOf(r *http.Request) string {
	if _, path, ok := strings.Cut(r.Pattern, " "); ok {
		return path
	}
	if r.Pattern != "" {
		return r.Pattern
	}
	return "(none)"
}

// answer is a response before it is written.
type answer struct {
	status int
	header http.Header
	body   any
}

func (a answer) write(w http.ResponseWriter) {
	for k, v := range a.header {
		w.Header()[k] = v
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(a.body); err != nil {
		http.Error(w, internalMessage, http.StatusInternalServerError)
		return
	}
	text := bytes.TrimRight(b.Bytes(), "\n")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(a.status)
	_, _ = w.Write(text)
}
