// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"encoding/json"
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/keeper/census"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
)

// stateFile is where it is remembered across restarts when each snapshot was compared. It
// is beside the stores, where no pod writes.
const (
	stateFile = ".keeper.verified.json"
	maxState  = 64 << 20
)

// verifyState remembers when snapshots were compared. It is guarded by its verifier.
type verifyState struct {
	log     logr.Logger
	entries map[string]stateEntry
	dirty   bool
}

type stateEntry struct {
	Inode  uint64    `json:"inode"`
	Born   int64     `json:"born,omitempty"`
	At     time.Time `json:"at"`
	Digest string    `json:"digest"`
}

func stateKey(key snapshotKey) string {
	return key.place.String() + "/" + string(key.id)
}

// lastResult returns when a snapshot was last found to be right, and its digest then.
func (s *verifyState) lastResult(key snapshotKey, identity census.Identity) (time.Time, string) {
	e, ok := s.entries[stateKey(key)]
	if !ok || e.Inode != identity.Inode || e.Born != identity.Born {
		return time.Time{}, ""
	}
	return e.At, e.Digest
}

func (s *verifyState) note(key snapshotKey, identity census.Identity, at time.Time, digest string) {
	if s.entries == nil {
		s.entries = map[string]stateEntry{}
	}
	s.entries[stateKey(key)] = stateEntry{Inode: identity.Inode, Born: identity.Born, At: at, Digest: digest}
	s.dirty = true
}

// load reads what an earlier keeper remembered.
func (s *verifyState) load(base *confined.Dir) {
	s.entries = s.read(base)
}

// encode returns what is to be remembered of these snapshots; nil: nothing new.
func (s *verifyState) encode(keep func(string) bool) ([]byte, error) {
	if !s.dirty {
		return nil, nil
	}
	for key := range s.entries {
		if !keep(key) {
			delete(s.entries, key)
		}
	}
	text, err := json.Marshal(s.entries)
	if err == nil {
		s.dirty = false
	}
	return text, err
}

func (s *verifyState) read(base *confined.Dir) map[string]stateEntry {
	text, err := base.ReadFile(stateFile, maxState)
	entries := map[string]stateEntry{}
	if err == nil {
		err = json.Unmarshal(text, &entries)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Info("when snapshots were compared is not remembered", "reason", err.Error())
	}
	return entries
}

// validText is a text that a message can carry.
func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// markSuspect makes the mark; what has its name already will do.
func markSuspect(locks *confined.Dir, id snapshot.ID) error {
	err := locks.Create(store.SuspectName(id))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// beIdle makes the thread of the goroutine, until that ends, give way to others at the
// processor and at the disk. Where the kernel refuses, it goes on as it is.
func beIdle() {
	const (
		process = 1       // IOPRIO_WHO_PROCESS: of a thread
		idle    = 3 << 13 // IOPRIO_CLASS_IDLE
		weakest = 19
	)
	// The thread ends with the goroutine: its priority cannot be given back.
	runtime.LockOSThread()
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, process, 0, idle)
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), weakest)
}
