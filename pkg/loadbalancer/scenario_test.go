package loadbalancer

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

var update = flag.Bool("update", false, "write the steps that were planned into the scenarios")

var section = regexp.MustCompile(`(?m)^-- (\w+) --\n`)

// A scenario is a story in testdata: sections change the Service (its YAML), the nodes (name, address, labels), or the
// cloud (see scenario.cloud); a section "steps" tells what is planned then, and the steps are applied. "settled" stands
// for a Plan that has nothing to do.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(text))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(text), got); diff != "" && !*update {
				t.Error(diff)
			}
		})
	}
}

// play runs a scenario and returns it with the steps that were planned.
func play(t *testing.T, text string) string {
	t.Helper()
	s := &scenario{t: t, service: testService(nil), ids: map[string]int{}}
	heads := section.FindAllStringSubmatchIndex(text, -1)
	out := text[:heads[0][0]]
	for i, h := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		name, body := text[h[2]:h[3]], text[h[1]:end]
		switch name {
		case "service":
			s.service = testService(nil)
			if err := yaml.UnmarshalStrict([]byte(body), s.service); err != nil {
				t.Fatalf("service: %v", err)
			}
		case "nodes":
			s.nodes = parseNodes(body)
		case "cloud":
			for line := range strings.Lines(body) {
				s.disturb(strings.TrimSpace(line))
			}
		case "provider":
			s.provider = strings.TrimSpace(body)
		case "remove":
			s.removed = true
		case "steps":
			body = s.steps() + "\n"
		default:
			t.Fatalf("section %q", name)
		}
		out += "-- " + name + " --\n" + body
	}
	return out
}

type scenario struct {
	t        *testing.T
	service  *corev1.Service
	nodes    []*corev1.Node
	provider string
	removed  bool
	observed Observed
	ids      map[string]int
}

func (s *scenario) spec() (Spec, error) {
	if s.removed {
		return Removal("cluster", s.service), nil
	}
	return Desired(Input{Cluster: "cluster", Service: s.service, Nodes: s.nodes, Facts: testFacts(), Defaults: Defaults{Provider: s.provider}})
}

// steps plans, traces, and applies.
func (s *scenario) steps() string {
	spec, err := s.spec()
	if err != nil {
		return "invalid: " + err.Error()
	}
	steps, recheck, err := Plan(spec, s.observed)
	var lines []string
	if recheck > 0 {
		lines = append(lines, "wait")
	}
	for _, step := range steps {
		lines = append(lines, step.String())
		s.observed = Apply(s.observed, s.bind(step))
	}
	if err != nil {
		lines = append(lines, "problem: "+err.Error())
	}
	if len(lines) == 0 {
		lines = append(lines, strings.TrimSpace("settled "+Endpoint(spec, s.observed)))
	}
	return strings.Join(lines, "\n")
}

func (s *scenario) id(kind string) string {
	s.ids[kind]++
	return fmt.Sprintf("%s-%d", kind, s.ids[kind])
}

// bind gives ids as a cloud's answer would.
func (s *scenario) bind(step Step) Step { return bind(step, s.observed, s.id) }

func bind(step Step, observed Observed, id func(string) string) Step {
	port := step.FloatingIP.PortID
	if len(observed.Balancers) > 0 && port == "" && !step.Unassociated {
		port = observed.Balancers[len(observed.Balancers)-1].VIPPortID
	}
	switch step.Action {
	case CreateBalancer:
		lb := &step.Balancer
		lb.ID, lb.VIPPortID, lb.Provisioning = id("lb"), id("port"), cloud.ProvisioningActive
		if lb.VIP == "" {
			lb.VIP = "10.200.0.100"
		}
		lb.Pools, lb.Listeners = slices.Clone(lb.Pools), slices.Clone(lb.Listeners)
		for i := range lb.Pools {
			lb.Pools[i].ID = id("pool")
		}
		for i := range lb.Listeners {
			lb.Listeners[i].ID = id("listener")
		}
	case CreateFloatingIP:
		step.ID, step.FloatingIP.PortID = id("fip"), port
		if step.FloatingIP.Address == "" {
			step.FloatingIP.Address = "172.30.0.100"
		}
	case AssociateFloatingIP:
		step.FloatingIP.PortID = port
	case CreatePool:
		step.Pool.ID = id("pool")
	case CreateListener, UpdateListener:
		step.Listener.ID = id("listener")
		for _, lb := range observed.Balancers {
			for _, p := range lb.Pools {
				if lb.ID == step.Of && p.Name == step.Listener.Pool {
					step.Listener.DefaultPoolID = p.ID
				}
			}
		}
	}
	return step
}

