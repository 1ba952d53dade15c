package loadbalancer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

func annotated(pairs ...string) func(*corev1.Service) {
	return func(s *corev1.Service) {
		s.Annotations = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			s.Annotations[pairs[i]] = pairs[i+1]
		}
	}
}

func desiredOf(change func(*corev1.Service), nodes ...*corev1.Node) (Spec, error) {
	if nodes == nil {
		nodes = []*corev1.Node{testNode("n1", "10.200.0.11", nil)}
	}
	return Desired(Input{Cluster: "cluster", Service: testService(change), Nodes: nodes, Facts: testFacts()})
}

func TestInvalidServicesAreToldFieldValueAndWhatIsAllowed(t *testing.T) {
	cases := []struct {
		name   string
		change func(*corev1.Service)
		want   []string
	}{
		{"a boolean", annotated(annotationInternal, "yes"), []string{annotationInternal, `"yes"`, "true and false"}},
		{"a method", annotated(prefix+"lb-method", "BEST"), []string{`"BEST"`, "ROUND_ROBIN, LEAST_CONNECTIONS, SOURCE_IP"}},
		{"a limit of nothing", annotated(prefix+"connection-limit", "0"), []string{`"0"`, "-1", "from 1"}},
		{"retries out of range", annotated(prefix+"health-monitor-max-retries", "11"), []string{`"11"`, "from 1 to 10"}},
		{"a time-out that is no number", annotated(prefix+"timeout-client-data", "1s"), []string{`"1s"`, "whole numbers"}},
		{"a time-out that overflows", annotated(prefix+"timeout-member-data", "4294967296"), []string{"whole numbers"}},
		{"a monitor that cannot keep up", annotated(annotationMonitorDelay, "2"), []string{annotationMonitorTimeout, `"3"`, "2"}},
		{"a selector", annotated(prefix+"node-selector", "a=b=c"), []string{prefix + "node-selector", "label selector"}},
		{"source ranges", annotated(annotationSourceRanges, "10.0.0.0/8,10.0.0.1"), []string{`"10.0.0.1"`, "192.0.2.0/24"}},
		{"source ranges of the spec", func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = []string{"all"} },
			[]string{"spec.loadBalancerSourceRanges", `"all"`}},
		{"an unknown annotation", annotated(prefix+"connexion-limit", "5"), []string{prefix + "connexion-limit", "unknown", prefix + "connection-limit"}},
		{"what others support", annotated(prefix+"class", "gold"), []string{prefix + "class", `"gold"`, "not supported"}},
		{"an unknown floating network", annotated(annotationFloatingNetwork, "net-private"),
			[]string{`"net-private"`, "no such external network", "public (net-public)"}},
		{"an unknown floating subnet", annotated(annotationFloatingSubnet, "subnet-private"), []string{`"subnet-private"`, "subnet-public"}},
		{"an unknown subnet", annotated(annotationSubnet, "x"), []string{annotationSubnet, `"x"`, "private-subnet (subnet-private)"}},
		{"an unknown network", annotated(annotationNetwork, "x"), []string{annotationNetwork, `"x"`, "private (net-private)"}},
		{"UDP", func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolUDP }, []string{"spec.ports[0].protocol", `"UDP"`, "TCP"}},
		{"no node port", func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 0 }, []string{"spec.ports[0].nodePort", "allocateLoadBalancerNodePorts"}},
		{"IPv6", func(s *corev1.Service) { s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol} }, []string{"spec.ipFamilies[0]", "IPv4"}},
		{"an address that is none", func(s *corev1.Service) { s.Spec.LoadBalancerIP = "example.com" }, []string{"spec.loadBalancerIP", `"example.com"`}},
		{"an internal address outside the subnet", func(s *corev1.Service) {
			annotated(annotationInternal, "true")(s)
			s.Spec.LoadBalancerIP = "10.9.9.9"
		}, []string{"spec.loadBalancerIP", `"10.9.9.9"`, "10.200.0.0/24"}},
		{"a local policy without a monitor", func(s *corev1.Service) {
			annotated(annotationMonitor, "false")(s)
			s.Spec.ExternalTrafficPolicy, s.Spec.HealthCheckNodePort = corev1.ServiceExternalTrafficPolicyLocal, 32000
		}, []string{annotationMonitor, "externalTrafficPolicy Local"}},
		{"everything that is wrong at once", func(s *corev1.Service) {
			annotated(annotationInternal, "yes", prefix+"lb-method", "BEST", prefix+"hostname", "x")(s)
			s.Spec.Ports[0].Protocol = corev1.ProtocolSCTP
		}, []string{`"yes"`, `"BEST"`, `"x"`, `"SCTP"`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spec, err := desiredOf(c.change)
			if err == nil {
				t.Fatalf("it was accepted: %+v", spec)
			}
			if !errors.Is(err, cloud.ErrInvalid) {
				t.Errorf("not an ErrInvalid: %v", err)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q: %v", part, err)
				}
			}
		})
	}
}

