// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Several processes wait for the one that reads a snapshot in doubt. What it has
// settled they do not read again: the bytes here are wrong, and a process that
// read them would report that.
func TestWhatAnotherProcessSettledIsNotReadAgain(t *testing.T) {
	s := open(t, Options{})
	l := add(t, s, key("1"), "content")
	crash(t, s, l, false)
	s = open(t, Options{Root: s.Root()})
	held, err := lockFile(filepath.Join(s.locks, string(l.ID())+settleSuffix), unix.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	const waiters = 6
	settled := make(chan error, waiters)
	for range waiters {
		go func() { settled <- s.verifier.resolveDoubt(t.Context(), l.ID()) }()
	}
	if err := s.clearDoubt(l.ID()); err != nil {
		t.Fatal(err)
	}
	unlockFile(held)
	for range waiters {
		if err := <-settled; err != nil {
			t.Errorf("it was read again: %v", err)
		}
	}
	if pathExists(s.suspectMark(l.ID())) {
		t.Error("waiting made the mark again")
	}
}

func TestInsufficientSpaceErrorNamesTheMissingResource(t *testing.T) {
	for _, c := range []struct {
		err  InsufficientSpaceError
		want string
	}{
		{InsufficientSpaceError{Needed: 14, Free: 52 << 20}, "14 bytes needed"},
		{InsufficientSpaceError{Needed: 14, Free: 52 << 20, Inodes: true}, "inodes"},
		{InsufficientSpaceError{Needed: 14, DiskQuota: true}, "disk quota"},
		{InsufficientSpaceError{Needed: 14, Quota: true}, "the store's quota"},
	} {
		if got := c.err.Error(); !strings.Contains(got, c.want) {
			t.Errorf("got %q", got)
		}
	}
	s := open(t, Options{})
	//nolint:errorlint // it is the type itself
	if err, ok := s.space.spaceOr("writing", unix.EDQUOT, 1).(*InsufficientSpaceError); !ok || !err.DiskQuota {
		t.Errorf("got %v", err)
	}
	//nolint:errorlint // it is the type itself
	if err, ok := s.space.spaceOr("writing", unix.ENOSPC, 1).(*InsufficientSpaceError); !ok || err.Inodes {
		t.Errorf("got %v", err)
	}
}
