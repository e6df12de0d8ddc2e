// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// example is what messages show.
const example = `five fields such as "0 3 * * *" (every day at 03:00 UTC)`

var errNever = errors.New("no day has this date; write " + example)

// parser takes the five fields alone: no seconds, no @daily and the like.
var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// Schedule is a sequence of times.
type Schedule struct {
	times cron.Schedule
}

// Parse reads an expression. The error is for its author.
func Parse(expression string) (Schedule, error) {
	// The library takes a time zone before the fields; here all is UTC.
	if strings.Contains(expression, "=") {
		return Schedule{}, fmt.Errorf("names a time zone, but schedules are in UTC; write %s", example)
	}
	times, err := parser.Parse(expression)
	if err != nil {
		return Schedule{}, fmt.Errorf("is no cron expression: %w; write %s", err, example)
	}
	s := Schedule{times: times}
	if s.After(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, errNever
	}
	return s, nil
}

// After is the first time of the schedule after another.
func (s Schedule) After(t time.Time) time.Time { return s.times.Next(t.UTC()) }

// Has reports whether a time is one of the schedule's.
func (s Schedule) Has(t time.Time) bool { return s.After(t.Add(-time.Second)).Equal(t) }
