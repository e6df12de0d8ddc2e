// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

func TestAMarkedSnapshotIsTold(t *testing.T) {
	s := open(t, Options{})
	l := add(t, s, key("1"), "content")
	told := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		s.WatchDoubts(ctx, func() { told <- struct{}{} })
		close(ended)
	}()
	<-told // the watch is there
	if err := os.WriteFile(s.suspectMark(l.ID()), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case <-told:
	case <-time.After(20 * time.Second):
		t.Error("the mark is not told")
	}
	cancel()
	<-ended
}

func TestASnapshotThatAnotherFoundDamagedIsTold(t *testing.T) {
	s := open(t, Options{})
	l := add(t, s, key("1"), "content")
	told := make(chan struct{}, 10)
	go s.WatchDoubts(t.Context(), func() { told <- struct{}{} })
	<-told // the watch is there
	if err := os.WriteFile(filepath.Join(s.snapshotDir(l.ID()), "data", "dir", "file"), []byte("Xontent"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), l.ID(), true); !errors.Is(err, snapshot.ErrDamaged) {
		t.Fatalf("verifying a damaged snapshot: %v", err)
	}
	select {
	case <-told:
	case <-time.After(20 * time.Second):
		t.Error("the snapshot that was taken away is not told")
	}
}

func TestOtherNamesAreNoDoubt(t *testing.T) {
	event := func(mask byte, name string) []byte {
		padded := append([]byte(name), make([]byte, 16-len(name)%16)...)
		head := make([]byte, 16)
		head[4], head[12] = mask, byte(len(padded))
		return append(head, padded...)
	}
	const gone = unix.IN_MOVED_FROM
	if hasDoubt(append(event(0, "a.lease"), event(0, "room")...)) {
		t.Error("a lease is taken for a mark")
	}
	if !hasDoubt(append(event(0, "a.lease"), event(0, "a.suspect")...)) {
		t.Error("a mark behind a lease is missed")
	}
	if hasDoubt(event(0, "a.suspect")[:10]) {
		t.Error("half an event is a mark")
	}
	if hasDoubt(event(gone, "a.partial")) {
		t.Error("a download that is complete is taken for a snapshot that is gone")
	}
	if !hasDoubt(append(event(gone, "a.partial"), event(gone, "a")...)) {
		t.Error("a snapshot that is gone, behind a download, is missed")
	}
}

func TestALeaseOfASnapshotThatWasMadeAnewIsNotCurrent(t *testing.T) {
	s := open(t, Options{})
	first := add(t, s, key("1"), "content")
	second, err := s.Lease(first.ID())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeLease(t, second) })
	if !first.Current() || !second.Current() {
		t.Fatal("a lease of an untouched snapshot is not current")
	}
	if err := s.trash.discardDirectory(s.snapshotDir(first.ID())); err != nil {
		t.Fatal(err)
	}
	again := add(t, s, key("1"), "content")
	if first.Current() || second.Current() {
		t.Error("a lease of a snapshot that was taken away is current")
	}
	if !again.Current() {
		t.Error("the lease of the new one is not current")
	}
}

func TestATakerReadsLargeFilesToo(t *testing.T) {
	root := t.TempDir()
	s := open(t, Options{Root: root})
	l := add(t, s, key("1"), strings.Repeat("x", glanceFile+1))
	path := filepath.Join(l.Dir(), "dir", "file")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("#"), 0); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckTaken(t.Context(), l.ID()); err != nil {
		t.Errorf("without it: %v", err)
	}
	strict := open(t, Options{Root: root, CompareTaken: true})
	if err := strict.Recheck(t.Context(), l.ID()); err != nil {
		t.Errorf("a restart: %v", err)
	}
	if err := strict.CheckTaken(t.Context(), l.ID()); err == nil {
		t.Error("the change was not found")
	}
}
