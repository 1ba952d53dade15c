package openstack

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

func TestRefusalsOfARealOpenStack(t *testing.T) {
	tests := []struct {
		sample string
		op     string
		want   error
	}{
		{"cinder-err-400-bad-az", opCreateDisk, cloud.ErrInvalid},
		{"cinder-err-404-bad-type", opCreateDisk, cloud.ErrInvalid},
		{"cinder-err-413-quota", opCreateDisk, cloud.ErrExhausted},
		{"cinder-err-413-quota", opExtendDisk, cloud.ErrExhausted},
		{"cinder-err-404", opGetDisk, cloud.ErrNotFound},
		{"cinder-err-401", opGetDisk, cloud.ErrUnauthorized},
		{"cinder-err-406-microversion", opListDisks, cloud.ErrInvalid},
		{"nova-err-attach-in-use", opAttachDisk, cloud.ErrConflict},
		{"nova-err-attach-404", opAttachDisk, cloud.ErrNotFound},
		{"nova-err-detach-again", opDetachDisk, cloud.ErrNotFound},
		{"neutron-err-409-quota", opCreateFloatingIP, cloud.ErrExhausted},
		{"neutron-err-409-fip-port-in-use", opCreateFloatingIP, cloud.ErrConflict},
		{"neutron-err-409-fip-port-in-use", opAssociateFloatingIP, cloud.ErrConflict},
		{"neutron-err-404-fip", opDeleteFloatingIP, cloud.ErrNotFound},
		{"octavia-err-400-subnet", opCreateLoadBalancer, cloud.ErrInvalid},
		{"octavia-err-501-algorithm", opCreatePool, cloud.ErrInvalid},
		{"octavia-err-vip-address", opCreateLoadBalancer, cloud.ErrOutcomeUnknown},
		{"octavia-err-404", opDeleteLoadBalancer, cloud.ErrNotFound},
		{"octavia-err-409-immutable", opSetMembers, cloud.ErrBusy},
		{"octavia-err-409-delete-cascade-pending", opDeleteLoadBalancer, cloud.ErrBusy},
	}
	for _, tt := range tests {
		t.Run(tt.op+" "+tt.sample, func(t *testing.T) {
			r := sample(t, tt.sample)
			header := http.Header{}
			for k, v := range r.Headers {
				header.Set(k, v)
			}
			err := classify(failure{op: tt.op, object: "o1", sent: true},
				gophercloud.ErrUnexpectedResponseCode{Actual: r.Status, Body: r.Body, ResponseHeader: header})
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if err.Message == "" || err.Status != r.Status || !strings.HasPrefix(err.RequestID, "req-") {
				t.Errorf("incomplete: %+v", err)
			}
			if s := err.Error(); !strings.HasPrefix(s, tt.op+" o1: ") {
				t.Errorf("text %q", s)
			}
		})
	}
}

func TestFailuresWithoutARefusal(t *testing.T) {
	status := func(code int, header ...string) error {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return gophercloud.ErrUnexpectedResponseCode{Actual: code, Body: []byte("<html>"), ResponseHeader: h}
	}
	unauthorized := &cloud.Error{Kind: cloud.ErrUnauthorized, Op: "authenticate"}
	unavailable := &cloud.Error{Kind: cloud.ErrUnavailable, Op: "authenticate"}
	tests := []struct {
		name string
		f    failure
		err  error
		want error
	}{
		{"a read without an answer changed nothing", failure{read: true, sent: true}, context.DeadlineExceeded, cloud.ErrUnavailable},
		{"a write that was not sent changed nothing", failure{}, context.Canceled, cloud.ErrUnavailable},
		{"a write that was sent may have taken effect", failure{sent: true}, context.DeadlineExceeded, cloud.ErrOutcomeUnknown},
		{"a gateway's answer to a read", failure{read: true, sent: true}, status(502), cloud.ErrUnavailable},
		{"a gateway's answer to a write", failure{sent: true}, status(504), cloud.ErrOutcomeUnknown},
		{"a gateway that lost its patience with a read", failure{read: true, sent: true}, status(408), cloud.ErrUnavailable},
		{"a gateway that lost its patience with a write", failure{sent: true}, status(408), cloud.ErrOutcomeUnknown},
		{"a rate limit", failure{sent: true}, status(429, "Retry-After", "7"), cloud.ErrUnavailable},
		{"a rate limit of an old cloud", failure{sent: true}, status(413, "Retry-After", "7"), cloud.ErrUnavailable},
		{"renewed credentials are refused", failure{sent: true}, &gophercloud.ErrUnableToReauthenticate{ErrReauth: unauthorized}, cloud.ErrUnauthorized},
		{"the identity service is away", failure{sent: true}, &gophercloud.ErrUnableToReauthenticate{ErrReauth: unavailable}, cloud.ErrUnavailable},
		{"refused after the token was renewed", failure{op: opGetDisk, read: true}, &gophercloud.ErrErrorAfterReauthentication{ErrOriginal: status(404)}, cloud.ErrNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := classify(tt.f, tt.err)
			if !errors.Is(e, tt.want) {
				t.Errorf("got %v, want %v", e, tt.want)
			}
			if strings.HasPrefix(tt.name, "a rate limit") && e.RetryAfter != 7*time.Second {
				t.Errorf("RetryAfter %v", e.RetryAfter)
			}
			if strings.Contains(e.Error(), "<html>") {
				t.Errorf("the text quotes a gateway's page: %v", e)
			}
		})
	}
}

func TestALongMessageIsCutToOneLine(t *testing.T) {
	got := parseFault([]byte(`{"badRequest":{"code":400,"message":"a\nb ` + strings.Repeat("ü", 600) + `"}}`))
	if got.kind != "badRequest" || !strings.HasPrefix(got.message, "a b ü") || len(got.message) > 510 || !strings.HasSuffix(got.message, "ü...") {
		t.Errorf("got %q", got)
	}
}
