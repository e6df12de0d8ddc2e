// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/verdict"
)

// defaultDeadline is the API's.
const defaultDeadline = 600

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

func buildStep(d *v1alpha1.DataSet) *Step {
	s := verdict.CurrentStep(d)
	if s == nil {
		return nil
	}
	at := &Step{Index: int(d.Status.Rollout.Step) + 1, Of: len(d.Spec.UpdateStrategy.Steps)}
	switch {
	case s.Pause != nil:
		at.Kind = "pause"
	case s.Analysis != nil:
		at.Kind = "analysis"
	case s.Partition != nil:
		at.Kind = "partition " + s.Partition.String()
	}
	return at
}

// deadlineTime returns when the rollout fails unless a pod comes further; nil
// while the clock stands.
func deadlineTime(d *v1alpha1.DataSet) *metav1.Time {
	r := d.Status.Rollout
	if r.ProgressTime == nil || d.Spec.Paused || verdict.HeldBack(d) {
		return nil
	}
	switch r.Phase {
	case v1alpha1.RolloutDelivering, v1alpha1.RolloutPrefetching, v1alpha1.RolloutProgressing:
	default:
		return nil
	}
	if s := verdict.CurrentStep(d); s != nil && s.Partition == nil {
		return nil
	}
	seconds := int32(defaultDeadline)
	if d.Spec.ProgressDeadlineSeconds != nil {
		seconds = *d.Spec.ProgressDeadlineSeconds
	}
	at := metav1.NewTime(r.ProgressTime.Add(time.Duration(seconds) * time.Second))
	return &at
}

// describeWait says what the rollout waits for, and how to end that.
func describeWait(in Input, v *View, counts map[State]int) string {
	d := in.DataSet
	r := d.Status.Rollout
	say := func(verb string) string { return in.Program + " " + verb + " " + d.Name }
	switch v.Verdict.State {
	case verdict.Unobserved:
		return "the manager to look at the last change of the DataSet"
	case verdict.NoPods:
		return "a pod that carries all labels of spec.workloadSelector (status -w --allow-no-pods accepts none)"
	}
	switch v.Phase {
	case v1alpha1.RolloutDelivering:
		return deliveryWaits(d)
	case v1alpha1.RolloutStopped:
		return fmt.Sprintf("a decision: %s, %s or %s", say("retry"), say("undo"), say("abort"))
	case v1alpha1.RolloutRolledBack:
		return fmt.Sprintf("another template, or %s", say("retry"))
	case v1alpha1.RolloutRollingBack:
		return "the moved pods to be back"
	case v1alpha1.RolloutCompleted:
		return ""
	}
	switch {
	case d.Spec.Paused:
		return say("resume")
	case r.Phase == v1alpha1.RolloutPrefetching:
		return fmt.Sprintf("the bytes of the revision on the nodes (%d of %d pods have them)", counts[Prefetched]+counts[Updated], len(in.Data))
	case verdict.CurrentStep(d) != nil:
		return stepWaits(in, say)
	case verdict.HeldBack(d):
		return "nothing more: spec.updateStrategy keeps the other pods where they are"
	}
	if c := meta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionProgressing); c != nil {
		return "the pods to be updated: " + c.Message
	}
	return ""
}

// deliveryWaits says what a delivery waits for that moves no pod from one revision to
// another. What failed is said elsewhere.
func deliveryWaits(d *v1alpha1.DataSet) string {
	c := meta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionReady)
	if c == nil || c.Reason != v1alpha1.ReasonDelivering {
		return ""
	}
	return "the pods to have their data: " + c.Message
}

func stepWaits(in Input, say func(string) string) string {
	d := in.DataSet
	r, s := d.Status.Rollout, verdict.CurrentStep(d)
	switch {
	case s.Pause != nil && s.Pause.Duration == nil:
		return say("promote")
	case s.Pause != nil:
		if r.StepStartTime == nil {
			return "the end of a pause of " + s.Pause.Duration.Duration.String()
		}
		left := r.StepStartTime.Add(s.Pause.Duration.Duration).Sub(in.Now)
		return fmt.Sprintf("the end of the pause in %s, or %s", duration.HumanDuration(max(left, 0)), say("promote"))
	case s.Analysis != nil:
		return analysisWaits(s.Analysis, r.Analysis)
	}
	return fmt.Sprintf("the pods that partition %s lets go to be updated (%d of %d are)", s.Partition.String(),
		d.Status.UpdatedReplicas, d.Status.Replicas)
}

func analysisWaits(s *v1alpha1.AnalysisStep, found *v1alpha1.AnalysisStatus) string {
	count := max(s.Count, 1)
	if found == nil {
		return fmt.Sprintf("the first of %d measurements", count)
	}
	text := fmt.Sprintf("measurements: %d of %d taken, %d failed (%d may)", found.Succeeded+found.Failed, count, found.Failed, s.FailureLimit)
	if found.Message != "" {
		text += "; the last: " + found.Message
	}
	return text
}
