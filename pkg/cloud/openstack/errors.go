package openstack

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/transport"
)

// failure is what is known of a failed request besides the error.
type failure struct {
	op     string
	object string
	read   bool // it cannot have changed anything
	sent   bool // its last attempt can have reached the cloud
}

// classify turns any failure of a request into a cloud.Error. It decides by status, operation and the fault's
// structured fields; never by prose.
func classify(f failure, err error) *cloud.Error {
	e := &cloud.Error{Op: f.op, Object: f.object}
	var reauth *gophercloud.ErrUnableToReauthenticate
	if errors.As(err, &reauth) { // the request itself was refused with 401: it had no effect
		e.Kind, e.Err = cloud.ErrUnauthorized, reauth.ErrReauth
		if !errors.Is(reauth.ErrReauth, cloud.ErrUnauthorized) && !errors.Is(reauth.ErrReauth, cloud.ErrInvalid) {
			e.Kind = cloud.ErrUnavailable
		}
		return e
	}
	var refused gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &refused) {
		// No answer, or one that broke off.
		e.Kind, e.Err = cloud.ErrUnavailable, err
		if f.sent && !f.read {
			e.Kind = cloud.ErrOutcomeUnknown
		}
		return e
	}
	fault := parseFault(refused.Body)
	e.Status, e.Message, e.RequestID = refused.Actual, fault.message, transport.RequestID(refused.ResponseHeader)
	e.RetryAfter = transport.RetryAfter(refused.ResponseHeader, time.Now())
	e.Kind = kindOf(f, refused.Actual, fault, e.RetryAfter)
	return e
}

// exceptions are the statuses that mean something else in an operation than in general.
var exceptions = map[string]map[int]error{
	// Cinder answers 404 for an unknown type.
	opCreateDisk: {http.StatusNotFound: cloud.ErrInvalid},
	// Nova answers 400 for a volume that is in use, attached here already, or in transition; 409 for an instance whose
	// state forbids it for now; 403 when the instance has as many disks as it can have.
	opAttachDisk: {http.StatusBadRequest: cloud.ErrConflict, http.StatusConflict: cloud.ErrBusy, http.StatusForbidden: cloud.ErrExhausted},
	// Nova answers 400 for a volume that is not in-use (it is on its way), 409 for an instance in transition.
	opDetachDisk: {http.StatusBadRequest: cloud.ErrBusy, http.StatusConflict: cloud.ErrBusy},
	// Neutron answers 404 for a network, subnet or port that it cannot find.
	opCreateFloatingIP: {http.StatusNotFound: cloud.ErrInvalid},
	// Octavia answers 409 for every write to a balancer that is immutable.
	opSetLoadBalancerTags: {http.StatusConflict: cloud.ErrBusy},
	opDeleteLoadBalancer:  {http.StatusConflict: cloud.ErrBusy},
	opCreateListener:      {http.StatusConflict: cloud.ErrBusy},
	opUpdateListener:      {http.StatusConflict: cloud.ErrBusy},
	opDeleteListener:      {http.StatusConflict: cloud.ErrBusy},
	opCreatePool:          {http.StatusConflict: cloud.ErrBusy},
	opUpdatePool:          {http.StatusConflict: cloud.ErrBusy},
	opDeletePool:          {http.StatusConflict: cloud.ErrBusy},
	opSetMembers:          {http.StatusConflict: cloud.ErrBusy},
	opCreateMonitor:       {http.StatusConflict: cloud.ErrBusy},
	opUpdateMonitor:       {http.StatusConflict: cloud.ErrBusy},
	opDeleteMonitor:       {http.StatusConflict: cloud.ErrBusy},
}

// exhausted are the Neutron fault types of quotas and empty address pools, whatever their status.
var exhausted = []string{"OverQuota", "IpAddressGenerationFailure", "ExternalIpAddressExhausted"}

func kindOf(f failure, status int, fault fault, retryAfter time.Duration) error {
	if slices.Contains(exhausted, fault.kind) {
		return cloud.ErrExhausted
	}
	if kind, ok := exceptions[f.op][status]; ok {
		return kind
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return cloud.ErrUnauthorized
	case http.StatusNotFound:
		return cloud.ErrNotFound
	case http.StatusConflict:
		return cloud.ErrConflict
	case http.StatusRequestEntityTooLarge:
		if retryAfter > 0 { // a rate limit of old; a quota says "Retry-After: 0"
			return cloud.ErrUnavailable
		}
		return cloud.ErrExhausted
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return cloud.ErrUnavailable
	case http.StatusNotImplemented:
		return cloud.ErrInvalid // the provider does not have the requested option
	}
	if status < 500 && status != http.StatusRequestTimeout {
		return cloud.ErrInvalid
	}
	if f.read {
		return cloud.ErrUnavailable
	}
	return cloud.ErrOutcomeUnknown
}

// fault is the body of a refusal: its kind (Neutron's type, Nova's and Cinder's key) and its words.
type fault struct{ kind, message string }

// parseFault reads the four shapes of OpenStack's refusals. A body that is none of them (a gateway's page) is not
// quoted.
func parseFault(body []byte) fault {
	var doc map[string]json.RawMessage
	if json.Unmarshal(body, &doc) != nil {
		return fault{}
	}
	var octavia string
	if json.Unmarshal(doc["faultstring"], &octavia) == nil {
		return fault{message: oneLine(octavia)}
	}
	for key, raw := range doc { // {"NeutronError": {...}}, {"error": {...}}, {"badRequest": {...}}
		var inner struct{ Type, Message string }
		if json.Unmarshal(raw, &inner) != nil || inner.Message == "" {
			continue
		}
		kind := key
		if inner.Type != "" {
			kind = inner.Type
		}
		return fault{kind: kind, message: oneLine(inner.Message)}
	}
	return fault{}
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	const longest = 500
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return s
}
