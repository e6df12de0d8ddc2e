// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsGivenBackOnceTheLastWorkIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r := newRest(func() { calls++ })
		check := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if calls != want {
				t.Errorf("called %d times, want %d", calls, want)
			}
		}
		check(time.Hour, 0)
		r.scheduleCall()
		check(restAfter/2, 0)
		r.scheduleCall()
		check(restAfter/2, 0)
		check(restAfter/2, 1)
		check(time.Hour, 1)
		r.scheduleCall()
		check(restAfter, 2)
	})
}

func TestPagesThatCanBeWrittenAreNeverUnmapped(t *testing.T) {
	const program = "/kuda-runtime"
	for line, want := range map[string]bool{
		"00400000-01000000 r-xp 00000000 fe:00 17                 /kuda-runtime": true,
		"01000000-02000000 r--p 00c00000 fe:00 17                 /kuda-runtime": true,
		"02000000-02100000 rw-p 01c00000 fe:00 17                 /kuda-runtime": false,
		"7f0000000000-7f0000001000 r-xp 00000000 fe:00 18         /other":        false,
		"c000000000-c000400000 rw-p 00000000 00:00 0":                            false,
		"7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0          [vdso]":        false,
		"0100000000000000000-2 r-xp 00000000 fe:00 17             /kuda-runtime": false,
	} {
		if _, _, ok := programPages(line, program); ok != want {
			t.Errorf("%s: got %t", line, ok)
		}
	}
}

func TestTheProgramGoesOnWithoutItsPages(t *testing.T) {
	for range 3 {
		giveBack()
		if text, err := os.ReadFile("/proc/self/status"); err != nil || !strings.Contains(string(text), "VmRSS") {
			t.Fatal(err)
		}
	}
}
