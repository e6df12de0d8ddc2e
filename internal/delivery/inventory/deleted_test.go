// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

func TestEmptiedStoreIsReportedEmptyUnderANewID(t *testing.T) {
	for name, paths := range map[string][]string{
		"everything": {"."}, "all in it": {"snapshots", "marks", "locks", "trash", "preheat", "id", "boot"}, "the snapshots": {"snapshots"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			r := start(t, root, quick)
			other := start(t, root, quick)
			r.Connected(true)
			other.Connected(true)
			add(t, r.store, "v1")
			before := ""
			for before == "" {
				select {
				case req := <-r.reports:
					if holds("v1")(req) {
						before = req.GetStoreId()
					}
				case req := <-other.reports:
					if holds("v1")(req) {
						before = req.GetStoreId()
					}
				}
			}
			for _, path := range paths {
				remove(t, filepath.Join(root, path))
			}
			empty := func(req *gatewayv1alpha1.ReportStoreRequest) bool {
				return len(req.GetSnapshots()) == 0 && req.GetStoreId() != "" && req.GetStoreId() != before
			}
			deadline := time.After(20 * time.Second)
			for emptied := false; !emptied; {
				select {
				case req := <-r.reports:
					emptied = empty(req)
				case req := <-other.reports:
					emptied = empty(req)
				case <-deadline:
					t.Fatal("it was not noticed")
				}
			}
			add(t, other.store, "v2")
			select {
			case req := <-r.reports:
				r.reports <- req
				r.await("what came after it", holds("v2"))
			case req := <-other.reports:
				other.reports <- req
				other.await("what came after it", holds("v2"))
			case <-deadline:
				t.Fatal("nothing is reported any more")
			}
		})
	}
}

// What stays mounted without a name is no store any more, and the next pod's is
// another one: who has the old one mounted must not go on speaking.
func TestDeletedStoreDirectoryIsReportedOnlyOnce(t *testing.T) {
	root := filepath.Join(t.TempDir(), "ns")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	mounted, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer mounted.Close()
	r := start(t, fmt.Sprintf("/proc/self/fd/%d", mounted.Fd()), quick)
	r.Connected(true)
	add(t, r.store, "v1")
	before := r.await("a snapshot", holds("v1")).GetStoreId()
	remove(t, root)
	last := r.await("an empty store", holds())
	if last.GetStoreId() == before || last.GetAvailableBytes() == 0 {
		t.Errorf("got %v", last)
	}
	r.Connected(true)
	r.end()
	r.silent("nothing is left")
}
