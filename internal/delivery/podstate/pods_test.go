// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// pod makes a pod's directory as its runtime leaves it.
func pod(t *testing.T, root, uid, orphaned string, ids ...string) {
	t.Helper()
	dir := filepath.Join(root, "pods", uid)
	write(t, filepath.Join(dir, "lock"), "")
	if orphaned != "" {
		write(t, filepath.Join(dir, "orphaned"), orphaned)
	}
	for i, id := range ids {
		write(t, filepath.Join(dir, "datasets", fmt.Sprintf("d%d.json", i)),
			fmt.Sprintf(`{"revisions":{"r1":{"items":{"a/b":{"snapshot":%q,"bytes":1}},"confirmed":true}}}`, id))
	}
}

func TestOnlyPodsThatMayLiveKeepTheirSnapshots(t *testing.T) {
	root := t.TempDir()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	pod(t, root, "running", string(boot), "a", "shared")
	pod(t, root, "restarting", "", "b", "shared")
	pod(t, root, "missed-before-the-boot", "another boot", "c")
	pod(t, root, "gone", string(boot), "d")
	pod(t, root, ".dead-x", "", "e")
	write(t, filepath.Join(root, "pods", "restarting", "datasets", "torn.json"), `{"revisions":`)
	write(t, filepath.Join(root, "pods", "restarting", "prefetch", "d0.json"), `{"revisions":{"r2":{"items":{"a/b":{"snapshot":"later"}}}}}`)
	f, err := os.Open(filepath.Join(root, "pods", "running", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	p := NewPods(root)
	p.now = func() time.Time { return time.Now().Add(RestartPause + time.Second) }
	users, err := p.Users()
	if err != nil {
		t.Fatal(err)
	}
	want := map[snapshot.ID][]string{"a": {"running"}, "b": {"restarting"}, "shared": {"restarting", "running"}, "later": {"restarting"},
		"c": {"missed-before-the-boot"}}
	if diff := cmp.Diff(want, users); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p.now = time.Now
	needed, err := p.Needed()
	if err != nil || !needed["d"] {
		t.Errorf("shortly after its runtime went a pod needs nothing: %v, %v", needed, err)
	}
}

func TestAStoreWithoutPodsNeedsNothing(t *testing.T) {
	if users, err := NewPods(t.TempDir()).Users(); err != nil || len(users) > 0 {
		t.Errorf("got %v, %v", users, err)
	}
}

func TestWhatCannotBeReadStopsEviction(t *testing.T) {
	root := t.TempDir()
	pod(t, root, "uid", "")
	if err := os.MkdirAll(filepath.Join(root, "pods", "uid", "datasets", "d.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := NewPods(root).Needed(); err == nil || !strings.Contains(err.Error(), "uid") {
		t.Errorf("got %v", err)
	}
}

// The store reads records of runtimes of other releases, which may have more or other
// fields than this one.
func TestSnapshotsOfOtherReleasesRecordsAreNeeded(t *testing.T) {
	root := t.TempDir()
	pod(t, root, "uid", "")
	for name, text := range map[string]string{
		"older": `{"revisions":{"r1":{"items":{"n/a":{"localPath":"a","version":"1","mark":"m","snapshot":"old","digest":"d","bytes":1,` +
			`"origin":"source","started":"2026-01-01T00:00:00Z"}}}}}`,
		"newer": `{"hooks":["x"],"later":{},"revisions":{"r1":{"items":{"n/a":{"bytes":"7","snapshot":"new"}},"confirmed":"yes"}}}`,
	} {
		write(t, filepath.Join(root, PodsDir, "uid", DatasetsDir, name+RecordSuffix), text)
	}
	needed, err := NewPods(root).Needed()
	if err != nil || !needed["old"] || !needed["new"] {
		t.Errorf("got %v, %v", needed, err)
	}
}
