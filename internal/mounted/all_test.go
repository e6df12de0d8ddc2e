// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package mounted

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// mountTree is a directory with one directory per Secret, as the kubelet lays them out.
type mountTree struct {
	t    *testing.T
	root string
	n    int
}

// put makes a Secret have these keys, all with the same value.
func (m *mountTree) put(secret, value string, keys ...string) {
	m.t.Helper()
	dir := filepath.Join(m.root, secret)
	m.n++
	version := "..v" + strconv.Itoa(m.n)
	must := func(err error) {
		m.t.Helper()
		if err != nil {
			m.t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, version), 0o755))
	for _, key := range keys {
		must(os.WriteFile(filepath.Join(dir, version, key), []byte(value), 0o600))
	}
	must(os.Symlink(version, filepath.Join(dir, "..data_tmp")))
	must(os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	for _, key := range keys {
		if _, err := os.Lstat(filepath.Join(dir, key)); err != nil {
			must(os.Symlink("..data/"+key, filepath.Join(dir, key)))
		}
	}
}

// watchTree watches and returns a function that waits for a call.
func watchTree(t *testing.T, roots ...string) (calls chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	calls = make(chan struct{}, 16)
	var wg sync.WaitGroup
	wg.Go(func() { WatchAll(ctx, roots, func() { calls <- struct{}{} }) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return calls
}

func awaitCall(t *testing.T, calls chan struct{}, what string) {
	t.Helper()
	select {
	case <-calls:
	case <-time.After(20 * time.Second):
		t.Fatalf("not noticed: %s", what)
	}
}

func TestEachChangeOfAMountIsNoticedAtOnce(t *testing.T) {
	m := &mountTree{t: t, root: t.TempDir()}
	m.put("keys", "old", "accessKey")
	m.put("optional", "")
	calls := watchTree(t, filepath.Join(m.root, "no such root"), m.root)
	// A watch that has not begun takes what is there then for the start; a file that is no
	// directory of a mount changes nothing.
	if err := os.WriteFile(filepath.Join(m.root, "stray"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	select {
	case <-calls:
		t.Fatal("what was there at the start was called a change")
	case <-ctx.Done():
	}
	begun := time.Now()
	m.put("keys", "new", "accessKey")
	awaitCall(t, calls, "another value")
	m.put("keys", "new", "accessKey", "secretKey")
	awaitCall(t, calls, "another key")
	m.put("optional", "made", "token")
	awaitCall(t, calls, "a Secret that did not exist")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("three changes took %s to be noticed: it was not told, it looked", took)
	}
}

func TestASwapThatChangesNothingIsNoChange(t *testing.T) {
	m := &mountTree{t: t, root: t.TempDir()}
	m.put("optional", "")
	w := &allWatch{roots: []string{m.root}}
	before := w.describe()
	m.put("optional", "")
	if after := w.describe(); after != before {
		t.Errorf("before %q, after %q", before, after)
	}
}

func TestWithoutMountsNothingIsOpened(t *testing.T) {
	w := &allWatch{roots: []string{t.TempDir(), "/no such root"}}
	if !w.addAll() || w.watcher != nil {
		t.Error("a watch was opened for nothing")
	}
}
