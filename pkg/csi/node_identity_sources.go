package csi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
)

// zoneLabel is the well-known label that a cloud controller manager sets.
const zoneLabel = "topology.kubernetes.io/zone"

// maxIdentityAnswer is how much of an answer is read; real ones have a few KiB.
const maxIdentityAnswer = 1 << 20

// getJSON reads one JSON document.
func getJSON(ctx context.Context, client *http.Client, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxIdentityAnswer))
	if err != nil {
		return fmt.Errorf("GET %s: %w", address, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: HTTP %d", address, resp.StatusCode)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("GET %s: %w", address, err)
	}
	return nil
}

// nodeObject reads this node's own Node object: the only right the node plugin has in the cluster.
type nodeObject struct {
	client  *http.Client
	address string
}

// NodeObjectSource is the Node object's provider id and zone label, written by the cloud controller manager.
func NodeObjectSource(cfg *rest.Config, nodeName string) (IdentitySource, error) {
	if nodeName == "" {
		return nil, errors.New("identity source node: the node's name is not set")
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("identity source node: %w", err)
	}
	server, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("identity source node: %w", err)
	}
	return &nodeObject{client: client, address: server.JoinPath("api/v1/nodes", url.PathEscape(nodeName)).String()}, nil
}

func (n *nodeObject) Name() string { return SourceNode }

func (n *nodeObject) Identity(ctx context.Context) (NodeIdentity, error) {
	// A full typed client would bring the whole API's types into every node's memory for two strings.
	var node struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
		Spec struct {
			ProviderID string `json:"providerID"`
		} `json:"spec"`
	}
	if err := getJSON(ctx, n.client, n.address, &node); err != nil {
		return NodeIdentity{}, err
	}
	id, err := instanceOfProviderID(node.Spec.ProviderID)
	return NodeIdentity{InstanceID: id, Zone: node.Metadata.Labels[zoneLabel]}, err
}

// metadataDocument is what the metadata service and the config drive both have.
type metadataDocument struct {
	UUID string `json:"uuid"`
	Zone string `json:"availability_zone"`
}

func (d metadataDocument) identity() NodeIdentity {
	return NodeIdentity{InstanceID: d.UUID, Zone: d.Zone}
}

// metadataPath is where the document is below the service's address and the config drive's root.
const metadataPath = "openstack/latest/meta_data.json"

// DefaultMetadataURL is where an instance reaches the metadata service.
const DefaultMetadataURL = "http://169.254.169.254"

type metadataService struct {
	client  *http.Client
	address string
}

// MetadataSource is the cloud's metadata service. An empty url means DefaultMetadataURL.
func MetadataSource(serviceURL string) IdentitySource {
	if serviceURL == "" {
		serviceURL = DefaultMetadataURL
	}
	// Link-local: never through a proxy, and not worth a kept connection.
	transport := &http.Transport{Proxy: nil, DisableKeepAlives: true}
	return &metadataService{client: &http.Client{Transport: transport}, address: strings.TrimRight(serviceURL, "/") + "/" + metadataPath}
}

func (m *metadataService) Name() string { return SourceMetadata }

func (m *metadataService) Identity(ctx context.Context) (NodeIdentity, error) {
	var doc metadataDocument
	if err := getJSON(ctx, m.client, m.address, &doc); err != nil {
		return NodeIdentity{}, err
	}
	return doc.identity(), nil
}

// LabelReader reads a file from the file system with a label; *disk.Host implements it.
type LabelReader interface {
	ReadFromLabel(ctx context.Context, label, file string) ([]byte, error)
}

type configDrive struct{ host LabelReader }

// ConfigDriveSource is the disk that Nova gives to instances that are started with a config drive.
func ConfigDriveSource(host LabelReader) IdentitySource { return &configDrive{host} }

func (c *configDrive) Name() string { return SourceConfigDrive }

func (c *configDrive) Identity(ctx context.Context) (NodeIdentity, error) {
	raw, err := c.host.ReadFromLabel(ctx, "config-2", metadataPath)
	if err != nil {
		return NodeIdentity{}, err
	}
	var doc metadataDocument
	if err := json.Unmarshal(raw, &doc); err != nil {
		return NodeIdentity{}, fmt.Errorf("%s on the config drive: %w", metadataPath, err)
	}
	return doc.identity(), nil
}

type dmi struct{ dir string }

// DMISource is the machine's firmware tables, in which Nova writes the instance's id; sysDir is where sysfs is mounted.
// They have no zone.
func DMISource(sysDir string) IdentitySource {
	return &dmi{filepath.Join(sysDir, "class", "dmi", "id")}
}

func (d *dmi) Name() string { return SourceDMI }

func (d *dmi) Identity(context.Context) (NodeIdentity, error) {
	read := func(name string) string {
		raw, _ := os.ReadFile(filepath.Join(d.dir, name)) // the firmware of a real machine has these or has nothing
		return strings.TrimSpace(string(raw))
	}
	vendor, product := read("sys_vendor"), read("product_name")
	if !strings.Contains(vendor, "OpenStack") && !strings.Contains(product, "OpenStack") {
		return NodeIdentity{}, fmt.Errorf("the firmware says vendor %q, product %q: not a Nova instance", vendor, product)
	}
	id := strings.ToLower(read("product_uuid"))
	if id == "" {
		return NodeIdentity{}, errors.New("the firmware has no product_uuid, or it may not be read")
	}
	return NodeIdentity{InstanceID: id}, nil
}
