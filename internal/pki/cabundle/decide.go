// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cabundle

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"time"
)

// verdict is what is to be done about one caBundle.
type verdict struct {
	// write says that it is to be replaced by the replica's own bundle.
	write bool
	// trusted says that clients of the bundle as it is accept the replica's certificates.
	trusted bool
}

// compareBundles compares the caBundle of a webhook with the replica's own. The newer
// one, by its newest certificate, is right.
func compareBundles(current, own, signer []byte) verdict {
	trusted := containsSigner(current, signer)
	if bytes.Equal(bytes.TrimSpace(current), bytes.TrimSpace(own)) {
		return verdict{trusted: trusted}
	}
	return verdict{write: !trusted || !newestNotBefore(current).After(newestNotBefore(own)), trusted: trusted}
}

// newestNotBefore is when the newest certificate of a bundle begins to be valid; zero for none.
func newestNotBefore(bundle []byte) time.Time {
	var last time.Time
	for _, cert := range parseCertificates(bundle) {
		if cert.NotBefore.After(last) {
			last = cert.NotBefore
		}
	}
	return last
}

func containsSigner(bundle, signer []byte) bool {
	want := parseCertificates(signer)
	for _, cert := range parseCertificates(bundle) {
		if len(want) == 1 && cert.Equal(want[0]) {
			return true
		}
	}
	return false
}

func parseCertificates(bundle []byte) []*x509.Certificate {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return certs
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			certs = append(certs, cert)
		}
	}
}
