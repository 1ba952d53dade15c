package address

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

var devices atomic.Int32

// newDevice makes a network device of this test's own.
func newDevice(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network devices need root")
	}
	name := fmt.Sprintf("fl%x-%d", os.Getpid(), devices.Add(1))
	// A bridge, like the lab's; kernels without modules may lack the dummy device.
	link := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
	must(t, netlink.LinkAdd(link))
	t.Cleanup(func() { _ = netlink.LinkDel(link) })
	must(t, netlink.LinkSetUp(link))
	return name
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func on(t *testing.T, device string) []string {
	t.Helper()
	link, err := netlink.LinkByName(device)
	must(t, err)
	all, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	must(t, err)
	found := []string{}
	for _, a := range all {
		if !a.IP.IsLinkLocalUnicast() {
			found = append(found, a.IPNet.String())
		}
	}
	slices.Sort(found)
	return found
}

func expect(t *testing.T, device string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), on(t, device)); diff != "" {
		t.Errorf("addresses of %s: %s", device, diff)
	}
}

func ips(s ...string) []netip.Addr {
	all := make([]netip.Addr, len(s))
	for i := range s {
		all[i] = netip.MustParseAddr(s[i])
	}
	return all
}

func rule(network, device string) Rule { return Rule{netip.MustParsePrefix(network), device} }

func newManager(t *testing.T, file string, rules ...Rule) *Manager {
	t.Helper()
	m, err := New(rules, file)
	must(t, err)
	return m
}

func TestAnOwnersAddressesAreExactlyThoseOfTheLastSet(t *testing.T) {
	d := newDevice(t)
	m := newManager(t, filepath.Join(t.TempDir(), "state", "addresses.json"), rule("198.18.7.0/24", d), rule("fd00:7::/64", d))
	for range 2 {
		must(t, m.Set(t.Context(), "a", ips("198.18.7.1", "198.18.7.2", "fd00:7::1", "127.0.0.9")))
		expect(t, d, "198.18.7.1/32", "198.18.7.2/32", "fd00:7::1/128")
	}
	l, err := net.Listen("tcp", "[fd00:7::1]:0") // usable at once
	must(t, err)
	l.Close()
	must(t, m.Set(t.Context(), "a", ips("198.18.7.2", "198.18.7.3")))
	expect(t, d, "198.18.7.2/32", "198.18.7.3/32")
	for range 2 {
		must(t, m.Set(t.Context(), "a", nil))
		expect(t, d)
	}
}

func TestAnAddressStaysUntilItsLastOwnerLeaves(t *testing.T) {
	d := newDevice(t)
	m := newManager(t, filepath.Join(t.TempDir(), "addresses.json"), rule("198.18.7.0/24", d))
	floating := ips("198.18.7.1")
	must(t, m.Set(t.Context(), "old", floating))
	must(t, m.Set(t.Context(), "new", floating)) // a floating IP moves, and the new owner is told first
	must(t, m.Set(t.Context(), "old", nil))
	expect(t, d, "198.18.7.1/32")
	must(t, m.Set(t.Context(), "new", nil))
	expect(t, d)
}

func TestTheMostSpecificRuleNamesTheDevice(t *testing.T) {
	wide, narrow := newDevice(t), newDevice(t)
	m := newManager(t, filepath.Join(t.TempDir(), "addresses.json"), rule("198.18.0.0/15", wide), rule("198.18.7.0/24", narrow))
	must(t, m.Set(t.Context(), "a", ips("198.18.7.1", "198.18.8.1")))
	expect(t, wide, "198.18.8.1/32")
	expect(t, narrow, "198.18.7.1/32")
	err := m.Set(t.Context(), "a", ips("198.18.7.1", "192.0.2.1"))
	if err == nil || !strings.Contains(err.Error(), "192.0.2.1: no device is configured") {
		t.Errorf("an address of an unknown network: %v", err)
	}
	expect(t, narrow, "198.18.7.1/32")
}

func TestAnAddressThatWasThereBeforeUsStays(t *testing.T) {
	d := newDevice(t)
	link, err := netlink.LinkByName(d)
	must(t, err)
	own, err := netlink.ParseAddr("198.18.7.1/24")
	must(t, err)
	must(t, netlink.AddrAdd(link, own))
	file := filepath.Join(t.TempDir(), "addresses.json")
	must(t, newManager(t, file, rule("198.18.7.0/24", d)).Set(t.Context(), "a", ips("198.18.7.1")))
	m := newManager(t, file, rule("198.18.7.0/24", d)) // a restart does not make it ours
	must(t, m.Set(t.Context(), "a", ips("198.18.7.1")))
	must(t, m.Set(t.Context(), "a", nil))
	expect(t, d, "198.18.7.1/24")
}

func TestAProcessAfterACrashGoesOn(t *testing.T) {
	tests := []struct {
		name  string
		after func(t *testing.T, m *Manager)
		want  []string
	}{
		{"the owner's new addresses replace the old ones", func(t *testing.T, m *Manager) {
			must(t, m.Set(t.Context(), "a", ips("198.18.7.2", "198.18.7.3")))
		}, []string{"198.18.7.2/32", "198.18.7.3/32", "198.18.7.9/32"}},
		{"an owner that was removed meanwhile leaves nothing", func(t *testing.T, m *Manager) {
			must(t, m.Set(t.Context(), "a", nil))
		}, []string{"198.18.7.9/32"}},
		{"cleanup takes everything", func(t *testing.T, m *Manager) { must(t, m.Cleanup(t.Context())) }, nil},
		{"an address that somebody removed by hand is added again", func(t *testing.T, m *Manager) {
			must(t, remove(m.rules[0].Device, netip.MustParseAddr("198.18.7.1")))
			must(t, m.Set(t.Context(), "a", ips("198.18.7.1", "198.18.7.2")))
		}, []string{"198.18.7.1/32", "198.18.7.2/32", "198.18.7.9/32"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, file := newDevice(t), filepath.Join(t.TempDir(), "addresses.json")
			killed := newManager(t, file, rule("198.18.7.0/24", d))
			must(t, killed.Set(t.Context(), "a", ips("198.18.7.1", "198.18.7.2")))
			must(t, killed.Set(t.Context(), "b", ips("198.18.7.9")))
			tt.after(t, newManager(t, file, rule("198.18.7.0/24", d)))
			expect(t, d, tt.want...)
		})
	}
}

func TestADeviceThatIsGoneTookItsAddressesAlong(t *testing.T) {
	d := newDevice(t)
	m := newManager(t, filepath.Join(t.TempDir(), "addresses.json"), rule("198.18.7.0/24", d))
	must(t, m.Set(t.Context(), "a", ips("198.18.7.1")))
	link, err := netlink.LinkByName(d)
	must(t, err)
	must(t, netlink.LinkDel(link))
	if err := m.Set(t.Context(), "a", ips("198.18.7.1")); err == nil || !strings.Contains(err.Error(), d) {
		t.Errorf("set without the device: %v", err)
	}
	must(t, m.Set(t.Context(), "a", nil))
	must(t, m.Cleanup(t.Context()))
}
