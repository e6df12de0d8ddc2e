// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package examine

import (
	"path"
	"strings"

	"github.com/kuda-io/kuda/internal/delivery/confined"
)

// walk opens the directories of files that come sorted by their paths, each one once.
type walk struct {
	root *confined.Dir
	path string
	dir  *confined.Dir // of path; nil: root
}

// open returns the directory of a file, which stays open until the next call, and the
// file's name in it.
func (w *walk) open(file string) (*confined.Dir, string, error) {
	parent, name := path.Split(file)
	parent = strings.TrimSuffix(parent, "/")
	if parent == "" {
		return w.root, name, nil
	}
	if w.dir == nil || parent != w.path {
		w.close()
		dir, err := w.root.Dir(strings.Split(parent, "/")...)
		if err != nil {
			return nil, "", err
		}
		w.dir, w.path = dir, parent
	}
	return w.dir, name, nil
}

func (w *walk) close() {
	if w.dir != nil {
		w.dir.Close()
		w.dir = nil
	}
}
