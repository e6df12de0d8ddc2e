// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

// State is what happens with a pod, in one word.
type State string

// The states.
const (
	// Failed: an item or a hook failed, or the pod got worse by the switch.
	Failed State = "failed"
	// Returning: it is moved back to the stable revision.
	Returning State = "returning"
	// Updating: it is told to have the update revision and has not all of it.
	Updating State = "updating"
	// Delivering: it gets the revision that it started with.
	Delivering State = "delivering"
	// Prefetching: its node downloads the update revision ahead of the move.
	Prefetching State = "prefetching"
	// Connecting: its runtime has not reported yet.
	Connecting State = "connecting"
	// Prefetched: the update revision is on its node; its turn has not come.
	Prefetched State = "prefetched"
	// Stable: it has the stable revision.
	Stable State = "stable"
	// Updated: it has all of the update revision.
	Updated State = "updated"
	// Withdrawn: its items were taken out of the view.
	Withdrawn State = "withdrawn"
)

// order is how pods are sorted: those that need a look, those that move, the rest.
var order = []State{Failed, Returning, Updating, Delivering, Prefetching, Connecting, Prefetched, Stable, Updated, Withdrawn}

// States returns all states in the order in which pods are sorted.
func States() []State { return slices.Clone(order) }

// IsMoving reports whether bytes are on their way to the pod.
func (s State) IsMoving() bool {
	return s == Returning || s == Updating || s == Delivering || s == Prefetching
}

// Pod is one pod.
type Pod struct {
	Name string `json:"name"`
	Node string `json:"node,omitempty"`
	// Revision that it is told to have, by number where that is known.
	Revision string `json:"revision,omitempty"`
	// Sees is the revision that the application sees, where that is another.
	Sees     string   `json:"sees,omitempty"`
	State    State    `json:"state"`
	Progress Progress `json:"progress,omitzero"`
	Message  string   `json:"message,omitempty"`
	Items    []Item   `json:"items,omitempty"`
}

// Item is one item of a pod.
type Item struct {
	Name    string              `json:"name"`
	Version string              `json:"version,omitempty"`
	Phase   v1alpha1.DataPhase  `json:"phase,omitempty"`
	Reason  string              `json:"reason,omitempty"`
	Message string              `json:"message,omitempty"`
	Origin  v1alpha1.DataOrigin `json:"origin,omitempty"`
	// Cache is what the cache in front of the source did; nil where there is none.
	Cache    *v1alpha1.CacheUse `json:"cache,omitempty"`
	Progress Progress           `json:"progress,omitzero"`
}

func buildPod(d *v1alpha1.DataSet, data *v1alpha1.Data, number func(string) string) Pod {
	p := Pod{
		Name: cmp.Or(data.Spec.PodName, data.Labels[v1alpha1.LabelPod]), Node: data.Status.NodeName,
		Revision: number(data.Spec.Revision),
	}
	p.State = podState(d, data)
	if sees := data.Status.CurrentRevision; sees != "" && sees != data.Spec.Revision {
		p.Sees = number(sees)
	}
	if !assignment.Current(data) {
		p.Message = connectionMessage(data)
		return p
	}
	for i := range data.Status.DataItemsStatus {
		item := itemOf(&data.Status.DataItemsStatus[i])
		p.Progress.Bytes += item.Progress.Bytes
		p.Progress.Total += item.Progress.Total
		p.Items = append(p.Items, item)
	}
	p.Message = podMessage(d, data, p)
	if f := data.Status.Prefetch; f != nil && f.Revision == data.Spec.PrefetchRevision && (p.State == Prefetching || p.State == Prefetched) {
		p.Progress = Progress{Bytes: f.Bytes, Total: f.TotalBytes}
	}
	return p
}

func itemOf(s *v1alpha1.DataItemStatus) Item {
	return Item{
		Name: intern(s.Namespace + "/" + s.Name), Version: s.Version, Phase: s.Phase, Reason: s.Reason,
		Message: s.Message, Origin: s.Origin, Progress: Progress{Bytes: s.Bytes, Total: s.TotalBytes}, Cache: s.Cache,
	}
}

