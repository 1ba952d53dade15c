package loadbalancer

import (
	"fmt"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

// ProviderFault is the reason of what Octavia answers with 500: the provider, or Octavia itself, stumbled over the
// request.
const ProviderFault engine.Reason = "provider fault"

func notFound(what, id string) error {
	return engine.Refuse(engine.NotFound, "%s %s not found.", what, id)
}

func immutable(id string) error {
	return engine.Refuse(engine.Conflict, "Load Balancer %s is immutable and cannot be updated.", id)
}

// badInput is a value outside what the attribute allows.
func badInput(field string, value any, allowed string) error {
	return engine.Refuse(engine.Invalid, "Invalid input for field/attribute %s. Value: '%v'. Value should be %s", field, value, allowed)
}

// between refuses a number outside a range, by the end that it is beyond.
func between(field string, value, low, high int) error {
	if value < low {
		return badInput(field, value, fmt.Sprintf("greater or equal to %d", low))
	}
	if value > high {
		return badInput(field, value, fmt.Sprintf("lower or equal to %d", high))
	}
	return nil
}

// badRequest is a request that contradicts itself or the tree.
func badRequest(format string, args ...any) error {
	return engine.Refuse(engine.Invalid, "Validation failure: "+format, args...)
}

// unsupported is a valid request that this provider does not do.
func unsupported(format string, args ...any) error {
	return engine.Refuse(engine.Unsupported, "Provider '"+ProviderName+"' does not support a requested option: "+format, args...)
}

// nested is Octavia's answer to a tree where only a creation of a load balancer may have one.
func nested() error {
	return engine.Refuse(ProviderFault, "'dict' object has no attribute '_sa_instance_state'")
}

// Quota is how many of each part a project may have; -1 is no limit.
type Quota struct {
	LoadBalancer  int `json:"load_balancer"`
	Listener      int `json:"listener"`
	Member        int `json:"member"`
	Pool          int `json:"pool"`
	HealthMonitor int `json:"health_monitor"`
	L7Policy      int `json:"l7policy"` // there are none
	L7Rule        int `json:"l7rule"`   // there are none
}

// DefaultQuota limits load balancers only.
func DefaultQuota() Quota {
	return Quota{LoadBalancer: 100, Listener: -1, Member: -1, Pool: -1, HealthMonitor: -1, L7Policy: -1, L7Rule: -1}
}

func room(what string, used, limit int) error {
	if limit >= 0 && used >= limit {
		return engine.Refuse(engine.OverQuota, "Quota has been met for resources: %s", what)
	}
	return nil
}
