// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"strings"
	"testing"
	"time"
)

func TestAScheduleIsReadInUTC(t *testing.T) {
	local := time.FixedZone("elsewhere", 5*3600)
	now := time.Date(2026, 3, 4, 10, 30, 0, 0, time.UTC).In(local)
	for expression, want := range map[string]string{
		"0 3 * * *":    "2026-03-05T03:00:00Z",
		"*/15 * * * *": "2026-03-04T10:45:00Z",
		"0 0 1 * *":    "2026-04-01T00:00:00Z",
		"0 0 29 2 *":   "2028-02-29T00:00:00Z",
		"0 12 * * MON": "2026-03-09T12:00:00Z",
	} {
		s, err := Parse(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		next := s.After(now)
		if got := next.Format(time.RFC3339); got != want {
			t.Errorf("%s: next is %s, want %s", expression, got, want)
		}
		if !s.Has(next) || s.Has(next.Add(time.Minute)) && expression != "* * * * *" {
			t.Errorf("%s: does not know its own times", expression)
		}
	}
}

func TestAnInvalidScheduleIsRefused(t *testing.T) {
	for _, expression := range []string{
		"", "daily", "@daily", "@every 1h", "0 0 3 * * *", "60 * * * *", "0 3 * *",
		"TZ=Europe/Paris 0 3 * * *", "CRON_TZ=UTC 0 3 * * *", "TZ=0", "0 0 30 2 *",
	} {
		if _, err := Parse(expression); err == nil || !strings.Contains(err.Error(), "0 3 * * *") {
			t.Errorf("%q: %v, want an error with an example", expression, err)
		}
	}
}
