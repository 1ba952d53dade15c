package openstack

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

const day = 24 * time.Hour

// How long before their end credentials are a warning, and an error.
const (
	expiryWarning = 30 * day
	expiryError   = 7 * day
)

// shortToken is a life of tokens in which they are renewed all the time.
const shortToken = 10 * time.Minute

var (
	// readingRoles are those that usually may not create anything in a project.
	readingRoles = []string{"reader", "observer", "load-balancer_observer", "load-balancer_global_observer"}
	// balancingRoles are those that usually may create load balancers.
	balancingRoles = []string{"admin", "load-balancer_admin", "load-balancer_member", "manager", "member"}
)

// mayBalanceByName reports whether one of the roles usually may create load balancers. A name is a hint only: a cloud's
// policy decides.
func mayBalanceByName(have []named) bool {
	return slices.ContainsFunc(have, func(r named) bool { return slices.Contains(balancingRoles, r.Name) })
}

// findings judges the facts. A pure function.
func findings(f facts) []cloud.Finding {
	r := &report{facts: f}
	if f.tokenErr != nil {
		r.add("credentials", cloud.LevelInfo, "they work, but what Keystone says of them cannot be read: %v", f.tokenErr)
	} else {
		r.credentials()
		r.expiry()
		r.roles()
	}
	r.service(compute)
	r.version(compute, versionAttachMultiattach, cloud.LevelWarning, func(have apiVersion) string {
		text := "volumes of multiattach types cannot be attached"
		if have.less(versionFlavorName) {
			text += ", and Nodes have their flavor's id as instance type instead of its name"
		}
		return text + "; Fairlead does the rest with what there is. Nova has 2.60 since Queens"
	})
	if f.use.Disks {
		r.service(blockStorage)
		r.version(blockStorage, versionExtendAttached, cloud.LevelWarning, func(apiVersion) string {
			return "a volume grows only while no node has it; Fairlead does the rest with what there is. Cinder has 3.42 since Pike"
		})
		r.zones()
		r.diskTypes()
		r.diskQuotas()
	}
	if f.use.LoadBalancers {
		r.service(network)
		r.extensions()
		r.place()
		r.networkQuotas()
		r.service(loadBalancer)
		r.balancingVersion()
		r.balancingRole()
		r.balancingQuotas()
	}
	return r.findings
}

// report collects the findings on facts.
type report struct {
	facts
	findings []cloud.Finding
}

func (r *report) add(check string, level cloud.Level, format string, args ...any) {
	r.findings = append(r.findings, cloud.Finding{Check: check, Level: level, Message: fmt.Sprintf(format, args...)})
}

// credentials: they are valid, or there would be no facts.
func (r *report) credentials() {
	t := r.token
	how := "by password"
	if t.CredentialOf != nil {
		how = "by application credential"
	}
	life := t.Expires.Sub(t.Issued)
	switch {
	case t.Project.ID == "":
		r.add("credentials", cloud.LevelError, "%s: the token is for no project: give the credentials one", r.source)
	case life > 0 && life < shortToken:
		r.add("credentials", cloud.LevelWarning, "user %s in project %s (%s), %s. Tokens live for %s only: each is renewed with a request "+
			"to Keystone; ask for a longer [token] expiration", t.User.Name, t.Project.Name, t.Project.ID, how, life)
	default:
		r.add("credentials", cloud.LevelOK, "user %s in project %s (%s), %s; tokens live for %s", t.User.Name, t.Project.Name, t.Project.ID, how, life)
	}
	if t.CredentialOf != nil && !t.CredentialOf.Restricted {
		r.add("credentials", cloud.LevelInfo, "the application credential is unrestricted: who has it may make and delete others. "+
			"Fairlead does not: make one without --unrestricted")
	}
}

