// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/confined"
	"github.com/kuda-io/kuda/internal/delivery/podstate"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
)

const (
	// maxPods is how many directories of pods are looked at; a node has some hundred pods.
	maxPods = 2_000
	// maxRecords is how many records of a directory are read, and maxRecord the largest, in
	// bytes: a record of 128 items has 100 KB.
	maxRecords = 1_000
	maxRecord  = 1 << 20
	// maxNeeded is how many snapshots all pods of a store need, by each.
	maxNeeded = 20_000
	// maxRecordBytes bounds all records of a store together: a file without blocks costs who
	// makes it nothing, whatever its size.
	maxRecordBytes = 64 << 20
)

var errRecords = fmt.Errorf("all records together have more than %d bytes", maxRecordBytes)

// readPods finds out which pods live, and what they and what is preheated need.
func (l *look) readPods() error {
	l.needed, l.wanted, l.out.Users = map[snapshot.ID]bool{}, map[snapshot.ID]bool{}, map[snapshot.ID][]string{}
	if err := l.readPreheats(); err != nil {
		return err
	}
	dir, err := l.dir.Dir(podstate.PodsDir)
	if err != nil {
		return l.note("the pods", err)
	}
	defer dir.Close()
	var uids []string
	all, err := dir.List(maxPods, func(e confined.Entry) bool {
		if e.Dir && !strings.HasPrefix(e.Name, ".") {
			uids = append(uids, e.Name)
		}
		return true
	})
	if err == nil && !all {
		err = fmt.Errorf("more than %d names", maxPods)
	}
	l.doubtful = err != nil
	if err := l.note("the pods", err); err != nil {
		return err
	}
	for _, uid := range uids {
		if l.hasTimedOut() {
			l.doubtful = true
			return l.note("the pods", errSlow)
		}
		if err := l.readPod(dir, uid); err != nil {
			return err
		}
	}
	return nil
}

func (l *look) readPod(pods *confined.Dir, uid string) error {
	dir, err := pods.Dir(uid)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	published := l.volumes.Pods[uid] || l.census.options.Alive(l.place, uid)
	if err != nil && !published && !confined.IsShortage(err) {
		l.out.Dead = append(l.out.Dead, uid) // no process can have it open
		return nil
	}
	if err != nil {
		return l.note("pod "+uid, err)
	}
	defer dir.Close()
	running, err := dir.IsLocked(podstate.LockFile, unix.LOCK_SH)
	if err != nil {
		running = true // in doubt it is
	}
	if err := l.note("the lock of pod "+uid, err); err != nil {
		return err
	}
	if !running && !published {
		l.out.Dead = append(l.out.Dead, uid)
		return nil
	}
	return l.readNeeds(dir, uid, running)
}

// readNeeds reads what a living pod remembers.
func (l *look) readNeeds(dir *confined.Dir, uid string, running bool) error {
	own := map[snapshot.ID]bool{}
	for _, name := range []string{podstate.DatasetsDir, podstate.PrefetchDir} {
		err := l.readRecords(dir, name, func(ids []snapshot.ID, preheat bool) {
			if preheat && !running {
				return // the pod was there for nothing else, and ends when it is done
			}
			for _, id := range ids {
				if len(own) <= maxNeeded {
					own[id] = true
				}
			}
		})
		if err := l.note("the records of pod "+uid, err); err != nil {
			return err
		}
	}
	if l.users += len(own); l.users > maxNeeded {
		l.doubtful = true
		return l.note("the records of pod "+uid, fmt.Errorf("all pods name more than %d snapshots", maxNeeded))
	}
	for id := range own {
		l.needed[id] = true
		l.out.Users[id] = append(l.out.Users[id], uid)
	}
	return nil
}

func (l *look) readPreheats() error {
	err := l.readRecords(l.dir, podstate.PreheatDir, func(ids []snapshot.ID, _ bool) {
		for _, id := range ids {
			l.wanted[id] = true
		}
	})
	return l.note("what is preheated", err)
}

// readRecords reads the records in a directory.
func (l *look) readRecords(in *confined.Dir, name string, each func(ids []snapshot.ID, preheat bool)) error {
	dir, err := in.Dir(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	var names []string
	_, err = dir.List(maxRecords, func(e confined.Entry) bool {
		if !e.Dir && strings.HasSuffix(e.Name, podstate.RecordSuffix) {
			names = append(names, e.Name)
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		if l.hasTimedOut() {
			l.doubtful = true
			return errSlow
		}
		if l.records > maxRecordBytes {
			l.doubtful = true
			return errRecords
		}
		text, err := dir.ReadFile(name, maxRecord)
		l.records += int64(len(text))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		each(podstate.References(text))
	}
	return nil
}
