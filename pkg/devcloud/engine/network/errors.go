package network

import "github.com/fairlead-io/fairlead/pkg/devcloud/engine"

// The refusals carry Neutron's exception names: clients tell cases of one status apart by them.

// absences are the words in which an object of a kind (by its path in the API) is said not to exist.
var absences = map[string][2]string{
	"networks":             {"NetworkNotFound", "Network %s could not be found."},
	"subnets":              {"SubnetNotFound", "Subnet %s could not be found."},
	"ports":                {"PortNotFound", "Port %s could not be found."},
	"routers":              {"RouterNotFound", "Router %s could not be found"},
	"floatingips":          {"FloatingIPNotFound", "Floating IP %s could not be found"},
	"security-groups":      {"SecurityGroupNotFound", "Security group %s does not exist"},
	"security-group-rules": {"SecurityGroupRuleNotFound", "Security group rule %s does not exist"},
}

// Absent is the refusal for an object that does not exist, or that the caller must not know of.
func Absent(kind, id string) error {
	return notFound(absences[kind][0], absences[kind][1], id)
}

func notFound(typ, format string, args ...any) error {
	return engine.RefuseAs(engine.NotFound, typ, format, args...)
}

func conflict(typ, format string, args ...any) error {
	return engine.RefuseAs(engine.Conflict, typ, format, args...)
}

func invalid(typ, format string, args ...any) error {
	return engine.RefuseAs(engine.Invalid, typ, format, args...)
}

// room fails when a project that has used n of a resource may have no more. The list is written as Python writes it.
func room(resource string, used, limit int) error {
	if limit >= 0 && used >= limit {
		return engine.RefuseAs(engine.OverQuota, "OverQuota", "Quota exceeded for resources: ['%s'].", resource)
	}
	return nil
}
