package lab

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/node"
	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

var (
	withLab = flag.Bool("lab", false, "run the tests that start and end a real lab on this machine; needs root")
	onCloud = flag.String("cloud", Devcloud, "the lab's cloud: devcloud, or the openstack that runs already")
)

// TestLab goes through the lab's life: started by halves and killed, started, used, cut off, removed by halves, removed.
func TestLab(t *testing.T) {
	if !*withLab {
		t.Skip("without -lab no lab is started")
	}
	if left, err := Leftovers(); err != nil || len(left) > 0 {
		t.Fatalf("there is a lab on this machine (%v, %v): `lab down` first", left, err)
	}
	ctx := t.Context()
	bin := programs(t)
	before := sysctls(t)
	t.Cleanup(func() { _ = Down(context.Background(), t.Output()) })

	moments := []string{"the Kubernetes API answers", "servers are ACTIVE", "nodes are Ready"}
	if *onCloud != Devcloud {
		moments = moments[1:2] // with a project in a cloud that goes on; the others are the same everywhere
	}
	for _, moment := range moments {
		killWhenItSays(t, exec.Command(filepath.Join(bin, "lab"), "up", "--cloud", *onCloud), moment)
	}
	if err := Up(ctx, Options{Progress: t.Output()}); err != nil {
		t.Fatal(err)
	}
	t.Run("without nodes there is a control plane and no cloud", func(t *testing.T) { checkControlPlaneAlone(t) })
	if err := Up(ctx, Options{Nodes: 2, Cloud: *onCloud, Bin: bin, Progress: t.Output()}); err != nil {
		t.Fatal(err)
	}
	t.Run("both nodes say what they are", func(t *testing.T) { checkNodes(t) })
	t.Run("a second up changes nothing", func(t *testing.T) { checkSecondUp(t, bin) })
	t.Run("a disk is seen by its server alone, and survives a power cut and the embedded cloud's death", func(t *testing.T) { checkDisk(t) })

	down := exec.Command(filepath.Join(bin, "lab"), "down")
	if err := down.Start(); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 2; i++ { // killed when the first nodes are gone
		awaitTrue(t, "the end of a node", func() bool { return !node.Running(layout.NodeAt(i)) })
	}
	_ = down.Process.Kill()
	_ = down.Wait()
	if err := Down(ctx, t.Output()); err != nil {
		t.Fatal(err)
	}
	if left, err := Leftovers(); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if diff := cmp.Diff(before, sysctls(t)); diff != "" {
		t.Errorf("the machine's settings changed: %s", diff)
	}
}

// programs is the directory that make build fills.
func programs(t *testing.T) string {
	t.Helper()
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lab", "fairlead-devcloud"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Fatalf("run make build first: %v", err)
		}
	}
	return bin
}

// sysctls are the machine's settings that the programs of a node would change.
func sysctls(t *testing.T) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, name := range []string{"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
		"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes", "net/ipv4/ip_forward", "net/ipv4/conf/all/rp_filter",
		"net/netfilter/nf_conntrack_max", "net/bridge/bridge-nf-call-iptables"} {
		raw, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		values[name] = string(raw)
	}
	return values
}

// watcher calls found once when the text has been written.
type watcher struct {
	text  string
	found func()
	all   bytes.Buffer
}

func (w *watcher) Write(p []byte) (int, error) {
	w.all.Write(p)
	if w.found != nil && strings.Contains(w.all.String(), w.text) {
		w.found()
		w.found = nil
	}
	return len(p), nil
}

func killWhenItSays(t *testing.T, cmd *exec.Cmd, text string) {
	t.Helper()
	w := &watcher{text: text, found: func() { _ = cmd.Process.Kill() }}
	cmd.Stderr = w
	if err := cmd.Run(); err == nil {
		t.Fatalf("it ended before it said %q:\n%s", text, w.all.String())
	}
	if w.found != nil {
		t.Fatalf("it never said %q:\n%s", text, w.all.String())
	}
}

func checkControlPlaneAlone(t *testing.T) {
	client, err := Client()
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("%d nodes, %v", len(list.Items), err)
	}
	status, err := ReadStatus()
	if err != nil || !status.Complete() || len(status.Programs) != len(controlPlane) {
		t.Errorf("%+v, %v", status, err)
	}
}

func checkNodes(t *testing.T) {
	client, err := Client()
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if missing := notReady(nodes(2), list.Items); len(missing) > 0 || len(list.Items) != 2 {
		t.Errorf("%d nodes, not ready: %v", len(list.Items), missing)
	}
	for _, n := range list.Items {
		if n.Status.NodeInfo.KubeletVersion != "v1.37.2" {
			t.Errorf("%s runs %s", n.Name, n.Status.NodeInfo.KubeletVersion)
		}
		if len(n.Spec.Taints) != 1 || n.Spec.Taints[0].Key != "node.cloudprovider.kubernetes.io/uninitialized" {
			t.Errorf("%s waits for no cloud-controller-manager: %v", n.Name, n.Spec.Taints)
		}
		if out, err := Exec(t.Context(), n.Name, "hostname"); err != nil || out != n.Name+"\n" {
			t.Errorf("hostname of %s is %q, %v", n.Name, out, err)
		}
		meta, err := Exec(t.Context(), n.Name, "bash", "-c",
			`exec 3<>/dev/tcp/169.254.169.254/80; printf 'GET /openstack/latest/meta_data.json HTTP/1.0\r\n\r\n' >&3; cat <&3`)
		if err != nil || !strings.Contains(strings.ReplaceAll(meta, "-", ""), n.Status.NodeInfo.MachineID) {
			t.Errorf("the metadata service of %s says %q, %v; machine-id is %s", n.Name, meta, err, n.Status.NodeInfo.MachineID)
		}
	}
}

