package scenario

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/tools"
)

// values are what the lab's installation sets in both charts.
const values = `
image: {tag: dev}
cloud: {existingSecret: cloud, name: ` + layout.CloudName + `}
`

const csiValues = values + `
storageClasses:
  - {name: fairlead, fsType: ext4}
  - {name: fairlead-xfs, fsType: xfs}
`

// Install installs both charts with helm and waits until they work: the nodes are initialized and the driver is
// registered on each.
func (c *Cluster) Install(ctx context.Context) error {
	if err := c.installSecret(ctx); err != nil {
		return err
	}
	// The order is free; the disks do not wait for the load balancers.
	if err := c.InstallChart(ctx, "fairlead-ccm", values); err != nil {
		return err
	}
	if err := c.InstallChart(ctx, "fairlead-csi", csiValues); err != nil {
		return err
	}
	return c.Installed(ctx)
}

// installSecret gives the charts the lab project's clouds.yaml.
func (c *Cluster) installSecret(ctx context.Context) error {
	manifest := fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", Namespace)
	if err := c.Kubectl(ctx, manifest, "apply", "-f", "-"); err != nil {
		return err
	}
	content, err := os.ReadFile(layout.CloudsYAML)
	if err != nil {
		return err
	}
	indented := "    " + strings.ReplaceAll(strings.TrimSpace(string(content)), "\n", "\n    ")
	secret := fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: cloud, namespace: %s}\nstringData:\n  clouds.yaml: |\n%s\n", Namespace, indented)
	return c.Kubectl(ctx, secret, "apply", "-f", "-")
}

// InstallChart installs or upgrades one of the charts with the given values (YAML) and waits for its pods.
func (c *Cluster) InstallChart(ctx context.Context, chart, values string) error {
	return c.helm(ctx, values, "upgrade", "--install", chart, filepath.Join(c.Root, "charts", chart),
		"--namespace", Namespace, "--values", "-", "--wait", "--timeout", "3m")
}

// Upgrade points a chart's release at the Secret with that name and does not wait for its pods.
func (c *Cluster) Upgrade(ctx context.Context, chart, secret string) error {
	return c.helm(ctx, "", "upgrade", chart, filepath.Join(c.Root, "charts", chart),
		"--namespace", Namespace, "--reuse-values", "--set", "cloud.existingSecret="+secret)
}

// Installed waits until the cloud-controller-manager has initialized every node and the driver is registered on each.
func (c *Cluster) Installed(ctx context.Context) error {
	return Until(ctx, "nodes initialized and driver registered", 90*time.Second, func(ctx context.Context) (bool, string, error) {
		nodes, err := c.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, "", err
		}
		for _, n := range nodes.Items {
			for _, t := range n.Spec.Taints {
				if t.Key == "node.cloudprovider.kubernetes.io/uninitialized" {
					return false, n.Name + " is not initialized", nil
				}
			}
			csi, err := c.Kube.StorageV1().CSINodes().Get(ctx, n.Name, metav1.GetOptions{})
			if err != nil {
				return false, "", err
			}
			if len(csi.Spec.Drivers) == 0 {
				return false, "no driver on " + n.Name, nil
			}
		}
		return true, "", nil
	})
}

// Kubectl runs kubectl on the lab with the given standard input.
func (c *Cluster) Kubectl(ctx context.Context, stdin string, args ...string) error {
	dir, err := tools.Build(ctx, "kubernetes", c.Log)
	if err != nil {
		return err
	}
	return c.run(ctx, stdin, filepath.Join(dir, "kubectl"), args...)
}

func (c *Cluster) helm(ctx context.Context, stdin string, args ...string) error {
	dir, err := tools.Build(ctx, "helm", c.Log)
	if err != nil {
		return err
	}
	return c.run(ctx, stdin, filepath.Join(dir, "helm"), args...)
}

func (c *Cluster) run(ctx context.Context, stdin, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+layout.Kubeconfig)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	_, _ = c.Log.Write(out)
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
