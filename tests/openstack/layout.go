package openstack

import (
	"os"
	"path/filepath"
	"strconv"
)

// DirVariable overrides DefaultDir in the environment.
const (
	DirVariable = "FAIRLEAD_OPENSTACK_DIR"
	DefaultDir  = "/var/lib/fairlead-openstack"
)

const (
	// Address is where all services listen: on the loopback device, reached from the host and from pods of the lab.
	Address = "10.203.0.1"
	// Region is the only region.
	Region = "RegionOne"
	// markVariable is in the environment of every process of the stack, with the service's name as its value.
	markVariable = "FAIRLEAD_OPENSTACK"
	// lockName is an abstract Unix socket: held by a running Up or Down, gone with the process.
	lockName = "@fairlead-openstack"
)

// ports of the services: OpenStack's usual ones. epmd alone is elsewhere, since it insists on 127.0.0.1.
var ports = map[string]int{
	"keystone": 5000, "placement": 8778, "nova": 8774, "metadata": 8775, "glance": 9292, "cinder": 8776,
	"neutron": 9696, "octavia": 9876,
	"mariadb": 3306, "rabbitmq": 5672, "epmd": 24379, "erlang": 25679, "ovn-nb": 6641, "ovn-sb": 6642,
}

// computeHosts and the zone of each.
var computeHosts = []struct{ name, zone string }{{"cmp1", "az1"}, {"cmp2", "az1"}, {"cmp3", "az2"}}

// Dir is the stack's state directory. It exists only while the stack does.
func Dir() string {
	if dir := os.Getenv(DirVariable); dir != "" {
		return filepath.Clean(dir)
	}
	return DefaultDir
}

// CloudsFile has the cloud "admin", the administrator of everything.
func CloudsFile() string { return filepath.Join(Dir(), "clouds.yaml") }

// path is a file or directory of the state.
func path(parts ...string) string { return filepath.Join(append([]string{Dir()}, parts...)...) }

// upFile exists when Up has succeeded, madeFile when the directory is ours.
func upFile() string   { return path("up") }
func madeFile() string { return path("made-by-fairlead") }

func pidFile(name string) string { return path("run", name+".pid") }
func logFile(name string) string { return path("log", name+".log") }

func hostPort(name string) string { return Address + ":" + strconv.Itoa(ports[name]) }
func urlOf(name string) string    { return "http://" + hostPort(name) }
func authURL() string             { return urlOf("keystone") + "/v3" }
