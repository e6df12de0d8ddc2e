// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// Keys of a generation in the Secret are its name with one of these at the end.
const (
	certSuffix = ".crt"
	keySuffix  = ".key"
	namePrefix = "ca-"
)

// Generation is one CA: a certificate and its key.
type Generation struct {
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewGeneration makes a CA that is valid from now on. Its name follows from its
// certificate, so two writers that each make one never overwrite the other's.
func NewGeneration(policy Policy, now time.Time) (Generation, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Generation{}, fmt.Errorf("making the CA's key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return Generation{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Kuda CA " + serial.Text(16), Organization: []string{"kuda.io"}},
		NotBefore:             now.Add(-policy.Backdate),
		NotAfter:              now.Add(policy.Lifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return Generation{}, fmt.Errorf("signing the CA's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Generation{}, fmt.Errorf("reading the CA's new certificate: %w", err)
	}
	return Generation{name: nameOf(cert), cert: cert, key: key}, nil
}

// Name identifies the generation.
func (g Generation) Name() string { return g.name }

// NotAfter is when it expires.
func (g Generation) NotAfter() time.Time { return g.cert.NotAfter }

// CertificatePEM is the public part.
func (g Generation) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.cert.Raw})
}

// SecretKeys are the generation's keys in the Secret.
func (g Generation) SecretKeys() []string {
	return []string{g.name + certSuffix, g.name + keySuffix}
}

// SecretData is the generation as it is kept in the Secret.
func (g Generation) SecretData() (map[string][]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(g.key)
	if err != nil {
		return nil, fmt.Errorf("encoding the CA's key: %w", err)
	}
	return map[string][]byte{
		g.name + certSuffix: g.CertificatePEM(),
		g.name + keySuffix:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}, nil
}

// ParseGenerations reads the Secret's data, sorted by name. Keys that are not
// of a generation are left alone. A generation that cannot be read is left out
// and named in the error, so that one bad entry does not take the others away.
func ParseGenerations(data map[string][]byte) ([]Generation, error) {
	var generations []Generation
	var errs []error
	for key, certPEM := range data {
		name, isCert := strings.CutSuffix(key, certSuffix)
		if !isCert || !strings.HasPrefix(name, namePrefix) {
			continue
		}
		g, err := parseGeneration(name, certPEM, data[name+keySuffix])
		if err != nil {
			errs = append(errs, fmt.Errorf("reading CA %s: %w", name, err))
			continue
		}
		generations = append(generations, g)
	}
	slices.SortFunc(generations, func(a, b Generation) int { return strings.Compare(a.name, b.name) })
	return generations, errors.Join(errs...)
}

func parseGeneration(name string, certPEM, keyPEM []byte) (Generation, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return Generation{}, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return Generation{}, errors.New("the key is not an ECDSA key")
	}
	if !pair.Leaf.IsCA {
		return Generation{}, errors.New("the certificate is not a CA's")
	}
	return Generation{name: name, cert: pair.Leaf, key: key}, nil
}

// Certificate is a serving certificate and how long it is good.
type Certificate struct {
	TLS tls.Certificate
	// Signer is the name of the generation that signed it.
	Signer string
	// NotAfter is when it expires; RenewAt is two thirds of the way there.
	NotAfter, RenewAt time.Time
}

// Issue makes a serving certificate for the names, which ends no later than its CA.
func (g Generation) Issue(policy Policy, names []string, now time.Time) (*Certificate, error) {
	if len(names) == 0 {
		return nil, errors.New("issuing a certificate: no name given")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a certificate's key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	notAfter := now.Add(policy.Leaf)
	if g.NotAfter().Before(notAfter) {
		notAfter = g.NotAfter()
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: names[0]},
		DNSNames:     names,
		NotBefore:    now.Add(-policy.Backdate),
		NotAfter:     notAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, g.cert, key.Public(), g.key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate for %s: %w", names[0], err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the new certificate for %s: %w", names[0], err)
	}
	return &Certificate{
		TLS:      tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf},
		Signer:   g.name,
		NotAfter: leaf.NotAfter,
		RenewAt:  now.Add(leaf.NotAfter.Sub(now) * 2 / 3),
	}, nil
}

func newSerial() (*big.Int, error) {
	// RFC 5280, 4.1.2.2: positive and at most 20 octets.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("making a serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil
}

func nameOf(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return namePrefix + hex.EncodeToString(sum[:8])
}
