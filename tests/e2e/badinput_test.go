package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/scenario"
)

// A StorageClass that binds at once, so that no pod is needed to ask for a disk.
const storageClass = `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: %s}
provisioner: disk.csi.fairlead.io
volumeBindingMode: Immediate
parameters: {%s}
`

const claim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: %s, namespace: %s}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: %s
  resources: {requests: {storage: %s}}
`

func TestBadStorageClassIsExplainedAtTheClaim(t *testing.T) {
	ctx := needLab(t)
	for name, tc := range map[string]struct {
		wrong string
		words []string
	}{
		"unknown parameter": {`typ: "standard"`, []string{"typ", "type", "availability"}},
		"unknown type":      {`type: "golden"`, []string{"type", "golden", "standard"}},
		"unknown zone":      {`availability: "moon"`, []string{"availability", "moon", "az1"}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			ns := namespace(ctx, t)
			class := ns
			t.Cleanup(func() { deleteStorageClass(ctx, t, class) })
			apply(ctx, t, fmt.Sprintf(storageClass, class, tc.wrong))
			apply(ctx, t, fmt.Sprintf(claim, "data", ns, class, "1Gi"))
			event(ctx, t, ns, "data", tc.words...)
			nothingInTheCloud(ctx, t)

			deleteStorageClass(ctx, t, class)
			apply(ctx, t, fmt.Sprintf(storageClass, class, `type: "standard"`))
			bound(ctx, t, ns, "data")
		})
	}
}

func TestAClaimOverQuotaIsExplainedAndASmallerOneServed(t *testing.T) {
	ctx := needLab(t)
	ns := namespace(ctx, t)
	t.Cleanup(func() { deleteStorageClass(ctx, t, ns) })
	apply(ctx, t, fmt.Sprintf(storageClass, ns, ""))
	apply(ctx, t, fmt.Sprintf(claim, "huge", ns, ns, "90Ti"))
	event(ctx, t, ns, "huge", "quota")
	nothingInTheCloud(ctx, t)
	apply(ctx, t, fmt.Sprintf(claim, "small", ns, ns, "1Gi"))
	bound(ctx, t, ns, "small")
}

func deleteStorageClass(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	if err := cluster.Kubectl(ctx, "", "delete", "storageclass", name, "--ignore-not-found"); err != nil {
		t.Fatal(err)
	}
}

func bound(ctx context.Context, t *testing.T, ns, name string) {
	t.Helper()
	err := scenario.Until(ctx, "claim "+name+" bound", time.Minute, func(ctx context.Context) (bool, string, error) {
		pvc, err := cluster.Kube.CoreV1().PersistentVolumeClaims(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		return pvc.Status.Phase == corev1.ClaimBound, string(pvc.Status.Phase), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

const service = `
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: %s
  annotations: {%s}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
