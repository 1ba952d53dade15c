package collection

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
)

// maxBody bounds what Buffer keeps; Request.Decode judges the size.
const maxBody = 2 << 20

// Buffer reads a request's body into memory, so that decoding it later does no I/O: a transaction must not wait for a
// slow client.
func Buffer(r *api.Request) error {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return api.BadRequest("Could not read the request body: %v", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	return nil
}

var unknownField = regexp.MustCompile(`unknown field "(.*)"`)

// Decode reads the attributes of the named member of a request's body ({"port": {...}}). Unlike Request.Decode it
// refuses attributes that the resource does not have: what a cloud cannot do it must not accept silently. unknown makes
// the service's error of such an attribute.
func Decode(r *api.Request, member string, into any, unknown func(attribute string) error) error {
	return DecodeOr(r, member, into, api.BadRequest("Unable to find '%s' in request body", member), unknown)
}

// DecodeOr is Decode with the service's error for a body without the member.
func DecodeOr(r *api.Request, member string, into any, missing error, unknown func(attribute string) error) error {
	var body map[string]json.RawMessage
	if err := r.Decode(&body); err != nil {
		return err
	}
	raw, ok := body[member]
	if !ok {
		return missing
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		return nil
	}
	if m := unknownField.FindStringSubmatch(err.Error()); m != nil {
		return unknown(m[1])
	}
	var own *api.Error
	if errors.As(err, &own) { // of an attribute that reads itself
		return own
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field == "" {
		return api.BadRequest("Invalid input for '%s'. Value: %s is not of the right type", member, wrong.Value)
	}
	if wrong != nil {
		return api.BadRequest("Invalid input for field/attribute %s. Value: %s is not of type '%s'", wrong.Field, wrong.Value, wrong.Type)
	}
	return api.BadRequest("Malformed request body: %v", err)
}
