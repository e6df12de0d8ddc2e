// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/controller/events"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/domain/stamp"
)

// Actions of events: what the controller was doing.
const (
	actionRollOut = "RollOut"
	actionInject  = "Inject"
)

// announcer sends the events of statuses that are written.
type announcer struct {
	recorder events.Recorder
	reported reportedPods
}

// announceChange sends the events of a status that is written.
func (a *announcer) announceChange(s *session, before v1alpha1.DataSetStatus) {
	d, o := s.set, s.observed
	if d.Status.UpdateRevision != before.UpdateRevision {
		a.recorder.Eventf(d, nil, corev1.EventTypeNormal, v1alpha1.EventRevisionCreated, actionRollOut,
			"the template is revision %s%s", d.Status.UpdateRevision, byUser(", changed by ", revision.ChangedBy(s.update)))
	}
	for _, n := range rolloutTransitions(before, d.Status, d.Spec.UpdateStrategy.Steps, stamp.RequestedBy(d)) {
		a.recorder.Eventf(d, nil, n.kind, n.reason, actionRollOut, "%s", n.note)
	}
	a.announceFailures(s, before)
	a.announceRefusal(s, before)
	if isDelivered(d.Status) && (!isDelivered(before) || before.UpdateRevision != d.Status.UpdateRevision) {
		a.recorder.Eventf(d, nil, corev1.EventTypeNormal, v1alpha1.EventDelivered, actionRollOut,
			"%s pods have revision %s", d.Status.Ready, d.Status.UpdateRevision)
	}
	for _, p := range a.reported.unreportedPods(o.uninjected, before) {
		why := o.uninjectedCause(d, p)
		a.recorder.Eventf(d, p, corev1.EventTypeWarning, v1alpha1.EventPodNotInjected, actionInject,
			"pod %s matches and gets no data, because it lacks the runtime: it %s", p.Name, why)
		a.recorder.Eventf(p, d, corev1.EventTypeWarning, v1alpha1.EventPodNotInjected, actionInject,
			"the pod matches DataSet %s and gets no data, because it lacks the runtime: it %s", d.Name, why)
	}
}

// announceFailures tells the DataSet and the pod of each moved pod that failed.
func (a *announcer) announceFailures(s *session, before v1alpha1.DataSetStatus) {
	d := s.set
	if d.Status.Rollout == nil {
		return
	}
	var known []string
	if before.Rollout != nil && !beginsRollout(before.Rollout, *d.Status.Rollout) {
		known = before.Rollout.FailedPods
	}
	for _, x := range s.observed.live {
		why, fails := s.plan.Failures[x.pod.Name]
		if !fails || !slices.Contains(d.Status.Rollout.FailedPods, x.pod.Name) || slices.Contains(known, x.pod.Name) {
			continue
		}
		a.recorder.Eventf(d, x.pod, corev1.EventTypeWarning, v1alpha1.EventPodFailed, actionRollOut,
			"pod %s failed with revision %s: %s", x.pod.Name, d.Status.UpdateRevision, why)
		a.recorder.Eventf(x.pod, d, corev1.EventTypeWarning, v1alpha1.EventPodFailed, actionRollOut,
			"the pod failed with revision %s of DataSet %s: %s", d.Status.UpdateRevision, d.Name, why)
	}
}

// announceRefusal sends one event when writes begin to be refused.
func (a *announcer) announceRefusal(s *session, before v1alpha1.DataSetStatus) {
	last := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionProgressing)
	if s.refusal == "" || last != nil && last.Reason == v1alpha1.ReasonWriteRefused {
		return
	}
	a.recorder.Eventf(s.set, nil, corev1.EventTypeWarning, v1alpha1.EventWriteRefused, actionRollOut,
		"the API server refused a write: %s", s.refusal)
}

func isDelivered(s v1alpha1.DataSetStatus) bool {
	c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionProgressing)
	return c != nil && c.Reason == v1alpha1.ReasonDelivered
}

// maxReportedPods bounds the memory of pods that have an event about the missing runtime.
const maxReportedPods = 10000

// reportedPods remembers which pods already have an event about the missing runtime.
type reportedPods struct {
	mu   sync.Mutex
	pods map[types.UID]bool
}

