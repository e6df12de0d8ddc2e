// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package uplink

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
)

// trust is what the gateway's certificate is checked against. Certificates that
// the gateway announced replace those that the pod was born with, and are
// remembered across restarts.
type trust struct {
	file string
	// source is read again when the gateway is not accepted; "": there is none.
	source string

	mu   sync.Mutex
	pem  []byte
	pool *x509.CertPool
}

func newTrust(initial []byte, file, source string) (*trust, error) {
	t := &trust{file: file, source: source}
	if file != "" {
		announced, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reading the announced certificates: %w", err)
		}
		if pool, err := parseBundle(announced, time.Now()); err == nil {
			t.pem, t.pool = announced, pool
			return t, nil
		}
	}
	pool, err := parseBundle(initial, time.Now())
	if err != nil && source != "" {
		return t, nil // they are read when they are needed
	}
	if err != nil {
		return nil, fmt.Errorf("reading the gateway's certificates: %w", err)
	}
	t.pem, t.pool = initial, pool
	return t, nil
}

// updateBundle takes newer certificates; ones that cannot be used change nothing.
func (t *trust) updateBundle(bundle []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(bundle) == 0 || bytes.Equal(bundle, t.pem) {
		return nil
	}
	pool, err := parseBundle(bundle, time.Now())
	if err != nil {
		return fmt.Errorf("reading the announced certificates: %w", err)
	}
	t.pem, t.pool = bundle, pool
	if t.file == "" {
		return nil
	}
	return atomicfile.Write(t.file, bundle, 0o600)
}

func (t *trust) verifyConnection(host string, cs tls.ConnectionState) error {
	t.mu.Lock()
	pool := t.pool
	t.mu.Unlock()
	err := errNoCertificates
	if pool != nil {
		err = verifyWith(pool, host, cs)
	}
	if err == nil || t.source == "" {
		return err
	}
	return t.verifyBySource(host, cs, err)
}

// errNoCertificates says that there is nothing yet to check the gateway's certificate against.
var errNoCertificates = errors.New("there are no certificates to check the gateway against")

// verifyBySource checks a certificate that was not accepted against what the source says
// now, and goes on with that where it is accepted.
func (t *trust) verifyBySource(host string, cs tls.ConnectionState, refused error) error {
	bundle, err := os.ReadFile(t.source)
	if err != nil {
		return fmt.Errorf("%w (reading %s: %w)", refused, t.source, err)
	}
	pool, err := parseBundle(bundle, time.Now())
	if err != nil {
		return fmt.Errorf("%w (reading %s: %w)", refused, t.source, err)
	}
	if err := verifyWith(pool, host, cs); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pem, t.pool = bundle, pool
	return nil
}

// parseBundle makes a pool; at least one certificate must not have expired.
func parseBundle(bundle []byte, now time.Time) (*x509.CertPool, error) {
	pool, valid := x509.NewCertPool(), 0
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		pool.AddCert(cert)
		if now.Before(cert.NotAfter) {
			valid++
		}
	}
	if valid == 0 {
		return nil, errors.New("no certificate in PEM that is still valid")
	}
	return pool, nil
}
