// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package managertest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Expired returns the token as it would be if its time had ended a minute ago:
// the same claims but the times, signed anew with the API server's own key.
// The API server issues no token that lives for less than ten minutes.
func (c *Cluster) Expired(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token has %d parts, want 3", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	claims["iat"], claims["nbf"] = now.Add(-time.Hour).Unix(), now.Add(-time.Hour).Unix()
	claims["exp"] = now.Add(-time.Minute).Unix()
	if raw, err = json.Marshal(claims); err != nil {
		t.Fatal(err)
	}
	return c.signToken(t, parts[0]+"."+base64.RawURLEncoding.EncodeToString(raw))
}

// Resigned returns the token with nothing changed but its signature, made anew:
// what shows that Expired fails for its times and not for how it was signed.
func (c *Cluster) Resigned(t *testing.T, token string) string {
	t.Helper()
	return c.signToken(t, token[:strings.LastIndex(token, ".")])
}

// signToken adds the signature (ES256, RFC 7518 section 3.4) of the API server's key.
func (c *Cluster) signToken(t *testing.T, signed string) string {
	t.Helper()
	key, err := signingKey(filepath.Join(c.environment.ControlPlane.GetAPIServer().CertDir, "sa-signer.key"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature[:])
}

func signingKey(file string) (*ecdsa.PrivateKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", file)
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	signer, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T, want a P-256 key", file, key)
	}
	return signer, nil
}
