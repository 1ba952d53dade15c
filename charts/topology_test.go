package charts_test

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

// Without the cluster's zones a volume of a class with immediate binding is made anywhere and taken for usable
// everywhere.
func TestTheProvisionerTellsTheZonesWhateverTheBindingMode(t *testing.T) {
	deployments := objects[appsv1.Deployment](t, "Deployment", "fairlead-csi", secret)
	for _, d := range deployments {
		for _, c := range d.Spec.Template.Spec.Containers {
			if c.Name == "provisioner" {
				if slices.Contains(c.Args, "--immediate-topology=false") || !slices.Contains(c.Args, "--feature-gates=Topology=true") {
					t.Errorf("the provisioner runs with %v", c.Args)
				}
				return
			}
		}
	}
	t.Error("no provisioner")
}
