// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package ceiling

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kuda-io/kuda/test/bench/internal/content"
)

// served writes a tree, serves it, and returns the job that receives it.
func served(t *testing.T, tree content.Tree) (Job, content.Sums) {
	t.Helper()
	dir := t.TempDir()
	sums, err := tree.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	job := Job{Connections: 4, RangeBytes: 3 << 20}
	for _, f := range tree {
		job.Objects = append(job.Objects, Object{URL: server.URL + "/" + f.Path, Path: f.Path, Size: f.Size})
	}
	return job, sums
}

func numbered(i int) []any { return []any{i} }

func TestCeilingWritesTheBytesItReceives(t *testing.T) {
	tree := content.Tree{}.Add(2, 10<<20+7, "large/%d", numbered).Add(300, 10<<10, "small/%d", numbered).Add(1, 1, "byte-%d", numbered)
	job, sums := served(t, tree)
	saved := filepath.Join(t.TempDir(), "job")
	if err := job.Save(saved); err != nil {
		t.Fatal(err)
	}
	job, err := Load(saved)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := job.Run(dir); err != nil {
		t.Fatal(err)
	}
	if err := content.Check(dir, sums); err != nil {
		t.Error(err)
	}
}

func TestErrorStatusIsAnError(t *testing.T) {
	job, _ := served(t, content.Tree{}.Add(1, 100, "f%d", numbered))
	job.Objects[0].URL += "-missing"
	if err := job.Run(t.TempDir()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
}

func TestObjectOfAnotherSizeIsAnError(t *testing.T) {
	job, _ := served(t, content.Tree{}.Add(1, 100, "f%d", numbered))
	job.Objects[0].Size = 99
	job.RangeBytes = 0
	if err := job.Run(t.TempDir()); err == nil || !strings.Contains(err.Error(), "100 bytes instead of 99") {
		t.Errorf("got %v", err)
	}
}
