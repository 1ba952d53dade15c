package api

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Version is an API microversion.
type Version struct{ Major, Minor int }

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// AtLeast reports whether v is other or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// ParseVersion reads "2.60".
func ParseVersion(s string) (Version, error) {
	m := versionForm.FindStringSubmatch(s)
	if m == nil {
		return Version{}, BadRequest("API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", s)
	}
	major, err := strconv.Atoi(m[1])
	minor, err2 := strconv.Atoi(m[2])
	return Version{major, minor}, errors.Join(err, err2)
}

// Range is what a service supports. Without a header a request gets Min.
type Range struct {
	Min, Max Version
	// Legacy is an older header that is understood and answered, too.
	Legacy string
}

const versionHeader = "Openstack-Api-Version"

var versionForm = regexp.MustCompile(`^([1-9]\d*)\.([1-9]\d*|0)$`)

// negotiate chooses the request's version and sets the answer's headers. What is no version, or one of an older
// major version, is refused without them.
func (vs *Range) negotiate(service string, r *http.Request, answer http.Header) (Version, error) {
	asked := vs.asked(service, r)
	switch asked {
	case "":
		asked = vs.Min.String()
	case "latest":
		asked = vs.Max.String()
	}
	v, err := ParseVersion(asked)
	var malformed *Error
	if errors.As(err, &malformed) {
		return vs.Min, err
	}
	if err != nil || v.Major >= vs.Min.Major {
		vs.announce(service, asked, answer)
	}
	if err != nil || !v.AtLeast(vs.Min.Major, vs.Min.Minor) || !vs.Max.AtLeast(v.Major, v.Minor) {
		return vs.Min, &Error{Status: http.StatusNotAcceptable, Type: "computeFault", Message: fmt.Sprintf(
			"Version %s is not supported by the API. Minimum is %s and maximum is %s.", asked, vs.Min, vs.Max)}
	}
	return v, nil
}

func (vs *Range) announce(service, version string, answer http.Header) {
	vary := "OpenStack-API-Version"
	if vs.Legacy != "" {
		vary += ", X-OpenStack-Nova-API-Version"
		answer.Set(vs.Legacy, version)
	}
	answer.Set("Vary", vary)
	answer.Set(versionHeader, service+" "+version)
}

// asked is the version in the request's headers: "compute 2.79, volume 3.42" or the legacy "2.79".
func (vs *Range) asked(service string, r *http.Request) string {
	for _, value := range r.Header.Values(versionHeader) {
		for _, one := range strings.Split(value, ",") {
			if name, version, ok := strings.Cut(strings.TrimSpace(one), " "); ok && strings.EqualFold(name, service) {
				return strings.TrimSpace(version)
			}
		}
	}
	if vs.Legacy != "" {
		return strings.TrimSpace(r.Header.Get(vs.Legacy))
	}
	return ""
}
