package loadbalancer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The prefix of the field's load balancer annotations, and the two that have other prefixes.
const (
	prefix                 = "loadbalancer.openstack.org/"
	annotationInternal     = "service.beta.kubernetes.io/openstack-internal-load-balancer"
	annotationSourceRanges = corev1.AnnotationLoadBalancerSourceRangesKey

	annotationFloatingNetwork = prefix + "floating-network-id"
	annotationFloatingSubnet  = prefix + "floating-subnet-id"
	annotationNetwork         = prefix + "network-id"
	annotationSubnet          = prefix + "subnet-id"
	annotationKeepFloatingIP  = prefix + "keep-floatingip"
	annotationAlgorithm       = prefix + "lb-method"
	annotationConnectionLimit = prefix + "connection-limit"
	annotationMonitor         = prefix + "enable-health-monitor"
	annotationMonitorDelay    = prefix + "health-monitor-delay"
	annotationMonitorTimeout  = prefix + "health-monitor-timeout"

	annotationTimeoutClientData    = prefix + "timeout-client-data"
	annotationTimeoutMemberConnect = prefix + "timeout-member-connect"
	annotationTimeoutMemberData    = prefix + "timeout-member-data"
)

// The time-outs of a listener when nothing else is said, in milliseconds.
const (
	defaultTimeoutClientData    = 50000
	defaultTimeoutMemberConnect = 5000
	defaultTimeoutMemberData    = 50000
)

// settings is what the annotations of one Service say.
type settings struct {
	internal        bool
	floatingNetwork string
	floatingSubnet  string
	network         string
	subnet          string
	keepFloatingIP  bool

	algorithm            string // empty: the provider's
	connectionMax        int32
	timeoutClientData    int32
	timeoutMemberConnect int32
	timeoutMemberData    int32
	sourceRanges         []string

	monitor               bool
	monitorDelay          int32
	monitorTimeout        int32
	monitorMaxRetries     int32
	monitorMaxRetriesDown int32

	nodeSelector labels.Selector
}

// Annotation is one setting of a Service.
type Annotation struct {
	Name    string
	Type    string // what a value looks like
	Default string // what holds without the annotation
	Doc     string
	parse   func(s *settings, value string) error
}

// Annotations is every annotation that has an effect, with its default. Documentation is made from it.
var Annotations = []Annotation{
	{annotationInternal, "true or false", "false",
		"No public address: the load balancer is reached by its virtual address alone.",
		boolean(func(s *settings) *bool { return &s.internal })},
	{annotationFloatingNetwork, "id or name of an external network", "the configured one, or the only one there is",
		"Where the public address comes from.", text(func(s *settings) *string { return &s.floatingNetwork })},
	{annotationFloatingSubnet, "id of a subnet of the floating network", "the cloud's choice",
		"Which of the floating network's ranges the public address comes from.",
		text(func(s *settings) *string { return &s.floatingSubnet })},
	{annotationNetwork, "id or name of a network", "the configured one, or that of the nodes",
		"Where the virtual address lies; the cloud chooses the subnet. A change builds the load balancer anew.",
		text(func(s *settings) *string { return &s.network })},
	{annotationSubnet, "id or name of a subnet", "the configured one, or that of the nodes",
		"Where the virtual address lies. A change builds the load balancer anew.",
		text(func(s *settings) *string { return &s.subnet })},
	{annotationKeepFloatingIP, "true or false", "false",
		"The public address stays in the project when the Service no longer needs it.",
		boolean(func(s *settings) *bool { return &s.keepFloatingIP })},
	{annotationAlgorithm, "ROUND_ROBIN, LEAST_CONNECTIONS, SOURCE_IP or SOURCE_IP_PORT", "the only one of the provider (ovn: SOURCE_IP_PORT), else ROUND_ROBIN",
		"How connections are spread over the nodes.", oneOf(func(s *settings) *string { return &s.algorithm },
			"ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT")},
	{annotationConnectionLimit, "-1 (no limit) or a number from 1", "-1",
		"How many connections each port accepts at a time.", connectionLimit},
	{annotationMonitor, "true or false", "true",
		"Whether nodes that do not answer get no connections. externalTrafficPolicy Local cannot do without.",
		boolean(func(s *settings) *bool { return &s.monitor })},
	{annotationMonitorDelay, "seconds, from 1", "5",
		"Time between two questions to a node; not less than the time-out.",
		number(func(s *settings) *int32 { return &s.monitorDelay }, maxNumber)},
	{annotationMonitorTimeout, "seconds, from 1", "3", "Time within which a node must answer.",
		number(func(s *settings) *int32 { return &s.monitorTimeout }, maxNumber)},
	{prefix + "health-monitor-max-retries", "1 to 10", "1", "Answers in a row after which a node gets connections again.",
		number(func(s *settings) *int32 { return &s.monitorMaxRetries }, 10)},
	{prefix + "health-monitor-max-retries-down", "1 to 10", "3",
		"Missing answers in a row after which a node gets no more connections.",
		number(func(s *settings) *int32 { return &s.monitorMaxRetriesDown }, 10)},
	{annotationTimeoutClientData, "milliseconds, from 1", strconv.Itoa(defaultTimeoutClientData),
		"How long a client may be silent.", number(func(s *settings) *int32 { return &s.timeoutClientData }, maxNumber)},
	{annotationTimeoutMemberConnect, "milliseconds, from 1", strconv.Itoa(defaultTimeoutMemberConnect),
		"How long a node may take to accept a connection.",
		number(func(s *settings) *int32 { return &s.timeoutMemberConnect }, maxNumber)},
	{annotationTimeoutMemberData, "milliseconds, from 1", strconv.Itoa(defaultTimeoutMemberData),
		"How long a node may be silent.", number(func(s *settings) *int32 { return &s.timeoutMemberData }, maxNumber)},
	{prefix + "node-selector", `a label selector: "zone=a,role!=gateway"`, "all nodes",
		"Which nodes get connections.", nodeSelector},
	{annotationSourceRanges, `CIDRs: "10.0.0.0/8,192.0.2.0/24"`, "everywhere",
		"Whose connections are accepted. spec.loadBalancerSourceRanges goes before it.", sourceRanges},
}

