// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate: certificate, key: key}
}

// leaf is a certificate of that name for the usage, and long expired if so asked.
func (a *authority) leaf(t *testing.T, name string, usage x509.ExtKeyUsage, expired bool) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{usage},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if expired {
		template.NotAfter = time.Now().Add(-time.Minute)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) write(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start serves "ok" and returns the address.
func start(t *testing.T, clients *Clients) string {
	t.Helper()
	certificate := newAuthority(t).leaf(t, "webhook", x509.ExtKeyUsageServerAuth, false)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	s := New(Options{Address: address, Clients: clients,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }})
	s.Register("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for s.StartedChecker()(nil) != nil {
		<-again.C
	}
	return address
}

// client has the certificate, if any, and calls from the address.
func client(t *testing.T, certificate *tls.Certificate, from string) *http.Client {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
	if certificate != nil {
		config.Certificates = []tls.Certificate{*certificate}
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func ask(c *http.Client, address string) error {
	resp, err := c.Get("https://" + address + "/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
}

func TestOnlyCallersWithTheRightCertificateAreAnswered(t *testing.T) {
	ours, other := newAuthority(t), newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	ours.write(t, file)
	clients, err := NewClients(file, []string{"kube-apiserver"})
	if err != nil {
		t.Fatal(err)
	}
	address := start(t, clients)
	for name, c := range map[string]struct {
		certificate *tls.Certificate
		answered    bool
	}{
		"the API server":          {ours.leaf(t, "kube-apiserver", x509.ExtKeyUsageClientAuth, false), true},
		"another name":            {ours.leaf(t, "kubelet", x509.ExtKeyUsageClientAuth, false), false},
		"another authority":       {other.leaf(t, "kube-apiserver", x509.ExtKeyUsageClientAuth, false), false},
		"expired":                 {ours.leaf(t, "kube-apiserver", x509.ExtKeyUsageClientAuth, true), false},
		"a server's certificate":  {ours.leaf(t, "kube-apiserver", x509.ExtKeyUsageServerAuth, false), false},
		"no certificate":          {nil, false},
		"a name with another end": {ours.leaf(t, "kube-apiserver.evil", x509.ExtKeyUsageClientAuth, false), false},
	} {
		if err := ask(client(t, c.certificate, "127.0.0.1"), address); (err == nil) != c.answered {
			t.Errorf("%s: got %v", name, err)
		}
	}
	// Another authority in the file replaces the first without a restart.
	other.write(t, file)
	if err := os.Chtimes(file, time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := ask(client(t, other.leaf(t, "kube-apiserver", x509.ExtKeyUsageClientAuth, false), "127.0.0.1"), address); err != nil {
		t.Errorf("after the change: %v", err)
	}
	if err := ask(client(t, ours.leaf(t, "kube-apiserver", x509.ExtKeyUsageClientAuth, false), "127.0.0.1"), address); err == nil {
		t.Error("the authority that was taken out is still believed")
	}
}

func TestAFileWithoutCertificatesIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{file, file + ".missing"} {
		if _, err := NewClients(f, nil); err == nil {
			t.Errorf("%s was taken", f)
		}
	}
}

func TestAFloodOfConnectionsClosesNoneThatIsInUse(t *testing.T) {
	address := start(t, nil)
	known := client(t, nil, "127.0.0.9")
	dialed := 0
	transport, _ := known.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialed++
		return dial(ctx, network, address)
	}
	if err := ask(known, address); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxConnections {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			_, _ = io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") // the beginning of a ClientHello
		}
		if i%100 == 0 {
			if err := ask(known, address); err != nil {
				t.Fatalf("after %d connections: %v", i, err)
			}
		}
	}
	if dialed != 1 {
		t.Errorf("the caller had to connect %d times", dialed)
	}
	if err := ask(client(t, nil, "127.0.0.1"), address); err != nil {
		t.Errorf("a new caller from the flood's address: %v", err)
	}
}
