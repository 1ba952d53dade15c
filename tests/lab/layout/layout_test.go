package layout

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseNode(t *testing.T) {
	for _, name := range []string{"n1", "n9"} {
		node, err := ParseNode(name)
		if err != nil || node.Name != name || node != NodeAt(node.Index) {
			t.Errorf("ParseNode(%q) = %+v, %v", name, node, err)
		}
	}
	for _, name := range []string{"", "n0", "n10", "1", "n1 ", "../n1", "N1"} {
		if _, err := ParseNode(name); err == nil || !strings.Contains(err.Error(), "n1 to n9") {
			t.Errorf("ParseNode(%q): %v", name, err)
		}
	}
}

func TestNodesDoNotOverlap(t *testing.T) {
	fabric, pods := netip.MustParsePrefix(FabricCIDR), netip.MustParsePrefix(PodsCIDR)
	seen := map[string]int{HostAddress: 0, HostMAC: 0}
	for i := 1; i <= MaxNodes; i++ {
		node := NodeAt(i)
		if !fabric.Contains(node.Address()) {
			t.Errorf("%s is outside of %s", node.Address(), fabric)
		}
		if !pods.Contains(node.PodCIDR().Addr()) {
			t.Errorf("%s is outside of %s", node.PodCIDR(), pods)
		}
		for _, value := range []string{node.Address().String(), node.PodCIDR().String(), node.MAC(), node.NetNS(), node.Dir()} {
			if before, taken := seen[value]; taken {
				t.Errorf("%s belongs to nodes %d and %d", value, before, i)
			}
			seen[value] = i
		}
		if len(node.Veth()) > 15 {
			t.Errorf("%s is too long for a link's name", node.Veth())
		}
	}
}
