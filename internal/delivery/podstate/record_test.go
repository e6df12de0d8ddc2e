// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"os"
	"path/filepath"
	"testing"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func TestUnreadableRecordReadsAsEmptyWithAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ds.json"), []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := loadRecord(dir, "ds")
	if err == nil || r == nil || r.Revisions == nil || r.Hooks == nil {
		t.Fatalf("got %+v, %v", r, err)
	}
	if err := r.Record("post", "m"); err != nil {
		t.Fatal(err)
	}
	if r, err = loadRecord(dir, "ds"); err != nil || !r.Done("post", "m") {
		t.Errorf("got %+v, %v", r, err)
	}
	if err := os.WriteFile(filepath.Join(dir, desiredFile), []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := Dir(dir).LoadDesired(); m != nil || err == nil {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestPromise12FieldsOfNewerManagersDoNotDisturb(t *testing.T) {
	dir := t.TempDir()
	text := `{"assignments":[{"dataset":"ds","revision":"r1","inventedLater":{"a":1}}],"alsoLater":true}`
	if err := os.WriteFile(filepath.Join(dir, desiredFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := Dir(dir).LoadDesired(); err != nil || m.GetAssignments()[0].GetRevision() != "r1" {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestCertificatesAreNotKeptWithTheDesiredState(t *testing.T) {
	dir := t.TempDir()
	if err := Dir(dir).SaveDesired(&gatewayv1alpha1.WatchResponse{Gone: []string{"x"}, CaBundle: []byte("pem")}); err != nil {
		t.Fatal(err)
	}
	if m, err := Dir(dir).LoadDesired(); err != nil || len(m.GetCaBundle()) > 0 || len(m.GetGone()) != 1 {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestNamesThatAreNoFilesAreRefused(t *testing.T) {
	for name, want := range map[string]bool{"ds": true, "a.b-c": true, "": false, ".": false, "..": false, "a/b": false,
		".x": false, "a\x00": false} {
		if ValidDataSet(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}
