package csi

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/disk"
)

// statusOf is the one place where errors become gRPC codes. What is a status already stays one.
//
// The code decides what the sidecars do. After Aborted, DeadlineExceeded, Canceled and Unavailable they hold that the
// operation may still be under way and ask again before they do anything else; after ResourceExhausted a pod that has
// not started may be scheduled elsewhere; any other code ends the attempt, and they start anew later.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	var own interface{ GRPCStatus() *status.Status }
	if errors.As(err, &own) {
		return status.Error(own.GRPCStatus().Code(), err.Error())
	}
	return status.Error(codeOf(err), err.Error())
}

func codeOf(err error) codes.Code {
	for _, c := range []struct {
		kind error
		code codes.Code
	}{
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{context.Canceled, codes.Canceled},
		{cloud.ErrOutcomeUnknown, codes.Unavailable},
		{cloud.ErrUnavailable, codes.Unavailable},
		{cloud.ErrBusy, codes.Aborted},
		{cloud.ErrNotFound, codes.NotFound},
		{cloud.ErrExhausted, codes.ResourceExhausted},
		{cloud.ErrConflict, codes.FailedPrecondition},
		{cloud.ErrInvalid, codes.InvalidArgument},
		{cloud.ErrUnauthorized, codes.PermissionDenied},
		{cloud.ErrFailed, codes.Internal},
		{errIdentityUnknown, codes.Unavailable},
		{disk.ErrInvalid, codes.InvalidArgument},
		{disk.ErrNoDevice, codes.Unavailable}, // the attach was answered, the kernel is not that far yet
		{disk.ErrTooSmall, codes.Unavailable},
		{disk.ErrNotMounted, codes.NotFound},
		{disk.ErrNotStaged, codes.FailedPrecondition},
		{disk.ErrAmbiguous, codes.FailedPrecondition},
		{disk.ErrForeignData, codes.FailedPrecondition},
		{disk.ErrDamaged, codes.FailedPrecondition},
		{disk.ErrInUse, codes.FailedPrecondition},
	} {
		if errors.Is(err, c.kind) {
			return c.code
		}
	}
	return codes.Internal
}

// refusal is an error with a code of its own, found by a service itself.
type refusal struct {
	code codes.Code
	text string
}

// Error implements error.
func (r *refusal) Error() string { return r.text }

// GRPCStatus gives the code to statusOf.
func (r *refusal) GRPCStatus() *status.Status { return status.New(r.code, r.text) }

// invalid refuses a request's content: it names the field, its value, and what is allowed.
func invalid(format string, args ...any) error {
	return &refusal{codes.InvalidArgument, fmt.Sprintf(format, args...)}
}

func refuse(code codes.Code, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}
