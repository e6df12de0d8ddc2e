// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package pvc

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/backoff"
)

// How long ago the last change of a file must be: several steps of the kernel's
// clock, and where a server stamps changes also what clocks may differ.
const (
	settleLocal  = 30 * time.Millisecond
	settleRemote = 2 * time.Second
)

// settleTime is how long changes on the file system of f need to settle.
func settleTime(f *os.File) time.Duration {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return settleRemote
	}
	switch fs.Type {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC,
		unix.F2FS_SUPER_MAGIC:
		return settleLocal
	}
	return settleRemote
}

// maxWaits is how often a listing waits for the same file.
const maxWaits = 3

// errRestless is the error of a file that does not stop changing.
var errRestless = errors.New("it is being written; write new versions beside it and rename them when they are complete")

// waitSettled returns when every later change of a file will show in its stat, which
// again brings up to date.
func waitSettled(ctx context.Context, limit time.Duration, stat *unix.Stat_t, again func(*unix.Stat_t) error) error {
	for range maxWaits {
		wait := limit - time.Since(time.Unix(stat.Ctim.Unix()))
		if wait <= 0 {
			return nil
		}
		// A stamp of the future is one of another clock. Who does not change for the
		// whole time has settled, whatever that clock says.
		if err := backoff.Sleep(ctx, min(wait, limit)); err != nil {
			return err
		}
		before := entryIdentity(stat)
		if err := again(stat); err != nil {
			return err
		}
		if entryIdentity(stat) == before {
			return nil
		}
	}
	return errRestless
}
