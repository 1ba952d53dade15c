package loadbalancer

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// maxNameLength is the longest name a load balancer may have.
const maxNameLength = 255

// Input is what Desired decides upon.
type Input struct {
	Cluster  string // UID of the kube-system namespace
	Service  *corev1.Service
	Nodes    []*corev1.Node // all of the cluster
	Facts    Facts          // the answers to Needs
	Defaults Defaults
}

// Desired says what the Service needs in the cloud. Its error joins everything that is wrong with the Service, each
// with the field, the value and what is allowed, and wraps cloud.ErrInvalid.
func Desired(in Input) (Spec, error) {
	d := desired{Input: in}
	var err error
	if d.settings, err = parseAnnotations(in.Service.Annotations); err != nil {
		d.errs = append(d.errs, err)
	}
	d.checkService()
	d.sourceRanges()
	d.checkProvider()
	d.backends = backends(in.Nodes, d.settings.nodeSelector)
	spec := Spec{
		Identity:       Identity{Cluster: in.Cluster, Service: string(in.Service.UID)},
		VIP:            d.vip(),
		FloatingIP:     d.floatingIP(),
		KeepFloatingIP: d.settings.keepFloatingIP,
		Ignored:        ignored(in.Service),
	}
	spec.Balancer = cloud.LoadBalancer{
		Name:        name(in.Service),
		Provider:    in.Defaults.Provider,
		Description: fmt.Sprintf("Service %s/%s of cluster %s, made by Fairlead", in.Service.Namespace, in.Service.Name, in.Cluster),
	}
	ports := slices.Clone(in.Service.Spec.Ports)
	slices.SortFunc(ports, func(a, b corev1.ServicePort) int { return cmp.Compare(a.Port, b.Port) })
	for _, port := range ports {
		l, p := d.port(port, spec.VIP)
		spec.Balancer.Listeners = append(spec.Balancer.Listeners, l)
		spec.Balancer.Pools = append(spec.Balancer.Pools, p)
	}
	if len(d.errs) > 0 {
		return Spec{}, &InvalidError{errors.Join(d.errs...)}
	}
	return spec, nil
}

// ignored is what of the Service has no effect at the load balancer. The API server writes the default time-out into every
// Service with an affinity.
func ignored(service *corev1.Service) []string {
	config := service.Spec.SessionAffinityConfig
	if service.Spec.SessionAffinity != corev1.ServiceAffinityClientIP || config == nil || config.ClientIP == nil ||
		config.ClientIP.TimeoutSeconds == nil || *config.ClientIP.TimeoutSeconds == corev1.DefaultClientIPServiceAffinitySeconds {
		return nil
	}
	return []string{fmt.Sprintf("spec.sessionAffinityConfig.clientIP.timeoutSeconds: %d: has no effect at the load balancer: "+
		"the cloud's TCP pools remember clients for a time of their own", *config.ClientIP.TimeoutSeconds)}
}

// Removal is the Spec of a Service that no longer has a load balancer. It does not mind how invalid the Service is. Where
// keep-floatingip cannot be read the address is kept: releasing it could not be undone.
func Removal(cluster string, service *corev1.Service) Spec {
	keep := strings.TrimSpace(service.Annotations[annotationKeepFloatingIP])
	return Spec{
		Identity:       Identity{Cluster: cluster, Service: string(service.UID)},
		Remove:         true,
		KeepFloatingIP: keep != "" && keep != "false",
	}
}

// InvalidError is a Service that asks for what cannot be. Trying again does not help until it is changed.
type InvalidError struct{ err error }

// Error implements error.
func (e *InvalidError) Error() string { return e.err.Error() }

// Unwrap makes errors.Is see cloud.ErrInvalid and what the causes wrap.
func (e *InvalidError) Unwrap() []error { return []error{e.err, cloud.ErrInvalid} }

// desired is the state of one Desired.
type desired struct {
	Input
	settings settings
	backends []backend
	errs     []error
}

func (d *desired) invalid(format string, args ...any) {
	d.errs = append(d.errs, fmt.Errorf(format, args...))
}