// disturb is what others, or the cloud itself, do to the cloud.
func (s *scenario) disturb(line string) {
	s.t.Helper()
	lb := &cloud.LoadBalancer{}
	if len(s.observed.Balancers) > 0 {
		lb = &s.observed.Balancers[0]
	}
	verb, rest, _ := strings.Cut(line, " ")
	switch verb + " " + strings.Fields(rest + " x")[0] {
	case "remove balancer":
		s.observed.Balancers = s.observed.Balancers[1:]
		for i := range s.observed.FloatingIPs {
			s.observed.FloatingIPs[i].PortID = ""
		}
	case "remove address":
		s.observed.FloatingIPs = s.observed.FloatingIPs[1:]
	case "remove listener":
		lb.Listeners = lb.Listeners[1:]
	case "remove pool":
		*lb = withoutPool(*lb, lb.Pools[0].ID)
	case "remove members":
		lb.Pools[0].Members = nil
	case "remove monitor":
		lb.Pools[0].Monitor = nil
	case "add listener":
		lb.Listeners = append(lb.Listeners, cloud.Listener{ID: "stranger", Name: "manual", Protocol: "TCP", Port: 8080})
	case "add pool": // what a lost answer leaves behind
		lb.Pools = append(lb.Pools, cloud.Pool{ID: "spare", Name: lb.Pools[0].Name, Protocol: "TCP", Algorithm: "ROUND_ROBIN"})
	case "add balancer":
		twin := *lb
		twin.ID, twin.VIPPortID = "lb-0", "port-0"
		s.observed.Balancers = append(s.observed.Balancers, twin)
	case "add address":
		f := strings.Fields(rest)
		s.observed.FloatingIPs = append(s.observed.FloatingIPs, cloud.FloatingIP{ID: "fip-manual", Address: f[1], NetworkID: "net-public", PortID: f[2]})
	case "state pending", "state error", "state active":
		lb.Provisioning = cloud.ProvisioningState(rest)
	case "leave parts": // the defect: active, with parts that are pending for ever
		*lb = unfinished(*lb)
	case "leave pool":
		lb.Pools[0].Provisioning = cloud.ProvisioningPending
	case "leave monitor":
		lb.Pools[0].Monitor.Provisioning = cloud.ProvisioningPending
	case "leave listener":
		lb.Listeners[0].Provisioning = cloud.ProvisioningPending
	case "seen for":
		d, err := time.ParseDuration(strings.Fields(rest)[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.observed.Unfinished = d
	case "known defect":
		s.observed.PartByPart = true
	case "break pool":
		lb.Pools[0].Provisioning = cloud.ProvisioningError
	case "tell members": // in the cloud's own way
		slices.Reverse(lb.Pools[0].Members)
		for i := range lb.Pools[0].Members {
			m := &lb.Pools[0].Members[i]
			m.ID, m.Name, m.SubnetID = "m", "", ""
			if m.MonitorPort == 0 {
				m.MonitorPort = m.Port
			}
		}
	case "tag mine":
		lb.Tags = append(lb.Tags, "team=shop")
	default:
		s.t.Fatalf("cloud: %q", line)
	}
}

// unfinished is a balancer all of whose parts the cloud left pending.
func unfinished(lb cloud.LoadBalancer) cloud.LoadBalancer {
	lb.Listeners, lb.Pools = slices.Clone(lb.Listeners), slices.Clone(lb.Pools)
	for i := range lb.Listeners {
		lb.Listeners[i].Provisioning = cloud.ProvisioningPending
	}
	for i := range lb.Pools {
		p := &lb.Pools[i]
		p.Provisioning, p.Members = cloud.ProvisioningPending, slices.Clone(p.Members)
		for j := range p.Members {
			p.Members[j].Provisioning = cloud.ProvisioningPending
		}
		if p.Monitor != nil {
			monitor := *p.Monitor
			monitor.ID, monitor.Provisioning = "monitor", cloud.ProvisioningPending
			p.Monitor = &monitor
		}
	}
	return lb
}

func parseNodes(body string) []*corev1.Node {
	var nodes []*corev1.Node
	for line := range strings.Lines(body) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		var labels map[string]string
		for _, l := range f[2:] {
			k, v, _ := strings.Cut(l, "=")
			if labels == nil {
				labels = map[string]string{}
			}
			labels[k] = v
		}
		nodes = append(nodes, testNode(f[0], f[1], labels))
	}
	return nodes
}

func testNode(name, address string, labels map[string]string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if address != "-" {
		n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}}
	}
	return n
}

func testService(change func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: types.UID("service")},
		Spec: corev1.ServiceSpec{
			Type:  corev1.ServiceTypeLoadBalancer,
			Ports: []corev1.ServicePort{{Protocol: corev1.ProtocolTCP, Port: 80, NodePort: 30080}},
		},
	}
	if change != nil {
		change(s)
	}
	return s
}

func testFacts() Facts {
	return Facts{
		Networks: []cloud.Network{
			{ID: "net-private", Name: "private", SubnetIDs: []string{"subnet-private"}},
			{ID: "net-public", Name: "public", External: true, SubnetIDs: []string{"subnet-public", "subnet-public-2"}},
		},
		Subnets: []cloud.Subnet{
			{ID: "subnet-private", Name: "private-subnet", NetworkID: "net-private", CIDR: "10.200.0.0/24", IPVersion: 4},
			{ID: "subnet-public", NetworkID: "net-public", CIDR: "172.30.0.0/24", IPVersion: 4},
		},
	}
}
