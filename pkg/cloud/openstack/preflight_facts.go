package openstack

import (
	"time"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// facts are what preflight learned of the cloud. The findings are a pure function of them.
type facts struct {
	now        time.Time
	use        cloud.Use
	source     string // of the credentials, for messages
	region     string
	endpoints  string // the interface: "public"
	token      tokenFacts
	tokenErr   error            // what Keystone says of the token could not be read
	credential reply[time.Time] // when the application credential expires; zero: never

	offers map[service]serviceFacts // of the services that are used

	computeZones reply[[]string]
	diskZones    reply[[]string]
	diskTypes    reply[[]string]
	diskQuotas   reply[map[string]quota]

	networkExtensions reply[[]string]
	networks          reply[[]cloud.Network]
	subnets           reply[[]cloud.Subnet] // asked for if one is configured
	networkQuotas     reply[map[string]quota]

	balancers     reply[int] // how many there are
	balancerQuota reply[map[string]int64]
	// mayBalance is the answer to a creation that cannot succeed, asked for when the token's roles leave a doubt: nil
	// error when the role suffices.
	mayBalance reply[bool]
}

// reply is what came of a question, if it was asked.
type reply[T any] struct {
	value T
	err   error
	asked bool
}

func answered[T any](value T, err error) reply[T] {
	return reply[T]{value: value, err: err, asked: true}
}

// good reports whether the value is known.
func (a reply[T]) good() bool { return a.asked && a.err == nil }

// serviceFacts are what is known of one service.
type serviceFacts struct {
	endpoint string // empty: none in the region under the interface
	// elsewhere are the interfaces and regions under which the catalog has the service, when endpoint is empty.
	elsewhere []string
	versions  reply[versionRange]
	// reached is the answer to the first question that needs the token: whether the service answers, and us.
	reached error
}

// tokenFacts are what Keystone says in a token.
type tokenFacts struct {
	Issued       time.Time `json:"issued_at"`
	Expires      time.Time `json:"expires_at"`
	User         tokenUser `json:"user"`
	Project      named     `json:"project"`
	Roles        []named   `json:"roles"`
	CredentialOf *struct {
		ID         string `json:"id"`
		Restricted bool   `json:"restricted"`
	} `json:"application_credential"`
}

type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type tokenUser struct {
	named
	PasswordExpires *string `json:"password_expires_at"`
}

// quota is a limit and how much of it is used, reservations included; a limit of -1 is none.
type quota struct{ limit, used int64 }