func (d *desired) checkService() {
	spec := d.Service.Spec
	for i, p := range spec.Ports {
		if p.Protocol != corev1.ProtocolTCP && p.Protocol != "" {
			d.invalid("spec.ports[%d].protocol: %q: not supported yet: allowed is TCP", i, p.Protocol)
		}
		if p.NodePort == 0 {
			d.invalid("spec.ports[%d].nodePort: none: the load balancer needs node ports: set spec.allocateLoadBalancerNodePorts to true", i)
		}
	}
	if len(spec.IPFamilies) > 0 && spec.IPFamilies[0] != corev1.IPv4Protocol {
		d.invalid("spec.ipFamilies[0]: %q: not supported yet: allowed is IPv4", spec.IPFamilies[0])
	}
	if spec.LoadBalancerIP != "" {
		if addr, err := netip.ParseAddr(spec.LoadBalancerIP); err != nil || !addr.Is4() {
			d.invalid("spec.loadBalancerIP: %q: allowed is an IPv4 address", spec.LoadBalancerIP)
		}
	}
	if d.local() && !d.settings.monitor {
		d.invalid("annotation %s: \"false\": not possible with spec.externalTrafficPolicy Local: "+
			"only the monitor tells which nodes have pods", annotationMonitor)
	}
	if d.local() && spec.HealthCheckNodePort == 0 {
		d.invalid("spec.healthCheckNodePort: none: spec.externalTrafficPolicy Local needs one")
	}
}

func (d *desired) local() bool {
	return d.Service.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

// sourceRanges lets the field of the spec go before the annotation.
func (d *desired) sourceRanges() {
	if len(d.Service.Spec.LoadBalancerSourceRanges) == 0 {
		return
	}
	ranges, err := parseRanges(d.Service.Spec.LoadBalancerSourceRanges)
	if err != nil {
		d.invalid("spec.loadBalancerSourceRanges: %w", err)
	}
	d.settings.sourceRanges = ranges
}

// name is for people; identity is in the tags.
func name(service *corev1.Service) string {
	n := "fairlead-" + service.Namespace + "-" + service.Name
	return n[:min(len(n), maxNameLength)]
}

// port makes the listener and the pool of one port of the Service.
func (d *desired) port(port corev1.ServicePort, vip VIP) (cloud.Listener, cloud.Pool) {
	key := fmt.Sprintf("%d-tcp", port.Port)
	s := d.settings
	listener := cloud.Listener{
		Name: key, Protocol: "TCP", Port: port.Port, Pool: key, ConnectionMax: s.connectionMax, AllowedCIDRs: s.sourceRanges,
		TimeoutClientData: s.timeoutClientData, TimeoutMemberConnect: s.timeoutMemberConnect,
		TimeoutMemberData: s.timeoutMemberData,
	}
	pool := cloud.Pool{Name: key, Protocol: "TCP", Algorithm: s.algorithm, Monitor: d.monitor(key)}
	if d.Service.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		pool.Persistence = "SOURCE_IP"
	}
	for _, b := range d.backends {
		m := cloud.Member{
			Name: b.name, Address: b.addr.String(), Port: port.NodePort, Weight: 1, SubnetID: d.memberSubnet(b.addr, vip),
		}
		if d.local() && !providers[d.Defaults.Provider].packets {
			m.MonitorPort = d.Service.Spec.HealthCheckNodePort
		}
		pool.Members = append(pool.Members, m)
	}
	return listener, pool
}

func (d *desired) monitor(key string) *cloud.Monitor {
	s := d.settings
	if !s.monitor {
		return nil
	}
	m := &cloud.Monitor{
		Name: key, Type: "TCP", Delay: s.monitorDelay, Timeout: s.monitorTimeout,
		MaxRetries: s.monitorMaxRetries, MaxRetriesDown: s.monitorMaxRetriesDown,
	}
	if d.local() && !providers[d.Defaults.Provider].packets {
		// kube-proxy answers there with 200 where the Service has a pod, else with 503. Where only TCP can be asked for, the
		// node port tells it as well: without a pod there is no connection.
		m.Type, m.Path, m.HTTPMethod, m.ExpectedCodes = "HTTP", "/healthz", "GET", "200"
	}
	return m
}
