// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kuda-io/kuda/internal/delivery/atomicfile"
	"github.com/kuda-io/kuda/internal/filelock"
)

// PodsDir has one directory per pod, below the store's root.
const PodsDir = "pods"

const (
	lockFile   = "lock"
	orphanFile = "orphaned"
	endedFile  = "ended"
	deadPrefix = ".dead-"
	// deadAfter is how long a pod's directory stays when no runtime of the pod
	// runs. It is far longer than the pauses in which the kubelet restarts a
	// container, because the application of a living pod reads from there.
	deadAfter = 6 * time.Hour
	// endedAfter is the same for a runtime that was told to end: its pod ends too,
	// or the kubelet starts it again within its longest pause, of five minutes.
	// Package podref counts such a pod as living for as long as that takes.
	endedAfter = 20 * time.Minute
)

// LockPod takes a pod's directory, or waits for another runtime of the pod that
// is just ending. The kernel lets go of it when the process ends.
func LockPod(ctx context.Context, dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the pod's directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
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
	for _, mark := range []string{endedFile, orphanFile} {
		if err := atomicfile.Remove(filepath.Join(dir, mark)); err != nil {
			_ = f.Close()
			return nil, err
		}
	}
	return f, nil
}

// EndPod notes that the pod's runtime was told to end.
func EndPod(dir string) error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(dir, orphanFile), boot, 0o600); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, endedFile), nil, 0o600)
}

func bootID() ([]byte, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("asking when the machine was started: %w", err)
	}
	return boot, nil
}

// reapPods removes the directories of deleted pods. The runtime is not told which
// pods a node has, so a directory without a running runtime is marked, and removed
// when it is still so after deadAfter (or endedAfter) without a reboot.
func reapPods(pods, self string, now time.Time) error {
	entries, err := os.ReadDir(pods)
	if err != nil {
		return fmt.Errorf("looking for pods that are gone: %w", err)
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		switch dir := filepath.Join(pods, e.Name()); {
		case !e.IsDir() || e.Name() == self:
		case strings.HasPrefix(e.Name(), deadPrefix):
			errs = append(errs, os.RemoveAll(dir))
		default:
			errs = append(errs, reapPod(pods, e.Name(), string(boot), now))
		}
	}
	return errors.Join(errs...)
}

func reapPod(pods, uid, boot string, now time.Time) error {
	dir := filepath.Join(pods, uid)
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("looking at pod %s: %w", uid, err)
	}
	defer f.Close()
	if err := filelock.Lock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil // its runtime runs
	}
	mark := filepath.Join(dir, orphanFile)
	text, err := os.ReadFile(mark)
	if err != nil || string(text) != boot {
		return atomicfile.Write(mark, []byte(boot), 0o600)
	}
	after := deadAfter
	if _, err := os.Stat(filepath.Join(dir, endedFile)); err == nil {
		after = endedAfter
	}
	info, err := os.Stat(mark)
	if err != nil || now.Sub(info.ModTime()) < after {
		return err
	}
	dead := filepath.Join(pods, deadPrefix+uid)
	if err := os.Rename(dir, dead); err != nil {
		return fmt.Errorf("removing pod %s: %w", uid, err)
	}
	return os.RemoveAll(dead)
}
