// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
)

func TestServerIsTrustedByItsNamesAndAddressesOnly(t *testing.T) {
	ca, err := NewAuthority("cluster")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(Request{Name: "kube-apiserver", Hosts: []string{"10.96.0.1", "kubernetes.default.svc"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair(pair.Cert, pair.Key); err != nil {
		t.Errorf("certificate and key do not belong together: %v", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca.Cert) {
		t.Fatal("the authority's certificate cannot be read")
	}
	cert := parse(t, pair.Cert)
	for host, want := range map[string]bool{"10.96.0.1": true, "kubernetes.default.svc": true, "10.96.0.2": false, "evil": false} {
		_, err := cert.Verify(x509.VerifyOptions{DNSName: host, Roots: roots})
		if (err == nil) != want {
			t.Errorf("trusted as %s: %v, want %v (%v)", host, err == nil, want, err)
		}
	}
}

func TestClientCertificateCannotServe(t *testing.T) {
	ca, err := NewAuthority("cluster")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(Request{Name: "system:node:node1", Groups: []string{"system:nodes"}})
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, pair.Cert)
	if cert.Subject.CommonName != "system:node:node1" || cert.Subject.Organization[0] != "system:nodes" {
		t.Errorf("subject is %v", cert.Subject)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parse(t, ca.Cert))
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err == nil {
		t.Error("a client's certificate is good for a server")
	}
	other, err := NewAuthority("cluster")
	if err != nil {
		t.Fatal(err)
	}
	strangers := x509.NewCertPool()
	strangers.AddCert(parse(t, other.Cert))
	if _, err := cert.Verify(x509.VerifyOptions{Roots: strangers, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
		t.Error("another cluster's authority vouches for our client")
	}
}

func TestKubeconfigIsForItsOwnerOnlyAndCarriesTheKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := WriteKubeconfig(path, "https://10.200.0.1:6443", []byte("CA"), Pair{Cert: []byte("C"), Key: []byte("K")}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Users []struct {
			User struct {
				Key []byte `json:"client-key-data"`
			}
		}
		Context string `json:"current-context"`
	}
	if err := json.Unmarshal(body, &config); err != nil {
		t.Fatal(err)
	}
	if string(config.Users[0].User.Key) != "K" || config.Context != "kuda-dev" {
		t.Errorf("config is %+v", config)
	}
}

func parse(t *testing.T, body []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(body)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
