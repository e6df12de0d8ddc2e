// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/view"
)

func TestReplaceKeepsTheRevisionThatRevertRestores(t *testing.T) {
	b := newBench(t)
	replace := func(revision string, items ...view.Item) {
		t.Helper()
		if err := b.view.Prepare("ds", revision, items); err != nil {
			t.Fatal(err)
		}
		if err := b.view.Replace("ds", revision); err != nil {
			t.Fatal(err)
		}
	}
	b.deliver("ds", "r1", b.file("a", "1"))
	replace("r2", b.file("a", "2"))
	if rev, _ := b.view.Previous("ds"); rev != "r1" {
		t.Errorf("without another one, %q is previous", rev)
	}
	replace("r3", b.file("a", "3"))
	b.open()
	b.now = b.now.Add(time.Hour)
	if _, err := b.view.Collect(); err != nil {
		t.Fatal(err)
	}
	b.wantSeen(map[string]string{"a": "3"})
	if rev, err := b.view.Revert("ds"); err != nil || rev != "r1" {
		t.Fatalf("it goes back to %q, %v", rev, err)
	}
	b.wantSeen(map[string]string{"a": "1"})
}
