// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package exception

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var today = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func TestFindingWithoutExceptionIsAProblem(t *testing.T) {
	l := List{Exceptions: []Exception{{ID: "a", Where: "x/*", Reason: "r"}}}
	got := l.Judge([]Finding{{"a", "x/1", "m1"}, {"a", "y/1", "m2"}, {"b", "x/1", "m3"}}, today)
	want := []string{"a in y/1: m2", "b in x/1: m3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExceptionAcceptsOnlyWhatItSays(t *testing.T) {
	l := List{Exceptions: []Exception{{ID: "a", Where: "x", Says: "CPU limit", Reason: "r"}}}
	got := l.Judge([]Finding{{"a", "x", "CPU limit is not set"}, {"a", "x", "Memory limit is not set"}}, today)
	if diff := cmp.Diff([]string{"a in x: Memory limit is not set"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestExceptionThatNoFindingNeedsIsAProblem(t *testing.T) {
	l := List{Exceptions: []Exception{{ID: "a", Where: "x", Reason: "r"}}}
	got := l.Judge(nil, today)
	if len(got) != 1 || !strings.Contains(got[0], "no longer needed") {
		t.Errorf("got %q", got)
	}
}

func TestExpiredExceptionAcceptsNothing(t *testing.T) {
	l := List{Exceptions: []Exception{{ID: "a", Where: "x", Reason: "r", Expires: "2026-12-01"}}}
	got := l.Judge([]Finding{{"a", "x", "m"}}, today)
	if len(got) != 2 || got[0] != "a in x: m" || !strings.Contains(got[1], "expired on 2026-12-01") {
		t.Errorf("got %q", got)
	}
	if got := l.Judge([]Finding{{"a", "x", "m"}}, today.AddDate(0, 0, -1)); len(got) != 0 {
		t.Errorf("the day before: %q", got)
	}
}

func TestIncompleteExceptionIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no reason":     "exceptions: [{id: a, where: x}]",
		"no place":      "exceptions: [{id: a, reason: r}]",
		"bad pattern":   "exceptions: [{id: a, where: '[', reason: r}]",
		"no day":        "mustExpire: true\nexceptions: [{id: a, where: x, reason: r}]",
		"bad day":       "exceptions: [{id: a, where: x, reason: r, expires: soon}]",
		"unknown field": "exceptions: [{id: a, where: x, reason: r, until: 2027-01-01}]",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "e.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if l, err := Read(file); err == nil {
				t.Errorf("accepted: %+v", l)
			}
		})
	}
}