`

func TestABadServiceIsExplainedAndServedOnceCorrected(t *testing.T) {
	ctx := needDevcloud(t)
	for name, tc := range map[string]struct {
		annotation, value string
		words             []string
	}{
		"annotation does not parse": {"loadbalancer.openstack.org/connection-limit", "many", []string{"connection-limit", "many"}},
		"unknown floating network":  {"loadbalancer.openstack.org/floating-network-id", "no-such-network", []string{"floating-network-id", "no-such-network"}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			ns := namespace(ctx, t)
			apply(ctx, t, fmt.Sprintf(service, ns, fmt.Sprintf("%q: %q", tc.annotation, tc.value)))
			event(ctx, t, ns, "web", tc.words...)
			nothingInTheCloud(ctx, t)

			remove := fmt.Sprintf(`{"metadata":{"annotations":{%q:null}}}`, tc.annotation)
			if _, err := cluster.Kube.CoreV1().Services(ns).Patch(ctx, "web", types.MergePatchType, []byte(remove), metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := cluster.ServiceAddress(ctx, ns, "web", time.Minute); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAWrongChartValueIsNamedByHelmAndChangesNothing(t *testing.T) {
	ctx := needDevcloud(t)
	err := cluster.InstallChart(ctx, "fairlead-csi", "cloud: {existingSecret: cloud}\ncontroller: {replicas: two}\n")
	if err == nil || !strings.Contains(err.Error(), "/controller/replicas") {
		t.Fatalf("helm said %v, want it to name controller.replicas", err)
	}
	d, err := cluster.Kube.AppsV1().Deployments(scenario.Namespace).Get(ctx, "fairlead-csi-controller", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d.Status.AvailableReplicas != 1 {
		t.Errorf("%d replicas are available, want 1", d.Status.AvailableReplicas)
	}
}

// A key of the Secret other than clouds.yaml: the file is missing where the program looks for it.
const otherKey = "cloud.yaml"

func TestBadCredentialsAreExplainedInTheLogsFirstLine(t *testing.T) {
	ctx := needDevcloud(t)
	for name, tc := range map[string]struct {
		key, content string
		words        []string
	}{
		"missing file":     {otherKey, "clouds: {}", []string{"/etc/fairlead/clouds.yaml"}},
		"malformed file":   {"clouds.yaml", "clouds: [", []string{"/etc/fairlead/clouds.yaml"}},
		"missing entry":    {"clouds.yaml", "clouds: {other: {auth: {auth_url: http://127.0.0.1:1/}}}", []string{"clouds.yaml", "fairlead-lab"}},
		"missing auth_url": {"clouds.yaml", "clouds: {fairlead-lab: {auth: {username: x}}}", []string{"clouds.yaml", "auth_url"}},
	} {
		for _, chart := range []string{"fairlead-csi", "fairlead-ccm"} {
			t.Run(strings.ReplaceAll(name, " ", "-")+"-"+chart, func(t *testing.T) {
				ns := namespace(ctx, t)
				apply(ctx, t, cloudSecret(ns, tc.key, tc.content))
				apply(ctx, t, podWithBadCredentials(chart, ns))
				firstLine(ctx, t, ns, "bad", tc.words)
			})
		}
	}
}

func TestAReleaseWithBadCredentialsWorksOnceTheyAreCorrected(t *testing.T) {
	ctx := needDevcloud(t)
	good, err := os.ReadFile(layout.CloudsYAML)
	if err != nil {
		t.Fatal(err)
	}
	for chart, deployment := range map[string]string{"fairlead-csi": "fairlead-csi-controller", "fairlead-ccm": "fairlead-ccm"} {
		t.Run(chart, func(t *testing.T) {
			apply(ctx, t, cloudSecret(scenario.Namespace, "clouds.yaml", "clouds: ["))
			if err := cluster.Upgrade(ctx, chart, "bad"); err != nil {
				t.Fatal(err)
			}
			crashed := waitingPod(ctx, t, chart)
			log, err := cluster.Kube.CoreV1().Pods(scenario.Namespace).GetLogs(crashed, &corev1.PodLogOptions{Container: container(chart)}).DoRaw(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if line, _, _ := strings.Cut(string(log), "\n"); !strings.Contains(line, "/etc/fairlead/clouds.yaml") {
				t.Errorf("the log's first line does not name the file:\n%s", log)
			}
			apply(ctx, t, cloudSecret(scenario.Namespace, "clouds.yaml", string(good)))
			rolledOut(ctx, t, deployment)
			if err := cluster.Upgrade(ctx, chart, "cloud"); err != nil {
				t.Fatal(err)
			}
			rolledOut(ctx, t, deployment)
		})
	}
}

func container(chart string) string {
	return map[string]string{"fairlead-csi": "controller", "fairlead-ccm": "ccm"}[chart]
}

// waitingPod waits until a pod of the chart has a container that ended and is to be started again, and returns its name.
func waitingPod(ctx context.Context, t *testing.T, chart string) string {
	t.Helper()
	var name string
	err := scenario.Until(ctx, "a crashed pod of "+chart, time.Minute, func(ctx context.Context) (bool, string, error) {
		pods, err := cluster.Kube.CoreV1().Pods(scenario.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + chart})
		if err != nil {
			return false, "", err
		}
		for _, p := range pods.Items {
			for _, c := range p.Status.ContainerStatuses {
				if c.State.Waiting != nil && c.RestartCount > 0 {
					name = p.Name
					return true, "", nil
				}
			}
		}
		return false, fmt.Sprintf("%d pods, none crashed", len(pods.Items)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// rolledOut waits until the Deployment runs its newest template and nothing else.
func rolledOut(ctx context.Context, t *testing.T, deployment string) {
	t.Helper()
	err := scenario.Until(ctx, "Deployment "+deployment+" rolled out", 2*time.Minute, func(ctx context.Context) (bool, string, error) {
		d, err := cluster.Kube.AppsV1().Deployments(scenario.Namespace).Get(ctx, deployment, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		s := d.Status
		done := s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == 1 && s.AvailableReplicas == 1 && s.Replicas == 1
		return done, fmt.Sprintf("%+v", s), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func cloudSecret(ns, key, content string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: bad, namespace: %s}\nstringData: {%s: %q}\n", ns, key, content)
}

// podWithBadCredentials is the controller of a chart as its Deployment starts it, alone in a pod.
func podWithBadCredentials(chart, ns string) string {
	args := map[string]string{
		"fairlead-csi": `[controller, "--endpoint=unix:///tmp/csi.sock", "--http-endpoint=:0", "--cluster-id=x", "--cloud-config=/etc/fairlead/clouds.yaml", "--cloud=fairlead-lab"]`,
		"fairlead-ccm": `["--cloud-provider=openstack", "--leader-elect=false", "--cluster-id=x", "--cloud-config=/etc/fairlead/clouds.yaml", "--cloud=fairlead-lab"]`,
	}
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: bad, namespace: %s}
spec:
  restartPolicy: Never
  automountServiceAccountToken: true
  containers:
    - name: main
      image: registry.fairlead.test/%s:dev
      args: %s
      volumeMounts: [{name: cloud, mountPath: /etc/fairlead}, {name: tmp, mountPath: /tmp}]
  volumes:
    - {name: cloud, secret: {secretName: bad}}
    - {name: tmp, emptyDir: {}}
`, ns, chart, args[chart])
}

// firstLine asserts that the pod ends with an error and that its log's first line holds the words.
func firstLine(ctx context.Context, t *testing.T, ns, pod string, words []string) {
	t.Helper()
	err := scenario.Until(ctx, "pod "+pod+" failed", time.Minute, func(ctx context.Context) (bool, string, error) {
		p, err := cluster.Kube.CoreV1().Pods(ns).Get(ctx, pod, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		return p.Status.Phase == corev1.PodFailed, string(p.Status.Phase), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	log, err := cluster.Kube.CoreV1().Pods(ns).GetLogs(pod, &corev1.PodLogOptions{}).DoRaw(ctx)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(log), "\n")
	if !holdsAll(line, words) {
		t.Errorf("the log's first line does not hold %q:\n%s", words, log)
	}
}
