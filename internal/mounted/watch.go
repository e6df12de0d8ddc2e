// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package mounted

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"
)

// recheck is how often changed is called although nothing was noticed: file
// notification is best effort (the kernel drops events when a queue overflows).
const recheck = time.Minute

var errClosed = errors.New("the watch was closed")

// Watch calls changed after something in dir has changed, and once a minute,
// until the context ends. The kubelet swaps a whole mount by renaming one link
// in it, so a call may come for several changes, or for none.
func Watch(ctx context.Context, dir string, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching %s: %w", dir, err)
	}
	defer func() { _ = w.Close() }()
	if err := w.Add(dir); err != nil {
		return fmt.Errorf("watching %s: %w", dir, err)
	}
	changed()
	ticker := time.NewTicker(recheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-w.Events:
			if !open {
				return fmt.Errorf("watching %s: %w", dir, errClosed)
			}
			changed()
		case _, open := <-w.Errors:
			// Events were lost; what they told of is found by looking.
			if !open {
				return fmt.Errorf("watching %s: %w", dir, errClosed)
			}
			changed()
		case <-ticker.C:
			changed()
		}
	}
}
