// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/bytesize"
	"github.com/kuda-io/kuda/internal/cli/frame"
	"github.com/kuda-io/kuda/internal/insight/history"
)

// entryTable shows the entries; wide adds names, counts and why each ended so. An empty
// column is left out.
func entryTable(list []history.Entry, now time.Time, wide bool) *frame.Table {
	t := &frame.Table{Header: []string{"REVISION", "NAME", "ROLE", "OUTCOME", "STARTED", "TOOK", "PODS", "FAILED", "BYTES", "STEP", "BY",
		"CAUSE", "MESSAGE"}}
	for _, e := range list {
		name, message, counts := "", "", make([]frame.Cell, 4)
		if wide {
			name, message, counts = e.Revision, e.Message, countCells(e)
		}
		number := "-"
		if e.Number > 0 {
			number = strconv.FormatInt(e.Number, 10)
		}
		outcome := string(e.Outcome)
		if !e.Kept {
			outcome += " (not kept)"
		}
		cells := append([]frame.Cell{frame.Text(number), frame.Text(name), frame.Toned(frame.Strong, e.Role),
			frame.Toned(outcomeTone(e.Outcome), outcome), frame.Text(startText(e, now)), frame.Text(durationText(e, now))}, counts...)
		t.Add(append(cells, frame.Text(byText(e)), frame.Text(e.Cause), frame.Text(message))...)
	}
	return t
}

// countCells are those of pods, failed pods, bytes and the step.
func countCells(e history.Entry) []frame.Cell {
	cells := make([]frame.Cell, 4)
	for i, n := range []int64{int64(e.Pods), int64(e.FailedPods), 0, e.EndedStep} {
		if n > 0 {
			cells[i] = frame.Text(strconv.FormatInt(n, 10))
		}
	}
	if e.FailedPods > 0 {
		cells[1].Tone = frame.Bad
	}
	if e.Bytes > 0 {
		cells[2] = frame.Text(bytesize.Text(e.Bytes))
	}
	return cells
}

// byText marks what is no user: one of the programs that write objects for users.
func byText(e history.Entry) string {
	if e.ByManager {
		return "(" + e.By + ")"
	}
	return e.By
}

func startText(e history.Entry, now time.Time) string {
	if e.StartTime.IsZero() {
		return ""
	}
	return duration.HumanDuration(now.Sub(e.StartTime.Time)) + " ago"
}

func durationText(e history.Entry, now time.Time) string {
	switch {
	case e.StartTime.IsZero() || e.Outcome == "":
		return ""
	case !e.EndTime.IsZero():
		return duration.HumanDuration(e.EndTime.Sub(e.StartTime.Time))
	case e.Outcome == v1alpha1.OutcomeRunning:
		return duration.HumanDuration(now.Sub(e.StartTime.Time)) + " so far"
	}
	return ""
}

func outcomeTone(o v1alpha1.RolloutOutcome) frame.Tone {
	switch o {
	case v1alpha1.OutcomeSucceeded:
		return frame.Good
	case v1alpha1.OutcomeRunning:
		return frame.Warning
	case v1alpha1.OutcomeSuperseded, "":
		return frame.Plain
	}
	return frame.Bad
}
