// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A copy is the snapshot's for as long as the snapshot is the one it was made of.
func TestACopyIsKnownByTheTimeOfTheOriginal(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(dir+"/original", []byte("content"), 0o644))
	old := time.Now().Add(-time.Hour)
	must(os.Chtimes(dir+"/original", old, old))
	d, err := os.Open(dir)
	must(err)
	defer d.Close()
	must(copyFile(d, "original", d, "copy"))
	var have, want unix.Stat_t
	must(unix.Stat(dir+"/original", &want))
	must(unix.Stat(dir+"/copy", &have))
	if !copyOf(&have, &want) {
		t.Error("the copy is not known")
	}
	must(os.Chtimes(dir+"/original", old, old.Add(time.Second)))
	must(unix.Stat(dir+"/original", &want))
	if copyOf(&have, &want) {
		t.Error("a copy of another state passes")
	}
	must(os.Link(dir+"/copy", dir+"/second"))
	must(unix.Stat(dir+"/copy", &have))
	if copyOf(&have, &have) {
		t.Error("a file of two names passes for a copy")
	}
}
