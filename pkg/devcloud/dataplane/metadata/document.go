package metadata

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
)

// Document is what a server may know of itself.
type Document struct {
	ID               string // the server's UUID
	Name             string
	Hostname         string // empty: Name
	AvailabilityZone string
	ProjectID        string
	Address          string            // its fixed address
	Metadata         map[string]string // as given when the server was created
	Devices          []Device          // tagged devices, as in Nova's device tagging
	Networks         []Network
}

// Device is one disk of the server.
type Device struct {
	Type    string   `json:"type"`    // "disk"
	Bus     string   `json:"bus"`     // "virtio"
	Address string   `json:"address"` // on the bus
	Serial  string   `json:"serial"`
	Path    string   `json:"path"` // "/dev/vdb"
	Tags    []string `json:"tags"`
}

// Network is one port of the server.
type Network struct {
	ID         string // of the network
	PortID     string
	MACAddress string
	Address    string
	Netmask    string
	Gateway    string
}

// versions are those dates of Nova's metadata API whose meta_data.json has all that ours has.
var versions = []string{"2018-08-27", "2020-10-14", "latest"}

// handler serves one server's metadata; lookup is asked anew for every request.
func handler(lookup func() (Document, bool)) http.Handler {
	mux := http.NewServeMux()
	serve := func(pattern, contentType string, body func(Document) (string, error)) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, _ *http.Request) {
			d, ok := lookup()
			if !ok {
				http.Error(w, "no server has this address", http.StatusNotFound)
				return
			}
			text, err := body(d)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", contentType)
			fmt.Fprint(w, text)
		})
	}
	text := func(pattern string, body func(Document) string) {
		serve(pattern, "text/plain; charset=UTF-8", func(d Document) (string, error) { return body(d), nil })
	}
	list := func(pattern string, entries ...string) {
		text(pattern, func(Document) string { return strings.Join(entries, "\n") })
	}
	list("/{$}", "latest")
	list("/openstack", versions...)
	list("/openstack/{$}", versions...)
	for _, v := range versions {
		list("/openstack/"+v, "meta_data.json", "network_data.json")
		list("/openstack/"+v+"/{$}", "meta_data.json", "network_data.json")
		serve("/openstack/"+v+"/meta_data.json", "application/json", Document.metaData)
		serve("/openstack/"+v+"/network_data.json", "application/json", Document.networkData)
	}
	list("/latest/{$}", "meta-data/")
	list("/latest/meta-data/{$}", "hostname", "instance-id", "local-hostname", "local-ipv4", "placement/")
	list("/latest/meta-data/placement/{$}", "availability-zone")
	text("/latest/meta-data/hostname", Document.hostname)
	text("/latest/meta-data/local-hostname", Document.hostname)
	text("/latest/meta-data/instance-id", Document.ec2ID)
	text("/latest/meta-data/local-ipv4", func(d Document) string { return d.Address })
	text("/latest/meta-data/placement/availability-zone", func(d Document) string { return d.AvailabilityZone })
	return mux
}

func (d Document) hostname() string { return cmp.Or(d.Hostname, d.Name) }

// ec2ID is the EC2-style id: in OpenStack it is not the UUID either.
func (d Document) ec2ID() string {
	h := fnv.New32a()
	h.Write([]byte(d.ID))
	return fmt.Sprintf("i-%08x", h.Sum32())
}

func (d Document) metaData() (string, error) {
	if d.Metadata == nil {
		d.Metadata = map[string]string{}
	}
	if d.Devices == nil {
		d.Devices = []Device{}
	}
	return encode(map[string]any{
		"uuid":              d.ID,
		"name":              d.Name,
		"hostname":          d.hostname(),
		"availability_zone": d.AvailabilityZone,
		"project_id":        d.ProjectID,
		"launch_index":      0,
		"meta":              d.Metadata,
		"devices":           d.Devices,
	})
}

func (d Document) networkData() (string, error) {
	links, networks := []map[string]any{}, []map[string]any{}
	for i, n := range d.Networks {
		link := fmt.Sprintf("tap%.11s", n.PortID)
		links = append(links, map[string]any{
			"id": link, "type": "bridge", "vif_id": n.PortID, "ethernet_mac_address": n.MACAddress,
		})
		routes := []map[string]string{}
		if n.Gateway != "" {
			routes = append(routes, map[string]string{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": n.Gateway})
		}
		networks = append(networks, map[string]any{
			"id": fmt.Sprintf("network%d", i), "type": "ipv4", "link": link, "network_id": n.ID,
			"ip_address": n.Address, "netmask": n.Netmask, "routes": routes,
		})
	}
	return encode(map[string]any{"links": links, "networks": networks, "services": []any{}})
}

func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode metadata: %w", err)
	}
	return string(b), nil
}
