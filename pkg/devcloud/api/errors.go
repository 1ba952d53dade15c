package api

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// Error is a refusal with a status of its own, for what only the HTTP side can know (or the real service answers oddly).
type Error struct {
	Status  int
	Type    string // the service's own fault name; empty takes the dialect's name for the status
	Message string
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error.
func Errorf(status int, format string, args ...any) error {
	return &Error{Status: status, Message: fmt.Sprintf(format, args...)}
}

// BadRequest makes a 400.
func BadRequest(format string, args ...any) error {
	return Errorf(http.StatusBadRequest, format, args...)
}

// AdminOnly refuses a request that the policy rule leaves to the cloud's administrators, in Nova's and Cinder's words.
func AdminOnly(rule string) Handler {
	return func(*Request) (int, any, error) {
		return 0, nil, Errorf(http.StatusForbidden, "Policy doesn't allow %s to be performed.", rule)
	}
}

const internalMessage = "The server has either erred or is incapable of performing the requested operation."

// fault brings any error of a handler into the dialect's terms; unexpected says that nobody meant it to happen.
func (d Dialect) fault(err error) (fault *Error, unexpected bool) {
	var own *Error
	if errors.As(err, &own) {
		return own, false
	}
	var refusal *engine.Error
	if errors.As(err, &refusal) {
		status, ok := d.Statuses[refusal.Reason]
		if !ok {
			status = statuses[refusal.Reason]
		}
		return &Error{Status: status, Type: refusal.Type, Message: refusal.Message}, false
	}
	return &Error{Status: http.StatusInternalServerError, Message: internalMessage}, true
}

var statuses = map[engine.Reason]int{
	engine.Invalid:     http.StatusBadRequest,
	engine.NotFound:    http.StatusNotFound,
	engine.Conflict:    http.StatusConflict,
	engine.OverQuota:   http.StatusForbidden,
	engine.Forbidden:   http.StatusForbidden,
	engine.Unsupported: http.StatusNotImplemented,
}
