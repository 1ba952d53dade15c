// Package layout says where everything of the lab is: addresses, names, files. Nothing else in the lab makes one up.
package layout

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
)

// Files below StateDir. The directory exists only while the lab does.
const (
	StateDir   = "/var/lib/fairlead-lab"
	Kubeconfig = StateDir + "/kubeconfig"
	// CloudsYAML has the cloud CloudName: the lab's project.
	CloudsYAML = StateDir + "/clouds.yaml"
	CloudName  = "fairlead-lab"

	BinDir   = StateDir + "/bin"   // lab and maybe fairlead-devcloud, copied: a new build must not change a running lab
	ToolsDir = StateDir + "/tools" // links into the cache
	PKIDir   = StateDir + "/pki"
	LogDir   = StateDir + "/log"
	RunDir   = StateDir + "/run" // pid files
	NodesDir = StateDir + "/nodes"
	EtcdDir  = StateDir + "/etcd"

	DevcloudDir    = StateDir + "/devcloud"
	DevcloudConfig = StateDir + "/devcloud.yaml"

	// MadeFile lists directories outside StateDir that the lab had to make, one per line.
	MadeFile = StateDir + "/made"
	// CloudFile names the cloud, from before anything is made there.
	CloudFile = StateDir + "/cloud"
	// UpFile exists when `lab up` has succeeded, and holds the number of nodes.
	UpFile = StateDir + "/up"
)

// Names in the kernel: everything begins so, and nothing else may.
const (
	Bridge       = "fairlead0"
	NetNSDir     = "/run/netns"
	NetNSPrefix  = "fairlead-"
	VethPrefix   = "fairlead-"
	CgroupPrefix = "fairlead-"
	// MarkVariable is in the environment of every process the lab starts on the host, so that a process is found
	// even if its pid file was never written.
	MarkVariable = "FAIRLEAD_LAB"
	// LockName is an abstract Unix socket: held by a running up or down, gone with the process.
	LockName = "@fairlead-lab"
)

// Addresses of the lab.
const (
	HostAddress     = "10.200.0.1"
	HostMAC         = "02:fa:1e:ad:00:01"
	FabricCIDR      = "10.200.0.0/24"
	RouterAddress   = "10.200.0.254" // on the fabric, of the cloud's router: no packet goes there, the nodes use the host
	PoolStart       = "10.200.0.100" // addresses that the cloud gives away
	PoolEnd         = "10.200.0.200"
	PublicCIDR      = "172.30.0.0/24"
	PodsCIDR        = "10.201.0.0/16"
	ServicesCIDR    = "10.202.0.0/16"
	APIService      = "10.202.0.1"
	CloudPort       = 8780
	APIServerPort   = 6443
	EtcdPort        = 23790
	EtcdPeerPort    = 23800
	APIServerURL    = "https://10.200.0.1:6443"
	CloudURL        = "http://10.200.0.1:8780"
	EtcdURL         = "http://127.0.0.1:23790"
	MetadataAddress = "169.254.169.254"
)

// MaxNodes is how many nodes the addresses suffice for.
const MaxNodes = 9

// PauseImage is the sandbox of every pod.
const PauseImage = "registry.fairlead.test/pause:1"

// A Node is the place of one node in the lab.
type Node struct {
	Index int
	Name  string
}

var nodeName = regexp.MustCompile(`^n([1-9])$`)

// ParseNode reads a node's name, n1 to n9.
func ParseNode(name string) (Node, error) {
	match := nodeName.FindStringSubmatch(name)
	if match == nil {
		return Node{}, fmt.Errorf("no node can be named %q: the lab's nodes are n1 to n%d", name, MaxNodes)
	}
	return Node{Index: int(match[1][0] - '0'), Name: name}, nil
}

// NodeAt is the node with that index, from 1 to MaxNodes.
func NodeAt(index int) Node { return Node{Index: index, Name: fmt.Sprintf("n%d", index)} }

// Address is the node's address on the fabric.
func (n Node) Address() netip.Addr { return netip.AddrFrom4([4]byte{10, 200, 0, byte(10 + n.Index)}) }

// MAC is the hardware address of eth0; it is fixed so that neighbours find a node again at once after a restart.
func (n Node) MAC() string { return fmt.Sprintf("02:fa:1e:ad:00:1%d", n.Index) }

// PodCIDR is what the node's pods get addresses from.
func (n Node) PodCIDR() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 201, byte(n.Index), 0}), 24)
}

// NetNS is the file of the node's network namespace.
func (n Node) NetNS() string { return filepath.Join(NetNSDir, NetNSPrefix+n.Name) }

// Veth is the host's end of the node's cable.
func (n Node) Veth() string { return VethPrefix + n.Name }

// Cgroup is the node's cgroup, in every hierarchy, from its root.
func (n Node) Cgroup() string { return CgroupPrefix + n.Name }

// Dir holds the node's own disk: what it has in /var/lib, /var/log and on top of /etc and /opt.
func (n Node) Dir() string { return filepath.Join(NodesDir, n.Name) }

// InitPIDFile names the process that is PID 1 in the node.
func (n Node) InitPIDFile() string { return filepath.Join(n.Dir(), "init.pid") }

// Log is the log file of one of the node's programs.
func (n Node) Log(program string) string { return filepath.Join(n.Dir(), "log", program+".log") }

// DeviceDir is the directory of links to disks; each node sees its own there.
const DeviceDir = "/dev/disk"
