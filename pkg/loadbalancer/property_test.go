package loadbalancer

import (
	"fmt"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// Whatever a Service asks for, and whatever it asked for before: planning and applying comes to rest, at exactly what is
// asked for, and a removal leaves nothing of ours.
func TestPlanComesToRest(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 0))
		n := 0
		id := func(kind string) string { n++; return fmt.Sprintf("%s-%03d", kind, n) }
		observed := Observed{PartByPart: random.IntN(4) == 0}
		for range 4 {
			service, nodes := randomService(random), randomNodes(random)
			spec, err := Desired(Input{Cluster: "cluster", Service: service, Nodes: nodes, Facts: testFacts(), Defaults: Defaults{Subnet: "subnet-private"}})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			observed = settle(t, seed, spec, observed, id)
			if Endpoint(spec, observed) == "" {
				t.Fatalf("seed %d: no endpoint: %+v", seed, observed)
			}
			lb := observed.Balancers[0]
			if HashOf(lb) != spec.Hash() || len(lb.Listeners) != len(service.Spec.Ports) || len(lb.Pools) != len(service.Spec.Ports) {
				t.Fatalf("seed %d: %+v", seed, lb)
			}
			if parts := Unfinished(lb); len(parts) > 0 {
				t.Fatalf("seed %d: unfinished are %v", seed, parts)
			}
			disturb(random, &observed)
		}
		removal := Spec{Identity: Identity{Cluster: "cluster", Service: "service"}, Remove: true}
		observed = settle(t, seed, removal, observed, id)
		if len(observed.Balancers) > 0 || len(observed.FloatingIPs) > 0 {
			t.Fatalf("seed %d: left: %+v", seed, observed)
		}
	}
}

// settle plans and applies until nothing is left to do. Like the controller, it plans anew after each write of a
// balancer in every other seed; in the others it applies a plan as a whole.
func settle(t *testing.T, seed uint64, spec Spec, observed Observed, id func(string) string) Observed {
	t.Helper()
	for range 60 {
		steps, recheck, err := Plan(spec, observed)
		if err != nil || recheck > 0 {
			t.Fatalf("seed %d: %v, %v", seed, recheck, err)
		}
		if len(steps) == 0 {
			return observed
		}
		for _, step := range steps {
			observed = Apply(observed, bind(step, observed, id))
			if seed%2 == 0 && step.WritesBalancer() {
				break
			}
		}
	}
	t.Fatalf("seed %d: no rest", seed)
	return observed
}

func randomService(random *rand.Rand) *corev1.Service {
	maybe := func() bool { return random.IntN(2) == 0 }
	return testService(func(s *corev1.Service) {
		s.Annotations = map[string]string{}
		s.Spec.Ports = nil
		for _, port := range random.Perm(5)[:1+random.IntN(4)] {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Port: 80 + int32(port), NodePort: 30000 + random.Int32N(3)})
		}
		if maybe() {
			s.Annotations[prefix+"lb-method"] = []string{"ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP"}[random.IntN(3)]
		}
		if maybe() {
			s.Annotations[prefix+"connection-limit"] = fmt.Sprint(1 + random.IntN(3))
		}
		if maybe() {
			s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		}
		if maybe() {
			s.Spec.LoadBalancerSourceRanges = []string{"10.0.0.0/8", "192.0.2.0/24"}[:1+random.IntN(2)]
		}
		if random.IntN(4) == 0 {
			s.Annotations[annotationInternal] = "true"
		} else if maybe() {
			s.Spec.LoadBalancerIP = fmt.Sprintf("172.30.0.%d", 100+random.IntN(3))
		}
		switch random.IntN(3) {
		case 0:
			s.Annotations[annotationMonitor] = "false"
		case 1:
			s.Spec.ExternalTrafficPolicy, s.Spec.HealthCheckNodePort = corev1.ServiceExternalTrafficPolicyLocal, 32000
		}
	})
}

func randomNodes(random *rand.Rand) []*corev1.Node {
	var nodes []*corev1.Node
	for i := range random.IntN(5) {
		nodes = append(nodes, testNode(fmt.Sprintf("n%d", i), fmt.Sprintf("10.200.0.%d", 10+random.IntN(5)), nil))
	}
	return nodes
}

// disturb is drift, and what a lost answer leaves behind.
func disturb(random *rand.Rand, observed *Observed) {
	lb := &observed.Balancers[0]
	switch random.IntN(8) {
	case 0:
		lb.Listeners = lb.Listeners[1:]
	case 1:
		*lb = withoutPool(*lb, lb.Pools[0].ID)
	case 2:
		lb.Pools[0].Members = nil
	case 3:
		lb.Provisioning = cloud.ProvisioningError
	case 4:
		twin := *lb
		twin.ID, twin.VIPPortID = "twin-"+lb.ID, "twin-"+lb.VIPPortID
		observed.Balancers = append(observed.Balancers, twin)
	case 5:
		lb.Pools = append(lb.Pools, cloud.Pool{ID: "spare-" + lb.ID, Name: lb.Pools[0].Name, Protocol: "TCP"})
	case 6:
		lb.Tags = lb.Tags[:2]
	case 7:
		*lb = unfinished(*lb)
		observed.Unfinished, observed.Finished = PartGrace, nil
	}
}