func TestTimeoutOfAnAffinityThatTheCloudCannotKeepIsAnnounced(t *testing.T) {
	cases := []struct {
		name     string
		affinity corev1.ServiceAffinity
		seconds  *int32
		announce bool
	}{
		{"no affinity", corev1.ServiceAffinityNone, nil, false},
		{"an affinity without a word about time", corev1.ServiceAffinityClientIP, nil, false},
		{"the default, which the API server writes", corev1.ServiceAffinityClientIP, ptr.To[int32](10800), false},
		{"another time", corev1.ServiceAffinityClientIP, ptr.To[int32](60), true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spec, err := desiredOf(func(s *corev1.Service) {
				s.Spec.SessionAffinity = c.affinity
				if c.seconds != nil {
					s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: c.seconds}}
				}
			})
			if err != nil || (len(spec.Ignored) > 0) != c.announce {
				t.Fatalf("announced %q, %v", spec.Ignored, err)
			}
			if c.announce && !strings.Contains(spec.Ignored[0], "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 60:") {
				t.Errorf("announced %q", spec.Ignored)
			}
		})
	}
}

func TestEmptyAndHarmlessAnnotationsCountAsAbsent(t *testing.T) {
	plain, err := desiredOf(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, pairs := range [][]string{
		{annotationInternal, ""}, {prefix + "class", ""}, {prefix + "proxy-protocol", "false"}, {prefix + "x-forwarded-for", "false"},
		{annotationAddress, "172.30.0.1"}, {annotationSourceRanges, "0.0.0.0/0"}, {"example.com/other", "x"},
	} {
		spec, err := desiredOf(annotated(pairs...))
		if err != nil || spec.Hash() != plain.Hash() {
			t.Errorf("%v: %v", pairs, err)
		}
	}
}

func TestEveryAnnotationHasItsDocumentedDefaultAndAnEffect(t *testing.T) {
	values := map[string]string{ // one value each that is not the default
		annotationInternal: "true", annotationFloatingNetwork: "public", annotationFloatingSubnet: "subnet-public",
		annotationNetwork: "private", annotationSubnet: "subnet-private", annotationKeepFloatingIP: "true",
		prefix + "lb-method": "SOURCE_IP", prefix + "connection-limit": "7", annotationMonitor: "false",
		annotationMonitorDelay: "9", annotationMonitorTimeout: "2", prefix + "health-monitor-max-retries": "4",
		prefix + "health-monitor-max-retries-down": "4", prefix + "timeout-client-data": "1",
		prefix + "timeout-member-connect": "1", prefix + "timeout-member-data": "1", prefix + "node-selector": "a=b",
		annotationSourceRanges: "10.0.0.0/8",
	}
	plain, _ := desiredOf(nil)
	for _, a := range Annotations {
		if a.Type == "" || a.Default == "" || a.Doc == "" {
			t.Errorf("%s is not documented", a.Name)
		}
		spec, err := desiredOf(annotated(a.Name, values[a.Name]))
		if err != nil {
			t.Errorf("%s=%s: %v", a.Name, values[a.Name], err)
		}
		if a.Name != annotationKeepFloatingIP && spec.Hash() == plain.Hash() {
			t.Errorf("%s=%s has no effect", a.Name, values[a.Name])
		}
		if a.Name == annotationKeepFloatingIP && !spec.KeepFloatingIP {
			t.Errorf("%s has no effect", a.Name)
		}
		// A default that is a value may as well be written out.
		s := defaultSettings()
		if err := a.parse(&s, a.Default); err == nil && a.Type != "id" && !strings.Contains(a.Default, " ") && a.Default != "everywhere" {
			if diff := cmp.Diff(fmt.Sprint(defaultSettings()), fmt.Sprint(s)); diff != "" {
				t.Errorf("%s: the documented default is not the default: %s", a.Name, diff)
			}
		}
	}
}

func TestMembersAreTheEligibleNodes(t *testing.T) {
	excluded := testNode("excluded", "10.200.0.12", map[string]string{corev1.LabelNodeExcludeBalancers: ""})
	included := testNode("included", "10.200.0.13", map[string]string{corev1.LabelNodeExcludeBalancers: "false"})
	leaving := testNode("leaving", "10.200.0.14", nil)
	leaving.Spec.Taints = []corev1.Taint{{Key: toBeDeletedTaint}}
	deleted := testNode("deleted", "10.200.0.15", nil)
	now := metav1.Now()
	deleted.DeletionTimestamp = &now
	notReady := testNode("not-ready", "10.200.0.16", nil)
	notReady.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse}}
	six := testNode("six", "fd00::1", nil)
	nodes := []*corev1.Node{
		testNode("n2", "10.200.0.2", nil), testNode("n1", "10.200.0.10", nil), excluded, included, leaving, deleted, notReady, six,
		testNode("no-address", "-", nil),
	}
	spec, err := desiredOf(nil, nodes...)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range spec.Balancer.Pools[0].Members {
		got = append(got, m.Name)
	}
	if want := []string{"n2", "n1", "included", "not-ready"}; !slices.Equal(got, want) {
		t.Errorf("members %v, want %v", got, want)
	}
}

