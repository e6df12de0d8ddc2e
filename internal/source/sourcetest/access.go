// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package sourcetest

import (
	"bytes"
	"testing"

	"github.com/kuda-io/kuda/internal/source"
)

// accessTests are the tests of what is denied.
type accessTests struct{ Harness }

func (h accessTests) runAccess(t *testing.T) {
	if h.OpenDenied != nil {
		t.Run("wrong credentials are denied", h.testWrongCredentials)
	}
	if h.PutUnreadable != nil {
		t.Run("one unreadable file is denied, and only that", h.testUnreadableFile)
	}
}

func (h accessTests) testWrongCredentials(t *testing.T) {
	h.Put(t, "denied/file", []byte("secret"))
	s := h.OpenDenied(t)
	if readProvenance(t, s) != (source.Provenance{}) && readProvenance(t, s).Principal == readProvenance(t, h.openDirect(t)).Principal {
		t.Error("wrong credentials make the same principal as the right ones")
	}
	for _, path := range []string{"denied/file", "denied/"} {
		isOneOf(t, "listing "+path, h.listError(t.Context(), s, path), source.ErrDenied)
	}
}

func (h accessTests) testUnreadableFile(t *testing.T) {
	secret := []byte("secret")
	h.Put(t, "unreadable/file", []byte("public"))
	h.PutUnreadable(t, "unreadable/secret", secret)
	s := h.openDirect(t)
	for entry, err := range s.List(t.Context(), h.remotePath("unreadable/")) {
		if err != nil {
			isOneOf(t, "listing", err, source.ErrDenied)
			return
		}
		got, err := tryRead(t.Context(), s, entry, 0, entry.Size)
		switch {
		case entry.Path == "secret":
			isOneOf(t, "reading", err, source.ErrDenied)
			if bytes.Contains(got, secret) {
				t.Error("the bytes were read all the same")
			}
		case err != nil || string(got) != "public":
			t.Errorf("the file beside it: got %q, %v", got, err)
		}
	}
}

// readProvenance is what a driver says of itself. A source of a plugin says nothing: its
// client does.
func readProvenance(t *testing.T, s source.Source) source.Provenance {
	t.Helper()
	d, ok := s.(source.Driver)
	if !ok {
		return source.Provenance{}
	}
	p, err := d.Provenance(t.Context())
	if err != nil {
		t.Errorf("asking for the provenance: %v", err)
	}
	return p
}
