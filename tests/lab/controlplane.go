package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/lab/pki"
	"github.com/fairlead-io/fairlead/tests/lab/proc"
)

// makeBridge makes the switch that connects the nodes and this host.
func makeBridge() error {
	mac, err := net.ParseMAC(layout.HostMAC)
	if err != nil {
		return err
	}
	// Without an address of its own a bridge takes the lowest of its ports: it would change as nodes come and go.
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: layout.Bridge, HardwareAddr: mac, Flags: net.FlagUp}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make bridge %s: %w", layout.Bridge, err)
	}
	address, err := netlink.ParseAddr(layout.HostAddress + "/24")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(bridge, address); err != nil {
		return fmt.Errorf("give %s the address %s: %w", layout.Bridge, address, err)
	}
	return nil
}

// startControlPlane returns when the API server is ready.
func startControlPlane(ctx context.Context) error {
	if err := start("etcd", etcdArgs()); err != nil {
		return err
	}
	if err := awaitHTTP(ctx, "etcd", plainClient(), layout.EtcdURL+"/health"); err != nil {
		return err
	}
	if err := start("kube-apiserver", apiServerArgs()); err != nil {
		return err
	}
	client, err := apiServerClient()
	if err != nil {
		return err
	}
	if err := awaitHTTP(ctx, "kube-apiserver", client, layout.APIServerURL+"/readyz"); err != nil {
		return err
	}
	return errors.Join(
		start("kube-controller-manager", controllerManagerArgs()),
		start("kube-scheduler", schedulerArgs()),
	)
}

func apiServerClient() (*http.Client, error) {
	raw, err := os.ReadFile(filepath.Join(layout.PKIDir, pki.CA))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s holds no certificate", pki.CA)
	}
	client := plainClient()
	client.Transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	return client, nil
}

// plainClient asks the lab's servers directly, whatever proxy the environment names, and keeps no connection.
func plainClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// startTimeout bounds how long one program may take until it answers.
const startTimeout = 90 * time.Second

// awaitHTTP returns when the URL answers without an error; it gives up at once if the process has died.
func awaitHTTP(ctx context.Context, name string, client *http.Client, url string) error {
	last := errors.New("no answer")
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		if _, err := proc.Read(pidFile(name)); err != nil {
			return false, fmt.Errorf("%s has ended", name)
		}
		last = get(ctx, client, url)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("start %s: %w (%w)\n%s", name, err, last, logTail(name))
	}
	return nil
}

func get(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	// 300 is how OpenStack's services list their API versions.
	if response.StatusCode > http.StatusMultipleChoices {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return nil
}

// logTail is the end of a program's log, for an error's text.
func logTail(name string) string {
	raw, err := os.ReadFile(filepath.Join(layout.LogDir, name+".log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

func etcdArgs() []string {
	peer := fmt.Sprintf("http://127.0.0.1:%d", layout.EtcdPeerPort)
	return []string{
		layout.ToolsDir + "/etcd/etcd",
		"--name=lab",
		"--data-dir=" + layout.EtcdDir,
		"--listen-client-urls=" + layout.EtcdURL,
		"--advertise-client-urls=" + layout.EtcdURL,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=lab=" + peer,
		"--unsafe-no-fsync", // its data lives no longer than the lab
		"--log-level=warn",
	}
}

func apiServerArgs() []string {
	file := func(name string) string { return filepath.Join(layout.PKIDir, name) }
	return []string{
		layout.ToolsDir + "/kubernetes/kube-apiserver",
		"--etcd-servers=" + layout.EtcdURL,
		"--bind-address=" + layout.HostAddress,
		"--advertise-address=" + layout.HostAddress,
		fmt.Sprintf("--secure-port=%d", layout.APIServerPort),
		"--service-cluster-ip-range=" + layout.ServicesCIDR,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + file(pki.ServiceAccountPub),
		"--service-account-signing-key-file=" + file(pki.ServiceAccount),
		"--client-ca-file=" + file(pki.CA),
		"--tls-cert-file=" + file("apiserver.crt"),
		"--tls-private-key-file=" + file("apiserver.key"),
		"--kubelet-client-certificate=" + file("kubelet-client.crt"),
		"--kubelet-client-key=" + file("kubelet-client.key"),
		"--kubelet-certificate-authority=" + file(pki.CA),
		"--kubelet-preferred-address-types=InternalIP,Hostname",
		"--requestheader-client-ca-file=" + file(pki.FrontCA),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + file("front-client.crt"),
		"--proxy-client-key-file=" + file("front-client.key"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--profiling=false",
	}
}

func controllerManagerArgs() []string {
	config := filepath.Join(layout.PKIDir, "kube-controller-manager.kubeconfig")
	return []string{
		layout.ToolsDir + "/kubernetes/kube-controller-manager",
		"--kubeconfig=" + config,
		"--authentication-kubeconfig=" + config,
		"--authorization-kubeconfig=" + config,
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
		"--root-ca-file=" + filepath.Join(layout.PKIDir, pki.CA),
		"--service-account-private-key-file=" + filepath.Join(layout.PKIDir, pki.ServiceAccount),
		"--use-service-account-credentials=true",
		"--cluster-signing-cert-file=" + filepath.Join(layout.PKIDir, pki.CA),
		"--cluster-signing-key-file=" + filepath.Join(layout.PKIDir, "ca.key"),
		"--allocate-node-cidrs=false",
		"--profiling=false",
	}
}

func schedulerArgs() []string {
	config := filepath.Join(layout.PKIDir, "kube-scheduler.kubeconfig")
	return []string{
		layout.ToolsDir + "/kubernetes/kube-scheduler",
		"--kubeconfig=" + config,
		"--authentication-kubeconfig=" + config,
		"--authorization-kubeconfig=" + config,
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
		"--profiling=false",
	}
}
