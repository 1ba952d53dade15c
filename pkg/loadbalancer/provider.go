package loadbalancer

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// defaultAlgorithm is how connections are spread when neither the Service nor the provider says it.
const defaultAlgorithm = "ROUND_ROBIN"

// traits are the ways in which the load balancers of a provider differ from the others. The zero value differs in none.
type traits struct {
	// algorithm is the only one that there is.
	algorithm string
	// packets: it forwards packets and looks into none. It has no persistence, connection limits, time-outs, source ranges
	// and HTTP monitors, and probes members where they serve. Some of these it would take and ignore.
	packets bool
	// monitorsLast: a monitor can only be given to a pool that serves a listener. In the creation of a whole tree it is
	// lost, and stays pending for ever; a write to such a one blocks the balancer for ever too. A listener that is added
	// beside a monitor blocks it as well.
	monitorsLast bool
}

// providers are those with ways of their own.
var providers = map[string]traits{
	"ovn": {algorithm: "SOURCE_IP_PORT", packets: true, monitorsLast: true},
}

func (t traits) pool(p cloud.Pool) cloud.Pool {
	p.Algorithm = cmp.Or(p.Algorithm, t.algorithm, defaultAlgorithm)
	return p
}

// checkProvider refuses what the provider would refuse or, worse, ignore.
func (d *desired) checkProvider() {
	t := providers[d.Defaults.Provider]
	if t.algorithm != "" && d.settings.algorithm != "" && d.settings.algorithm != t.algorithm {
		d.unprovided("annotation "+annotationAlgorithm, d.settings.algorithm, "only spreads by "+t.algorithm+": remove the annotation")
	}
	if !t.packets {
		return
	}
	if d.Service.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		d.unprovided("spec.sessionAffinity", "ClientIP", "has no persistence: allowed is None")
	}
	if len(d.settings.sourceRanges) > 0 {
		d.unprovided("spec.loadBalancerSourceRanges", d.settings.sourceRanges[0], "cannot tell clients apart: use security groups at the nodes")
	}
	defaults := defaultSettings()
	if d.settings.connectionMax != defaults.connectionMax {
		d.unprovided("annotation "+annotationConnectionLimit, d.settings.connectionMax, "does not count connections: remove the annotation")
	}
	for _, timeout := range []struct {
		annotation  string
		value, none int32
	}{
		{annotationTimeoutClientData, d.settings.timeoutClientData, defaults.timeoutClientData},
		{annotationTimeoutMemberConnect, d.settings.timeoutMemberConnect, defaults.timeoutMemberConnect},
		{annotationTimeoutMemberData, d.settings.timeoutMemberData, defaults.timeoutMemberData},
	} {
		if timeout.value != timeout.none {
			d.unprovided("annotation "+timeout.annotation, timeout.value, "has no time-outs: remove the annotation")
		}
	}
}

func (d *desired) unprovided(field string, value any, why string) {
	d.invalid("%s: \"%v\": the load balancer provider %s %s", field, value, d.Defaults.Provider, why)
}
