// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
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
	maxRecord  = 4 << 20
	// maxStoreRecords and maxStoreRecordBytes bound all records of a store.
	maxStoreRecords     = 10_000
	maxStoreRecordBytes = 32 << 20
)

// uidForm is that of the UIDs of pods.
var uidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// errRecords is of a store with more records than its pods can have.
var errRecords = fmt.Errorf("more than %d records, or %d bytes", maxStoreRecords, maxStoreRecordBytes)

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
		if e.Dir && uidForm.MatchString(e.Name) {
			uids = append(uids, e.Name)
		}
		return true
	})
	if err == nil && !all {
		err = fmt.Errorf("more than %d names", maxPods)
	}
	if err := l.note("the pods", err); err != nil {
		return err
	}
	for _, uid := range uids {
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
	if err != nil {
		if !published && !confined.IsShortage(err) {
			l.out.Dead = append(l.out.Dead, uid) // no process can have it open
			return nil
		}
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
	own := map[snapshot.ID]bool{}
	for _, name := range []string{podstate.DatasetsDir, podstate.PrefetchDir} {
		err := l.readRecords(dir, name, func(ids []snapshot.ID, preheat bool) {
			if preheat && !running {
				return // the pod was there for nothing else, and ends when it is done
			}
			for _, id := range ids {
				if l.present[id] {
					own[id] = true
				}
			}
		})
		if err := l.note("the records of pod "+uid, err); err != nil {
			return err
		}
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
			if l.present[id] {
				l.wanted[id] = true
			}
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
		if l.records++; l.records > maxStoreRecords || l.recordBytes > maxStoreRecordBytes {
			return errRecords
		}
		text, err := dir.ReadFile(name, maxRecord)
		l.recordBytes += int64(len(text))
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