func podState(d *v1alpha1.DataSet, data *v1alpha1.Data) State {
	onUpdate := data.Spec.Revision == d.Status.UpdateRevision
	switch {
	case data.Spec.Withdraw && assignment.Withdrawn(data):
		return Withdrawn
	case hasFailed(d, data):
		return Failed
	case assignment.Delivered(data) && onUpdate:
		return Updated
	case assignment.Delivered(data):
		return prefetchState(data)
	case !assignment.Reported(data):
		return Connecting
	case onUpdate && data.Spec.Baseline != nil:
		return Updating
	case data.Status.CurrentRevision == "" || data.Status.CurrentRevision == data.Spec.Revision:
		return Delivering
	case onUpdate:
		return Updating
	}
	return Returning
}

func prefetchState(data *v1alpha1.Data) State {
	f := data.Status.Prefetch
	switch {
	case data.Spec.PrefetchRevision == "":
		return Stable
	case f == nil || f.Revision != data.Spec.PrefetchRevision:
		return Prefetching
	case f.Phase == v1alpha1.DataSuccess:
		return Prefetched
	}
	return Prefetching
}

// hasFailed reports whether something of the pod failed. The rollout's own list
// counts for pods that still have the revision that it speaks of.
func hasFailed(d *v1alpha1.DataSet, data *v1alpha1.Data) bool {
	if assignment.Current(data) && data.Status.Failed > 0 {
		return true
	}
	if f := data.Status.Prefetch; f != nil && f.Revision == data.Spec.PrefetchRevision && f.Phase == v1alpha1.DataFailed {
		return true
	}
	return knowsAnotherAuthority(data) || inFailedPods(d, data)
}

// knowsAnotherAuthority reports whether the pod is of an installation before this one.
func knowsAnotherAuthority(data *v1alpha1.Data) bool {
	ready := assignment.Ready(data)
	return ready != nil && ready.Status != metav1.ConditionTrue && ready.Reason == v1alpha1.ReasonAuthorityChanged
}

func inFailedPods(d *v1alpha1.DataSet, data *v1alpha1.Data) bool {
	r := d.Status.Rollout
	return r != nil && data.Spec.Revision == r.Revision && slices.Contains(r.FailedPods, data.Spec.PodName)
}

func connectionMessage(data *v1alpha1.Data) string {
	if ready := assignment.Ready(data); ready != nil && ready.Status != metav1.ConditionTrue &&
		(!assignment.Reported(data) || knowsAnotherAuthority(data)) {
		return ready.Reason + ": " + ready.Message
	}
	return "its runtime has not heard of the revision yet"
}

// podMessage says what holds the pod back: its first failure, what its
// prefetch says, or the first item that is not there.
func podMessage(d *v1alpha1.DataSet, data *v1alpha1.Data, p Pod) string {
	if knowsAnotherAuthority(data) {
		return connectionMessage(data)
	}
	for _, phase := range []v1alpha1.DataPhase{v1alpha1.DataFailed, v1alpha1.DataDownloading, v1alpha1.DataWaiting} {
		for _, item := range p.Items {
			if item.Phase == phase {
				return itemMessage(item, len(p.Items), int(data.Status.Success))
			}
		}
	}
	if f := data.Status.Prefetch; f != nil && p.State == Failed && f.Phase == v1alpha1.DataFailed {
		return "prefetching: " + f.Reason + ": " + f.Message
	}
	if inFailedPods(d, data) {
		return "it became unready or restarted after the switch"
	}
	if ready := meta.FindStatusCondition(data.Status.Conditions, v1alpha1.ConditionReady); ready != nil &&
		ready.Status != metav1.ConditionTrue && !assignment.Delivered(data) {
		return ready.Reason + ": " + ready.Message
	}
	return ""
}

func itemMessage(item Item, items, success int) string {
	text := item.Name + ": " + cmp.Or(item.Reason, string(item.Phase))
	if item.Phase == v1alpha1.DataFailed && item.Message != "" {
		text += ": " + item.Message
	}
	if items > 1 && item.Phase != v1alpha1.DataFailed {
		text = fmt.Sprintf("%d of %d items, %s", success, items, text)
	}
	return text
}
