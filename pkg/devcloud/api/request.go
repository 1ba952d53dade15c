package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// Caller is who makes a request, as its token says.
type Caller struct {
	UserID    string
	ProjectID string
	Roles     []string
}

// Tokens tells who a token belongs to. ok is false for an unknown or expired one.
type Tokens interface {
	Caller(token string) (Caller, bool)
}

// Request is one request that passed the wrappers.
type Request struct {
	*http.Request
	// ID is the request's id ("req-...").
	ID string
	// Caller is empty on public routes.
	Caller Caller
	// Version is the negotiated microversion; zero where the service has none.
	Version Version
	// Newest is the newest version that the service offers; zero where it has none, or an Octavia of its full age.
	Newest Version
	// Base is the service's public address without a trailing slash ("http://10.200.0.1:8780/volume").
	Base string

	answer http.Header
}

// SetHeader sets a header of the answer.
func (r *Request) SetHeader(key, value string) { r.answer.Set(key, value) }

// Bare takes request ids and microversion off the answer.
func (r *Request) Bare() { clear(r.answer) }

// maxBody bounds a request's body; the services' own limit is about 112 KiB.
const maxBody = 1 << 20

// Decode reads the JSON body; what is not JSON of that shape is a 400.
func (r *Request) Decode(into any) error {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return BadRequest("Could not read the request body: %v", err)
	}
	if len(b) > maxBody {
		return Errorf(http.StatusRequestEntityTooLarge, "Request is too large.")
	}
	if err := json.Unmarshal(b, into); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return BadRequest("Invalid input for field/attribute %s. Value: %s is not of type '%s'", wrong.Field, wrong.Value, wrong.Type)
		}
		return BadRequest("Malformed request body: %v", err)
	}
	return nil
}