// unreportedPods returns those pods that have no event yet. When a restarted manager
// finds a condition that already speaks of as many pods, they have one.
func (r *reportedPods) unreportedPods(pods []*corev1.Pod, before v1alpha1.DataSetStatus) []*corev1.Pod {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pods == nil || len(r.pods) > maxReportedPods {
		r.pods = make(map[types.UID]bool)
	}
	var unreported []*corev1.Pod
	known := 0
	for _, p := range pods {
		if r.pods[p.UID] {
			known++
			continue
		}
		r.pods[p.UID] = true
		unreported = append(unreported, p)
	}
	if known == 0 && int(before.UninjectedReplicas) == len(pods) {
		return nil
	}
	return unreported
}

// notice is an event to be.
type notice struct {
	kind, reason, note string
}

// rolloutTransitions returns what a written status tells of the rollout. It compares
// two statuses, so that a pass which changes nothing tells nothing. The first
// revision of a DataSet moves no pod and is not told of.
// requester is the user of the newest request.
func rolloutTransitions(before, after v1alpha1.DataSetStatus, steps []v1alpha1.RolloutStep, requester string) []notice {
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
		tell(corev1.EventTypeNormal, v1alpha1.EventRolloutStarted, "rolling out revision %s%s", next.Revision,
			byUser(", wanted by ", recordedUser(after.History)))
	} else {
		last = *before.Rollout
	}
	if entersStep(last, next, len(steps)) {
		promoted := ""
		if last.Request != next.Request && strings.HasPrefix(next.Request, v1alpha1.RequestPromote+" ") {
			promoted = byUser(", promoted by ", requester)
		}
		tell(corev1.EventTypeNormal, v1alpha1.EventRolloutStep, "step %d of %d: %s%s", next.Step+1, len(steps),
			describeStep(steps[next.Step]), promoted)
	}
	if next.Phase != last.Phase {
		notices = append(notices, phaseNotices(last.Phase, next, after.CurrentRevision)...)
	}
	return notices
}

// phaseNotices returns what is told when a rollout comes to another phase.
func phaseNotices(last v1alpha1.RolloutPhase, next v1alpha1.RolloutStatus, stable string) []notice {
	var notices []notice
	tell := func(kind, reason, format string, args ...any) {
		notices = append(notices, notice{kind, reason, fmt.Sprintf(format, args...)})
	}
	switch next.Phase {
	case v1alpha1.RolloutStopped:
		tell(corev1.EventTypeWarning, v1alpha1.EventRolloutStopped, "stopped the rollout of revision %s: %s", next.Revision, next.Message)
	case v1alpha1.RolloutRollingBack:
		tell(corev1.EventTypeWarning, v1alpha1.EventRollingBack, "moving pods back to revision %s: %s", stable, next.Message)
	case v1alpha1.RolloutRolledBack:
		if last != v1alpha1.RolloutRollingBack {
			tell(corev1.EventTypeWarning, v1alpha1.EventRollingBack, "giving up revision %s: %s", next.Revision, next.Message)
		}
		tell(corev1.EventTypeNormal, v1alpha1.EventRolledBack, "every pod is on revision %s again; revision %s is not tried again "+
			"until the template changes or retry is requested", stable, next.Revision)
	case v1alpha1.RolloutCompleted:
		tell(corev1.EventTypeNormal, v1alpha1.EventRolloutCompleted, "every pod has revision %s", next.Revision)
	}
	return notices
}

// entersStep reports whether a rollout is in another step than before. Steps count once
// pods may be moved: a rollout that prefetches takes none.
func entersStep(last, next v1alpha1.RolloutStatus, steps int) bool {
	entered := last.Step != next.Step || last.Phase == v1alpha1.RolloutPrefetching
	return next.Phase == v1alpha1.RolloutProgressing && entered && int(next.Step) < steps
}

// byUser returns the words and the user's name; nothing where it is not known.
func byUser(words, user string) string {
	if user == "" {
		return ""
	}
	return words + user
}

// recordedUser returns the user who wanted the newest rollout.
func recordedUser(history []v1alpha1.RolloutRecord) string {
	if n := len(history); n > 0 {
		return ptr.Deref(history[n-1].ChangedBy, "")
	}
	return ""
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
