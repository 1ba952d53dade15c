package devcloud

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/listeners"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/loadbalancers"
	"github.com/gophercloud/gophercloud/v2/openstack/loadbalancer/v2/pools"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"

	"github.com/fairlead-io/fairlead/pkg/devcloud/api"
	"github.com/fairlead-io/fairlead/pkg/devcloud/dataplane/disk"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/compute"
	"github.com/fairlead-io/fairlead/pkg/devcloud/engine/network"
)

// startReal runs a cloud with its data plane; its networks are loopback ones, so that addresses need no device.
func startReal(t *testing.T, change func(*Config)) *Cloud {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("loop devices need root")
	}
	config := DefaultConfig()
	config.Listen, config.StateDir = "127.0.0.1:0", t.TempDir()
	config.Times.Profile = "instant"
	config.Networks = []network.NetworkConfig{
		{Name: "public", External: true, Subnets: []network.SubnetConfig{{Name: "public", CIDR: netip.MustParsePrefix("127.78.0.0/24")}}},
		{Name: "demo", Subnets: []network.SubnetConfig{{Name: "demo", CIDR: netip.MustParsePrefix("127.77.0.0/24")}}},
	}
	if change != nil {
		change(&config)
	}
	t.Cleanup(func() {
		if err := disk.Cleanup(context.Background(), config.StateDir); err != nil {
			t.Error(err)
		}
	})
	return run(t, config)
}

func (c clients) attach(t *testing.T, serverID, volumeID string) {
	t.Helper()
	if err := volumeattach.Create(t.Context(), c.compute, serverID, volumeattach.CreateOpts{VolumeID: volumeID}).Err; err != nil {
		t.Fatal(err)
	}
	c.volumeIs(t, volumeID, "in-use")
}

// device is where the server sees the volume.
func device(cloud *Cloud, serverID, volumeID string) string {
	return filepath.Join(cloud.config.StateDir, "servers", serverID, "disk", "by-id", "virtio-"+volumeID[:20])
}

// sizeGiB is the kernel's idea of a block device's size.
func sizeGiB(t *testing.T, link string) int64 {
	t.Helper()
	dev, err := filepath.EvalSymlinks(link)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("/sys/class/block/" + filepath.Base(dev) + "/size")
	if err != nil {
		t.Fatal(err)
	}
	sectors, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return sectors >> 21
}

func TestADiskIsReal(t *testing.T) {
	t.Parallel()
	cloud := startReal(t, nil)
	c := connect(t, cloud.URL)
	v, s, other := c.newVolume(t, volumes.CreateOpts{Size: 1}), c.newServer(t, "n1", nil), c.newServer(t, "n2", nil)
	c.attach(t, s.ID, v.ID)
	link := device(cloud, s.ID, v.ID)
	if got := sizeGiB(t, link); got != 1 {
		t.Errorf("%d GiB", got)
	}
	if _, err := os.Lstat(device(cloud, other.ID, v.ID)); err == nil {
		t.Error("the other server sees the volume, too")
	}
	if err := volumes.ExtendSize(t.Context(), c.volume, v.ID, volumes.ExtendSizeOpts{NewSize: 2}).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "size 2", func() bool { return c.volumeIs(t, v.ID, "in-use").Size == 2 })
	if got := sizeGiB(t, link); got != 2 {
		t.Errorf("the kernel sees %d GiB after the extension", got)
	}
	held, err := os.Open(link)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := volumeattach.Delete(t.Context(), c.compute, s.ID, v.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.volumeIs(t, v.ID, "available")
	if seen := cloud.Engine.Violations(); len(seen) != 1 || seen[0].Kind != "detach-in-use" || !strings.Contains(seen[0].Detail, strconv.Itoa(os.Getpid())) {
		t.Errorf("a detach of an open device: violations %+v", seen)
	}
	held.Close()
	if err := volumes.Delete(t.Context(), c.volume, v.ID, nil).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "volume gone", func() bool { return status(t, volumes.Get(t.Context(), c.volume, v.ID).Err) == 404 })
	c.serverGone(t, s.ID)
	if _, err := os.Stat(filepath.Dir(filepath.Dir(filepath.Dir(link)))); !os.IsNotExist(err) {
		t.Errorf("the server's directory is still there: %v", err)
	}
}

func TestAnAttachThatFailsFallsBackSilently(t *testing.T) {
	t.Parallel()
	cloud := startReal(t, nil)
	c := connect(t, cloud.URL)
	v, s := c.newVolume(t, volumes.CreateOpts{Size: 1}), c.newServer(t, "n1", nil)
	if err := os.Remove(filepath.Join(cloud.config.StateDir, "volumes", "volume-"+v.ID)); err != nil {
		t.Fatal(err)
	}
	if err := volumeattach.Create(t.Context(), c.compute, s.ID, volumeattach.CreateOpts{VolumeID: v.ID}).Err; err != nil {
		t.Fatalf("the request itself: %v", err)
	}
	if got := c.volumeIs(t, v.ID, "available").Attachments; len(got) != 0 {
		t.Errorf("attachments %+v", got)
	}
	if got := status(t, volumeattach.Get(t.Context(), c.compute, s.ID, v.ID).Err); got != 404 {
		t.Errorf("the attachment got %d", got)
	}
}

// greeter is a TCP server that says its name and hangs up.
func greeter(t *testing.T, name string) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, name)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().(*net.TCPAddr).Port
}

func greeting(address string) string {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return ""
	}
	defer conn.Close()
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line)
}

