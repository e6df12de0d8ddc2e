// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package data

import (
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/controller/events"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/shorten"
)

const (
	// waveTime is how long deliveries of a revision are gathered for one event. An event per
	// pod would be a third of all writes of a rollout.
	waveTime = 5 * time.Second
	// wavePods is how many pods of a wave an event names.
	wavePods = 5
)

// waveKey is what the pods of a wave have in common.
type waveKey struct{ namespace, dataSet, revision string }

// waves gathers the pods that get all items of a revision within a few seconds. What it
// has gathered is lost with the process; the status of each Data tells the same.
type waves struct {
	recorder events.Recorder

	mu   sync.Mutex
	open map[waveKey]*wave
}

// wave is the pods of one event.
type wave struct {
	first *v1alpha1.Data
	pods  []string
	count int
}

// addDelivery notes that a Data's pod has its revision.
func (w *waves) addDelivery(d *v1alpha1.Data) {
	key := waveKey{d.Namespace, assignment.DataSet(d), d.Spec.Revision}
	w.mu.Lock()
	defer w.mu.Unlock()
	open := w.open[key]
	if open == nil {
		if w.open == nil {
			w.open = make(map[waveKey]*wave)
		}
		open = &wave{first: d}
		w.open[key] = open
		time.AfterFunc(waveTime, func() { w.endWave(key) })
	}
	open.count++
	if len(open.pods) < wavePods {
		open.pods = append(open.pods, d.Spec.PodName)
	}
}

// endWave tells the pod, where it is one, or else the DataSet.
func (w *waves) endWave(key waveKey) {
	w.mu.Lock()
	done := w.open[key]
	delete(w.open, key)
	w.mu.Unlock()
	set := ownerOf(done.first)
	if done.count == 1 || set == nil {
		w.recorder.Eventf(podOf(done.first), done.first, corev1.EventTypeNormal, v1alpha1.EventItemsDelivered, actionDeliver, "%s",
			assignment.DeliveredMessage(done.first.Status.DataItems, key.revision))
		return
	}
	slices.Sort(done.pods)
	named := shorten.List(done.pods, ", ", wavePods)
	if more := done.count - len(done.pods); more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	w.recorder.Eventf(set, nil, corev1.EventTypeNormal, v1alpha1.EventItemsDelivered, actionDeliver,
		"%d pods have every item of revision %s: %s", done.count, key.revision, named)
}

// ownerOf is the DataSet of a Data, as far as an event needs it; nil where the Data names
// none.
func ownerOf(d *v1alpha1.Data) *v1alpha1.DataSet {
	owner := metav1.GetControllerOf(d)
	if owner == nil {
		return nil
	}
	set := &v1alpha1.DataSet{}
	set.APIVersion, set.Kind = owner.APIVersion, owner.Kind
	set.Namespace, set.Name, set.UID = d.Namespace, owner.Name, owner.UID
	return set
}
