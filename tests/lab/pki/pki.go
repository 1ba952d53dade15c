// Package pki makes the cluster's certificates and kubeconfigs.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
)

// lifetime of every certificate; the lab does not live longer.
const lifetime = 365 * 24 * time.Hour

// An Authority signs certificates.
type Authority struct {
	Certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes a self-signed one.
func NewAuthority(name string, now time.Time) (*Authority, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	cert, err := sign(template, nil, key.Public(), key, now)
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", name, err)
	}
	return &Authority{Certificate: cert, key: key}, nil
}

// A Request says what a certificate is for.
type Request struct {
	Name   string   // common name: the user
	Groups []string // organizations: the user's groups
	Hosts  []string // names and addresses of a server; none makes a client's certificate
}

// A Pair is a certificate with its key, both PEM.
type Pair struct{ Certificate, Key []byte }

// Issue signs a certificate for a new key.
func (a *Authority) Issue(request Request, now time.Time) (Pair, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: request.Name, Organization: request.Groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if len(request.Hosts) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, host := range request.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	cert, err := sign(template, a.Certificate, key.Public(), a.key, now)
	if err != nil {
		return Pair{}, fmt.Errorf("certificate %s: %w", request.Name, err)
	}
	keyPEM, err := privatePEM(key)
	return Pair{Certificate: certificatePEM(cert), Key: keyPEM}, err
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func sign(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = now.Add(-time.Minute), now.Add(lifetime)
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func certificatePEM(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

func privatePEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func publicPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// kubeconfig renders a kubeconfig with everything embedded.
func (a *Authority) kubeconfig(server string, client Pair) ([]byte, error) {
	const name = "fairlead-lab"
	config := api.NewConfig()
	config.Clusters[name] = &api.Cluster{Server: server, CertificateAuthorityData: certificatePEM(a.Certificate)}
	config.AuthInfos[name] = &api.AuthInfo{ClientCertificateData: client.Certificate, ClientKeyData: client.Key}
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.Write(*config)
}

// Files of the directory that WriteAll fills, beside NAME.kubeconfig of the users.
const (
	CA                = "ca.crt"
	FrontCA           = "front-ca.crt"
	ServiceAccount    = "service-account.key"
	ServiceAccountPub = "service-account.pub"
)

// users of the API; node users come on top.
var users = map[string]Request{
	"admin":                   {Name: "admin", Groups: []string{"system:masters"}},
	"kube-controller-manager": {Name: "system:kube-controller-manager"},
	"kube-scheduler":          {Name: "system:kube-scheduler"},
	"kube-proxy":              {Name: "system:kube-proxy"},
}

// NodeUser is the name of a node's kubeconfig.
func NodeUser(node layout.Node) string { return "node-" + node.Name }

// Kubelet is the name of the certificate that a node's kubelet serves.
func Kubelet(node layout.Node) string { return "kubelet-" + node.Name }

// WriteAll makes everything anew below dir: NAME.crt and NAME.key of servers and of the API server's own clients,
// NAME.kubeconfig of its users, and the service accounts' key.
func WriteAll(dir string, nodes []layout.Node, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ca, err := NewAuthority("kubernetes-ca", now)
	if err != nil {
		return err
	}
	front, err := NewAuthority("front-proxy-ca", now)
	if err != nil {
		return err
	}
	err = errors.Join(
		write(dir, CA, certificatePEM(ca.Certificate)),
		write(dir, FrontCA, certificatePEM(front.Certificate)),
		writeAuthorityKey(dir, ca),
		writeServiceAccountKey(dir),
		writePair(dir, "front-client", front, Request{Name: "front-proxy-client"}, now),
		writePair(dir, "kubelet-client", ca, Request{Name: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}}, now),
		writePair(dir, "apiserver", ca, Request{Name: "kube-apiserver", Hosts: []string{
			layout.HostAddress, "127.0.0.1", layout.APIService, "localhost", "kubernetes", "kubernetes.default",
			"kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}}, now),
	)
	if err != nil {
		return err
	}
	for name, request := range users {
		if err := writeKubeconfig(dir, name, ca, request, now); err != nil {
			return err
		}
	}
	for _, node := range nodes {
		err := errors.Join(
			writeKubeconfig(dir, NodeUser(node), ca, Request{Name: "system:node:" + node.Name, Groups: []string{"system:nodes"}}, now),
			writePair(dir, Kubelet(node), ca, Request{Name: node.Name, Hosts: []string{node.Name, node.Address().String()}}, now),
		)
		if err != nil {
			return err
		}
	}
	return nil
}

func write(dir, name string, data []byte) error {
	return os.WriteFile(filepath.Join(dir, name), data, 0o600)
}

func writePair(dir, name string, ca *Authority, request Request, now time.Time) error {
	pair, err := ca.Issue(request, now)
	if err != nil {
		return err
	}
	return errors.Join(write(dir, name+".crt", pair.Certificate), write(dir, name+".key", pair.Key))
}

// writeAuthorityKey lets the controller manager sign CertificateSigningRequests.
func writeAuthorityKey(dir string, ca *Authority) error {
	data, err := privatePEM(ca.key)
	if err != nil {
		return err
	}
	return write(dir, "ca.key", data)
}

func writeServiceAccountKey(dir string) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	private, err := privatePEM(key)
	if err != nil {
		return err
	}
	public, err := publicPEM(key)
	if err != nil {
		return err
	}
	return errors.Join(write(dir, ServiceAccount, private), write(dir, ServiceAccountPub, public))
}

func writeKubeconfig(dir, name string, ca *Authority, request Request, now time.Time) error {
	pair, err := ca.Issue(request, now)
	if err != nil {
		return err
	}
	data, err := ca.kubeconfig(layout.APIServerURL, pair)
	if err != nil {
		return err
	}
	return write(dir, name+".kubeconfig", data)
}
