// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package atomicfile

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNamesAreExchangedWhereTheFileSystemCannot(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(dir+"/"+name, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := exchangeByRename(int(d.Fd()), "a", int(d.Fd()), "b"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "b", "b": "a"} {
		if got, err := os.ReadFile(dir + "/" + name); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", name, got, err)
		}
	}
	if err := exchangeByRename(int(d.Fd()), "missing", int(d.Fd()), "b"); err == nil {
		t.Error("what is missing was exchanged")
	}
	if got, err := os.ReadFile(dir + "/b"); err != nil || string(got) != "a" {
		t.Errorf("a failure left %q, %v", got, err)
	}
}

func TestATreeIsReplacedWhereNamesCannotBeExchanged(t *testing.T) {
	at := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(at+"/new/d", 0o755))
	must(os.MkdirAll(at+"/dir/old", 0o755))
	must(exchangeByRename(unix.AT_FDCWD, at+"/new", unix.AT_FDCWD, at+"/dir"))
	for _, want := range []string{"/dir/d", "/new/old"} {
		if _, err := os.Stat(at + want); err != nil {
			t.Error(err)
		}
	}
	if err := exchangeByRename(unix.AT_FDCWD, at+"/missing", unix.AT_FDCWD, at+"/dir"); err == nil {
		t.Error("a tree that is missing was placed")
	}
	if _, err := os.Stat(at + "/dir/d"); err != nil {
		t.Errorf("a failure took the old tree away: %v", err)
	}
}
