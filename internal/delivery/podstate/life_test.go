// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestOnlyPodsThatAreGoneForLongAreRemoved(t *testing.T) {
	pods := t.TempDir()
	for _, uid := range []string{"self", "alive", "gone", "restarting"} {
		if err := os.MkdirAll(filepath.Join(pods, uid, ViewDir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	alive, err := LockPod(t.Context(), filepath.Join(pods, "alive"))
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	exists := func(uid string) bool {
		_, err := os.Stat(filepath.Join(pods, uid, ViewDir))
		return err == nil
	}
	now := time.Now()
	for _, at := range []time.Time{now, now.Add(time.Hour)} {
		if err := reapPods(pods, "self", at); err != nil {
			t.Fatal(err)
		}
	}
	if !exists("gone") || !exists("restarting") {
		t.Fatal("a pod was removed that may be restarting")
	}
	restarted, err := LockPod(t.Context(), filepath.Join(pods, "restarting"))
	if err != nil {
		t.Fatal(err)
	}
	_ = restarted.Close()
	if err := reapPods(pods, "self", now.Add(deadAfter+time.Minute)); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[string]bool{"self": true, "alive": true, "restarting": true, "gone": false} {
		if exists(uid) != want {
			t.Errorf("%s is there: %t", uid, exists(uid))
		}
	}
}

func TestAPodWhoseRuntimeEndedInOrderGoesSooner(t *testing.T) {
	pods := t.TempDir()
	dir := filepath.Join(pods, "uid")
	lock, err := LockPod(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := EndPod(dir); err != nil {
		t.Fatal(err)
	}
	_ = lock.Close()
	now := time.Now()
	for after, want := range map[time.Duration]bool{6 * time.Minute: true, endedAfter - time.Minute: true} {
		if err := reapPods(pods, "self", now.Add(after)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("after %v: %v", after, err)
		}
	}
	again, err := LockPod(t.Context(), dir) // the kubelet started it again
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
	if err := errors.Join(reapPods(pods, "self", now), reapPods(pods, "self", now.Add(endedAfter+time.Minute))); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("a runtime that came back is forgotten: %v", err)
	}
	if err := errors.Join(EndPod(dir), reapPods(pods, "self", now.Add(endedAfter+time.Minute))); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it stays although it ended in order")
	}
}

func TestRebootStartsTheGraceAnew(t *testing.T) {
	pods := t.TempDir()
	dir := filepath.Join(pods, "uid")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, orphanFile), []byte("another boot"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := reapPods(pods, "self", time.Now().Add(deadAfter+time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("removed after a reboot: %v", err)
	}
}

func TestTwoRuntimesNeverHaveTheSamePod(t *testing.T) {
	dir := t.TempDir()
	first, err := LockPod(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := LockPod(ctx, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	_ = first.Close()
	second, err := LockPod(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = second.Close()
}
