// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package fetchcmd

import (
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

// linker links files one directory after the other, so that each directory is
// opened once: looking up a long path costs as much as the link.
type linker struct {
	source, target       *os.Root
	from, to             *os.File
	fromName, targetName string
	made                 map[string]bool
}

// linkTree links every file of a snapshot, whose files are below from, into a
// new directory.
func linkTree(staging, from string, m *snapshot.Manifest, remotePath string) error {
	if err := os.Mkdir(staging, 0o755); err != nil {
		return err
	}
	target, err := os.OpenRoot(staging)
	if err != nil {
		return err
	}
	defer target.Close()
	source, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer source.Close()
	l := &linker{source: source, target: target, made: map[string]bool{".": true}}
	defer l.close()
	for e := range m.All() {
		name := e.Path
		if m.File {
			name = path.Base(remotePath)
		}
		if err := l.linkEntry(e, name); err != nil {
			return err
		}
	}
	return nil
}

func (l *linker) linkEntry(e snapshot.Entry, name string) error {
	if err := l.openDirectories(path.Dir(e.Path), path.Dir(name)); err != nil {
		return err
	}
	var err error
	if e.Link != "" {
		err = unix.Symlinkat(e.Link, int(l.to.Fd()), path.Base(name))
	} else {
		err = unix.Linkat(int(l.from.Fd()), path.Base(e.Path), int(l.to.Fd()), path.Base(name), 0)
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: e.Path, New: name, Err: err}
	}
	return nil
}

// openDirectories opens the directories of the next file, where they are others than
// those of the last one.
func (l *linker) openDirectories(fromName, targetName string) error {
	if l.to != nil && l.fromName == fromName && l.targetName == targetName {
		return nil
	}
	l.close()
	if !l.made[targetName] {
		if err := l.target.MkdirAll(targetName, 0o755); err != nil {
			return err
		}
		l.made[targetName] = true
	}
	from, err := l.source.Open(fromName)
	if err != nil {
		return err
	}
	to, err := l.target.Open(targetName)
	if err != nil {
		from.Close()
		return err
	}
	l.from, l.to, l.fromName, l.targetName = from, to, fromName, targetName
	return nil
}

func (l *linker) close() {
	if l.to != nil {
		l.from.Close()
		l.to.Close()
		l.from, l.to = nil, nil
	}
}
