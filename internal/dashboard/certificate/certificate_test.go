// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package certificate

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// store writes a new certificate for a name into the directory, as if at that time.
func store(t *testing.T, dir, name string, at time.Time) (cert, key string) {
	t.Helper()
	own, err := IssueSelf([]string{name}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: own.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: raw},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func nameOf(t *testing.T, f *Files) string {
	t.Helper()
	pair, err := f.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.DNSNames[1]
}

func TestACertificateThatIsReplacedIsServedWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	files, err := Open(store(t, dir, "first", time.Unix(1000, 0)))
	if err != nil {
		t.Fatal(err)
	}
	if got := nameOf(t, files); got != "first" {
		t.Error(got)
	}
	cert, key := store(t, dir, "second", time.Unix(2000, 0))
	if got := nameOf(t, files); got != "second" {
		t.Error(got)
	}
	if err := os.WriteFile(key, []byte("half writ"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(cert, time.Unix(3000, 0), time.Unix(3000, 0)); err != nil {
		t.Fatal(err)
	}
	if got := nameOf(t, files); got != "second" {
		t.Errorf("with a broken key: %s", got)
	}
}

func TestFilesWithoutACertificateAreAnError(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none.crt"), "none.key"); err == nil {
		t.Error("no error")
	}
}

func TestACertificateOfItsOwnIsIssuedAnewBeforeItEnds(t *testing.T) {
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	s, err := NewSelf([]string{"dashboard"}, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 40 { // months
		pair, err := s.Get(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if at.Before(leaf.NotBefore) || at.After(leaf.NotAfter) {
			t.Errorf("at %s it serves one of %s to %s", at, leaf.NotBefore, leaf.NotAfter)
		}
		seen[leaf.SerialNumber.String()] = true
		at = at.Add(30 * 24 * time.Hour)
	}
	if len(seen) < 3 || len(seen) > 10 {
		t.Errorf("%d were issued", len(seen))
	}
}
