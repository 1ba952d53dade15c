// Package charts_test renders the charts as helm does and holds them to what the documentation promises.
package charts_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/fairlead-io/fairlead/tests/tools"
)

const secret = "cloud.existingSecret=my-cloud"

func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	dir, err := tools.Build(context.Background(), "helm", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(filepath.Join(dir, "helm"), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	return string(out) + stderr.String(), err
}

func template(t *testing.T, chart string, sets ...string) (string, error) {
	t.Helper()
	args := []string{"template", chart, chart, "--namespace=fairlead", "--kube-version=1.37.2"}
	for _, s := range sets {
		args = append(args, "--set="+s)
	}
	return helm(t, args...)
}

// objects renders the chart and returns its objects of one kind.
func objects[T any](t *testing.T, kind, chart string, sets ...string) []T {
	t.Helper()
	out, err := template(t, chart, sets...)
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, out)
	}
	var found []T
	for _, doc := range strings.Split(out, "\n---") {
		var meta struct{ Kind string }
		if err := yaml.Unmarshal([]byte(doc), &meta); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if meta.Kind != kind {
			continue
		}
		var o T
		if err := yaml.UnmarshalStrict([]byte(doc), &o); err != nil {
			t.Fatalf("%s: %v in\n%s", kind, err, doc)
		}
		found = append(found, o)
	}
	if len(found) == 0 {
		t.Fatalf("%s renders no %s", chart, kind)
	}
	return found
}

func TestAWrongValueIsNamedAndNothingIsRendered(t *testing.T) {
	for name, tc := range map[string]struct{ chart, set, want string }{
		"a replica count that is a word":      {"fairlead-csi", "controller.replicas=two", "/controller/replicas"},
		"a value that does not exist":         {"fairlead-csi", "controler.replicas=2", "controler"},
		"a StorageClass parameter nobody has": {"fairlead-csi", "storageClasses[0].name=x,storageClasses[0].parameters.typ=ssd", "typ"},
		"a file system we do not make":        {"fairlead-csi", "storageClasses[0].name=x,storageClasses[0].fsType=ntfs", "/storageClasses/0/fsType"},
		"an identity source nobody has":       {"fairlead-csi", "node.identitySources={dns}", "/node/identitySources/0"},
		"a log level that is a word":          {"fairlead-ccm", "logLevel=debug", "/logLevel"},
		"a load balancer field nobody has":    {"fairlead-ccm", "loadBalancer.floatingNetwork=public", "floatingNetwork"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := template(t, tc.chart, secret, tc.set)
			if err == nil || !strings.Contains(out, tc.want) || strings.Contains(out, "kind: Deployment") {
				t.Errorf("error %v, output does not name %q:\n%s", err, tc.want, out)
			}
		})
	}
}

func TestMissingCredentialsAreNamed(t *testing.T) {
	for _, chart := range []string{"fairlead-csi", "fairlead-ccm"} {
		out, err := template(t, chart)
		if err == nil || !strings.Contains(out, "cloud.existingSecret or cloud.cloudsYaml") {
			t.Errorf("%s: error %v does not name the fields:\n%s", chart, err, out)
		}
	}
}

func TestTheNodePluginIsOneContainerWithoutCredentials(t *testing.T) {
	for _, ds := range objects[appsv1.DaemonSet](t, "DaemonSet", "fairlead-csi", secret) {
		pod := ds.Spec.Template.Spec
		if len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
			t.Errorf("%d containers and %d init containers, want one container", len(pod.Containers), len(pod.InitContainers))
		}
		b, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"my-cloud", "clouds.yaml", "secret"} {
			if strings.Contains(string(b), word) {
				t.Errorf("the node's pod mentions %q", word)
			}
		}
	}
}

func TestTheNodePluginMayOnlyGetNodes(t *testing.T) {
	i := slices.IndexFunc(objects[rbacv1.ClusterRole](t, "ClusterRole", "fairlead-csi", secret), func(r rbacv1.ClusterRole) bool {
		return strings.HasSuffix(r.Name, "-node")
	})
	rules := objects[rbacv1.ClusterRole](t, "ClusterRole", "fairlead-csi", secret)[i].Rules
	if len(rules) != 1 || !slices.Equal(rules[0].Resources, []string{"nodes"}) || !slices.Equal(rules[0].Verbs, []string{"get"}) {
		t.Errorf("rules are %+v", rules)
	}
}

func TestNobodyMayReadSecretsOrUseWildcards(t *testing.T) {
	for _, chart := range []string{"fairlead-csi", "fairlead-ccm"} {
		for _, role := range objects[rbacv1.ClusterRole](t, "ClusterRole", chart, secret) {
			for _, rule := range role.Rules {
				all := slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs)
				if slices.Contains(all, "*") || slices.Contains(rule.Resources, "secrets") {
					t.Errorf("%s: %+v", role.Name, rule)
				}
			}
		}
	}
}

func TestTheCCMWritesOnlyTheStatusOfServices(t *testing.T) {
	for _, role := range objects[rbacv1.ClusterRole](t, "ClusterRole", "fairlead-ccm", secret) {
		for _, rule := range role.Rules {
			if slices.Contains(rule.Resources, "services") && !slices.Equal(rule.Verbs, []string{"list", "watch"}) {
				t.Errorf("%s: %+v", role.Name, rule)
			}
		}
	}
}

func TestControllersRunWithoutPrivileges(t *testing.T) {
	for _, chart := range []string{"fairlead-csi", "fairlead-ccm"} {
		for _, d := range objects[appsv1.Deployment](t, "Deployment", chart, secret) {
			pod := d.Spec.Template.Spec
			if pod.SecurityContext == nil || pod.SecurityContext.RunAsNonRoot == nil || !*pod.SecurityContext.RunAsNonRoot {
				t.Errorf("%s may run as root", d.Name)
			}
			for _, c := range pod.Containers {
				checkRestricted(t, c)
			}
		}
	}
}

func checkRestricted(t *testing.T, c corev1.Container) {
	t.Helper()
	s := c.SecurityContext
	if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
		t.Errorf("%s: the root file system is writable", c.Name)
		return
	}
	if s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") {
		t.Errorf("%s: keeps privileges: %+v", c.Name, s)
	}
}

func TestOursAreProbed(t *testing.T) {
	probed := func(name string, c corev1.Container) {
		if c.StartupProbe == nil || c.LivenessProbe == nil || c.ReadinessProbe == nil {
			t.Errorf("%s lacks a probe", name)
		}
	}
	probed("controller", objects[appsv1.Deployment](t, "Deployment", "fairlead-csi", secret)[0].Spec.Template.Spec.Containers[0])
	probed("node", objects[appsv1.DaemonSet](t, "DaemonSet", "fairlead-csi", secret)[0].Spec.Template.Spec.Containers[0])
	probed("ccm", objects[appsv1.Deployment](t, "Deployment", "fairlead-ccm", secret)[0].Spec.Template.Spec.Containers[0])
}

func TestGivenCredentialsBecomeASecret(t *testing.T) {
	secrets := objects[corev1.Secret](t, "Secret", "fairlead-ccm", "cloud.cloudsYaml=clouds: {}")
	if len(secrets) != 1 || secrets[0].StringData["clouds.yaml"] != "clouds: {}" {
		t.Errorf("secrets are %+v", secrets)
	}
}

func TestChartsPassHelmLint(t *testing.T) {
	for _, chart := range []string{"fairlead-csi", "fairlead-ccm"} {
		if out, err := helm(t, "lint", "--strict", chart, "--set="+secret); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
