// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package mounted

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long a swap may take: the kubelet renames one link and then adds
	// and removes the links of single keys.
	settle = 100 * time.Millisecond
	// glance is how often the mounts are looked at where the kernel gives no
	// notification: there is a limit of inotify instances for each user of a node.
	glance = 10 * time.Second
)

// WatchAll calls changed when something has changed in one of the directories below the
// roots, such as those of all Secrets that are mounted into a container, until the
// context ends. What is there at the start is no change. A root may be missing, or
// come later. Where the kernel does not notify, it looks every few seconds.
func WatchAll(ctx context.Context, roots []string, changed func()) {
	w := &allWatch{roots: roots}
	defer w.close()
	last := w.describe()
	for {
		wait := glance
		if w.addAll() {
			wait = recheck
		}
		// After the watches, so that what changes now is seen here or told there.
		if now := w.describe(); now != last {
			last = now
			changed()
		}
		if !w.waitForEvent(ctx, wait) {
			return
		}
	}
}

// allWatch watches the directories below its roots. Whether something changed is
// found by looking; notifications only say when to look.
type allWatch struct {
	roots   []string
	watcher *fsnotify.Watcher
}

// addAll watches the directories that are there now, and reports whether it can watch
// all of them. Without any it opens nothing.
func (w *allWatch) addAll() bool {
	all := true
	for _, dir := range w.dirs() {
		if w.watcher == nil {
			watcher, err := fsnotify.NewWatcher()
			if err != nil {
				return false
			}
			w.watcher = watcher
		}
		if err := w.watcher.Add(dir); err != nil {
			all = false
		}
	}
	return all
}

func (w *allWatch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close()
	}
}

// waitForEvent waits until it is time to look, and reports whether it is; it is not when
// the context ends.
func (w *allWatch) waitForEvent(ctx context.Context, wait time.Duration) bool {
	var events chan fsnotify.Event
	var errs chan error
	if w.watcher != nil {
		events, errs = w.watcher.Events, w.watcher.Errors
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-events:
	case _, open := <-errs: // events were lost
		if !open {
			return false
		}
	}
	// The rest of a swap comes at once.
	for timer.Reset(settle); ; {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-events:
		case _, open := <-errs:
			if !open {
				return false
			}
		}
	}
}

// dirs returns the directories below the roots.
func (w *allWatch) dirs() []string {
	var dirs []string
	for _, root := range w.roots {
		entries, err := os.ReadDir(root)
		if err != nil {
			continue // it is missing where nothing is mounted
		}
		for _, e := range entries {
			if e.IsDir() {
				dirs = append(dirs, filepath.Join(root, e.Name()))
			}
		}
	}
	return dirs
}

// describe returns a text that differs when a file differs: it came, went, or was
// replaced.
func (w *allWatch) describe() string {
	var text strings.Builder
	for _, dir := range w.dirs() {
		fmt.Fprintf(&text, "%s\n", dir)
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "..") {
				continue // the kubelet's own; the keys lead there
			}
			info, err := os.Stat(filepath.Join(dir, e.Name()))
			if err != nil {
				fmt.Fprintf(&text, "%s -\n", e.Name())
				continue
			}
			var inode uint64
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				inode = st.Ino
			}
			fmt.Fprintf(&text, "%s %d %d %d\n", e.Name(), info.Size(), info.ModTime().UnixNano(), inode)
		}
	}
	return text.String()
}
