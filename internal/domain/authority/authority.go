// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package authority

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strconv"
	"strings"
	"time"
)

// Describe says in a few words which certificates a bundle (PEM) has and until when
// they are valid; "" for none. The description is for IsReplaced.
func Describe(bundle []byte) string {
	var words []string
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue
		}
		sum := sha256.Sum256(cert.Raw)
		words = append(words, hex.EncodeToString(sum[:8])+"@"+strconv.FormatInt(cert.NotAfter.Unix(), 10))
	}
	return strings.Join(words, ",")
}

// IsReplaced reports whether the certificates that were given are those of an
// installation that is gone: one is still valid, and none is published now. Of given
// certificates that have all expired nothing is known: the installation may have
// rotated them, and its runtimes heard of the next ones while they were connected.
func IsReplaced(given, published string, now time.Time) bool {
	if given == "" || published == "" {
		return false
	}
	present := map[string]bool{}
	for word := range strings.SplitSeq(published, ",") {
		fingerprint, _, _ := strings.Cut(word, "@")
		present[fingerprint] = true
	}
	valid := false
	for word := range strings.SplitSeq(given, ",") {
		fingerprint, until, _ := strings.Cut(word, "@")
		if present[fingerprint] {
			return false
		}
		seconds, err := strconv.ParseInt(until, 10, 64)
		valid = valid || err == nil && now.Before(time.Unix(seconds, 0))
	}
	return valid
}
