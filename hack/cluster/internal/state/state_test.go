// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOthersFilesAreNeverTakenForState(t *testing.T) {
	root := filepath.Join(t.TempDir(), "precious")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "thesis")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	dir, err := At(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Create(); err == nil {
		t.Error("a directory with other files was taken")
	}
	if err := dir.Remove(); err == nil {
		t.Error("removing a directory that is not ours gave no error")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"/", "/var", "/run/x", "/var/run/x"} {
		if _, err := At(bad); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestRecordComesBackAsItWasSaved(t *testing.T) {
	dir, err := At(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Load(); !errors.Is(err, ErrNoCluster) {
		t.Errorf("err = %v", err)
	}
	if err := dir.Create(); err != nil {
		t.Fatal(err)
	}
	want := Record{Nodes: 3, BinDir: "/bin", Boot: "b", NetnsDir: true, Sysctls: map[string]string{"kernel/panic": "0"}}
	if err := dir.Save(want); err != nil {
		t.Fatal(err)
	}
	got, err := dir.Load()
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v %s", err, d)
	}
	if err := dir.Create(); err != nil {
		t.Errorf("a directory of ours was refused: %v", err)
	}
	for range 2 {
		if err := dir.Remove(); err != nil {
			t.Error(err)
		}
	}
}
