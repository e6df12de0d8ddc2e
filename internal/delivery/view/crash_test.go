// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kuda-io/kuda/internal/delivery/view"
)

const envVictim = "KUDA_VIEW_TEST_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envVictim); dir != "" {
		fmt.Println(switchForever(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// shapes are revisions with the same file at conf/a and other places around it.
func shapes(b *bench) [][]view.Item {
	return [][]view.Item{
		{b.tree("conf", "0", "a", "0", "b", "0")},
		{b.file("conf/a", "1"), b.file("conf/b", "1")},
		{b.file("conf/a", "2"), b.file("conf/b", "2"), b.tree("more", "2", "d/e", "2")},
	}
}

// switchForever is the process that is killed; it returns the reason when it ends by itself.
func switchForever(dir string) error {
	snapshots, err := filepath.Glob(filepath.Join(dir, "snapshot-*"))
	if err != nil || len(snapshots) == 0 {
		return fmt.Errorf("finding snapshots: %d, %w", len(snapshots), err)
	}
	v, err := view.Open(filepath.Join(dir, "view"), view.Options{Grace: time.Nanosecond})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for i := 0; ; i++ {
		rev := fmt.Sprint(os.Getpid(), "-", i)
		item := view.Item{LocalPath: "conf", Mark: rev, Dir: snapshots[0], Files: []view.File{{Path: "a"}, {Path: "b"}}}
		items := []view.Item{item}
		if i%2 == 0 {
			items = []view.Item{
				{LocalPath: "conf/a", Mark: rev, Dir: snapshots[i%len(snapshots)], Single: true, Files: []view.File{{Path: "a"}}},
				{LocalPath: "conf/b", Mark: rev, Dir: snapshots[i%len(snapshots)], Single: true, Files: []view.File{{Path: "b"}}},
				{LocalPath: fmt.Sprint("only/", i%5), Mark: rev, Dir: snapshots[0], Files: []view.File{{Path: "a"}}},
			}
		}
		if err := v.Prepare("ds", rev, items); err != nil {
			return err
		}
		if err := v.Switch("ds", rev); err != nil {
			return err
		}
		if i%7 == 3 {
			if _, err := v.Revert("ds"); err != nil {
				return err
			}
		}
		if i%3 == 0 {
			if _, err := v.Collect(); err != nil {
				return err
			}
		}
	}
}

func TestKillDuringASwitchLeavesAWholeViewAndHeals(t *testing.T) {
	b := newBench(t)
	for i := range 4 {
		b.tree("", "", "a", fmt.Sprint(i), "b", fmt.Sprint(i))
	}
	snapshot, err := filepath.Glob(filepath.Join(b.dir, "snapshot-*"))
	if err != nil {
		t.Fatal(err)
	}
	b.deliver("ds", "start", view.Item{LocalPath: "conf", Dir: snapshot[0], Files: []view.File{{Path: "a"}, {Path: "b"}}})
	for range 15 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), envVictim+"="+b.dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "ready" {
			t.Fatalf("the other process said %q", lines.Text())
		}
		kill := time.AfterFunc(time.Duration(rand.IntN(40_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		if lines.Scan() {
			t.Fatalf("the other process ended: %s", lines.Text())
		}
		kill.Stop()
		_ = cmd.Wait()

		b.wantWhole("right after the kill")
		b.open()
		b.wantWhole("after the repair")
		if rev, ok := b.view.Current("ds"); !ok {
			t.Fatalf("no current revision after a kill: %q", rev)
		}
		if left, err := filepath.Glob(b.path(".kuda/.tmp-*")); err != nil || len(left) > 0 {
			t.Fatalf("left behind: %v, %v", left, err)
		}
		b.seen()
	}
}

func (b *bench) wantWhole(when string) {
	b.t.Helper()
	for _, p := range []string{"conf/a", "conf/b", ".kuda/ds/conf/a", ".kuda/ds/conf/b"} {
		if c, err := os.ReadFile(b.path(p)); err != nil || len(c) != 1 {
			b.t.Fatalf("%s: %s holds %q, %v", when, p, c, err)
		}
	}
	a, _ := os.ReadFile(b.path("conf/a"))
	c, _ := os.ReadFile(b.path("conf/b"))
	if string(a) != string(c) {
		b.t.Fatalf("%s: mixed: a=%s b=%s", when, a, c)
	}
}

func TestPromise2ReadersNeverMissAFileOrMixRevisions(t *testing.T) {
	b := newBench(t)
	revs := shapes(b)
	b.deliver("ds", "r", revs[0]...)
	var stop atomic.Bool
	failed := make(chan error, 2)
	go func() { failed <- readSingles(b.path(), &stop) }()
	go func() { failed <- readPairs(b.path(), &stop) }()
	for i := range 200 {
		b.deliver("ds", fmt.Sprint("r", i), revs[i%len(revs)]...)
		if _, err := b.view.Collect(); err != nil {
			t.Error(err)
		}
		b.now = b.now.Add(100 * time.Millisecond)
	}
	stop.Store(true)
	for range 2 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

// readSingles opens the same path again and again.
func readSingles(dir string, stop *atomic.Bool) error {
	for n := 0; !stop.Load() || n == 0; n++ {
		c, err := os.ReadFile(filepath.Join(dir, "conf/a"))
		if err != nil || len(c) != 1 {
			return fmt.Errorf("read %d: %q: %w", n, c, err)
		}
	}
	return nil
}

// readPairs does what the package's documentation tells applications to do
// that need two files of the same revision.
func readPairs(dir string, stop *atomic.Bool) error {
	for n := 0; !stop.Load() || n == 0; n++ {
		rev, err := os.OpenRoot(filepath.Join(dir, ".kuda/ds"))
		if err != nil {
			return fmt.Errorf("opening the revision: %w", err)
		}
		a, errA := rev.ReadFile("conf/a")
		c, errB := rev.ReadFile("conf/b")
		_ = rev.Close()
		if err := errors.Join(errA, errB); err != nil {
			return fmt.Errorf("pair %d (missing: %t): %w", n, errors.Is(err, fs.ErrNotExist), err)
		}
		if string(a) != string(c) {
			return fmt.Errorf("pair %d is mixed: %s and %s", n, a, c)
		}
	}
	return nil
}
