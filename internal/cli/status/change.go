// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/verdict"
	"github.com/kuda-io/kuda/internal/insight/status"
)

// describeChanges says in lines what became different from one view to the next, for
// outputs on which nothing can be drawn again. The first view has no
// predecessor.
func describeChanges(before, after *status.View) []string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if before == nil {
		before = &status.View{}
	}
	turned := rolloutChanged(before, after)
	if turned {
		say("%s", rolloutWord(after))
	}
	if before.Updated != after.Updated || before.Replicas != after.Replicas {
		say("%d of %d pods have revision %s", after.Updated, after.Replicas, after.Update.Label(after.Name))
	}
	// At turns only: what it waits for often holds a count or a time.
	if turned && after.Waits != "" {
		say("waits for %s", after.Waits)
	}
	known := make(map[string]bool, len(before.Alerts))
	for _, a := range before.Alerts {
		known[a.Type+a.Reason] = true
	}
	if after.Verdict.State == verdict.Blocked && before.Verdict.State != verdict.Blocked {
		say("%s: %s; this is final in %s, unless it passes", after.Verdict.Reason, after.Verdict.Message, after.Verdict.Grace())
	}
	for _, a := range after.Alerts {
		if !known[a.Type+a.Reason] {
			say("%s: %s: %s", a.Type, a.Reason, a.Message)
		}
	}
	return append(lines, podChanges(before, after)...)
}

func rolloutChanged(before, after *status.View) bool {
	stepOf := func(v *status.View) status.Step {
		if v.Step == nil {
			return status.Step{}
		}
		return *v.Step
	}
	return before.Phase != after.Phase || before.Update.Name != after.Update.Name || before.Paused != after.Paused ||
		stepOf(before) != stepOf(after) || (before.Verdict.State == verdict.NoPods) != (after.Verdict.State == verdict.NoPods)
}

func rolloutWord(v *status.View) string {
	text := revisionLead(v, ": ") + phaseWordOr(v, "no rollout yet")
	if v.Step != nil {
		text += fmt.Sprintf(", step %d of %d (%s)", v.Step.Index, v.Step.Of, v.Step.Kind)
	}
	if v.Message != "" && (v.HasFailed() || v.Phase == v1alpha1.RolloutRollingBack) {
		text += ": " + v.Message
	}
	return text
}

func phaseWordOr(v *status.View, word string) string {
	if p := phaseWord(v); p != "" {
		return p
	}
	return word
}

// podChanges tells of pods whose state changed. What rests at the first look
// is summed up already.
func podChanges(before, after *status.View) []string {
	states := make(map[string]status.Pod, len(before.Pods))
	for _, p := range before.Pods {
		states[p.Name] = p
	}
	var lines []string
	for _, p := range after.Pods {
		was, known := states[p.Name]
		delete(states, p.Name)
		if known && was.State == p.State && was.Revision == p.Revision {
			continue
		}
		if !known && before.Name == "" && !p.State.IsMoving() && p.State != status.Failed {
			continue
		}
		line := fmt.Sprintf("pod %s: %s, revision %s", p.Name, p.State, p.Revision)
		if p.State == status.Failed && p.Message != "" {
			line += ": " + p.Message
		}
		lines = append(lines, line)
	}
	for _, p := range before.Pods {
		if _, gone := states[p.Name]; gone {
			lines = append(lines, "pod "+p.Name+": gone")
		}
	}
	return lines
}
