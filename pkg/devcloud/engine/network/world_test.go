package network

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/fairlead-io/fairlead/pkg/devcloud/engine"
)

const project = "p"

// lab is the network that every test starts from: a tenant subnet behind a router to an external network.
func lab() Config {
	return Config{
		Networks: []NetworkConfig{
			{Name: "public", External: true, Subnets: []SubnetConfig{{
				Name: "public-subnet", CIDR: netip.MustParsePrefix("172.30.0.0/24"),
				Pools: []AddressPool{{netip.MustParseAddr("172.30.0.10"), netip.MustParseAddr("172.30.0.12")}},
			}}},
			{Name: "lab", Subnets: []SubnetConfig{{
				Name: "lab-subnet", CIDR: netip.MustParsePrefix("10.200.0.0/24"),
				Pools: []AddressPool{{netip.MustParseAddr("10.200.0.100"), netip.MustParseAddr("10.200.0.102")}},
			}}},
			{Name: "island", Subnets: []SubnetConfig{{Name: "island-subnet", CIDR: netip.MustParsePrefix("10.9.0.0/29")}}},
		},
		Routers: []RouterConfig{{Name: "router", ExternalNetwork: "public", Subnets: []string{"lab-subnet"}}},
	}
}

// world is a seeded network with the ids of its parts.
type world struct {
	t      *testing.T
	e      *engine.Engine
	s      *Service
	public Network
	lab    Network
	island Network
	subnet Subnet
	router Router
}

func newWorld(t *testing.T, path string) *world {
	t.Helper()
	e, err := engine.New(engine.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := New(e, DefaultQuota())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, e: e, s: s}
	w.do(func(tx *engine.Tx) error { return s.Seed(tx, lab(), project) })
	w.do(func(tx *engine.Tx) error {
		for _, n := range s.Networks(tx) {
			switch n.Name {
			case "public":
				w.public = n
			case "lab":
				w.lab = n
			case "island":
				w.island = n
			}
		}
		w.subnet = s.SubnetsOf(tx, w.lab.ID)[0]
		w.router = s.Routers(tx)[0]
		return nil
	})
	return w
}

// do runs fn in a transaction that must succeed.
func (w *world) do(fn func(tx *engine.Tx) error) {
	w.t.Helper()
	if err := w.e.Update(fn); err != nil {
		w.t.Fatal(err)
	}
}

// refused runs fn in a transaction that must be refused as typ.
func (w *world) refused(reason engine.Reason, typ string, fn func(tx *engine.Tx) error) {
	w.t.Helper()
	err := w.e.Update(fn)
	var refusal *engine.Error
	if !errors.As(err, &refusal) || refusal.Reason != reason || refusal.Type != typ {
		w.t.Fatalf("got %#v, want %s %s", err, reason, typ)
	}
}

func (w *world) port(spec PortSpec) Port {
	w.t.Helper()
	var p Port
	w.do(func(tx *engine.Tx) (err error) {
		spec.ProjectID = project
		if spec.NetworkID == "" {
			spec.NetworkID = w.lab.ID
		}
		p, err = w.s.CreatePort(tx, spec)
		return err
	})
	return p
}

func (w *world) float(portID string) FloatingIP {
	w.t.Helper()
	var f FloatingIP
	w.do(func(tx *engine.Tx) (err error) {
		f, err = w.s.CreateFloatingIP(tx, FloatingIPSpec{ProjectID: project, NetworkID: w.public.ID, PortID: portID})
		return err
	})
	return f
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }
