// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHostileNamesAreRefused(t *testing.T) {
	for _, path := range []string{
		"", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", ".", "./a", "a/./b", "a//b", "a/", "//", "nul\x00", "new\nline",
		"tab\t", "\x7f", "bad\xff", strings.Repeat("x", 256), strings.Repeat("x/", 2000) + "x",
	} {
		err := CheckPath(path)
		if e, ok := errors.AsType[*InvalidPathError](err); !ok || e.Name != path {
			t.Errorf("%.40q: got %v", path, err)
		}
	}
}

func TestOddNamesAreAccepted(t *testing.T) {
	for _, path := range []string{"a", "...", "a/b", "..a", "a..", `back\slash`, "日本語", "-rf", "a b", "$(x)", ".hidden",
		strings.Repeat("x", 255)} {
		if err := CheckPath(path); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestMissingCredentialsNameTheSecretAndTheKey(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "other"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Mount{Dir: dir, Name: `Secret "models"`}.Read("accessKey")
	if !errors.Is(err, ErrCredentials) || !strings.Contains(err.Error(), `Secret "models"`) || !strings.Contains(err.Error(), "accessKey") {
		t.Errorf("got %v", err)
	}
}

func TestMissingOrInvalidCertificatesAreErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	if _, _, err := NewTransport(TransportConfig{CAFile: file, CAName: "the ConfigMap"}); !errors.Is(err, ErrCredentials) {
		t.Errorf("missing: got %v", err)
	}
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := NewTransport(TransportConfig{CAFile: file, CAName: "the ConfigMap"}); !errors.Is(err, ErrMisconfigured) {
		t.Errorf("broken: got %v", err)
	}
}
