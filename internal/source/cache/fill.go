// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/kuda-io/kuda/internal/backoff"
	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/alluxio"
	"github.com/kuda-io/kuda/internal/source/alluxio/wire"
)

const (
	// blockLoads is how many blocks one worker is asked to load at the same time: each
	// takes memory of it outside its heap, and with many more it runs out of it.
	blockLoads = 4
	// fillRounds is how often blocks are asked for that the cache does not hold.
	fillRounds = 5
	// fillPause is how long the master is given to hear of what workers hold, and twice
	// as long each time after.
	fillPause = 100 * time.Millisecond
	// fillSettle is how long workers are given to report what they dropped for what they
	// loaded: they report each second.
	fillSettle = 2500 * time.Millisecond
	// pieceBytes is how much is read through a proxy at once.
	pieceBytes = 16 << 20
	// fillWait and fillRate bound how long a part may take: a cache that stopped is
	// silent.
	fillWait = 30 * time.Second
	fillRate = 512 << 10 // bytes in a second
)

// errFillStopped is why a part ended that took too long.
var errFillStopped = &source.Error{Op: "filling a cache", Class: source.ErrUnreachable, Err: errors.New("it stopped")}

// limitFill bounds the time for a part of so many bytes.
func limitFill(ctx context.Context, n int64) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, fillWait+time.Duration(n/fillRate)*time.Second, errFillStopped)
}

// Fill asks for each block that no worker holds, and then looks whether they hold all.
func (m *mount) Fill(ctx context.Context, e source.Entry, held func(host string, n int64)) error {
	m.forgetFile(e)
	defer m.forgetFile(e) // which workers hold the blocks is another matter by then
	told := make(map[int64]string)
	settled := true
	for round := 1; ; {
		f, err := m.locateFile(ctx, e)
		if err != nil {
			return err
		}
		missing := slices.DeleteFunc(slices.Clone(f.Blocks), func(b wire.Block) bool { return len(b.Workers) > 0 })
		tellHeld(f, told, held)
		if len(missing) == 0 {
			if settled {
				return nil
			}
			m.forgetFile(e)
			if err := backoff.Sleep(ctx, fillSettle); err != nil {
				return err
			}
			settled = true
			continue
		}
		if round > fillRounds {
			return m.failed(ReasonIncomplete, fmt.Errorf("it holds %d %% of %s after it loaded all of it; give its workers more room",
				f.Percent, f.Path))
		}
		if err := m.loadBlocks(ctx, f, missing); err != nil {
			return err
		}
		settled = false
		m.forgetFile(e)
		if err := backoff.Sleep(ctx, backoff.Doubled(fillPause, time.Minute, round-1)); err != nil {
			return err
		}
		round++
	}
}

// tellHeld tells of blocks that workers hold by now, and takes back those that they dropped.
func tellHeld(f *wire.FileInfo, told map[int64]string, held func(host string, n int64)) {
	for _, b := range f.Blocks {
		before, was := told[b.ID]
		switch {
		case len(b.Workers) > 0 && !was:
			told[b.ID] = hostOf(b.Workers[0])
			held(told[b.ID], f.Size(b))
		case len(b.Workers) == 0 && was:
			delete(told, b.ID)
			held(before, -f.Size(b))
		}
	}
}

// hostOf returns the host of an address, host:port.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// loadBlocks has workers load blocks, and returns when they have.
func (m *mount) loadBlocks(ctx context.Context, f *wire.FileInfo, blocks []wire.Block) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, b := range blocks {
		worker, err := m.client.Holder(ctx, b)
		if err != nil {
			cancel(m.failed(ReasonFailed, err))
			break
		}
		place := m.loadPlaces(worker)
		place <- struct{}{} // those that have one end with the context, or by their limit
		wg.Go(func() {
			if err := m.loadBlock(ctx, worker, f, b); err != nil {
				cancel(err)
			}
			<-place
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (m *mount) loadBlock(ctx context.Context, worker string, f *wire.FileInfo, b wire.Block) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	ctx, end := limitFill(ctx, f.Size(b))
	defer end()
	if err := m.client.Load(ctx, worker, f, b); err != nil {
		return m.failed(ReasonFailed, alluxio.Classify(ctx, fmt.Sprintf("loading the block at %d of %s", b.Offset, f.Path), err))
	}
	return nil
}

func (m *mount) loadPlaces(worker string) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loads[worker] == nil {
		m.loads[worker] = make(chan struct{}, blockLoads)
	}
	return m.loads[worker]
}

// Fill reads the file once: a proxy keeps what goes through it, and does not say what it
// has.
func (p *proxy) Fill(ctx context.Context, e source.Entry, held func(host string, n int64)) error {
	for offset := int64(0); offset < e.Size; offset += pieceBytes {
		length := min(pieceBytes, e.Size-offset)
		if err := p.readPiece(ctx, e, offset, length); err != nil {
			return err
		}
		held("", length)
	}
	return nil
}

func (p *proxy) readPiece(ctx context.Context, e source.Entry, offset, length int64) error {
	ctx, end := limitFill(ctx, length)
	defer end()
	body, err := p.Open(ctx, e, offset, length)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(io.Discard, body); err != nil {
		return p.failed(ReasonFailed, "%w", err)
	}
	return nil
}
