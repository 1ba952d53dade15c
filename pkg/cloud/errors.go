package cloud

import (
	"errors"
	"fmt"
	"time"
)

// The kinds of failure a caller may have to tell apart. Providers return them wrapped in an *Error; test with errors.Is.
var (
	// ErrNotFound: the object does not exist (any more).
	ErrNotFound = errors.New("not found")
	// ErrExhausted: a quota or the cloud's capacity does not allow the request.
	ErrExhausted = errors.New("quota or capacity exhausted")
	// ErrConflict: the object's present state does not allow the request, and waiting will not help
	// (a disk attached elsewhere, a name or port taken).
	ErrConflict = errors.New("conflict")
	// ErrBusy: the object is in transition; the same request may succeed once it has settled.
	ErrBusy = errors.New("busy")
	// ErrInvalid: the cloud refuses the request's content; repeating it cannot help.
	ErrInvalid = errors.New("invalid request")
	// ErrUnauthorized: the credentials are missing, wrong, expired, or lack a role.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrUnavailable: the cloud did not answer, or answered that it cannot at present; nothing was changed.
	ErrUnavailable = errors.New("cloud unavailable")
	// ErrOutcomeUnknown: a write was sent and its answer lost or a gateway's; it may have taken effect.
	// The caller re-reads by identity, then decides.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrFailed: the cloud accepted the work and then gave it up (an object in an error state).
	ErrFailed = errors.New("failed in the cloud")
)

// Error is a failed cloud call: what was tried on which object, the cloud's own words, and the id under which the
// cloud's operator finds it in the logs.
type Error struct {
	Kind      error  // one of the sentinels above
	Op        string // "create disk"
	Object    string // the object's id or name; may be empty
	Status    int    // HTTP status, 0 when there was no answer
	Message   string // the cloud's message, for people; no decision rests on it
	RequestID string
	// RetryAfter is the pause the cloud asked for, or 0.
	RetryAfter time.Duration
	Err        error // the cause below (a network error, say); may be nil
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Op
	if e.Object != "" {
		s += " " + e.Object
	}
	s += ": " + e.Kind.Error()
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d", e.Status)
		if e.RequestID != "" {
			s += ", request " + e.RequestID
		}
		s += ")"
	}
	return s
}

// Unwrap makes errors.Is see both the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}
