package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The services, by the types of the catalog.
const (
	Identity     = "identity"
	Volume       = "block-storage"
	Compute      = "compute"
	Network      = "network"
	LoadBalancer = "load-balancer"
	Image        = "image"
)

// Cloud is a project on a cloud, with what both clouds are seeded with.
type Cloud struct {
	Name      string // "devcloud" or "OpenStack"
	Endpoints map[string]string
	Token     string
	ProjectID string
	UserID    string
	Password  string // the user's
	// AdminToken is an administrator's, for what a project's user may not do (quotas).
	AdminToken string

	ImageID, FlavorID                      string
	NetworkID, SubnetID, ExternalNetworkID string
	Servers                                [2]string // ACTIVE, in Zones[0], without volumes
	Zones                                  [2]string
	VolumeType, OtherType, MultiattachType string

	// Fail makes the next operation of that kind go wrong in the cloud, after it was accepted: "volume.attach",
	// "volume.detach", "volume.create", "volume.delete", "volume.extend".
	Fail func(t *T, operation string)
	// Slow makes the next operation of that kind take a few seconds, so that what happens meanwhile can be seen.
	Slow func(t *T, operation string)
	// Reset is the administrator's word that a volume is in error: its owner cannot delete one in error_deleting.
	Reset func(t *T, volume string)

	// Poll is the time between two looks.
	Poll time.Duration

	client *http.Client
}

// Devcloud reports whether this is the embedded cloud; only for preparations, never for what a case expects.
func (c *Cloud) Devcloud() bool { return c.Name == "devcloud" }

// Option changes a request.
type Option func(*http.Request)

// Header sets a header of the request; an empty value removes it.
func Header(name, value string) Option {
	return func(r *http.Request) {
		if r.Header.Del(name); value != "" {
			r.Header.Set(name, value)
		}
	}
}

// Microversion asks for a microversion, "3.60" or "2.79".
func Microversion(service, version string) Option {
	kind := map[string]string{Volume: "volume", Compute: "compute"}[service]
	return Header("OpenStack-API-Version", kind+" "+version)
}

// Answer is what a service answered.
type Answer struct {
	Method, Path string
	Status       int
	Header       http.Header
	Raw          []byte
	Body         any // decoded JSON; nil if there is none
}

// Root is where a service's version document is: its endpoint without the version.
func (c *Cloud) Root(service string) string {
	return versioned.ReplaceAllString(strings.TrimRight(c.Endpoints[service], "/"), "")
}

var versioned = regexp.MustCompile(`/v[0-9.]+(/[0-9a-f]{32})?$`)

// Do sends a request with the project's token, and records the form of the answer. The path begins below the service's endpoint ("/volumes"; Neutron's and
// Octavia's with their version: "/v2.0/networks") or is a whole URL. A body that is a string is sent as
// it stands, any other as JSON. A request that gets no answer ends the case.
func (c *Cloud) Do(t *T, service, method, path string, body any, options ...Option) Answer {
	url := path
	if !strings.HasPrefix(path, "http") {
		url = strings.TrimRight(c.Endpoints[service], "/") + path
	}
	var content io.Reader
	if text, ok := body.(string); ok {
		content = strings.NewReader(text)
	} else if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		content = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, content)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	req.Header.Set("X-Auth-Token", c.Token)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, option := range options {
		option(req)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := Answer{Method: method, Path: path, Status: resp.StatusCode, Header: resp.Header}
	if a.Raw, err = io.ReadAll(resp.Body); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if json.Unmarshal(a.Raw, &a.Body) != nil {
		a.Body = nil
	}
	t.record(c.exchange(a))
	return a
}

// Want ends the case unless the answer has one of the statuses.
func (a Answer) Want(t *T, statuses ...int) Answer {
	if !slices.Contains(statuses, a.Status) {
		t.Fatalf("%s %s answered %d, want %v: %s", a.Method, a.Path, a.Status, statuses, a.Raw)
	}
	return a
}

// At finds a value of the body by its path, "volumes.0.id"; nil if there is none.
func (a Answer) At(path string) any {
	value := a.Body
	for part := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// Text is At for a string; a number or a truth value is spelled out; null is "".
func (a Answer) Text(path string) string {
	switch v := a.At(path).(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		encoded, _ := json.Marshal(v)
		return string(encoded)
	}
}

// Equal notes a failure unless the value at the path reads as wanted.
func (a Answer) Equal(t *T, path, want string) {
	if got := a.Text(path); got != want {
		t.Errorf("%s %s: %s is %q, want %q", a.Method, a.Path, path, got, want)
	}
}

// Keys are the names in the object at the path, sorted; "" is the whole body.
func (a Answer) Keys(path string) []string {
	value := a.Body
	if path != "" {
		value = a.At(path)
	}
	object, _ := value.(map[string]any)
	var keys []string
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// awaited is how long a case waits for a state: a busy machine's Nova needs more than a minute for a server.
const awaited = 3 * time.Minute

// Await reads a path until the value there is the wanted one, and returns all values seen, in order, each once in a row.
// Status 404 counts as the value "404". It ends the case after awaited, or when the value is an error that is not wanted.
func (c *Cloud) Await(t *T, service, path, field, want string, options ...Option) []string {
	t.hush(+1)
	defer t.hush(-1)
	var seen []string
	deadline := time.Now().Add(awaited)
	for {
		a := c.Do(t, service, http.MethodGet, path, nil, options...)
		now := a.Text(field)
		if a.Status == http.StatusNotFound {
			now = "404"
		}
		if len(seen) == 0 || seen[len(seen)-1] != now {
			seen = append(seen, now)
		}
		if now == want {
			return seen
		}
		if strings.HasPrefix(strings.ToLower(now), "error") {
			t.Fatalf("GET %s: %s went %v, want %s", path, field, seen, want)
		}
		if time.Now().After(deadline) {
			t.Fatalf("GET %s: %s went %v, and never %s", path, field, seen, want)
		}
		c.pause(t)
	}
}

// pause waits the time between two looks.
func (c *Cloud) pause(t *T) { sleep(t, c.Poll) }

// sleep waits.
func sleep(t *T, d time.Duration) {
	select {
	case <-t.Context().Done():
		t.Fatalf("%v", t.Context().Err())
	case <-time.After(d):
	}
}

// only reports whether all seen values are among the allowed ones, in that order; states may be missed by polling.
func only(seen []string, allowed ...string) error {
	next := 0
	for _, s := range seen {
		i := slices.Index(allowed[next:], s)
		if i < 0 {
			return fmt.Errorf("went through %v, allowed is %v in this order", seen, allowed)
		}
		next += i
	}
	return nil
}
