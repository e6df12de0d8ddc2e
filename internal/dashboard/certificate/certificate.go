// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"sync"
	"time"
)

// selfLife is how long a certificate that is issued to itself is good for.
const selfLife = 365 * 24 * time.Hour

// Files is the certificate of two files, with what they had when they were last read.
type Files struct {
	cert, key string

	mu     sync.Mutex
	loaded *tls.Certificate
	at     time.Time
}

// Open reads the files; it returns an error where they hold no certificate and its key.
func Open(cert, key string) (*Files, error) {
	f := &Files{cert: cert, key: key}
	if _, err := f.Get(nil); err != nil {
		return nil, err
	}
	return f, nil
}

// Get returns the certificate for a connection. Files that were swapped are read again;
// while they cannot be read, the certificate before them is served.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.cert)
	if err == nil && f.loaded != nil && info.ModTime().Equal(f.at) {
		return f.loaded, nil
	}
	pair, loadErr := tls.LoadX509KeyPair(f.cert, f.key)
	switch {
	case loadErr == nil:
		f.loaded = &pair
		if err == nil {
			f.at = info.ModTime()
		}
	case f.loaded == nil:
		return nil, fmt.Errorf("reading the certificate of --tls-cert-file and --tls-key-file: %w", loadErr)
	}
	return f.loaded, nil
}

// Self is a certificate that nothing trusts, issued anew before it ends: a server may run for
// longer than any certificate is good for.
type Self struct {
	names []string
	now   func() time.Time

	mu     sync.Mutex
	issued *tls.Certificate
	until  time.Time
}

// NewSelf issues the first one; now is the clock.
func NewSelf(names []string, now func() time.Time) (*Self, error) {
	s := &Self{names: names, now: now}
	_, err := s.Get(nil)
	return s, err
}

// Get returns the certificate for a connection.
func (s *Self) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.issued != nil && now.Before(s.until) {
		return s.issued, nil
	}
	issued, err := IssueSelf(s.names, now)
	switch {
	case err == nil:
		s.issued, s.until = issued, now.Add(selfLife/2)
	case s.issued == nil:
		return nil, err
	}
	return s.issued, nil
}

// IssueSelf returns a certificate for these names that nothing trusts: a proxy in front may
// be told to take it, and a person may look at it through a port forward.
func IssueSelf(names []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("making a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "kuda-dashboard"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(selfLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: append([]string{"localhost"}, names...), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("issuing the certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
