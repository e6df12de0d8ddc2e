// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package podstate

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
	self := Dir(filepath.Join(pods, "self"))
	for _, uid := range []string{"self", "alive", "gone", "restarting"} {
		if err := os.MkdirAll(filepath.Join(pods, uid, viewDir), 0o755); err != nil {
			t.Fatal(err)
		}
		ran, err := Dir(filepath.Join(pods, uid)).Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = ran.Close()
	}
	alive, err := Dir(filepath.Join(pods, "alive")).Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	exists := func(uid string) bool {
		_, err := os.Stat(filepath.Join(pods, uid, viewDir))
		return err == nil
	}
	now := time.Now()
	for _, at := range []time.Time{now, now.Add(time.Hour)} {
		if err := self.ReapOthers(at); err != nil {
			t.Fatal(err)
		}
	}
	if !exists("gone") || !exists("restarting") {
		t.Fatal("a pod was removed that may be restarting")
	}
	restarted, err := Dir(filepath.Join(pods, "restarting")).Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = restarted.Close()
	if err := self.ReapOthers(now.Add(DeadAfter + time.Minute)); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[string]bool{"self": true, "alive": true, "restarting": true, "gone": false} {
		if exists(uid) != want {
			t.Errorf("%s is there: %t", uid, exists(uid))
		}
	}
}

func TestAPodWhoseRuntimeHasNotBeenStartedYetKeepsItsView(t *testing.T) {
	pods := t.TempDir()
	view := Dir(filepath.Join(pods, "uid")).View()
	if err := os.MkdirAll(view, 0o755); err != nil {
		t.Fatal(err)
	}
	for after := range 3 {
		if err := Dir(filepath.Join(pods, "self")).ReapOthers(time.Now().Add(time.Duration(after) * 2 * DeadAfter)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(view); err != nil {
		t.Error(err)
	}
}

func TestAPodWhoseRuntimeEndedInOrderGoesSooner(t *testing.T) {
	pods := t.TempDir()
	self := Dir(filepath.Join(pods, "self"))
	dir := Dir(filepath.Join(pods, "uid"))
	lock, err := dir.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.End(); err != nil {
		t.Fatal(err)
	}
	_ = lock.Close()
	now := time.Now()
	for after, want := range map[time.Duration]bool{6 * time.Minute: true, EndedAfter - time.Minute: true} {
		if err := self.ReapOthers(now.Add(after)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(string(dir)); (err == nil) != want {
			t.Errorf("after %v: %v", after, err)
		}
	}
	again, err := dir.Lock(t.Context()) // the kubelet started it again
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
	if err := errors.Join(self.ReapOthers(now), self.ReapOthers(now.Add(EndedAfter+time.Minute))); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(string(dir)); err != nil {
		t.Errorf("a runtime that came back is forgotten: %v", err)
	}
	if err := errors.Join(dir.End(), self.ReapOthers(now.Add(EndedAfter+time.Minute))); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(string(dir)); err == nil {
		t.Error("it stays although it ended in order")
	}
}

func TestRebootStartsTheGraceAnew(t *testing.T) {
	pods := t.TempDir()
	self := Dir(filepath.Join(pods, "self"))
	dir := Dir(filepath.Join(pods, "uid"))
	ran, err := dir.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = ran.Close()
	if err := os.WriteFile(dir.path(OrphanFile), []byte("another boot"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := self.ReapOthers(time.Now().Add(DeadAfter + time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(string(dir)); err != nil {
		t.Errorf("removed after a reboot: %v", err)
	}
}

func TestTwoRuntimesNeverHaveTheSamePod(t *testing.T) {
	dir := Dir(t.TempDir())
	first, err := dir.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := dir.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	_ = first.Close()
	second, err := dir.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = second.Close()
}
