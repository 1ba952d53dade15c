package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/pki"
)

// readyWord is what PID 1 writes to descriptor 3 when the node's programs run; anything else is an error's text.
const readyWord = "ready"

const containerdSocket = "/run/containerd/containerd.sock"

// RunInit is PID 1 of the node, in new namespaces. It returns only if the node cannot be set up.
func RunInit(node layout.Node) error {
	report := os.NewFile(3, "report")
	if os.Getpid() != 1 || report == nil {
		return errors.New("node init is PID 1 of a node and started by node start only")
	}
	unix.CloseOnExec(3)
	err := setUp(node, newSupervisor(os.Stderr))
	if err != nil {
		_, _ = report.WriteString(err.Error())
		return err
	}
	_, err = report.WriteString(readyWord)
	if err = errors.Join(err, report.Close()); err != nil {
		return err
	}
	select {} // the supervisor's goroutines are the node from here on
}

// setUp turns the fresh namespaces into the node and starts its programs.
func setUp(node layout.Node, s *supervisor) error {
	raw, err := os.ReadFile(specFile(node))
	if err != nil {
		return err
	}
	var server Server
	if err := json.Unmarshal(raw, &server); err != nil {
		return fmt.Errorf("%s: %w", specFile(node), err)
	}
	if err := enterCgroup(node.Cgroup()); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(node.Name)); err != nil {
		return err
	}
	if err := mountAll(server, node); err != nil {
		return err
	}
	if err := configureNetwork(node); err != nil {
		return err
	}
	limit, err := openFilesLimit()
	if err != nil {
		return err
	}
	all, err := files(server, node, limit)
	if err != nil {
		return err
	}
	if err := writeFiles(all); err != nil {
		return err
	}
	return startPrograms(node, s)
}

// startPrograms starts containerd and, when it answers, the others.
func startPrograms(node layout.Node, s *supervisor) error {
	if err := errors.Join(os.Setenv("PATH", Path()), os.Setenv("HOME", "/root")); err != nil {
		return err
	}
	go s.reap()
	programs := programs(node)
	go s.keep(programs[0])
	var last error
	err := wait.PollUntilContextTimeout(context.Background(), 20*time.Millisecond, initTimeout/2, true, func(ctx context.Context) (bool, error) {
		last = dial(ctx, containerdSocket)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("containerd does not answer: %w (%w); see %s", err, last, node.Log("containerd"))
	}
	for _, p := range programs[1:] {
		go s.keep(p)
	}
	return nil
}

func dial(ctx context.Context, socket string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Path is PATH inside a node.
func Path() string {
	return layout.ToolsDir + "/kubernetes:" + layout.ToolsDir + "/containerd:" + layout.ToolsDir + "/runc" +
		":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

// programs of a node; containerd comes first.
func programs(node layout.Node) []program {
	return []program{
		{"containerd", []string{layout.ToolsDir + "/containerd/containerd", "--config=" + containerdConfig}, node.Log("containerd")},
		{"kubelet", []string{
			layout.ToolsDir + "/kubernetes/kubelet",
			"--config=" + kubeletConfig,
			"--kubeconfig=" + layout.PKIDir + "/" + pki.NodeUser(node) + ".kubeconfig",
			"--hostname-override=" + node.Name,
			"--node-ip=" + node.Address().String(),
			"--root-dir=/var/lib/kubelet",
			"--cloud-provider=external",
		}, node.Log("kubelet")},
		{"kube-proxy", []string{
			layout.ToolsDir + "/kubernetes/kube-proxy",
			"--config=" + kubeProxyConfig,
			"--hostname-override=" + node.Name,
		}, node.Log("kube-proxy")},
	}
}
