// Package node makes a Kubernetes node of this machine: network, mount, PID, UTS and IPC namespaces and a cgroup of
// its own, with containerd, kubelet and kube-proxy under a PID 1 whose death is a power cut of the node.
package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
)

// Server is what the cloud's hypervisor says of a server on our standard input.
type Server struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Address  string            `json:"address"`
	DiskDir  string            `json:"diskDir"` // on the host; the node sees it as /dev/disk
	Metadata map[string]string `json:"metadata"`
}

// Started is what the hypervisor reads on our standard output.
type Started struct {
	NetNS string `json:"netns"`
}

// ErrUnknown says that the hypervisor knows nothing of a server but its id: it never started it.
var ErrUnknown = errors.New("the server was never started")

// ReadServer reads and checks a hypervisor's description. The node's place in the lab follows from its name.
func ReadServer(r io.Reader) (Server, layout.Node, error) {
	var server Server
	if err := json.NewDecoder(r).Decode(&server); err != nil {
		return Server{}, layout.Node{}, fmt.Errorf("read the server's description on standard input: %w", err)
	}
	if server.Name == "" {
		return Server{}, layout.Node{}, fmt.Errorf("server %s: %w", server.ID, ErrUnknown)
	}
	node, err := layout.ParseNode(server.Name)
	if err != nil {
		return Server{}, layout.Node{}, fmt.Errorf("server %s: %w", server.ID, err)
	}
	return server, node, nil
}

// checkStart finds what only a start needs.
func (s Server) checkStart(node layout.Node) error {
	if s.ID == "" {
		return fmt.Errorf("server %s has no id", s.Name)
	}
	if s.Address != node.Address().String() {
		return fmt.Errorf("server %s has the address %q; as a node of the lab it needs the fixed address %s", s.Name, s.Address, node.Address())
	}
	if !filepath.IsAbs(s.DiskDir) {
		return fmt.Errorf("server %s: diskDir %q must be an absolute path", s.Name, s.DiskDir)
	}
	return nil
}

// specFile is where start leaves the server's description for PID 1.
func specFile(node layout.Node) string { return filepath.Join(node.Dir(), "server.json") }
