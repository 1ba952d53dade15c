package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
)

func TestWriteAll(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	nodes := []layout.Node{layout.NodeAt(1), layout.NodeAt(2)}
	if err := WriteAll(dir, nodes, now); err != nil {
		t.Fatal(err)
	}
	roots := pool(t, filepath.Join(dir, CA))

	servers := []struct{ name, pair, host string }{
		{"the API server by the hosts' address", "apiserver", layout.HostAddress},
		{"the API server by its Service's address", "apiserver", layout.APIService},
		{"the API server by its Service's name", "apiserver", "kubernetes.default.svc"},
		{"the first kubelet by its address", "kubelet-n1", "10.200.0.11"},
		{"the second kubelet by its name", "kubelet-n2", "n2"},
	}
	for _, tt := range servers {
		t.Run(tt.name, func(t *testing.T) {
			cert := load(t, dir, tt.pair)
			_, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: tt.host, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
			if err != nil {
				t.Error(err)
			}
		})
	}

	clients := []struct {
		config, user string
		groups       []string
	}{
		{"admin", "admin", []string{"system:masters"}},
		{"kube-scheduler", "system:kube-scheduler", nil},
		{"node-n2", "system:node:n2", []string{"system:nodes"}},
	}
	for _, tt := range clients {
		t.Run("the kubeconfig of "+tt.user, func(t *testing.T) {
			config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, tt.config+".kubeconfig"))
			if err != nil {
				t.Fatal(err)
			}
			if config.Host != layout.APIServerURL {
				t.Errorf("server is %s", config.Host)
			}
			pair, err := tls.X509KeyPair(config.CertData, config.KeyData)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
				t.Error(err)
			}
			if got := pair.Leaf.Subject.CommonName; got != tt.user {
				t.Errorf("user is %s", got)
			}
			if diff := cmp.Diff(tt.groups, pair.Leaf.Subject.Organization); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAServersCertificateIsNoClients(t *testing.T) {
	ca, err := NewAuthority("ca", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(Request{Name: "s", Hosts: []string{"a.example", "10.0.0.1"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate)
	if _, err := parsed.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err == nil {
		t.Error("it passes as a client's")
	}
	if diff := cmp.Diff([]string{"a.example"}, parsed.Leaf.DNSNames); diff != "" {
		t.Error(diff)
	}
	if len(parsed.Leaf.IPAddresses) != 1 || !parsed.Leaf.IPAddresses[0].Equal(net.IPv4(10, 0, 0, 1)) {
		t.Errorf("addresses are %v", parsed.Leaf.IPAddresses)
	}
}

func TestKeysAreForTheOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	if err := WriteAll(dir, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", entry.Name(), info.Mode())
		}
	}
}

func pool(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(raw) {
		t.Fatalf("%s holds no certificate", file)
	}
	return roots
}

func load(t *testing.T, dir, name string) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}
