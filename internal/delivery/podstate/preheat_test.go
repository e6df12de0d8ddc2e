// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

func TestPreheatedSnapshotsAreWantedWithoutAPod(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "preheat", "models.json"), `{"revision":"r2","previous":"r1","revisions":{
		"r1":{"items":{"n/a":{"snapshot":"a1"},"n/b":{"snapshot":"b"}}},"r2":{"items":{"n/a":{"snapshot":"a2"},"n/b":{"snapshot":"b"}}}}}`)
	write(t, filepath.Join(root, "preheat", "other.json"), `{"revisions":{"r1":{"items":{"n/b":{"snapshot":"b"}}}}}`)
	write(t, filepath.Join(root, "preheat", "torn.json"), `{"revisions":`)
	write(t, filepath.Join(root, "preheat", "models.json.tmp"), `{"revisions":{"r3":{"items":{"n/a":{"snapshot":"a3"}}}}}`)
	write(t, filepath.Join(root, "preheat", ".lock"), "")
	preheats, err := NewPods(root).Preheats()
	if err != nil {
		t.Fatal(err)
	}
	want := map[snapshot.ID][]string{"a1": {"models"}, "a2": {"models"}, "b": {"models", "other"}}
	if diff := cmp.Diff(want, preheats); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wanted, err := NewPods(root).Wanted()
	if err != nil || len(wanted) != 3 || !wanted["a1"] {
		t.Errorf("got %v, %v", wanted, err)
	}
}

func TestUnreadablePreheatRecordIsAnError(t *testing.T) {
	root := t.TempDir()
	if wanted, err := NewPods(root).Wanted(); err != nil || len(wanted) > 0 {
		t.Errorf("without any: %v, %v", wanted, err)
	}
	if err := os.MkdirAll(filepath.Join(root, "preheat", "ds.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := NewPods(root).Wanted(); err == nil {
		t.Error("it is said that nothing is preheated")
	}
}

// A pod counts as living for a while after its end. One that was there to preheat
// would keep a pod that came for its room out for that time.
func TestPreheatPodNeedsItsDataOnlyWhileItRuns(t *testing.T) {
	root := t.TempDir()
	pod(t, root, "uid", "")
	write(t, filepath.Join(root, "pods", "uid", "datasets", "ds.json"),
		`{"preheat":true,"revisions":{"r1":{"items":{"n/a":{"snapshot":"a"}}}}}`)
	f, err := os.Open(filepath.Join(root, "pods", "uid", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if needed, err := NewPods(root).Needed(); err != nil || !needed["a"] {
		t.Errorf("while it runs: %v, %v", needed, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if needed, err := NewPods(root).Needed(); err != nil || needed["a"] {
		t.Errorf("after its end: %v, %v", needed, err)
	}
}