func TestLoadBalancingIsReal(t *testing.T) {
	t.Parallel()
	cloud := startReal(t, func(c *Config) { c.Routers[0].Subnets = []string{"demo"} })
	c := connect(t, cloud.URL)
	octavia, err := openstack.NewLoadBalancerV2(c.provider, gophercloud.EndpointOpts{Region: "RegionOne"})
	if err != nil {
		t.Fatal(err)
	}
	var members []pools.CreateMemberOpts
	for _, name := range []string{"a", "b"} {
		members = append(members, pools.CreateMemberOpts{Address: "127.0.0.1", ProtocolPort: greeter(t, name)})
	}
	lb, err := loadbalancers.Create(t.Context(), octavia, loadbalancers.CreateOpts{
		Name: "lb", VipNetworkID: c.networkID(t, "demo"), Tags: []string{"fairlead/cluster=uid-1"},
		Listeners: []listeners.CreateOpts{{
			Name: "l", Protocol: "TCP", ProtocolPort: 5432,
			DefaultPool: &pools.CreateOpts{Name: "p", Protocol: "TCP", LBMethod: pools.LBMethodRoundRobin, Members: members},
		}},
	}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "load balancer ACTIVE", func() bool {
		lb, err = loadbalancers.Get(t.Context(), octavia, lb.ID).Extract()
		return err == nil && lb.ProvisioningStatus == "ACTIVE"
	})
	var heard []string
	for range 4 {
		heard = append(heard, greeting(lb.VipAddress+":5432"))
	}
	slices.Sort(heard)
	if !slices.Equal(heard, []string{"a", "a", "b", "b"}) {
		t.Errorf("at the VIP heard %v", heard)
	}
	fip, err := floatingips.Create(t.Context(), c.network, floatingips.CreateOpts{
		FloatingNetworkID: c.networkID(t, "public"), PortID: lb.VipPortID, Description: "fairlead/uid-1/floatingip/x",
	}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a greeting at the floating IP", func() bool { return greeting(fip.FloatingIP+":5432") != "" })
	if n := cloud.leftovers("uid-1"); n.LoadBalancers != 1 || n.Ports != 1 || n.FloatingIPs != 1 {
		t.Errorf("existing: %+v", n)
	}
	if err := loadbalancers.Delete(t.Context(), octavia, lb.ID, loadbalancers.DeleteOpts{Cascade: true}).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "load balancer gone", func() bool { return status(t, loadbalancers.Get(t.Context(), octavia, lb.ID).Err) == 404 })
	if n := cloud.leftovers("uid-1"); n.LoadBalancers != 0 || n.Ports != 0 || n.FloatingIPs != 1 {
		t.Errorf("left: %+v", n)
	}
	if got := greeting(fip.FloatingIP + ":5432"); got != "" {
		t.Errorf("still heard %q", got)
	}
}

// nodeScript is a hypervisor's command that keeps what it was told in the server's directory.
const nodeScript = `#!/bin/sh
set -e
input=$(cat)
dir=$(echo "$input" | sed 's/.*"diskDir":"\([^"]*\)".*/\1/')
echo "$1 $input" >> "$(dirname "$0")/log"
case $1 in
start) [ ! -e "$(dirname "$0")/broken" ] || { echo "no power" >&2; exit 1; }; touch "$dir/on"; echo '{}' ;;
stop) rm -f "$dir/on" ;;
status) [ -e "$dir/on" ] || exit 3 ;;
esac
`

func TestAServerMayBeANodeOfTheLab(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	script := filepath.Join(bin, "node")
	if err := os.WriteFile(script, []byte(nodeScript), 0o700); err != nil {
		t.Fatal(err)
	}
	cloud := startReal(t, func(c *Config) {
		c.Hypervisor.Command, c.Hypervisor.PowerSync = []string{script}, api.Duration(20*time.Millisecond)
	})
	c := connect(t, cloud.URL)
	s := c.newServer(t, "n1", map[string]string{compute.NodeKey: "true"})
	on := filepath.Join(cloud.config.StateDir, "servers", s.ID, "disk", "on")
	runs := func() bool { _, err := os.Stat(on); return err == nil }
	if !runs() {
		t.Error("ACTIVE, but not started")
	}
	if err := servers.Stop(t.Context(), c.compute, s.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.serverIs(t, s.ID, "SHUTOFF")
	if runs() {
		t.Error("SHUTOFF, but not stopped")
	}
	if err := servers.Start(t.Context(), c.compute, s.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.serverIs(t, s.ID, "ACTIVE")
	if !runs() {
		t.Error("not started again")
	}
	if err := os.Remove(on); err != nil {
		t.Fatal(err)
	}
	c.serverIs(t, s.ID, "SHUTOFF") // it died by itself
	if err := servers.Start(t.Context(), c.compute, s.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	c.serverIs(t, s.ID, "ACTIVE")
	log, err := os.ReadFile(filepath.Join(bin, "log"))
	if err != nil || !strings.Contains(string(log), `"name":"n1","address":"127.77.0.2"`) {
		t.Errorf("the command was told %s, %v", log, err)
	}
	if err := os.WriteFile(filepath.Join(bin, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken, err := servers.Create(t.Context(), c.compute, servers.CreateOpts{
		Name: "n2", FlavorRef: "1", Networks: "auto", Metadata: map[string]string{compute.NodeKey: "true"},
	}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if got := c.serverIs(t, broken.ID, "ERROR").Fault.Message; !strings.Contains(got, "no power") {
		t.Errorf("fault %q", got)
	}
	c.serverGone(t, s.ID)
	if runs() {
		t.Error("deleted, but not stopped")
	}
}
