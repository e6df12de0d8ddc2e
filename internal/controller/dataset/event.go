// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// Actions of events: what the controller was doing.
const (
	actionRollOut = "RollOut"
	actionInject  = "Inject"
)

// maxPodsTold bounds the memory of pods that were told they lack the runtime.
const maxPodsTold = 10000

// told remembers which pods already have an event about the missing runtime.
type told struct {
	mu   sync.Mutex
	pods map[types.UID]bool
}

// unreportedPods returns those pods that were not told yet. When a restarted manager
// finds a condition that already speaks of as many pods, they were told before.
func (t *told) unreportedPods(pods []*corev1.Pod, before v1alpha1.DataSetStatus) []*corev1.Pod {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pods == nil || len(t.pods) > maxPodsTold {
		t.pods = make(map[types.UID]bool)
	}
	var fresh []*corev1.Pod
	known := 0
	for _, p := range pods {
		if t.pods[p.UID] {
			known++
			continue
		}
		t.pods[p.UID] = true
		fresh = append(fresh, p)
	}
	if known == 0 && int(before.UninjectedReplicas) == len(pods) {
		return nil
	}
	return fresh
}

// recordEvents sends the events of a status that is written.
func (r *Reconciler) recordEvents(s *session, before v1alpha1.DataSetStatus) {
	d, o := s.set, s.observed
	if d.Status.UpdateRevision != before.UpdateRevision {
		r.recorder.Eventf(d, nil, corev1.EventTypeNormal, v1alpha1.EventRevisionCreated, actionRollOut,
			"the template is revision %s", d.Status.UpdateRevision)
	}
	for _, n := range rolloutTransitions(before, d.Status, d.Spec.UpdateStrategy.Steps) {
		r.recorder.Eventf(d, nil, n.kind, n.reason, actionRollOut, "%s", n.note)
	}
	r.announceFailures(s, before)
	r.announceRefusal(s, before)
	if isDelivered(d.Status) && (!isDelivered(before) || before.UpdateRevision != d.Status.UpdateRevision) {
		r.recorder.Eventf(d, nil, corev1.EventTypeNormal, v1alpha1.EventDelivered, actionRollOut,
			"%s pods have revision %s", d.Status.Ready, d.Status.UpdateRevision)
	}
	for _, p := range r.told.unreportedPods(o.uninjected, before) {
		why := o.uninjectedCause(d, p)
		r.recorder.Eventf(d, p, corev1.EventTypeWarning, v1alpha1.EventPodNotInjected, actionInject,
			"pod %s matches and gets no data, because it lacks the runtime: it %s", p.Name, why)
		r.recorder.Eventf(p, d, corev1.EventTypeWarning, v1alpha1.EventPodNotInjected, actionInject,
			"the pod matches DataSet %s and gets no data, because it lacks the runtime: it %s", d.Name, why)
	}
}

// announceFailures tells the DataSet and the pod of each moved pod that failed.
func (r *Reconciler) announceFailures(s *session, before v1alpha1.DataSetStatus) {
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
		r.recorder.Eventf(d, x.pod, corev1.EventTypeWarning, v1alpha1.EventPodFailed, actionRollOut,
			"pod %s failed with revision %s: %s", x.pod.Name, d.Status.UpdateRevision, why)
		r.recorder.Eventf(x.pod, d, corev1.EventTypeWarning, v1alpha1.EventPodFailed, actionRollOut,
			"the pod failed with revision %s of DataSet %s: %s", d.Status.UpdateRevision, d.Name, why)
	}
}

func isDelivered(s v1alpha1.DataSetStatus) bool {
	c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionProgressing)
	return c != nil && c.Reason == v1alpha1.ReasonDelivered
}