// maxNumber is the largest number that the cloud's fields hold: 24 days in milliseconds.
const maxNumber = 1<<31 - 1

// refusal is an annotation that is not supported yet.
type refusal struct {
	name     string
	harmless string // the value that asks for nothing and may stand there; empty: none
	doc      string // what it would do, and what to do instead
}

// refusals are annotations that users of other controllers know. Silence would be worse than a refusal.
var refusals = []refusal{
	{prefix + "class", "", "A named set of settings. Use the annotations of the settings."},
	{prefix + "load-balancer-id", "", "One load balancer for several Services, or one that exists already."},
	{prefix + "port-id", "", "The virtual address of a port that exists already."},
	{prefix + "member-subnet-id", "", "The subnet of the nodes' addresses."},
	{prefix + "proxy-protocol", "false", "The client's address in front of each connection. `externalTrafficPolicy: Local` does not keep it either: the load balancer is a proxy."},
	{prefix + "x-forwarded-for", "false", "The client's address in an HTTP header. Use an Ingress or Gateway controller for HTTP."},
	{prefix + "timeout-tcp-inspect", "0", "Time to wait for more of a connection's content before choosing a node."},
	{prefix + "default-tls-container-ref", "", "TLS that ends at the load balancer. End it in the cluster."},
	{prefix + "flavor-id", "", "Octavia's flavor of the load balancer: the cloud's default is used."},
	{prefix + "availability-zone", "", "Octavia's availability zone of the load balancer: the cloud's default is used."},
	{prefix + "hostname", "", "A host name in the status, in the place of the address."},
	{prefix + "floating-subnet", "", "The floating network's subnet by a pattern of its name. Use `" + annotationFloatingSubnet + "`."},
	{prefix + "floating-subnet-tags", "", "The floating network's subnet by its tags. Use `" + annotationFloatingSubnet + "`."},
}

// annotationAddress is written by other controllers for people to read; it asks for nothing.
const annotationAddress = prefix + "load-balancer-address"

func defaultSettings() settings {
	return settings{
		connectionMax: -1, monitor: true, monitorDelay: 5, monitorTimeout: 3,
		monitorMaxRetries: 1, monitorMaxRetriesDown: 3, timeoutClientData: defaultTimeoutClientData,
		timeoutMemberConnect: defaultTimeoutMemberConnect, timeoutMemberData: defaultTimeoutMemberData,
		nodeSelector: labels.Everything(),
	}
}

