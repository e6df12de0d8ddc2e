// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/controller/assignment"
	"github.com/kuda-io/kuda/internal/controller/pod"
)

// Recorder is the part of an events recorder that this controller uses.
type Recorder interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

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

// first answers those pods that were not told yet. When a restarted manager
// finds a condition that already speaks of as many pods, they were told before.
func (t *told) first(pods []*corev1.Pod, before v1alpha1.DataSetStatus) []*corev1.Pod {
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

// announce sends the events of a status that is written.
func (r *Reconciler) announce(d *v1alpha1.DataSet, before v1alpha1.DataSetStatus, o *observation) {
	if d.Status.UpdateRevision != before.UpdateRevision {
		r.recorder.Eventf(d, nil, corev1.EventTypeNormal, v1alpha1.EventRevisionCreated, actionRollOut,
			"the template is revision %s", d.Status.UpdateRevision)
	}
	for _, n := range transitions(before, d.Status, d.Spec.UpdateStrategy.Steps) {
		r.recorder.Eventf(d, nil, n.kind, n.reason, actionRollOut, "%s", n.note)
	}
	r.announceFailures(d, before, o)
	if done(d.Status) && (!done(before) || before.UpdateRevision != d.Status.UpdateRevision) {
		r.recorder.Eventf(d, nil, corev1.EventTypeNormal, v1alpha1.EventDelivered, actionRollOut,
			"%s pods have revision %s", d.Status.Ready, d.Status.UpdateRevision)
	}
	for _, p := range r.told.first(o.uninjected, before) {
		r.recorder.Eventf(d, p, corev1.EventTypeWarning, v1alpha1.EventPodNotInjected, actionInject,
			"pod %s matches but lacks the runtime, so it gets no data; restart it", p.Name)
		r.recorder.Eventf(p, d, corev1.EventTypeWarning, v1alpha1.EventPodNotInjected, actionInject,
			"the pod matches DataSet %s but lacks the runtime, so it gets no data; restart it", d.Name)
	}
}

// announceFailures tells the DataSet and the pod of each moved pod that failed.
func (r *Reconciler) announceFailures(d *v1alpha1.DataSet, before v1alpha1.DataSetStatus, o *observation) {
	if d.Status.Rollout == nil {
		return
	}
	var known []string
	if before.Rollout != nil && !begins(before.Rollout, *d.Status.Rollout) {
		known = before.Rollout.FailedPods
	}
	for _, x := range o.live {
		if x.data == nil || !slices.Contains(d.Status.Rollout.FailedPods, x.pod.Name) || slices.Contains(known, x.pod.Name) {
			continue
		}
		why := failure(x, d.Status.UpdateRevision)
		r.recorder.Eventf(d, x.pod, corev1.EventTypeWarning, v1alpha1.EventPodFailed, actionRollOut,
			"pod %s failed with revision %s: %s", x.pod.Name, d.Status.UpdateRevision, why)
		r.recorder.Eventf(x.pod, d, corev1.EventTypeWarning, v1alpha1.EventPodFailed, actionRollOut,
			"the pod failed with revision %s of DataSet %s: %s", d.Status.UpdateRevision, d.Name, why)
	}
}

// failure says for people what is wrong with a pod that counts as failed.
func failure(x *replica, update string) string {
	if message := assignment.Failure(x.data); message != "" {
		return message
	}
	if message := assignment.PrefetchFailure(x.data, update); message != "" {
		return "downloading it ahead: " + message
	}
	now := pod.Health(x.pod)
	if b := x.data.Spec.Baseline; b != nil && now.Restarts > b.Restarts {
		return fmt.Sprintf("its containers restarted %d times since it was moved", now.Restarts-b.Restarts)
	}
	if !now.Ready {
		return "it is not Ready since it was moved"
	}
	return "it was not Ready for a time since it was moved"
}

func done(s v1alpha1.DataSetStatus) bool {
	c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionProgressing)
	return c != nil && c.Reason == v1alpha1.ReasonDelivered
}
