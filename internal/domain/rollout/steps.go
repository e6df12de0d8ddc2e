// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/shorten"
)

const defaultInterval = 30 * time.Second

// currentPartition returns how many pods are kept on the stable revision now: what the
// last partition step says, all before the first, and never less than
// rollingUpdate.partition.
func currentPartition(f facts) int {
	least, steps := 0, f.in.Strategy.Steps
	if u := f.in.Strategy.RollingUpdate; u != nil && u.Partition != nil {
		least = f.in.scalePartition(*u.Partition)
	}
	if int(f.state.Step) >= len(steps) {
		return least
	}
	kept := len(f.pods)
	for _, step := range steps[:f.state.Step+1] {
		if step.Partition != nil {
			kept = f.in.scalePartition(*step.Partition)
		}
	}
	return max(kept, least)
}

// currentStep returns the step to take now, or nil if there is none.
func currentStep(f facts) *v1alpha1.RolloutStep {
	if !f.isRollingOut() || !f.state.isIn(progressing) || int(f.state.Step) >= len(f.in.Strategy.Steps) {
		return nil
	}
	return &f.in.Strategy.Steps[f.state.Step]
}

// limitStep keeps the step within the steps. All are taken where there are none to take.
func limitStep(f facts) state {
	s, all := f.state, int32(len(f.in.Strategy.Steps))
	if f.updateIsStable() || f.in.onDelete() {
		s.Step = all
	}
	s.Step = min(max(0, s.Step), all)
	return s
}

func enterStep(f facts, index int32) state {
	s := f.state
	s.Step, s.Analysis = index, nil
	s.StepStartTime, s.ProgressTime = f.currentTime(), f.currentTime()
	return s
}

func endStep(f facts) state { return enterStep(f, f.state.Step+1) }

func endAllSteps(f facts) state { return enterStep(f, int32(len(f.in.Strategy.Steps))) }

// endDoneSteps ends one step after the other.
func endDoneSteps(f facts) state {
	for stepIsDone(f) {
		f = f.withState(endStep(f))
	}
	return f.state
}

// stepIsDone reports whether the current step is done. Without pods there is nothing
// that a step could show, so none is.
func stepIsDone(f facts) bool {
	s := currentStep(f)
	switch {
	case s == nil || f.in.Paused || len(f.pods) == 0:
		return false
	case s.Pause != nil:
		return s.Pause.Duration != nil && f.timeSince(f.state.StepStartTime) >= s.Pause.Duration.Duration
	case s.Analysis != nil:
		a := f.state.Analysis
		return a != nil && a.Succeeded+a.Failed >= max(1, s.Analysis.Count)
	}
	return partitionReached(f)
}

// partitionReached reports whether all pods that the partition lets through are updated.
func partitionReached(f facts) bool {
	for _, m := range candidateMoves(f).movable {
		if m.Revision == f.in.Update.Name {
			return false
		}
	}
	return !f.anyPod(func(p podFacts) bool { return !p.outdated && !p.done })
}

// recordMeasurement counts a measurement, unless it was counted before or belongs to
// another step.
func recordMeasurement(f facts) state {
	s, current, m := f.state, currentStep(f), f.in.Measurement
	if current == nil || current.Analysis == nil || m == nil || m.Step != int(s.Step) {
		return s
	}
	var a v1alpha1.AnalysisStatus
	if s.Analysis != nil {
		a = *s.Analysis
	}
	taken := metav1.NewMicroTime(m.Time.Truncate(time.Microsecond))
	if s.StepStartTime != nil && taken.Before(s.StepStartTime) || a.LastTime != nil && !a.LastTime.Before(&taken) {
		return s
	}
	if m.OK {
		a.Succeeded++
	} else {
		a.Failed++
	}
	a.LastTime, a.Message = &taken, shorten.Text(m.Message, maxMeasurementMessage)
	s.Analysis = &a
	return s
}

func analysisFailure(f facts) cause {
	s, a := currentStep(f), f.state.Analysis
	if s == nil || s.Analysis == nil || a == nil || a.Failed <= s.Analysis.FailureLimit {
		return cause{}
	}
	return cause{v1alpha1.ReasonAnalysisFailed, fmt.Sprintf("%d of %d measurements of step %d failed; the last: %s",
		a.Failed, a.Succeeded+a.Failed, f.state.Step+1, a.Message)}
}

// nextMeasurement returns the time until a measurement is due; false: none will be.
func nextMeasurement(f facts) (time.Duration, bool) {
	s := currentStep(f)
	if s == nil || s.Analysis == nil || f.in.Paused || len(f.pods) == 0 {
		return 0, false
	}
	interval := defaultInterval
	if s.Analysis.Interval != nil {
		interval = s.Analysis.Interval.Duration
	}
	last := f.state.StepStartTime
	if a := f.state.Analysis; a != nil && a.LastTime != nil {
		last = a.LastTime
	}
	return interval - f.timeSince(last), true
}

// dueMeasurement returns the step of which a measurement is due, or -1.
func dueMeasurement(f facts) int {
	if wait, ok := nextMeasurement(f); ok && wait <= 0 {
		return int(f.state.Step)
	}
	return -1
}
