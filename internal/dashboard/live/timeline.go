// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/dashboard/contract"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/verdict"
)

// maxPoints is how many points a timeline has at most.
const maxPoints = 120

// BuildTimeline returns how many pods had the update revision by when.
func BuildTimeline(d *v1alpha1.DataSet, data []*v1alpha1.Data) contract.Timeline {
	line := contract.Timeline{Seconds: []int64{}, Pods: []int{}, Total: int(d.Status.Replicas)}
	r := d.Status.Rollout
	if r == nil || r.StartTime == nil {
		return line
	}
	line.Begin = metav1.NewTime(r.StartTime.Time)
	var ends []int64
	for _, x := range data {
		if x.Spec.Revision != d.Status.UpdateRevision || !assignment.Delivered(x) {
			continue
		}
		ends = append(ends, max(int64(deliveryTime(x).Sub(r.StartTime.Time).Seconds()), 0))
	}
	slices.Sort(ends)
	// Points are of seconds: many pods may have been delivered in one.
	var moments []int
	for i := range ends {
		if i+1 == len(ends) || ends[i+1] != ends[i] {
			moments = append(moments, i)
		}
	}
	step := max((len(moments)+maxPoints-1)/maxPoints, 1)
	for n, i := range moments {
		if n+1 == len(moments) || (n+1)%step == 0 {
			line.Seconds, line.Pods = append(line.Seconds, ends[i]), append(line.Pods, i+1)
		}
	}
	return line
}

// deliveryTime returns when the last item of a pod was there.
func deliveryTime(data *v1alpha1.Data) time.Time {
	var last time.Time
	for i := range data.Status.DataItemsStatus {
		if t := data.Status.DataItemsStatus[i].CompletionTime; t != nil && t.After(last) {
			last = t.Time
		}
	}
	return last
}

// BuildSteps returns the steps of the rollout with where it is.
func BuildSteps(d *v1alpha1.DataSet) []contract.Step {
	steps := make([]contract.Step, 0, len(d.Spec.UpdateStrategy.Steps))
	current, runs := -1, verdict.CurrentStep(d) != nil
	if r := d.Status.Rollout; r != nil {
		current = int(r.Step)
	}
	for i := range d.Spec.UpdateStrategy.Steps {
		s := buildStep(&d.Spec.UpdateStrategy.Steps[i])
		switch {
		case d.Status.CurrentRevision == d.Status.UpdateRevision || i < current:
			s.State = "done"
		case i == current && runs:
			s.State = "current"
			if r := d.Status.Rollout; s.Kind == "analysis" && r.Analysis != nil {
				s.Succeeded, s.Failed = r.Analysis.Succeeded, r.Analysis.Failed
			}
		default:
			s.State = "ahead"
		}
		steps = append(steps, s)
	}
	return steps
}

func buildStep(from *v1alpha1.RolloutStep) contract.Step {
	switch {
	case from.Pause != nil && from.Pause.Duration != nil:
		return contract.Step{Kind: "pause", Seconds: int64(from.Pause.Duration.Seconds())}
	case from.Pause != nil:
		return contract.Step{Kind: "pause"}
	case from.Analysis != nil:
		return contract.Step{Kind: "analysis", Count: max(from.Analysis.Count, 1)}
	case from.Partition != nil:
		return contract.Step{Kind: "partition", Partition: from.Partition.String()}
	}
	return contract.Step{Kind: "partition"}
}

// BuildScene returns what a page shows of a picture.
func BuildScene(p *Picture, q Query, say func(verb string) string) contract.Scene {
	s := contract.Scene{
		View: p.View, UID: p.DataSet.UID, Choices: p.Choices(say), Steps: p.steps, Conditions: p.DataSet.Status.Conditions,
		Groups: p.groups, Timeline: p.timeline, Window: Select(p.View.Pods, q),
		SeenTime: p.SeenTime, Trouble: p.Trouble,
	}
	s.View.Pods = nil
	return s
}
