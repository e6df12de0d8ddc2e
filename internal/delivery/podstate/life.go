// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	"github.com/kuda-io/kuda/internal/filelock"
)

// Lock takes a pod's directory, or waits for another runtime of the pod that
// is just ending. The kernel lets go of it when the process ends.
func (d Dir) Lock(ctx context.Context) (*os.File, error) {
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return nil, fmt.Errorf("making the pod's directory: %w", err)
	}
	f, err := os.OpenFile(d.path(LockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the pod's directory: %w", err)
	}
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		err := filelock.Lock(f, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, filelock.ErrHeld) {
			_ = f.Close()
			return nil, fmt.Errorf("locking the pod's directory: %w", err)
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("locking the pod's directory, which another runtime holds: %w", context.Cause(ctx))
		case <-retry.C:
		}
	}
	for _, mark := range []string{EndedFile, OrphanFile} {
		if err := atomicfile.Remove(d.path(mark)); err != nil {
			_ = f.Close()
			return nil, err
		}
	}
	return f, nil
}

// End notes that the pod's runtime was told to end.
func (d Dir) End() error {
	boot, err := BootID()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(d.path(OrphanFile), boot, 0o600); err != nil {
		return err
	}
	return atomicfile.Write(d.path(EndedFile), nil, 0o600)
}

// ReapOthers removes the directories of deleted pods beside this one. The runtime is
// not told which pods a node has, so a directory without a running runtime is marked,
// and removed when it is still so after DeadAfter (or EndedAfter) without a reboot.
func (d Dir) ReapOthers(now time.Time) error {
	pods, self := filepath.Split(filepath.Clean(string(d)))
	entries, err := os.ReadDir(pods)
	if err != nil {
		return fmt.Errorf("looking for pods that are gone: %w", err)
	}
	boot, err := BootID()
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		switch dir := filepath.Join(pods, e.Name()); {
		case !e.IsDir() || e.Name() == self:
		case strings.HasPrefix(e.Name(), DeadPrefix):
			errs = append(errs, os.RemoveAll(dir))
		default:
			errs = append(errs, reapPod(pods, e.Name(), string(boot), now))
		}
	}
	return errors.Join(errs...)
}

func reapPod(pods, uid, boot string, now time.Time) error {
	d := Dir(filepath.Join(pods, uid))
	f, err := os.OpenFile(d.path(LockFile), os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		// kuda-node made the directory, whose view is mounted, and the runtime has not been
		// started yet: its image, or a Secret, may be missing for long.
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at pod %s: %w", uid, err)
	}
	defer f.Close()
	if err := filelock.Lock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil // its runtime runs
	}
	mark := d.path(OrphanFile)
	text, err := os.ReadFile(mark)
	if err != nil || string(text) != boot {
		return atomicfile.Write(mark, []byte(boot), 0o600)
	}
	after := DeadAfter
	if _, err := os.Stat(d.path(EndedFile)); err == nil {
		after = EndedAfter
	}
	info, err := os.Stat(mark)
	if err != nil || now.Sub(info.ModTime()) < after {
		return err
	}
	dead := filepath.Join(pods, DeadPrefix+uid)
	if err := os.Rename(string(d), dead); err != nil {
		return fmt.Errorf("removing pod %s: %w", uid, err)
	}
	return os.RemoveAll(dead)
}
