package lab

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead-io/fairlead/pkg/devcloud"
	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheCloudUnderstandsItsConfiguration(t *testing.T) {
	text, err := render("devcloud.yaml", newCloudValues("SECRET"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := devcloud.ParseConfig(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if config.AddressDevices.VIP != layout.Bridge || config.StateDir != layout.DevcloudDir || config.PublicURL != layout.CloudURL {
		t.Errorf("got %+v", config)
	}
	if !slices.ContainsFunc(config.Flavors, func(f devcloud.Flavor) bool { return f.Name == flavorName }) {
		t.Errorf("there is no flavor %s", flavorName)
	}
	if !slices.Contains(config.Zones.Compute, zone) {
		t.Errorf("there is no zone %s", zone)
	}
	if diff := cmp.Diff([]string{layout.BinDir + "/lab", "node"}, config.Hypervisor.Command); diff != "" {
		t.Error(diff)
	}
}

func TestCloudsYAMLHoldsTheSameCredential(t *testing.T) {
	values := newCloudValues("SECRET")
	text, err := render("clouds.yaml", values)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	auth, endpoint, _, err := clouds.Parse(clouds.WithLocations(file), clouds.WithCloudName(layout.CloudName))
	if err != nil {
		t.Fatal(err)
	}
	if auth.ApplicationCredentialID != values.CredentialID || auth.ApplicationCredentialSecret != "SECRET" {
		t.Errorf("credential is %q", auth.ApplicationCredentialID)
	}
	if auth.IdentityEndpoint != layout.CloudURL+"/identity/v3" || endpoint.Region != "RegionOne" {
		t.Errorf("endpoint is %s in %s", auth.IdentityEndpoint, endpoint.Region)
	}
}

func TestServersAreNodes(t *testing.T) {
	got := serverOptions(layout.NodeAt(2), "flavor", "network")
	body, err := got.ToServerCreateMap()
	if err != nil {
		t.Fatal(err)
	}
	server, ok := body["server"].(map[string]any)
	if !ok {
		t.Fatalf("got %v", body)
	}
	if diff := cmp.Diff([]map[string]any{{"uuid": "network", "fixed_ip": "10.200.0.12"}}, server["networks"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{NodeKey: ""}, server["metadata"]); diff != "" {
		t.Error(diff)
	}
}

func TestTheControlPlanesFilesAreMade(t *testing.T) {
	dir := t.TempDir()
	if err := pki.WriteAll(dir, nodes(2), time.Now()); err != nil {
		t.Fatal(err)
	}
	files := regexp.MustCompile(regexp.QuoteMeta(layout.PKIDir) + `/[\w.-]+`)
	for _, args := range [][]string{apiServerArgs(), controllerManagerArgs(), schedulerArgs()} {
		named := files.FindAllString(strings.Join(args, " "), -1)
		if len(named) == 0 {
			t.Errorf("%s names no file", args[0])
		}
		for _, file := range named {
			if _, err := os.Stat(filepath.Join(dir, filepath.Base(file))); err != nil {
				t.Errorf("%s: %v", filepath.Base(args[0]), err)
			}
		}
	}
}

func TestNotReady(t *testing.T) {
	ready := func(name string, status corev1.ConditionStatus) corev1.Node {
		return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse},
			{Type: corev1.NodeReady, Status: status},
		}}}
	}
	tainted := ready("n2", corev1.ConditionTrue)
	tainted.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}}
	waiting := ready("n2", corev1.ConditionTrue)
	waiting.Spec.Taints = []corev1.Taint{{Key: "node.cloudprovider.kubernetes.io/uninitialized", Effect: corev1.TaintEffectNoSchedule}}
	tests := []struct {
		name  string
		nodes []corev1.Node
		want  []string
	}{
		{"none has registered", nil, []string{"n1", "n2"}},
		{"one is missing", []corev1.Node{ready("n2", corev1.ConditionTrue)}, []string{"n1"}},
		{"one is not ready", []corev1.Node{ready("n1", corev1.ConditionFalse), ready("n2", corev1.ConditionTrue)}, []string{"n1"}},
		{"one is unknown", []corev1.Node{ready("n1", corev1.ConditionTrue), ready("n2", corev1.ConditionUnknown)}, []string{"n2"}},
		{"one is ready and still tainted", []corev1.Node{ready("n1", corev1.ConditionTrue), tainted}, []string{"n2"}},
		{"one waits for the cloud-controller-manager only", []corev1.Node{ready("n1", corev1.ConditionTrue), waiting}, nil},
		{"both are ready", []corev1.Node{ready("n1", corev1.ConditionTrue), ready("n2", corev1.ConditionTrue)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, notReady(nodes(2), tt.nodes)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseMounts(t *testing.T) {
	const mountinfo = `22 1 253:0 / / rw - ext4 /dev/vda rw
23 22 0:4 net:[4026532290] /run/netns/fairlead-n1 rw shared:2 - nsfs nsfs rw
24 22 0:4 net:[4026532291] /run/netns/other rw - nsfs nsfs rw
25 22 253:0 /var/lib/fairlead-lab/nodes/n1/log /var/log rw - ext4 /dev/vda rw
26 22 7:0 / /var/lib/fairlead-lab/x rw - xfs /dev/loop0 rw
27 22 253:0 /var/lib/fairlead-labours /mnt rw - ext4 /dev/vda rw
`
	want := []string{"/run/netns/fairlead-n1", "/var/log", "/var/lib/fairlead-lab/x"}
	if diff := cmp.Diff(want, parseMounts(mountinfo)); diff != "" {
		t.Error(diff)
	}
}

func TestContentOfAnImage(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "pause.tar")
	point := func(target, text string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, target), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(link)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		content, err := contentOf(link)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	first := point("pause-1.tar", "a")
	if again, err := contentOf(link); err != nil || again != first {
		t.Errorf("unchanged, but %q is now %q, %v", first, again, err)
	}
	if point("pause-2.tar", "a") == first {
		t.Error("another file passes for the first")
	}
	if point("pause-1.tar", "bb") == first {
		t.Error("a rewritten file passes for the first")
	}
	if _, err := contentOf(filepath.Join(dir, "none.tar")); err == nil {
		t.Error("a missing file has content")
	}
}

func TestStatus(t *testing.T) {
	all := func(runs bool) map[string]bool {
		programs := map[string]bool{}
		for _, name := range controlPlane {
			programs[name] = runs
		}
		return programs
	}
	tests := []struct {
		name     string
		status   Status
		complete bool
		line     string
	}{
		{"everything runs", Status{Programs: all(true), Nodes: map[string]bool{"n1": true, "n2": true}, Up: true}, true, "node n2 up"},
		{"a node is down", Status{Programs: all(true), Nodes: map[string]bool{"n1": true, "n2": false}, Up: true}, false, "node n2 down"},
		{"a program is down", Status{Programs: all(false), Nodes: map[string]bool{"n1": true}, Up: true}, false, "etcd down"},
		{"the control plane is all there shall be", Status{Programs: map[string]bool{"etcd": true}, Up: true}, true, "etcd up"},
		{"the lab was never brought up", Status{Programs: all(true)}, false, "etcd up"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.status.Complete(); got != tt.complete {
				t.Errorf("complete is %t", got)
			}
			if text := strings.Join(strings.Fields(tt.status.String()), " "); !strings.Contains(text, tt.line) {
				t.Errorf("says %q", text)
			}
		})
	}
}

func TestUpRefusesMoreNodesThanThereAreAddresses(t *testing.T) {
	for _, count := range []int{-1, 10} {
		err := Up(t.Context(), Options{Nodes: count})
		if err == nil || !strings.Contains(err.Error(), "0 to 9") {
			t.Errorf("%d nodes: %v", count, err)
		}
	}
}

func TestUpRefusesACloudThatItDoesNotKnow(t *testing.T) {
	err := Up(t.Context(), Options{Nodes: 1, Cloud: "nimbus"})
	if err == nil || !strings.Contains(err.Error(), "devcloud or openstack") {
		t.Error(err)
	}
}

func TestCopyFileReplacesARunningProgram(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "program")
	if err := copyFile("/bin/sleep", target, 0o755); err != nil {
		t.Fatal(err)
	}
	started := startProgram(t, target, "1000")
	if err := copyFile("/bin/true", target, 0o755); err != nil {
		t.Errorf("while it runs: %v", err)
	}
	if !started.Alive() {
		t.Error("the running program ended")
	}
	if err := copyFile(filepath.Join(dir, "none"), target, 0o755); err == nil {
		t.Error("a missing source is no error")
	}
}