func (r *report) expiry() {
	const check = "credentials-expiry"
	what, renew := "the application credential", "make a new one and put it into the Secret; no restart is needed"
	expires, err := r.credential.value, r.credential.err
	if r.token.CredentialOf == nil {
		what, renew = "the user's password", "set a new one, better: use an application credential"
		if r.token.User.PasswordExpires != nil {
			expires, err = parseKeystoneTime(*r.token.User.PasswordExpires)
		}
	}
	left := expires.Sub(r.now)
	when := fmt.Sprintf("%s expires at %s, in %s", what, expires.Format(time.RFC3339), days(left))
	switch {
	case err != nil:
		r.add(check, cloud.LevelInfo, "it is not known when %s expires: %v", what, err)
	case expires.IsZero():
		r.add(check, cloud.LevelOK, "%s does not expire", what)
	case left < expiryError:
		r.add(check, cloud.LevelError, "%s. Then nothing works any more: %s", when, renew)
	case left < expiryWarning:
		r.add(check, cloud.LevelWarning, "%s. Then nothing works any more: %s", when, renew)
	default:
		r.add(check, cloud.LevelOK, "%s", when)
	}
}

// days is a time of at least two days in days, else as it is.
func days(d time.Duration) string {
	if d >= 2*day {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.Round(time.Minute).String()
}

func (r *report) roles() {
	var names []string
	for _, role := range r.token.Roles {
		names = append(names, role.Name)
	}
	slices.Sort(names)
	list := strings.Join(names, ", ")
	switch {
	case slices.Contains(names, "admin"):
		r.add("roles", cloud.LevelInfo, "the roles are %s. Fairlead needs no admin: member%s suffices", list, r.balancingToo())
	case !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(readingRoles, name) }):
		r.add("roles", cloud.LevelWarning, "the roles are %s, which usually may not create anything. Give the user the role member "+
			"in this project; an application credential carries the roles that it was made with", cmp.Or(list, "none"))
	default:
		r.add("roles", cloud.LevelOK, "%s", list)
	}
}

func (r *report) balancingToo() string {
	if r.use.LoadBalancers {
		return " with load-balancer_member"
	}
	return ""
}

// service: it is in the catalog, answers, and lets us in.
func (r *report) service(name service) {
	check := string(name)
	s := r.offers[name]
	switch {
	case s.endpoint == "" && len(s.elsewhere) > 0:
		r.add(check, cloud.LevelError, "the catalog has no %s service under the interface %s in region %s, but under %s: correct region_name or interface in %s",
			name, r.endpoints, r.region, strings.Join(s.elsewhere, "; "), r.source)
	case s.endpoint == "":
		r.add(check, cloud.LevelError, "the catalog has no %s service: %s", name, r.without(name))
	case errors.Is(s.reached, cloud.ErrUnauthorized) && name == loadBalancer:
		r.add(check, cloud.LevelError, "%s refuses us: %v. Give the user the role load-balancer_member in this project and make a new "+
			"application credential with it", s.endpoint, s.reached)
	case errors.Is(s.reached, cloud.ErrUnauthorized):
		r.add(check, cloud.LevelError, "%s refuses us: %v. Give the user the role member in this project", s.endpoint, s.reached)
	case s.reached != nil:
		r.add(check, cloud.LevelError, "%s does not answer as it should: %v. Can this pod reach it? Else ask the cloud's operator", s.endpoint, s.reached)
	default:
		r.add(check, cloud.LevelOK, "%s answers", s.endpoint)
	}
}

// without says what a missing service means.
func (r *report) without(name service) string {
	switch name {
	case loadBalancer:
		return "Services of type LoadBalancer cannot be served. If that is meant, switch the controller off: --controllers=*,-service-lb-controller"
	case network:
		return "load balancers need it; ask the cloud's operator"
	case blockStorage:
		return "there are no disks without it; ask the cloud's operator"
	}
	return "neither disks nor nodes work without it; ask the cloud's operator"
}

// version: the service has the microversion that all features need.
func (r *report) version(name service, need apiVersion, level cloud.Level, lacking func(have apiVersion) string) {
	check := string(name) + "-version"
	s := r.offers[name]
	switch have := s.versions.value.max; {
	case s.endpoint == "":
	case !s.versions.good():
		r.add(check, cloud.LevelInfo, "it is not known which versions %s has: %v. Fairlead needs %s", s.endpoint, s.versions.err, need)
	case have.less(need):
		r.add(check, level, "the API is %s; with less than %s %s", have, need, lacking(have))
	default:
		r.add(check, cloud.LevelOK, "%s, needed is %s", have, need)
	}
}
