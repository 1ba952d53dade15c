package openstack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/disk"
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/hypervisor"
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/metadata"
	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

// A Node is a server that is a node of the lab, as Nova's driver describes it.
type Node struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Project  string            `json:"project"`
	Address  string            `json:"address"` // the fixed address of its first port
	Metadata map[string]string `json:"metadata"`
	// NetNS is its network namespace once it was started.
	NetNS string `json:"netns,omitempty"`
}

// StartNode lets the lab start the node, and serves Nova's metadata in it. Repeated, it starts what does not run.
func StartNode(ctx context.Context, node Node) error {
	lab, err := labNodes()
	if err != nil {
		return err
	}
	disks, err := disk.New(Dir())
	if err != nil {
		return err
	}
	diskDir, err := disks.ServerDiskDir(node.ID)
	if err != nil {
		return err
	}
	started, err := lab.Start(ctx, hypervisor.Server{
		ID: node.ID, Name: node.Name, Address: node.Address, DiskDir: diskDir, Metadata: node.Metadata,
	})
	if err != nil {
		return err
	}
	node.NetNS = started.NetNS
	if err := startMetadata(ctx, node); err != nil {
		return errors.Join(fmt.Errorf("metadata of server %s: %w", node.ID, err), StopNode(ctx, node.ID))
	}
	return nil
}

// StopNode cuts the node's power. A server that is no node, or does not run, is no error.
func StopNode(ctx context.Context, serverID string) error {
	if err := stopMetadata(ctx, serverID); err != nil {
		return err
	}
	lab, err := labNodes()
	if err != nil {
		return err
	}
	if err := lab.Stop(ctx, serverID); err != nil {
		return err
	}
	return os.RemoveAll(nodeFile(serverID))
}

// NodeRuns says whether the node's processes are there.
func NodeRuns(ctx context.Context, serverID string) (bool, error) {
	lab, err := labNodes()
	if err != nil {
		return false, err
	}
	return lab.Running(ctx, serverID)
}

// labNodes runs the program of the present lab.
func labNodes() (*hypervisor.Command, error) {
	return hypervisor.New(hypervisor.Options{Argv: []string{layout.BinDir + "/lab", "node"}, Dir: path("nodes")})
}

func metadataName(serverID string) string { return "metadata-" + serverID }

// nodeFile remembers a node that was started, for healMetadata.
func nodeFile(serverID string) string { return path("run", "node-"+serverID+".json") }

// healMetadata serves the metadata again in nodes whose metadata process died.
func healMetadata(ctx context.Context) error {
	files, err := filepath.Glob(nodeFile("*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var node Node
		if err := json.Unmarshal(text, &node); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if _, err := proc.Read(pidFile(metadataName(node.ID))); err == nil {
			continue
		}
		if _, err := os.Stat(node.NetNS); err != nil { // the node is off, or the lab is gone
			continue
		}
		if err := startMetadata(ctx, node); err != nil {
			return fmt.Errorf("metadata of server %s: %w", node.ID, err)
		}
	}
	return nil
}

// startMetadata starts the process that serves the metadata, in the place of one that may serve a dead namespace.
func startMetadata(ctx context.Context, node Node) error {
	if err := stopMetadata(ctx, node.ID); err != nil {
		return err
	}
	text, err := json.Marshal(node)
	if err != nil {
		return err
	}
	if err := writeFile(nodeFile(node.ID), text); err != nil {
		return err
	}
	listening, word, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = listening.Close() }()
	name := metadataName(node.ID)
	_, err = proc.Start(proc.Spec{
		Args: []string{path("bin", "openstack"), "node", "metadata", node.ID, node.Project, node.Address, node.NetNS},
		Env:  environment(name), EnvAlone: true, Dir: Dir(), Log: logFile("metadata-proxy"), PIDFile: pidFile(name), Files: []*os.File{word},
	})
	_ = word.Close()
	if err != nil {
		return err
	}
	// It writes when it listens. If it dies, the pipe ends.
	if n, _ := listening.Read(make([]byte, 1)); n == 0 {
		return fmt.Errorf("it died; %s", tail(logFile("metadata-proxy")))
	}
	return nil
}

func stopMetadata(ctx context.Context, serverID string) error {
	file := pidFile(metadataName(serverID))
	id, err := proc.Read(file)
	if err == nil {
		err = id.Kill(ctx)
	}
	if err != nil && !errors.Is(err, proc.ErrGone) {
		return err
	}
	return os.RemoveAll(file)
}

// ServeMetadata passes requests to 169.254.169.254 inside the network namespace on to Nova, with the headers by which
// Neutron's agent would tell who asks. It writes to ready when it listens, and returns when ctx ends.
func ServeMetadata(ctx context.Context, node Node, netns string, ready io.WriteCloser) error {
	proxy, err := metadataProxy(node)
	if err != nil {
		return err
	}
	listener, err := metadata.Listen(ctx, netns)
	if err != nil {
		return err
	}
	if _, err := ready.Write([]byte{1}); err != nil {
		return errors.Join(err, listener.Close())
	}
	_ = ready.Close()
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func metadataProxy(node Node) (http.Handler, error) {
	secret, err := readSecret()
	if err != nil {
		return nil, err
	}
	nova, err := neturl.Parse(urlOf("metadata"))
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(nova)
		for name, value := range metadataHeaders(node, secret) {
			r.Out.Header.Set(name, value)
		}
	}}, nil
}

// metadataHeaders are what Nova's metadata service believes.
func metadataHeaders(node Node, secret string) map[string]string {
	signature := hmac.New(sha256.New, []byte(secret))
	_, _ = signature.Write([]byte(node.ID)) // never fails
	return map[string]string{
		"X-Instance-ID":           node.ID,
		"X-Tenant-ID":             node.Project,
		"X-Forwarded-For":         node.Address,
		"X-Instance-ID-Signature": hex.EncodeToString(signature.Sum(nil)),
	}
}
