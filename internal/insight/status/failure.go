// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"slices"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/insight/advice"
)

// Failure is that of one pod, whole: what failed, where, why, and what to do.
type Failure struct {
	Pod  string `json:"pod"`
	Node string `json:"node,omitempty"`
	// Item and its version, and the Path that it is read from; none where no item failed.
	Item    string `json:"item,omitempty"`
	Version string `json:"version,omitempty"`
	Path    string `json:"path,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Why says what brings the reason about, and Do what to do; commands begin with
	// "kubectl ".
	Why string   `json:"why,omitempty"`
	Do  []string `json:"do,omitempty"`
}

// firstFailure returns the failure of the first of the view's pods, which are sorted, or
// nil.
func firstFailure(in Input, v *View) *Failure {
	if len(v.Pods) == 0 || v.Pods[0].State != Failed {
		return nil
	}
	p := &v.Pods[0]
	i := slices.IndexFunc(in.Data, func(d *v1alpha1.Data) bool { return d.Spec.PodName == p.Name })
	if i < 0 {
		return nil
	}
	return podFailure(in.DataSet, in.Data[i], p)
}

func podFailure(d *v1alpha1.DataSet, data *v1alpha1.Data, p *Pod) *Failure {
	f := &Failure{Pod: p.Name, Node: p.Node, Message: p.Message}
	place := advice.Place{Namespace: d.Namespace, DataSet: d.Name, Pod: p.Name, Revision: d.Status.UpdateRevision}
	item, _ := assignment.FailedItem(data)
	prefetch := data.Status.Prefetch
	switch {
	case knowsAnotherAuthority(data):
		ready := assignment.Ready(data)
		f.Reason, f.Message = ready.Reason, ready.Message
	case item != nil:
		f.Item, f.Version, f.Reason, f.Message = item.Namespace+"/"+item.Name, item.Version, item.Reason, item.Message
		for i := range data.Spec.DataItems {
			if spec := &data.Spec.DataItems[i]; spec.Namespace == item.Namespace && spec.Name == item.Name {
				f.Path, place.Container = spec.RemotePath, spec.Container
			}
		}
	case prefetch != nil && prefetch.Phase == v1alpha1.DataFailed && prefetch.Revision == data.Spec.PrefetchRevision:
		f.Reason, f.Message = prefetch.Reason, prefetch.Message
	default:
		f.Why = "the application's own log explains it"
		f.Do = []string{"kubectl describe pod " + advice.Word(p.Name) + " -n " + d.Namespace,
			"kubectl logs " + advice.Word(p.Name) + " -n " + d.Namespace + " --all-containers --previous --ignore-errors"}
		return f
	}
	if a, ok := advice.For(v1alpha1.ConditionReady, f.Reason); ok {
		f.Why, f.Do = a.Why, a.In(place)
	}
	return f
}
