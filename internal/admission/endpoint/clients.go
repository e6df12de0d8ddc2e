// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// Clients are the callers that a certificate proves.
type Clients struct {
	file  string
	names []string

	mu       sync.Mutex
	pool     *x509.CertPool
	modified time.Time
}

// NewClients returns those whose certificates are signed by an authority in the
// file (PEM) and bear one of the names, as common name or DNS name; without names
// any. The file is read again when it changes.
func NewClients(file string, names []string) (*Clients, error) {
	c := &Clients{file: file, names: names}
	if _, err := c.clientCAs(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Clients) clientCAs() (*x509.CertPool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.file)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities of clients: %w", err)
	}
	if c.pool != nil && info.ModTime().Equal(c.modified) {
		return c.pool, nil
	}
	content, err := os.ReadFile(c.file)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities of clients: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("reading the authorities of clients: %s holds no certificate (PEM)", c.file)
	}
	c.pool, c.modified = pool, info.ModTime()
	return pool, nil
}

var (
	errNoCertificate = errors.New("a client certificate is needed")
	errOtherName     = errors.New("the client certificate does not bear a name of --client-names")
)

// verifyConnection checks a connection of which the handshake proved that the caller has
// the key of its certificate.
func (c *Clients) verifyConnection(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errNoCertificate
	}
	pool, err := c.clientCAs()
	if err != nil {
		return err
	}
	leaf := state.PeerCertificates[0]
	intermediates := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates[1:] {
		intermediates.AddCert(certificate)
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: pool, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("checking the client certificate: %w", err)
	}
	if len(c.names) > 0 && !slices.Contains(c.names, leaf.Subject.CommonName) &&
		!slices.ContainsFunc(leaf.DNSNames, func(name string) bool { return slices.Contains(c.names, name) }) {
		return errOtherName
	}
	return nil
}
