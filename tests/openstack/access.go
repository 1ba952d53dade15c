package openstack

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Call is one request that a service answered, from its access log.
type Call struct {
	// Service is the name in the table of services: keystone, nova, metadata, cinder, neutron, octavia, glance, placement.
	Service string
	Time    time.Time
	Method  string
	// Path is without the query, which is in Query.
	Path  string
	Query url.Values
	Agent string
	// Status is the HTTP status, Took how long the service worked on it.
	Status int
	Took   time.Duration
}

// String is a line for a test's message.
func (c Call) String() string {
	uri := c.Path
	if len(c.Query) > 0 {
		uri += "?" + c.Query.Encode()
	}
	return fmt.Sprintf("%s %s %s %d", c.Service, c.Method, uri, c.Status)
}

const accessSuffix = ".access.log"

// A Moment is a place in all access logs.
type Moment struct{ offsets map[string]int64 }

// Mark is now. A request that was answered before is before it.
func Mark(context.Context) (Moment, error) {
	files, err := accessLogs()
	if err != nil {
		return Moment{}, err
	}
	m := Moment{offsets: map[string]int64{}}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return Moment{}, err
		}
		m.offsets[file] = info.Size()
	}
	return m, nil
}

// Calls are the requests since the moment whose user agent contains the text, tokens included, in the order of their begin.
// Requests of the services to each other have agents of their own.
func Calls(since Moment, agent string) ([]Call, error) {
	files, err := accessLogs()
	if err != nil {
		return nil, err
	}
	var all []Call
	for _, file := range files {
		service := strings.TrimSuffix(filepath.Base(file), accessSuffix)
		err := eachLine(file, since.offsets[file], func(line []byte) error {
			call, err := parseCall(service, line)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if strings.Contains(call.Agent, agent) {
				all = append(all, call)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b Call) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	return all, nil
}

func accessLogs() ([]string, error) {
	files, err := filepath.Glob(path("log", "*"+accessSuffix))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there are no access logs in %s: make openstack-up", path("log"))
	}
	return files, err
}

func parseCall(service string, line []byte) (Call, error) {
	var raw struct {
		Time               time.Time
		Method, URI, Agent string
		Status             int
		Msecs              int64
	}
	if err := json.Unmarshal(line, &raw); err != nil {
		return Call{}, fmt.Errorf("%w: %s", err, line)
	}
	uri, err := url.ParseRequestURI(raw.URI)
	if err != nil {
		return Call{}, err
	}
	return Call{Service: service, Time: raw.Time, Method: raw.Method, Path: uri.Path, Query: uri.Query(), Agent: raw.Agent,
		Status: raw.Status, Took: time.Duration(raw.Msecs) * time.Millisecond}, nil
}
