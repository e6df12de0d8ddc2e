// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/kuda-io/kuda/test/bench/internal/report"
)

func TestMain(m *testing.M) {
	// The ceiling is this program again.
	if len(os.Args) == 4 && os.Args[1] == "ceiling" {
		exit(receive(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// The rows go the whole way with real servers and the real binary, but without
// the programs of others, which would have to be installed.
func TestRowsOfTheBenchmarkRunWithKudaAlone(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "kuda-runtime")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/kuda-runtime").CombinedOutput(); err != nil {
		t.Fatalf("building kuda-runtime: %v: %s", err, out)
	}
	result := filepath.Join(dir, "bench.json")
	var out bytes.Buffer
	err := run(t.Context(), []string{"-quick", "-alone", "-row", "object-minio,small-minio,models,update-paths,update-inplace,fanout,memory," +
		"object-region,small-far,small-lossy,single-region,models-region,update-region",
		"-kuda", binary, "-peers", "peers", "-dir", filepath.Join(dir, "work"), "-cache", filepath.Join(dir, "cache"), "-out", result},
		&out, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	text, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	var r report.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 13 {
		t.Fatalf("%d rows\n%s", len(r.Rows), out.String())
	}
	for _, row := range r.Rows {
		if row.Failed != "" || len(row.Checks) == 0 {
			t.Errorf("%s: %s, %d figures", row.Name, row.Failed, len(row.Checks))
		}
		for _, c := range row.Clients {
			if c.Failed != "" || c.Wall <= 0 {
				t.Errorf("%s: %s: %s", row.Name, c.Name, c.Failed)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "work", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
