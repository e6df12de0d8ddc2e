// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// notice is an event to be.
type notice struct {
	kind, reason, note string
}

// rolloutTransitions returns what a written status tells of the rollout. It compares
// two statuses, so that a pass which changes nothing tells nothing. The first
// revision of a DataSet moves no pod and is not told of.
func rolloutTransitions(before, after v1alpha1.DataSetStatus, steps []v1alpha1.RolloutStep) []notice {
	if after.Rollout == nil || before.Rollout == nil && before.CurrentRevision == "" {
		return nil
	}
	next := *after.Rollout
	last := v1alpha1.RolloutStatus{Step: -1}
	var notices []notice
	tell := func(kind, reason, format string, args ...any) {
		notices = append(notices, notice{kind, reason, fmt.Sprintf(format, args...)})
	}
	if beginsRollout(before.Rollout, next) {
		tell(corev1.EventTypeNormal, v1alpha1.EventRolloutStarted, "rolling out revision %s", next.Revision)
	} else {
		last = *before.Rollout
	}
	running := next.Phase == v1alpha1.RolloutProgressing
	// Steps count once pods may be moved: a rollout that prefetches takes none.
	entered := last.Step != next.Step || last.Phase == v1alpha1.RolloutPrefetching
	if running && entered && int(next.Step) < len(steps) {
		tell(corev1.EventTypeNormal, v1alpha1.EventRolloutStep, "step %d of %d: %s", next.Step+1, len(steps), describeStep(steps[next.Step]))
	}
	if next.Phase == last.Phase {
		return notices
	}
	switch next.Phase {
	case v1alpha1.RolloutStopped:
		tell(corev1.EventTypeWarning, v1alpha1.EventRolloutStopped, "stopped the rollout of revision %s: %s", next.Revision, next.Message)
	case v1alpha1.RolloutRollingBack:
		tell(corev1.EventTypeWarning, v1alpha1.EventRollingBack, "moving pods back to revision %s: %s", after.CurrentRevision, next.Message)
	case v1alpha1.RolloutRolledBack:
		if last.Phase != v1alpha1.RolloutRollingBack {
			tell(corev1.EventTypeWarning, v1alpha1.EventRollingBack, "giving up revision %s: %s", next.Revision, next.Message)
		}
		tell(corev1.EventTypeNormal, v1alpha1.EventRolledBack, "every pod is on revision %s again; revision %s is not tried again "+
			"until the template changes or retry is requested", after.CurrentRevision, next.Revision)
	case v1alpha1.RolloutCompleted:
		tell(corev1.EventTypeNormal, v1alpha1.EventRolloutCompleted, "every pod has revision %s", next.Revision)
	}
	return notices
}

// describeStep is a step for people.
func describeStep(s v1alpha1.RolloutStep) string {
	switch {
	case s.Partition != nil:
		return fmt.Sprintf("move pods until %s are left", s.Partition.String())
	case s.Pause != nil && s.Pause.Duration != nil:
		return "pause for " + s.Pause.Duration.Duration.String()
	case s.Pause != nil:
		return "pause until promote is requested"
	case s.Analysis != nil:
		return fmt.Sprintf("take %d measurements", max(1, s.Analysis.Count))
	default:
		return "nothing"
	}
}
