// Package admin is the embedded cloud's own API for those who test with it: what was called, what shall go wrong, what
// went wrong, how long things take. It asks for no token: the cloud is for one machine.
package admin

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// Leftovers count what exists in the cloud, of everything or of one cluster.
type Leftovers struct {
	Volumes        int `json:"volumes"`
	Attachments    int `json:"attachments"`
	LoadBalancers  int `json:"loadBalancers"`
	Ports          int `json:"ports"` // of load balancers
	FloatingIPs    int `json:"floatingIPs"`
	SecurityGroups int `json:"securityGroups"` // other than the default ones
}

// Options are what the API reaches into.
type Options struct {
	Core   *api.Core
	Engine *engine.Engine
	// Count counts what bears that text in its metadata, tags or description; all for an empty one.
	Count func(cluster string) Leftovers
	// RevokeTokens ends all tokens.
	RevokeTokens func() error
}

type service struct {
	Options
	changing sync.Mutex // held while the times are read, changed and set
}

// New serves the routes below /admin, which the caller strips.
func New(opts Options) http.Handler {
	s := &service{Options: opts}
	mux := http.NewServeMux()
	for pattern, h := range map[string]func(r *http.Request) (any, error){
		"GET /calls":          s.calls,
		"POST /marks":         s.mark,
		"GET /faults":         s.faults,
		"POST /faults":        s.addFault,
		"DELETE /faults":      s.clearFaults,
		"DELETE /faults/{id}": s.removeFault,
		"GET /violations":     s.violations,
		"GET /times":          s.times,
		"PUT /times":          s.setTimes,
		"GET /leftovers":      s.leftovers,
		"DELETE /tokens":      s.revokeTokens,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, err := h(r)
			status := http.StatusOK
			if err != nil {
				status, body = http.StatusBadRequest, map[string]string{"error": err.Error()}
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(body)
		})
	}
	return mux
}

func (s *service) calls(r *http.Request) (any, error) {
	mark := 0
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if mark, err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("since: %w", err)
		}
	}
	counts, err := s.Core.Calls.Since(mark)
	return map[string]any{"calls": counts}, err
}

func (s *service) mark(*http.Request) (any, error) {
	return map[string]any{"mark": s.Core.Calls.Mark()}, nil
}

func (s *service) faults(*http.Request) (any, error) {
	return map[string]any{"faults": s.Core.Faults.List()}, nil
}

func decode(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func (s *service) addFault(r *http.Request) (any, error) {
	var f api.Fault
	if err := decode(r, &f); err != nil {
		return nil, err
	}
	return s.Core.Faults.Add(f)
}

func (s *service) clearFaults(*http.Request) (any, error) {
	s.Core.Faults.Remove("")
	return map[string]any{}, nil
}

func (s *service) removeFault(r *http.Request) (any, error) {
	return map[string]any{"removed": s.Core.Faults.Remove(r.PathValue("id"))}, nil
}

// violations lists the safety violations; ?since=2026-01-02T15:04:05Z only those from that time on.
func (s *service) violations(r *http.Request) (any, error) {
	var since time.Time
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, fmt.Errorf("since: %w", err)
		}
	}
	seen := []engine.Violation{} // an empty list, not null
	for _, v := range s.Engine.Violations() {
		if !v.At.Before(since) {
			seen = append(seen, v)
		}
	}
	return map[string]any{"violations": seen}, nil
}

// Times is the JSON of GET and PUT /admin/times.
type Times struct {
	Profile string                  `json:"profile,omitempty"` // PUT only: where to start from instead of what is in force
	Default *api.Duration           `json:"default,omitempty"`
	Kinds   map[string]api.Duration `json:"kinds,omitempty"`
}

// Over makes the engine's times of it: what is given, on top of the profile or, if none is named, of base.
func (t Times) Over(base engine.Times) (engine.Times, error) {
	if t.Profile != "" {
		var ok bool
		if base, ok = engine.Profile(t.Profile); !ok {
			return base, fmt.Errorf("profile: %q is none of %s", t.Profile, strings.Join(engine.Profiles, ", "))
		}
	}
	times := engine.Times{Default: base.Default, ByKind: map[string]time.Duration{}}
	maps.Copy(times.ByKind, base.ByKind)
	if t.Default != nil {
		times.Default = time.Duration(*t.Default)
	}
	for kind, d := range t.Kinds {
		times.ByKind[kind] = time.Duration(d)
	}
	if times.Default < 0 {
		return base, fmt.Errorf("default: %s is negative", times.Default)
	}
	for kind, d := range times.ByKind {
		if d < 0 {
			return base, fmt.Errorf("kinds: %s: %s is negative", kind, d)
		}
	}
	return times, nil
}

func (s *service) times(*http.Request) (any, error) {
	now := s.Engine.Times()
	def := api.Duration(now.Default)
	view := Times{Default: &def, Kinds: map[string]api.Duration{}}
	for kind, d := range now.ByKind {
		view.Kinds[kind] = api.Duration(d)
	}
	return view, nil
}

func (s *service) setTimes(r *http.Request) (any, error) {
	var in Times
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	for kind := range in.Kinds {
		if !s.Engine.Handles(kind) {
			return nil, fmt.Errorf("kinds: there are no operations of kind %q", kind)
		}
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	times, err := in.Over(s.Engine.Times())
	if err != nil {
		return nil, err
	}
	s.Engine.SetTimes(times)
	return s.times(r)
}

func (s *service) leftovers(r *http.Request) (any, error) {
	return s.Count(r.URL.Query().Get("cluster")), nil
}

func (s *service) revokeTokens(*http.Request) (any, error) { return map[string]any{}, s.RevokeTokens() }
