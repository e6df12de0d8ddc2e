//go:build integration

// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
)

// deliverOne delivers one version of the large file, however long it takes to
// get room, tells where it is, and keeps it until its input ends.
func (v victim) deliverOne() error {
	s, err := store.Open(store.Options{Root: v.Root, Quota: v.Quota})
	if err != nil {
		return err
	}
	src, err := openSource(v.URL, v.Version)
	if err != nil {
		return err
	}
	engine := newEngine(s)
	retry := time.NewTimer(0)
	for {
		<-retry.C
		result, err := engine.Deliver(context.Background(), transfer.NewRequest(src, key("large", v.Version), nil))
		if _, lacks := errors.AsType[*store.InsufficientSpaceError](err); lacks {
			retry.Reset(50*time.Millisecond + rand.N(200*time.Millisecond))
			continue
		}
		if err != nil {
			return err
		}
		fmt.Println(result.Lease.Dir())
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			return err
		}
		if err := result.Lease.Close(); err != nil {
			return err
		}
		os.Exit(0)
	}
}

// smallDisk mounts a file system of that size. It needs root.
func smallDisk(t *testing.T, bytes int64) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Fatalf("mounting a small file system (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting the small file system: %v", err)
		}
	})
	return dir
}

// meter watches how many bytes a store has at most.
type meter struct {
	highest atomic.Int64
	quit    chan struct{}
	over    sync.WaitGroup
}

func newMeter(t *testing.T, root string) *meter {
	t.Helper()
	m := &meter{quit: make(chan struct{})}
	m.over.Go(func() {
		sample := time.NewTicker(2 * time.Millisecond)
		defer sample.Stop()
		for {
			select {
			case <-sample.C:
				m.highest.Store(max(m.highest.Load(), onDisk(root)))
			case <-m.quit:
				return
			}
		}
	})
	t.Cleanup(m.stop)
	return m
}

func (m *meter) stop() {
	select {
	case <-m.quit:
	default:
		close(m.quit)
	}
	m.over.Wait()
}

// onDisk is what snapshots and downloads have, as the file system sees it.
func onDisk(root string) (sum int64) {
	names, _ := filepath.Glob(filepath.Join(root, "snapshots", "*", "data", "*"))
	for _, name := range names {
		var st unix.Stat_t
		if unix.Lstat(name, &st) == nil {
			sum += st.Blocks * 512
		}
	}
	return sum
}

// Twenty-four runtimes want more than the store may have. None of them waits for
// ever, none loses what it holds, and together they stay within the quota.
func TestTwentyFourDeliveriesShareAQuotaWithoutDeadlockOrLoss(t *testing.T) {
	const (
		runtimes = 24
		quota    = 1 << 30
		each     = 96 << 20
	)
	root := smallDisk(t, 2<<30)
	s := newServer(t, data{large: each})
	if _, err := store.Open(store.Options{Root: root}); err != nil {
		t.Fatal(err)
	}
	m := newMeter(t, root)
	deadline := time.Now().Add(5 * time.Minute)
	var held, most atomic.Int64
	var wg sync.WaitGroup
	for version := 1; version <= runtimes; version++ {
		l, in := start(t, victim{Root: root, URL: s.url, Quota: quota, Version: version})
		wg.Go(func() {
			timer := time.NewTimer(time.Until(deadline))
			defer timer.Stop()
			select {
			case dir, ok := <-l.phases:
				if !ok || !filepath.IsAbs(dir) {
					t.Errorf("runtime %d ended: %s", version, dir)
					return
				}
				most.Store(max(most.Load(), held.Add(1)))
				hold(t, s.largeFile(version), dir)
				held.Add(-1)
				if err := in.Close(); err != nil {
					t.Error(err)
				}
			case <-timer.C:
				t.Errorf("runtime %d never got its data", version)
			}
		})
	}
	wg.Wait()
	m.stop()
	highest := m.highest.Load()
	t.Logf("at most %d MiB were on the disk, of a quota of %d MiB; at most %d runtimes held %d MiB each",
		highest>>20, int64(quota)>>20, most.Load(), int64(each)>>20)
	if highest > quota {
		t.Errorf("%d bytes were on the disk, more than the quota of %d", highest, int64(quota))
	}
	if most.Load() < 2 {
		t.Error("the runtimes took turns; the test shows nothing")
	}
}

// hold uses a leased snapshot for a while: it reads it several times, as the
// others look for room.
func hold(t *testing.T, want content, dir string) {
	for range 3 {
		if err := want.compare(filepath.Join(dir, snapshot.FileName)); err != nil {
			t.Errorf("a leased snapshot: %v", err)
			return
		}
	}
}
