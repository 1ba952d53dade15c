package node

import (
	"encoding/json"
	"strings"
	"testing"

	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
	"sigs.k8s.io/yaml"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
)

func render(t *testing.T) map[string]string {
	t.Helper()
	all, err := files(Server{ID: "8da1f1aa-2634-4e18-a42c-066091e36ac2"}, layout.NodeAt(2), 20000)
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range all {
		if strings.Contains(text, "<no value>") || strings.Contains(text, "{{") {
			t.Errorf("%s is not filled in:\n%s", path, text)
		}
	}
	return all
}

func TestKubeletsConfiguration(t *testing.T) {
	var config kubeletv1beta1.KubeletConfiguration
	if err := yaml.UnmarshalStrict([]byte(render(t)[kubeletConfig]), &config); err != nil {
		t.Fatal(err)
	}
	if config.CgroupRoot != "/fairlead-n2" || config.KubeletCgroups != "/fairlead-n2/sys" {
		t.Errorf("cgroups are %s and %s", config.CgroupRoot, config.KubeletCgroups)
	}
	if config.MaxOpenFiles != 20000 {
		t.Errorf("maxOpenFiles is %d", config.MaxOpenFiles)
	}
	if len(config.ClusterDNS) != 1 || config.ClusterDNS[0] != "10.200.0.12" {
		t.Errorf("clusterDNS is %v", config.ClusterDNS)
	}
	if config.TLSCertFile != layout.PKIDir+"/kubelet-n2.crt" {
		t.Errorf("certificate is %s", config.TLSCertFile)
	}
}

func TestPodsNetwork(t *testing.T) {
	var config struct {
		Plugins []struct {
			Type string
			IPAM struct {
				Ranges [][]struct{ Subnet string }
			}
		}
	}
	if err := json.Unmarshal([]byte(render(t)[cniConfig]), &config); err != nil {
		t.Fatal(err)
	}
	if got := config.Plugins[0].IPAM.Ranges[0][0].Subnet; got != "10.201.2.0/24" {
		t.Errorf("pods get addresses of %s", got)
	}
}

func TestANodeIsTheServer(t *testing.T) {
	all := render(t)
	if got := all["/etc/machine-id"]; got != "8da1f1aa26344e18a42c066091e36ac2\n" {
		t.Errorf("machine-id is %q", got)
	}
	if got := all["/etc/hosts"]; !strings.Contains(got, "10.200.0.12 n2\n") {
		t.Errorf("hosts are %q", got)
	}
}

func TestRoutesLeadToEveryOtherNodesPods(t *testing.T) {
	got := map[string]string{}
	for _, route := range routes(layout.NodeAt(2)) {
		got[route.Dst.String()] = route.Gw.String()
	}
	if got["0.0.0.0/0"] != layout.HostAddress || got["10.201.1.0/24"] != "10.200.0.11" || got["10.201.9.0/24"] != "10.200.0.19" {
		t.Errorf("routes are %v", got)
	}
	if gateway, found := got["10.201.2.0/24"]; found {
		t.Errorf("its own pods are routed by %s", gateway)
	}
}