func TestHashIgnoresTheOrderOfNodesAndGuesses(t *testing.T) {
	a, b := testNode("a", "10.200.0.11", nil), testNode("b", "10.200.0.12", nil)
	one, _ := desiredOf(nil, a, b)
	two, _ := desiredOf(nil, b, a)
	if one.Hash() != two.Hash() {
		t.Error("the order of nodes changes the hash")
	}
	facts := testFacts()
	facts.Subnets = append(facts.Subnets, cloud.Subnet{ID: "another", NetworkID: "net-private", CIDR: "10.200.0.0/16", IPVersion: 4})
	facts.Networks = append(facts.Networks, cloud.Network{ID: "net-public-2", External: true})
	three, err := Desired(Input{Cluster: "cluster", Service: testService(nil), Nodes: []*corev1.Node{a, b}, Facts: facts})
	if err != nil {
		t.Fatal(err)
	}
	if three.Hash() != one.Hash() {
		t.Error("a guess changes the hash")
	}
	if three.VIP.Problem == nil || three.FloatingIP.Problem == nil {
		t.Error("what is ambiguous has no problem")
	}
}

func TestPlaceOfTheVirtualAddress(t *testing.T) {
	node := testNode("n1", "10.200.0.11", nil)
	cases := []struct {
		name     string
		change   func(*corev1.Service)
		defaults Defaults
		want     VIP
	}{
		{"the nodes' subnet without any word", nil, Defaults{}, VIP{SubnetID: "subnet-private", NetworkID: "net-private"}},
		{"the operator's subnet", nil, Defaults{Subnet: "private-subnet"}, VIP{SubnetID: "subnet-private", NetworkID: "net-private"}},
		{"the operator's network", nil, Defaults{Network: "private"}, VIP{NetworkID: "net-private"}},
		{"the Service's subnet before the operator's", annotated(annotationSubnet, "subnet-private"), Defaults{Subnet: "other"},
			VIP{SubnetID: "subnet-private", NetworkID: "net-private", Pinned: true}},
		{"the Service's network before the operator's subnet", annotated(annotationNetwork, "net-private"), Defaults{Subnet: "other"},
			VIP{NetworkID: "net-private", Pinned: true}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spec, err := Desired(Input{Cluster: "cluster", Service: testService(c.change), Nodes: []*corev1.Node{node}, Facts: testFacts(), Defaults: c.defaults})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, spec.VIP); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNeeds(t *testing.T) {
	cases := []struct {
		name     string
		change   func(*corev1.Service)
		defaults Defaults
		want     []Query
	}{
		{"an external Service needs both", nil, Defaults{}, []Query{QueryNetworks, QuerySubnets}},
		{"an internal one without a subnet needs both", annotated(annotationInternal, "true"), Defaults{}, []Query{QueryNetworks, QuerySubnets}},
		{"an internal one with a subnet needs subnets", annotated(annotationInternal, "true", annotationSubnet, "x"), Defaults{}, []Query{QuerySubnets}},
		{"so does one with the operator's subnet", annotated(annotationInternal, "true"), Defaults{Subnet: "x"}, []Query{QuerySubnets}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Needs(testService(c.change), c.defaults)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRemovalKeepsTheAddressWhenInDoubt(t *testing.T) {
	for value, want := range map[string]bool{"": false, "false": false, "true": true, "ture": true} {
		if got := Removal("cluster", testService(annotated(annotationKeepFloatingIP, value))).KeepFloatingIP; got != want {
			t.Errorf("%q: keep %v", value, got)
		}
	}
}

func TestNameIsReadableAndNotTooLong(t *testing.T) {
	if got := name(testService(nil)); got != "fairlead-shop-web" {
		t.Error(got)
	}
	long := testService(func(s *corev1.Service) { s.Name = strings.Repeat("x", 300) })
	if got := len(name(long)); got != maxNameLength {
		t.Error(got)
	}
}
