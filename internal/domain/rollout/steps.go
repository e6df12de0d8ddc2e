// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/shorten"
)

const defaultInterval = 30 * time.Second

// currentPartition returns how many pods are kept on the stable revision now: what the
// last partition step says, all before the first, and never less than
// rollingUpdate.partition.
func (r *run) currentPartition() int {
	least := 0
	if u := r.Strategy.RollingUpdate; u != nil && u.Partition != nil {
		least = r.scalePartition(*u.Partition)
	}
	if int(r.state.Step) >= len(r.Strategy.Steps) {
		return least
	}
	kept := len(r.Pods)
	for _, step := range r.Strategy.Steps[:r.state.Step+1] {
		if step.Partition != nil {
			kept = r.scalePartition(*step.Partition)
		}
	}
	return max(kept, least)
}

// scalePartition scales a partition. Without pods it returns 1 for every partition that
// could hold the next one back.
func (r *run) scalePartition(value intstr.IntOrString) int {
	if s := value.String(); len(r.Pods) == 0 && s != "0" && s != "0%" {
		return 1
	}
	return max(0, scaledValue(value, len(r.Pods)))
}

// currentStep returns the step to take now, or nil if there is none.
func (r *run) currentStep() *v1alpha1.RolloutStep {
	if !r.isRollingOut() || r.state.Phase != v1alpha1.RolloutProgressing || int(r.state.Step) >= len(r.Strategy.Steps) {
		return nil
	}
	return &r.Strategy.Steps[r.state.Step]
}

// advanceSteps takes the steps that are done. Without pods there is nothing that a step
// could show, so none is taken.
func (r *run) advanceSteps() {
	if len(r.Pods) == 0 {
		return
	}
	for s := r.currentStep(); s != nil && r.stepDone(s); s = r.currentStep() {
		r.goTo(r.state.Step + 1)
	}
}

func (r *run) goTo(step int32) {
	r.state.Step = step
	r.state.StepStartTime, r.state.ProgressTime, r.state.Analysis = r.currentTime(), r.currentTime(), nil
}

func (r *run) stepDone(s *v1alpha1.RolloutStep) bool {
	switch {
	case s.Pause != nil:
		return s.Pause.Duration != nil && r.timeSince(r.state.StepStartTime) >= s.Pause.Duration.Duration
	case s.Analysis != nil:
		a := r.state.Analysis
		return a != nil && a.Succeeded+a.Failed >= max(1, s.Analysis.Count)
	}
	return r.partitionReached()
}

// partitionReached reports whether all pods that the partition lets through are updated.
func (r *run) partitionReached() bool {
	movable, _ := r.candidateMoves()
	for _, m := range movable {
		if m.Revision == r.Update.Name {
			return false
		}
	}
	for _, p := range r.Pods {
		if p.Revision == r.Update.Name && !r.isDone(p) {
			return false
		}
	}
	return true
}

// recordMeasurement counts a measurement, unless it was counted before or belongs to
// another step.
func (r *run) recordMeasurement() {
	s, m := r.currentStep(), r.Measurement
	if s == nil || s.Analysis == nil || m == nil || m.Step != int(r.state.Step) {
		return
	}
	taken := metav1.NewMicroTime(m.Time.Truncate(time.Microsecond))
	if r.state.StepStartTime != nil && taken.Before(r.state.StepStartTime) {
		return
	}
	a := r.state.Analysis
	if a == nil {
		a = &v1alpha1.AnalysisStatus{}
	} else if a.LastTime != nil && !a.LastTime.Before(&taken) {
		return
	}
	r.state.Analysis = a
	if m.OK {
		a.Succeeded++
	} else {
		a.Failed++
	}
	a.LastTime, a.Message = &taken, shorten.Text(m.Message, maxMeasurementMessage)
}

func (r *run) analysisFailed() (reason, message string) {
	s, a := r.currentStep(), r.state.Analysis
	if s == nil || s.Analysis == nil || a == nil || a.Failed <= s.Analysis.FailureLimit {
		return "", ""
	}
	return v1alpha1.ReasonAnalysisFailed, fmt.Sprintf("%d of %d measurements of step %d failed; the last: %s",
		a.Failed, a.Succeeded+a.Failed, r.state.Step+1, a.Message)
}

// nextMeasurement returns the time until a measurement is due; false: none will be.
func (r *run) nextMeasurement() (time.Duration, bool) {
	s := r.currentStep()
	if s == nil || s.Analysis == nil || r.Paused || len(r.Pods) == 0 {
		return 0, false
	}
	interval := defaultInterval
	if s.Analysis.Interval != nil {
		interval = s.Analysis.Interval.Duration
	}
	last := r.state.StepStartTime
	if a := r.state.Analysis; a != nil && a.LastTime != nil {
		last = a.LastTime
	}
	return interval - r.timeSince(last), true
}

// dueMeasurement returns the step of which a measurement is due, or -1.
func (r *run) dueMeasurement() int {
	if wait, ok := r.nextMeasurement(); ok && wait <= 0 {
		return int(r.state.Step)
	}
	return -1
}