// parseAnnotations reads a Service's annotations. Its error joins everything that is wrong with them. An empty value
// counts as absent.
func parseAnnotations(annotations map[string]string) (settings, error) {
	s := defaultSettings()
	var errs []error
	for _, a := range Annotations {
		value := strings.TrimSpace(annotations[a.Name])
		if value == "" {
			continue
		}
		if err := a.parse(&s, value); err != nil {
			errs = append(errs, fmt.Errorf("annotation %s: %q: %w", a.Name, value, err))
		}
	}
	errs = append(errs, unknownAnnotations(annotations)...)
	if s.monitor && s.monitorTimeout > s.monitorDelay {
		errs = append(errs, fmt.Errorf("annotation %s: \"%d\": must not be more than %s, which is %d",
			annotationMonitorTimeout, s.monitorTimeout, annotationMonitorDelay, s.monitorDelay))
	}
	return s, errors.Join(errs...)
}

func unknownAnnotations(annotations map[string]string) []error {
	var errs []error
	for name, value := range annotations {
		if !strings.HasPrefix(name, prefix) || name == annotationAddress || value == "" {
			continue
		}
		if slices.ContainsFunc(Annotations, func(a Annotation) bool { return a.Name == name }) {
			continue
		}
		i := slices.IndexFunc(refusals, func(r refusal) bool { return r.name == name })
		switch {
		case i >= 0 && value == refusals[i].harmless:
		case i >= 0:
			errs = append(errs, fmt.Errorf("annotation %s: %q: not supported yet: remove it", name, value))
		default:
			errs = append(errs, fmt.Errorf("annotation %s: unknown: known are %s", name, strings.Join(knownNames(), ", ")))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

func knownNames() []string {
	var names []string
	for _, a := range Annotations {
		names = append(names, a.Name)
	}
	return names
}

func boolean(field func(*settings) *bool) func(*settings, string) error {
	return func(s *settings, value string) error {
		switch value {
		case "true":
			*field(s) = true
		case "false":
			*field(s) = false
		default:
			return errors.New("allowed are true and false")
		}
		return nil
	}
}

func text(field func(*settings) *string) func(*settings, string) error {
	return func(s *settings, value string) error { *field(s) = value; return nil }
}

func oneOf(field func(*settings) *string, allowed ...string) func(*settings, string) error {
	return func(s *settings, value string) error {
		if !slices.Contains(allowed, value) {
			return fmt.Errorf("allowed are %s", strings.Join(allowed, ", "))
		}
		*field(s) = value
		return nil
	}
}

func number(field func(*settings) *int32, high int64) func(*settings, string) error {
	return func(s *settings, value string) error {
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil || n < 1 || n > high {
			return fmt.Errorf("allowed are whole numbers from 1 to %d", high)
		}
		*field(s) = int32(n)
		return nil
	}
}

func connectionLimit(s *settings, value string) error {
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || (n < 1 && n != -1) {
		return errors.New("allowed are -1 (no limit) and whole numbers from 1")
	}
	s.connectionMax = int32(n)
	return nil
}

func nodeSelector(s *settings, value string) error {
	selector, err := labels.Parse(value)
	if err != nil {
		return fmt.Errorf("allowed is a label selector: %w", err)
	}
	s.nodeSelector = selector
	return nil
}

func sourceRanges(s *settings, value string) error {
	ranges, err := parseRanges(strings.Split(value, ","))
	s.sourceRanges = ranges
	return err
}

// parseRanges brings CIDRs into their one form, sorted; everywhere is nil.
func parseRanges(values []string) ([]string, error) {
	var ranges []string
	for _, v := range values {
		p, err := netip.ParsePrefix(strings.TrimSpace(v))
		if err != nil {
			return nil, fmt.Errorf("%q: allowed are CIDRs like 192.0.2.0/24", v)
		}
		if p.Bits() == 0 && p.Addr().Is4() {
			return nil, nil
		}
		ranges = append(ranges, p.Masked().String())
	}
	slices.Sort(ranges)
	return slices.Compact(ranges), nil
}
