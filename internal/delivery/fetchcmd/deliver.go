// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fetchcmd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
)

// deliverSnapshot asks the source anew each time, since a fetch has no version that
// shows a change: it makes one up, and remembers it beside the store until the
// delivery is done, so that the next fetch goes on with it.
func deliverSnapshot(ctx context.Context, s *store.Store, engine *transfer.Engine, r transfer.Request) (*store.Lease, error) {
	note := filepath.Join(s.Root(), "fetching-"+string(r.Key.ID()))
	version, err := readNotedVersion(note)
	if version != "" && isComplete(s, r.Key, version) {
		// It was cut off between its last byte and the end of its note. What it brought is
		// of that time, and the source is not asked for what is there.
		version = ""
	}
	if version == "" && err == nil {
		version = rand.Text()
		err = atomicfile.Write(note, []byte(version), 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("remembering a fetch: %w", err)
	}
	r.Key.Version = version
	result, err := engine.Deliver(ctx, r)
	if err != nil {
		return nil, err
	}
	// Should the machine lose power before this is on the disk, the next fetch
	// would take the snapshot for its own, however old it is by then.
	if err := atomicfile.Remove(note); err != nil {
		return nil, fmt.Errorf("forgetting a fetch: %w", errors.Join(err, result.Lease.Close()))
	}
	return result.Lease, nil
}

// isComplete reports whether the store has that version of a key, whole.
func isComplete(s *store.Store, key snapshot.Key, version string) bool {
	key.Version = version
	lease, err := s.Lease(key.ID())
	return err == nil && lease.Close() == nil
}

// versionForm is that of a version that a fetch makes up.
var versionForm = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// readNotedVersion returns the version of a fetch that was cut off; "" if none is
// noted, or if the note is not one that a fetch made: the machine may have lost
// power under a program that did not flush it.
func readNotedVersion(note string) (string, error) {
	text, err := os.ReadFile(note)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !versionForm.Match(text) {
		return "", nil
	}
	return string(text), err
}

// progress prints one line that is written over.
type progress struct {
	out     io.Writer
	on      bool
	started time.Time
	shown   bool
}

func (p *progress) printProgress(now transfer.Progress) {
	if !p.on {
		return
	}
	if p.started.IsZero() {
		p.started = time.Now()
	}
	rate := float64(now.Received) / max(time.Since(p.started).Seconds(), 0.001)
	fmt.Fprintf(p.out, "\r\x1b[K%s  %d files  %s of %s  %s/s", now.State, now.Files,
		bytesize.Text(now.Done), bytesize.Text(now.Total), bytesize.Text(int64(rate)))
	p.shown = true
}

func (p *progress) endLine() {
	if p.shown {
		fmt.Fprintln(p.out)
	}
}
