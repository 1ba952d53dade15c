package engine

import "fmt"

// Reason is why a service refuses a request. Each API's dialect turns it into that service's status code.
type Reason string

// The reasons for a refusal.
const (
	Invalid     Reason = "invalid"     // the request makes no sense, or not in the object's present state
	NotFound    Reason = "not found"   // no such object
	Conflict    Reason = "conflict"    // the object is busy, immutable or still used
	OverQuota   Reason = "over quota"  // the project may have no more
	Forbidden   Reason = "forbidden"   // the caller's roles do not suffice
	Unsupported Reason = "unsupported" // valid, but this cloud does not do it
)

// Error is a refusal as an engine states it: free of HTTP, with the message that the real service gives.
type Error struct {
	Reason  Reason
	Type    string // the service's own name of the fault, where its answers carry one ("SecurityGroupInUse")
	Message string
}

func (e *Error) Error() string { return e.Message }

// Refuse makes an Error.
func Refuse(reason Reason, format string, args ...any) error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// RefuseAs makes an Error with the service's own fault name.
func RefuseAs(reason Reason, faultType, format string, args ...any) error {
	return &Error{Reason: reason, Type: faultType, Message: fmt.Sprintf(format, args...)}
}
