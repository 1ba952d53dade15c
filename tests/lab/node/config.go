package node

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"golang.org/x/sys/unix"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/pki"
)

//go:embed templates
var templateFiles embed.FS

var templates = template.Must(template.ParseFS(templateFiles, "templates/*"))

// Files inside the node.
const (
	containerdConfig = "/etc/containerd/config.toml"
	kubeletConfig    = "/etc/kubernetes/kubelet.yaml"
	kubeProxyConfig  = "/etc/kubernetes/kube-proxy.yaml"
	cniConfig        = "/etc/cni/net.d/10-lab.conflist"
)

// values are what the templates are filled with.
type values struct {
	Node                                          layout.Node
	PauseImage, ToolsDir, PKIDir, CA, Certificate string
	InitCgroup, DNSService, PodsCIDR              string
	MaxOpenFiles                                  uint64
}

// files renders everything that the node's programs read, by path.
func files(server Server, node layout.Node, maxOpenFiles uint64) (map[string]string, error) {
	v := values{
		Node: node, PauseImage: layout.PauseImage, ToolsDir: layout.ToolsDir, PKIDir: layout.PKIDir, CA: pki.CA,
		Certificate: pki.Kubelet(node), InitCgroup: initCgroup,
		PodsCIDR: layout.PodsCIDR, MaxOpenFiles: maxOpenFiles,
	}
	rendered := map[string]string{
		"/etc/hostname":   node.Name + "\n",
		"/etc/hosts":      fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", node.Address(), node.Name),
		"/etc/machine-id": strings.ReplaceAll(server.ID, "-", "") + "\n",
		// No name server: look-ups are refused at once.
		"/etc/resolv.conf": "# the lab has no name server\n",
	}
	for path, name := range map[string]string{
		containerdConfig: "containerd.toml", kubeletConfig: "kubelet.yaml", kubeProxyConfig: "kube-proxy.yaml", cniConfig: "cni.conflist",
	} {
		var out bytes.Buffer
		if err := templates.ExecuteTemplate(&out, name, v); err != nil {
			return nil, err
		}
		rendered[path] = out.String()
	}
	return rendered, nil
}

// writeFiles replaces files of the node's /etc; some of the host's are links to places that the node does not have.
func writeFiles(all map[string]string) error {
	for path, text := range all {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// openFilesLimit is the most that the kubelet may set without CAP_SYS_RESOURCE.
func openFilesLimit() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return min(limit.Max, 1_000_000), nil
}
