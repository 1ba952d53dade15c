// Package e2e asserts Fairlead's main job, its answers to bad input, and its behaviour under kill -9, on the lab: a real
// two-node Kubernetes, on the embedded cloud (make e2e) or on a real OpenStack (make e2e-openstack).
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-io/fairlead/tests/lab"
	"github.com/fairlead-io/fairlead/tests/scenario"
	"github.com/fairlead-io/fairlead/tests/tools"
)

var (
	useLab  = flag.Bool("lab", false, "start the lab and run the end-to-end tests on it")
	onCloud = flag.String("cloud", lab.Devcloud, "the lab's cloud: devcloud, or the openstack that runs already")
	keepLab = flag.Bool("keep", false, "leave the lab running after the tests")
)

// cluster is the lab that all tests share; each leaves it as it found it.
var cluster *scenario.Cluster

func TestMain(m *testing.M) {
	flag.Parse()
	if !*useLab {
		fmt.Println("end-to-end tests are not run: they need the lab (make e2e)")
		os.Exit(m.Run())
	}
	os.Exit(runOnLab(m))
}

func runOnLab(m *testing.M) int {
	ctx := context.Background()
	start := time.Now()
	if err := tools.InstallPackages(ctx, os.Stdout, "postgresql-client"); err != nil {
		fmt.Println(err)
		return 1
	}
	if err := lab.Up(ctx, lab.Options{Nodes: 2, Cloud: *onCloud, Bin: "../../bin", Progress: os.Stdout}); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Printf("lab up in %.0f s\n", time.Since(start).Seconds())
	var err error
	if cluster, err = scenario.Connect("../..", os.Stdout); err != nil {
		fmt.Println(err)
		return 1
	}
	code := m.Run()
	if *keepLab {
		return code
	}
	if err := lab.Down(ctx, os.Stdout); err != nil {
		fmt.Println(err)
		return 1
	}
	return code
}

// needLab skips a test without the lab, makes sure that the charts are installed, and asserts afterwards that the cloud
// holds nothing more and saw no safety violation.
func needLab(t *testing.T) context.Context {
	t.Helper()
	if cluster == nil {
		t.Skip("needs the lab: make e2e")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	t.Cleanup(cancel)
	if !installed {
		if err := cluster.Install(ctx); err != nil {
			t.Fatal(err)
		}
		installed = true
	}
	t.Cleanup(func() {
		if err := cluster.Witness.Heal(ctx); err != nil {
			t.Error(err)
		}
		if err := cluster.Clean(ctx); err != nil {
			t.Error(err)
		}
	})
	return ctx
}

// needDevcloud is needLab for tests of load balancers, whose packets need the embedded cloud, and for those that a real
// OpenStack would only repeat: tests/drivers asks it about everything else.
func needDevcloud(t *testing.T) context.Context {
	t.Helper()
	if cluster != nil && cluster.Cloud != lab.Devcloud {
		t.Skip("needs the embedded cloud: make e2e")
	}
	return needLab(t)
}

var installed bool

// namespace makes a namespace for the test and deletes it, with all in it, afterwards.
func namespace(ctx context.Context, t *testing.T) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	name = strings.Trim(name[:min(len(name), 50)], "-")
	apply(ctx, t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+name+"}\n")
	t.Cleanup(func() {
		if err := cluster.DeleteNamespace(ctx, name); err != nil {
			t.Error(err)
		}
	})
	return name
}

func apply(ctx context.Context, t *testing.T, manifest string) {
	t.Helper()
	if err := cluster.Kubectl(ctx, manifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// event waits until the object has an event whose message holds all of the words.
func event(ctx context.Context, t *testing.T, ns, object string, words ...string) {
	t.Helper()
	err := scenario.Until(ctx, fmt.Sprintf("event of %s with %q", object, words), time.Minute, func(ctx context.Context) (bool, string, error) {
		events, err := cluster.Events(ctx, ns, object)
		if err != nil {
			return false, "", err
		}
		var seen []string
		for _, e := range events {
			seen = append(seen, e.Reason+": "+e.Message)
			if holdsAll(e.Message, words) {
				return true, "", nil
			}
		}
		return false, strings.Join(seen, "\n"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func holdsAll(s string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

// nothingInTheCloud asserts that the project holds nothing that Kubernetes asked for.
func nothingInTheCloud(ctx context.Context, t *testing.T) {
	t.Helper()
	left, err := cluster.Leftovers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !left.Empty() {
		t.Fatalf("the cloud holds %s", left)
	}
}
