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
	"time"

	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
)

// deliver asks the source anew each time, since a fetch has no version that
// says whether something changed: it makes one up, and remembers it beside the
// store until the delivery is done, so that the next fetch goes on with it.
func deliver(ctx context.Context, s *store.Store, engine *transfer.Engine, r transfer.Request) (*store.Lease, error) {
	note := filepath.Join(s.Root(), "fetching-"+string(r.Key.ID()))
	version, err := os.ReadFile(note)
	if errors.Is(err, fs.ErrNotExist) {
		version = []byte(rand.Text())
		err = os.WriteFile(note, version, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("remembering a fetch: %w", err)
	}
	r.Key.Version = string(version)
	result, err := engine.Deliver(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(note); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("forgetting a fetch: %w", errors.Join(err, result.Lease.Close()))
	}
	return result.Lease, nil
}

// progress prints one line that is written over.
type progress struct {
	out     io.Writer
	on      bool
	started time.Time
	shown   bool
}

func (p *progress) tell(now transfer.Progress) {
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

func (p *progress) end() {
	if p.shown {
		fmt.Fprintln(p.out)
	}
}
