// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package confined

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asUser runs a test again as a user without privilege, and reports whether this is that
// run: root has all rights whatever the mode.
func asUser(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return true
	}
	dir, err := os.MkdirTemp("", "closed")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o777))
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = []string{"TMPDIR=" + dir}
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	text, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(text), "--- PASS: "+t.Name()) {
		t.Errorf("as user 65532: %v\n%s", err, text)
	}
	return false
}

func TestWhatItsOwnerClosedToItselfCanBeTakenAwayAndLocked(t *testing.T) {
	if !asUser(t) {
		return
	}
	for _, mode := range []os.FileMode{0, 0o500, 0o555} {
		d, path := openTemp(t)
		for _, name := range []string{"from/dir/below", "to"} {
			must(t, os.MkdirAll(filepath.Join(path, name), 0o755))
		}
		must(t, os.WriteFile(filepath.Join(path, "from", "lock"), nil, 0o600))
		for _, name := range []string{"from/dir/below", "from/dir", "from/lock", "from", "to"} {
			must(t, os.Chmod(filepath.Join(path, name), mode))
		}
		from, err := d.Dir("from")
		must(t, err)
		to, err := d.Dir("to")
		must(t, err)
		l, err := from.TryLock("lock")
		must(t, err)
		l.Release()
		must(t, from.Rename("dir", to, "moved"))
		must(t, os.Chmod(filepath.Join(path, "to", "moved"), mode))
		must(t, os.Chmod(filepath.Join(path, "to"), mode))
		must(t, to.RemoveTree(t.Context(), "moved"))
		must(t, os.Chmod(filepath.Join(path, "to"), mode))
		must(t, to.Mkdir("new"))
		must(t, os.Chmod(filepath.Join(path, "to"), mode))
		if complete, err := to.List(10, func(Entry) bool { return true }); err != nil || !complete {
			t.Errorf("listing: %v, %v", complete, err)
		}
		must(t, to.RemoveDir("new"))
		from.Close()
		to.Close()
	}
}

// TestADeepTreeThatItsOwnerClosedIsRemoved has directories that are too deep to be gone into,
// and closed.
func TestADeepTreeThatItsOwnerClosedIsRemoved(t *testing.T) {
	if !asUser(t) {
		return
	}
	d, path := openTemp(t)
	var levels []string
	for level := filepath.Join(path, "tree"); len(levels) < 3*maxDepth; level = filepath.Join(level, "d") {
		levels = append(levels, level)
	}
	must(t, os.MkdirAll(levels[len(levels)-1], 0o755))
	for i := len(levels) - 1; i >= 0; i-- {
		must(t, os.Chmod(levels[i], 0))
	}
	must(t, d.RemoveTree(t.Context(), "tree"))
	if left, err := os.ReadDir(path); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