func checkSecondUp(t *testing.T, bin string) {
	pid, err := InitPID("n1")
	if err != nil {
		t.Fatal(err)
	}
	if err := Up(t.Context(), Options{Nodes: 2, Cloud: *onCloud, Bin: bin, Progress: t.Output()}); err != nil {
		t.Fatal(err)
	}
	if now, err := InitPID("n1"); err != nil || now != pid {
		t.Errorf("PID 1 of n1 was %d and is %d, %v", pid, now, err)
	}
}

type clients struct{ compute, storage *gophercloud.ServiceClient }

func connect(t *testing.T) clients {
	t.Helper()
	provider, endpoint, err := Cloud(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	compute, err := openstack.NewComputeV2(provider, endpoint)
	if err != nil {
		t.Fatal(err)
	}
	storage, err := openstack.NewBlockStorageV3(provider, endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return clients{compute: compute, storage: storage}
}

func (c clients) serverID(t *testing.T, name string) string {
	t.Helper()
	page, err := servers.List(c.compute, servers.ListOpts{Name: "^" + name + "$"}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := servers.ExtractServers(page)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d servers are named %s, %v", len(all), name, err)
	}
	return all[0].ID
}

func (c clients) awaitVolume(t *testing.T, id, status string) {
	t.Helper()
	awaitTrue(t, "volume "+status, func() bool {
		volume, err := volumes.Get(t.Context(), c.storage, id).Extract()
		return err == nil && volume.Status == status
	})
}

func checkDisk(t *testing.T) {
	ctx, c := t.Context(), connect(t)
	server := c.serverID(t, "n1")
	volume, err := volumes.Create(ctx, c.storage, volumes.CreateOpts{Size: 1, Name: "lab-test"}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	c.awaitVolume(t, volume.ID, "available")
	if _, err := volumeattach.Create(ctx, c.compute, server, volumeattach.CreateOpts{VolumeID: volume.ID}).Extract(); err != nil {
		t.Fatal(err)
	}
	c.awaitVolume(t, volume.ID, "in-use")
	device := "/dev/disk/by-id/virtio-" + volume.ID[:20]
	mustExec(t, "n1", "sh", "-ec", fmt.Sprintf("mkfs.ext4 -q %s; mkdir /run/d; mount %s /run/d; echo kept > /run/d/file; sync", device, device))
	if out, err := Exec(ctx, "n2", "ls", device); err == nil {
		t.Errorf("n2 sees %s", out)
	}

	if *onCloud == Devcloud {
		checkDeadCloud(t)
		c = connect(t)
	}
	if err := servers.Stop(ctx, c.compute, server).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	awaitTrue(t, "n1 to be off", func() bool { return !node.Running(layout.NodeAt(1)) })
	c.awaitServer(t, server, "SHUTOFF")
	if err := servers.Start(ctx, c.compute, server).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.awaitServer(t, server, "ACTIVE")
	if err := awaitReady(ctx, nodes(2)); err != nil {
		t.Fatal(err)
	}
	if out := mustExec(t, "n1", "sh", "-ec", fmt.Sprintf("mkdir /run/d; mount %s /run/d; cat /run/d/file; umount /run/d", device)); out != "kept\n" {
		t.Errorf("after the power cut the file holds %q", out)
	}
	if err := volumeattach.Delete(ctx, c.compute, server, volume.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.awaitVolume(t, volume.ID, "available")
}

// checkDeadCloud kills the cloud and starts it again.
func checkDeadCloud(t *testing.T) {
	if err := KillDevcloud(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !node.Running(layout.NodeAt(1)) {
		t.Error("the cloud's death killed a node")
	}
	if out := mustExec(t, "n1", "cat", "/run/d/file"); out != "kept\n" {
		t.Errorf("with the cloud dead the file holds %q", out)
	}
	if err := StartDevcloud(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (c clients) awaitServer(t *testing.T, id, status string) {
	t.Helper()
	awaitTrue(t, "server "+status, func() bool {
		server, err := servers.Get(t.Context(), c.compute, id).Extract()
		return err == nil && server.Status == status
	})
}

func mustExec(t *testing.T, nodeName string, args ...string) string {
	t.Helper()
	out, err := Exec(t.Context(), nodeName, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func awaitTrue(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 60*time.Second, true, func(context.Context) (bool, error) {
		return condition(), nil
	})
	if err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

func startProgram(t *testing.T, args ...string) proc.ID {
	t.Helper()
	dir := t.TempDir()
	id, err := proc.Start(proc.Spec{Args: args, Log: filepath.Join(dir, "log"), PIDFile: filepath.Join(dir, "pid")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = id.Kill(context.Background()) })
	return id
}
