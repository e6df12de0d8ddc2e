// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeModel(t *testing.T, dir, version, sum string) {
	t.Helper()
	data := []byte("weights of " + version)
	if sum == "" {
		s := sha256.Sum256(data)
		sum = hex.EncodeToString(s[:])
	}
	index := fmt.Sprintf(`{"version": %q, "shards": [{"path": "part-1.bin", "sha256": %q}]}`, version, sum)
	for name, content := range map[string]string{"part-1.bin": string(data), "index.json": index} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func get(t *testing.T, s *server, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.newHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestReloadServesTheNewVersion(t *testing.T) {
	dir := t.TempDir()
	writeModel(t, dir, "v1", "")
	s := &server{dir: dir}
	if err := s.reloadModel(); err != nil {
		t.Fatal(err)
	}
	writeModel(t, dir, "v2", "")
	if code, body := get(t, s, "/reload"); code != http.StatusNoContent {
		t.Fatalf("reload: %d %s", code, body)
	}
	if _, body := get(t, s, "/version"); !strings.Contains(body, `"v2"`) {
		t.Errorf("version: %s", body)
	}
}

func TestDamagedShardLeavesTheOldVersionServing(t *testing.T) {
	dir := t.TempDir()
	writeModel(t, dir, "v1", "")
	s := &server{dir: dir}
	if err := s.reloadModel(); err != nil {
		t.Fatal(err)
	}
	writeModel(t, dir, "v2", strings.Repeat("0", 64))
	if code, body := get(t, s, "/reload"); code != http.StatusInternalServerError || !strings.Contains(body, "part-1.bin") {
		t.Errorf("reload: %d %s", code, body)
	}
	if _, body := get(t, s, "/version"); !strings.Contains(body, `"v1"`) {
		t.Errorf("version: %s", body)
	}
}
