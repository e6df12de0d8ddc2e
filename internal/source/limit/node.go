// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/filelock"
	"github.com/kuda-io/kuda/internal/source"
)

// node has one file for each connection that the processes of a node may have to
// a source. Who has a connection has the lock (flock(2)) of one of them; the
// kernel frees it when a process dies. The files stay, and are empty.
type node struct{ dir string }

func newNode(dir, identity string) *node {
	sum := sha256.Sum256([]byte(identity))
	return &node{dir: filepath.Join(dir, hex.EncodeToString(sum[:12]))}
}

// acquireSlot returns a file that holds a connection until it is closed. When all are
// taken it waits for any one of them, so that the waiters spread.
func (n *node) acquireSlot(ctx context.Context, count int) (*os.File, error) {
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return nil, slotError(err)
	}
	first := rand.IntN(count)
	for i := range count {
		f, err := n.lockSlot((first+i)%count, unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, filelock.ErrHeld) {
			return f, err
		}
	}
	type result struct {
		f   *os.File
		err error
	}
	done := make(chan result, 1)
	go func() {
		f, err := n.lockSlot(first, unix.LOCK_EX)
		done <- result{f, err}
	}()
	select {
	case r := <-done:
		return r.f, r.err
	case <-ctx.Done():
		// Waiting for a lock cannot be cancelled; the lock is released when it comes.
		go func() {
			if r := <-done; r.f != nil {
				r.f.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

func (n *node) lockSlot(index, how int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(n.dir, strconv.Itoa(index)), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, slotError(err)
	}
	if err := filelock.Lock(f, how); err != nil {
		f.Close()
		return nil, slotError(err)
	}
	return f, nil
}

func slotError(err error) error {
	return &source.Error{Op: "sharing connections with the node", Class: source.ErrTemporary, Err: err}
}
