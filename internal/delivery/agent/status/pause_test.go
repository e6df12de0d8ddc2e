// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pauses are what docs/troubleshooting.md says of each reason: the first pause and the
// longest; "" for all others.
func pauses(t *testing.T) map[string][2]time.Duration {
	t.Helper()
	text, err := os.ReadFile("../../../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	duration := func(s string) time.Duration {
		number, unit, _ := strings.Cut(s, " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(n) * map[string]time.Duration{"s": time.Second, "min": time.Minute}[unit]
	}
	said := map[string][2]time.Duration{}
	row := regexp.MustCompile(`(?m)^\| (all others|\x60[A-Za-z, \x60]+) \| (\d+ (?:s|min)) \| (\d+ (?:s|min)) \|$`)
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		for _, name := range strings.Split(m[1], ", ") {
			if name == "all others" {
				name = ""
			}
			said[strings.Trim(name, "`")] = [2]time.Duration{duration(m[2]), duration(m[3])}
		}
	}
	if len(said) < 11 {
		t.Fatalf("the docs have %d pauses: %v", len(said), said)
	}
	return said
}

func TestNoPauseIsLongerThanTheDocsSay(t *testing.T) {
	said := pauses(t)
	for _, reason := range []string{ReasonNotFound, ReasonAccessDenied, ReasonCredentialsMissing, ReasonSourceUnreachable, ReasonThrottled,
		ReasonSourceChanged, ReasonSourceUnsupported, ReasonSourceMisconfigured, ReasonDigestMismatch, ReasonInsufficientSpace,
		ReasonInvalidPath, ReasonPathConflict, ReasonHookFailed, ReasonStoreFailed, "of a later release"} {
		want, ok := said[reason]
		if !ok {
			want = said[""]
		}
		for _, c := range []struct {
			failures int
			limit    time.Duration
		}{{0, want[0]}, {100, want[1]}} {
			longest := time.Duration(0)
			for range 500 {
				longest = max(longest, RetryPause(reason, c.failures))
			}
			if longest > c.limit || longest < c.limit*8/10 || longest > LongestPause {
				t.Errorf("%s after %d failures: up to %s, the docs say %s", reason, c.failures, longest, c.limit)
			}
		}
	}
}
