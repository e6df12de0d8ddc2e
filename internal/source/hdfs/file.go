// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package hdfs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/kuda-io/kuda/internal/source"
	"github.com/kuda-io/kuda/internal/source/hdfs/rpc"
	"github.com/kuda-io/kuda/internal/source/hdfs/wire"
)

// keptFiles is how many files' locations are remembered. Those of a large file
// are asked for once and used for each of its ranges; small files come and go.
const keptFiles = 64

// files remembers where the blocks of files are.
type files struct {
	namenodes *namenodes

	mu    sync.Mutex
	known map[fileKey]*file
	// order is that in which files came, the oldest first.
	order []fileKey
}

type fileKey struct {
	path     string
	identity source.Identity
}

// file is guarded by its semaphore, so that readers of the same file ask once.
type file struct {
	semaphore chan struct{}
	locations *wire.Locations
}

func newFiles(n *namenodes) *files { return &files{namenodes: n, known: map[fileKey]*file{}} }

func (f *files) cachedFile(e source.Entry) *file {
	key := fileKey{e.Key, e.Identity}
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.known[key]; known != nil {
		return known
	}
	if len(f.order) == keptFiles {
		delete(f.known, f.order[0])
		f.order = f.order[1:]
	}
	f.order = append(f.order, key)
	f.known[key] = &file{semaphore: make(chan struct{}, 1)}
	return f.known[key]
}

// locateBlocks returns the locations of the inode that was listed, other ones than
// stale. They are nil when the namenode finds none.
func (f *files) locateBlocks(ctx context.Context, e source.Entry, stale *wire.Locations) (*wire.Locations, error) {
	file := f.cachedFile(e)
	select {
	case file.semaphore <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-file.semaphore }()
	if file.locations != nil && file.locations != stale {
		return file.locations, nil
	}
	locations, err := f.fetchLocations(ctx, inodePath(e), e.Size)
	if remote, ok := errors.AsType[*rpc.RemoteError](err); ok && errors.Is(remoteClass(remote), source.ErrNotFound) {
		locations, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	file.locations = locations
	return locations, nil
}

// locatePath asks for the locations of whatever file is at the path, and does
// not remember them.
func (f *files) locatePath(ctx context.Context, e source.Entry) (*wire.Locations, error) {
	return f.fetchLocations(ctx, e.Key, e.Size)
}

func (f *files) fetchLocations(ctx context.Context, path string, size int64) (*wire.Locations, error) {
	// One byte more than is known, so that a file that grew shows it.
	answer, err := f.namenodes.callActive(ctx, "getBlockLocations", wire.LocationsRequest(path, size+1))
	if err != nil {
		return nil, err
	}
	locations, err := wire.ParseLocations(answer)
	if err != nil {
		return nil, fmt.Errorf("reading the locations: %w", err)
	}
	return locations, nil
}

// inodePath is a path that means the inode of an entry, whatever is at its path
// by now. A file in a snapshot has none.
func inodePath(e source.Entry) string {
	id, _, ok := strings.Cut(string(e.Identity), "-")
	if !ok || !e.Identity.Strong() || strings.Contains(e.Key+"/", "/.snapshot/") {
		return e.Key
	}
	return "/.reserved/.inodes/" + id
}
