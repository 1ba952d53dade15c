package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
)

// makeNetNS makes the node's network namespace under its name.
func makeNetNS(node layout.Node) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for ever: the thread is inside the new namespace and ends with the goroutine
		handle, err := netns.NewNamed(filepath.Base(node.NetNS()))
		if err == nil {
			err = handle.Close()
		}
		result <- err
	}()
	if err := <-result; err != nil {
		return fmt.Errorf("make network namespace %s: %w", node.NetNS(), err)
	}
	return nil
}

func removeNetNS(node layout.Node) error {
	if err := unix.Unmount(node.NetNS(), unix.MNT_DETACH); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("unmount %s: %w", node.NetNS(), err)
	}
	return os.RemoveAll(node.NetNS())
}

// plugIn lays a cable from the bridge to eth0 in the node's namespace, and routes the node's pods to it.
func plugIn(node layout.Node) error {
	bridge, err := netlink.LinkByName(layout.Bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w; is the lab up?", layout.Bridge, err)
	}
	ns, err := netns.GetFromPath(node.NetNS())
	if err != nil {
		return fmt.Errorf("open %s: %w", node.NetNS(), err)
	}
	defer func() { _ = ns.Close() }()
	mac, err := net.ParseMAC(node.MAC())
	if err != nil {
		return err
	}
	cable := netlink.NewVeth(netlink.LinkAttrs{Name: node.Veth(), MasterIndex: bridge.Attrs().Index, Flags: net.FlagUp})
	cable.PeerName, cable.PeerHardwareAddr, cable.PeerNamespace = "eth0", mac, netlink.NsFd(int(ns))
	if err := netlink.LinkAdd(cable); err != nil {
		return fmt.Errorf("make %s: %w", node.Veth(), err)
	}
	route := &netlink.Route{LinkIndex: bridge.Attrs().Index, Dst: ipNet(node.PodCIDR().String()), Gw: node.Address().AsSlice()}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("route %s: %w", node.PodCIDR(), err)
	}
	return nil
}

func unplug(node layout.Node) error {
	link, err := netlink.LinkByName(node.Veth())
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", node.Veth(), err)
	}
	return nil
}

// configureNetwork runs inside the node: addresses, routes to the other nodes' pods, forwarding.
func configureNetwork(node layout.Node) error {
	for name, address := range map[string]string{"lo": "", "eth0": node.Address().String() + "/24"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
		if address != "" {
			parsed, err := netlink.ParseAddr(address)
			if err != nil {
				return err
			}
			if err := netlink.AddrReplace(link, parsed); err != nil {
				return fmt.Errorf("address %s: %w", address, err)
			}
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("set %s up: %w", name, err)
		}
	}
	for _, route := range routes(node) {
		if err := netlink.RouteReplace(&route); err != nil {
			return fmt.Errorf("route %v: %w", route.Dst, err)
		}
	}
	for name, value := range map[string]string{
		"net/ipv4/ip_forward":                 "1",
		"net/ipv4/conf/all/rp_filter":         "0",
		"net/bridge/bridge-nf-call-iptables":  "1", // a Service's answer from a pod on the same bridge must be translated back
		"net/bridge/bridge-nf-call-ip6tables": "1",
	} {
		err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without br_netfilter
			return err
		}
	}
	return nil
}

// routes of a node: everything by the host, the other nodes' pods by their nodes.
func routes(node layout.Node) []netlink.Route {
	all := []netlink.Route{{Dst: ipNet("0.0.0.0/0"), Gw: net.ParseIP(layout.HostAddress)}}
	for i := 1; i <= layout.MaxNodes; i++ {
		if other := layout.NodeAt(i); other != node {
			all = append(all, netlink.Route{Dst: ipNet(other.PodCIDR().String()), Gw: other.Address().AsSlice()})
		}
	}
	return all
}

// ipNet parses a constant of package layout.
func ipNet(cidr string) *net.IPNet {
	_, parsed, err := net.ParseCIDR(cidr)
	if err != nil {
		return nil
	}
	return parsed
}
