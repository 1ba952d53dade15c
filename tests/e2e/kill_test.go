package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/tests/lab"
	"github.com/fairlead-io/fairlead/tests/scenario"
)

// web is two pods that answer with HTTP behind a load balancer.
const web = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: %[1]s}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: registry.fairlead.test/busybox:1
          command: [sh, -c, "echo hello > /tmp/index.html && exec httpd -f -p 8080 -h /tmp"]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: %[1]s}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
`

func TestKillingTheCloudDuringALoadBalancersCreationOnlyDelaysIt(t *testing.T) {
	ctx := needDevcloud(t)
	devcloud := scenario.Devcloud()
	if err := devcloud.SetOperationTime(ctx, "loadbalancer.create", 5*time.Second); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := devcloud.SetTimes(ctx, "default"); err != nil {
			t.Error(err)
		}
	})
	ns := namespace(ctx, t)
	apply(ctx, t, fmt.Sprintf(web, ns))
	inCloud(ctx, t, "PENDING_CREATE")
	if err := lab.KillDevcloud(ctx); err != nil {
		t.Fatal(err)
	}
	if err := lab.StartDevcloud(ctx); err != nil {
		t.Fatal(err)
	}
	address, err := cluster.ServiceAddress(ctx, ns, "web", 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	answersHTTP(ctx, t, address)
	left, err := cluster.Leftovers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(left.LoadBalancers) != 1 || len(left.FloatingIPs) != 1 {
		t.Errorf("want one load balancer and one floating IP: %s", left)
	}
}

const podWithDisk = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: %[1]s}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: fairlead
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: Pod
metadata: {name: app, namespace: %[1]s}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: app
      image: registry.fairlead.test/busybox:1
      command: [sh, -c, "echo data > /data/file && sync && exec sleep 100000"]
      volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
`

func TestKillingTheControllerBetweenAttachAndAnswerOnlyDelaysThePod(t *testing.T) {
	ctx := needLab(t)
	if err := cluster.Witness.DelayAttachment(ctx, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	ns := namespace(ctx, t)
	apply(ctx, t, fmt.Sprintf(podWithDisk, ns))
	// The cloud has the request, and the controller still waits.
	inCloud(ctx, t, "reserved", "attaching", "in-use")
	kill(t, "fairlead-csi", "controller")
	if _, err := cluster.PodReady(ctx, ns, "app", "", 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	left, err := cluster.Leftovers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(left.Disks) != 1 || len(left.Attachments) != 1 {
		t.Errorf("want one disk with one attachment: %s", left)
	}
}

func TestKillingTheCCMDuringAMemberUpdateOnlyDelaysIt(t *testing.T) {
	ctx := needDevcloud(t)
	ns := namespace(ctx, t)
	apply(ctx, t, fmt.Sprintf(web, ns))
	address, err := cluster.ServiceAddress(ctx, ns, "web", 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	answersHTTP(ctx, t, address)
	members(ctx, t, "10.200.0.11", "10.200.0.12")

	late := api.Fault{Service: "load-balancer", Method: "PUT", UserAgent: "fairlead-ccm/", When: api.After, Delay: api.Duration(20 * time.Second), Count: 1}
	if err := scenario.Devcloud().Inject(ctx, late); err != nil {
		t.Fatal(err)
	}
	exclude(ctx, t, "n2", true)
	t.Cleanup(func() { exclude(ctx, t, "n2", false) })
	members(ctx, t, "10.200.0.11") // it took effect, and the controller still waits for the answer
	kill(t, "fairlead-ccm")
	exclude(ctx, t, "n2", false)
	members(ctx, t, "10.200.0.11", "10.200.0.12")
	answersHTTP(ctx, t, address)
}

// inCloud waits until some object of the project is in one of the states.
func inCloud(ctx context.Context, t *testing.T, states ...string) {
	t.Helper()
	err := scenario.Until(ctx, fmt.Sprintf("an object in %v", states), time.Minute, func(ctx context.Context) (bool, string, error) {
		left, err := cluster.Leftovers(ctx)
		found := slices.ContainsFunc(states, func(s string) bool { return strings.Contains(left.String(), s) })
		return found, left.String(), err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// members waits until the only pool has members with exactly these addresses.
func members(ctx context.Context, t *testing.T, want ...string) {
	t.Helper()
	err := scenario.Until(ctx, fmt.Sprintf("members %v", want), time.Minute, func(ctx context.Context) (bool, string, error) {
		got, err := cluster.Members(ctx)
		return slices.Equal(got, want), fmt.Sprint(got), err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func exclude(ctx context.Context, t *testing.T, node string, on bool) {
	t.Helper()
	label := "node.kubernetes.io/exclude-from-external-load-balancers"
	if on {
		label += "=true"
	} else {
		label += "-"
	}
	if err := cluster.Kubectl(ctx, "", "label", "node", node, label, "--overwrite"); err != nil {
		t.Fatal(err)
	}
}

func answersHTTP(ctx context.Context, t *testing.T, address string) {
	t.Helper()
	err := scenario.Until(ctx, "HTTP answer from "+address, time.Minute, func(ctx context.Context) (bool, string, error) {
		got, err := scenario.GetHTTP(ctx, "http://"+address+"/")
		return strings.TrimSpace(got) == "hello", got, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// kill ends, with SIGKILL, the one process of the lab that runs the program with that first argument (if given).
func kill(t *testing.T, program string, arg ...string) {
	t.Helper()
	var found []int
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it ended meanwhile
		}
		argv := strings.Split(string(bytes.TrimRight(b, "\x00")), "\x00")
		if argv[0] == "/"+program && (len(arg) == 0 || len(argv) > 1 && argv[1] == arg[0]) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			found = append(found, pid)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d processes run %s %v, want one", len(found), program, arg)
	}
	if err := syscall.Kill(found[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
