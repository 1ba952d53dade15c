package openstack

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// writeCertificates makes the authority with which Octavia signs its amphorae's certificates, and Octavia's own client
// certificate, unless they are there. No amphora exists that would check them.
func writeCertificates(dir string) error {
	client := filepath.Join(dir, "client.pem")
	if _, err := os.Stat(client); err == nil {
		return nil
	}
	caKey, caKeyText, err := newKey()
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fairlead-octavia-ca"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:  x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	caText, err := sign(ca, ca, caKey, caKey)
	if err != nil {
		return err
	}
	key, keyText, err := newKey()
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "octavia"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
	}
	leafText, err := sign(leaf, ca, key, caKey)
	if err != nil {
		return err
	}
	return errors.Join(
		writeFile(filepath.Join(dir, "ca.pem"), caText),
		writeFile(filepath.Join(dir, "ca.key"), caKeyText),
		writeFile(client, append(leafText, keyText...)), // last: it says that all are there
	)
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), err
}

func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) ([]byte, error) {
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), err
}

// writeKeys makes a repository of Fernet keys as `keystone-manage fernet_setup` does, which takes longer: 1 is the
// present key, 0 the next.
func writeKeys(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir+".new", 0o700); err != nil {
		return err
	}
	for _, name := range []string{"0", "1"} {
		var key [32]byte
		_, _ = rand.Read(key[:]) // never fails
		if err := writeFile(filepath.Join(dir+".new", name), []byte(base64.URLEncoding.EncodeToString(key[:]))); err != nil {
			return err
		}
	}
	return os.Rename(dir+".new", dir)
}
