// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/fieldindex"
)

// replica is a pod that carries the runtime, with its Data.
type replica struct {
	pod *corev1.Pod
	// data is nil as long as there is none.
	data *v1alpha1.Data
	// revision that the pod is to have, and whether it has all of it. A pass
	// that moves the pod changes both.
	revision  string
	delivered bool
}

// hasStarted reports whether the pod's runtime has ever run. What it reported counts
// more than the pod's status, which a node that lost its power may write anew.
func (r *replica) hasStarted() bool {
	return podstate.Started(r.pod) || r.data != nil && assignment.Reported(r.data)
}

// downloads reports whether items are on their way, as its runtime says. A download that
// stands still ends as a failure, and a runtime that falls silent is shown as such.
func (r *replica) downloads() bool {
	if r.data == nil || r.delivered {
		return false
	}
	ready := assignment.Ready(r.data)
	return ready != nil && (ready.Reason == v1alpha1.ReasonDownloading || ready.Reason == v1alpha1.ReasonSharedDownload)
}

func (r *replica) setData(d *v1alpha1.Data) {
	r.data, r.revision, r.delivered = d, d.Spec.Revision, assignment.Delivered(d)
}

// observation is what one pass sees. Pods and Data come from the cache
// uncopied: nothing may change them.
type observation struct {
	// live pods are told what to have; sorted by name.
	live []*replica
	// completed pods ended well and had all of their data: they count, but get
	// nothing new.
	completed []*replica
	// uninjected pods match, run, and lack the runtime; sorted by name.
	uninjected []*corev1.Pod
	// namespaceLabels are read when there are uninjected pods.
	namespaceLabels map[string]string
	// data is every Data of the DataSet.
	data []*v1alpha1.Data
	// leaving are the pods that are no longer selected and are asked to take the
	// items out of their views; sorted.
	leaving []string
	// history is the DataSet's own revisions.
	history []*appsv1.ControllerRevision
}

// notStarted returns the live pods whose runtime has never run.
func (o *observation) notStarted() []*replica {
	var pods []*replica
	for _, x := range o.live {
		if !x.hasStarted() {
			pods = append(pods, x)
		}
	}
	return pods
}

// missingRuntime returns the uninjected pods that are to have data: none of those in a
// namespace that is opted out.
func (o *observation) missingRuntime() []*corev1.Pod {
	if o.namespaceLabels[v1alpha1.LabelInjection] == v1alpha1.InjectionDisabled {
		return nil
	}
	return o.uninjected
}

func (o *observation) countedReplicas() []*replica { return slices.Concat(o.live, o.completed) }

func (r *Reconciler) observeCluster(ctx context.Context, d *v1alpha1.DataSet) (*observation, error) {
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, append(fieldindex.SelectPods(d.Spec.WorkloadSelector),
		client.InNamespace(d.Namespace), client.UnsafeDisableDeepCopy)...); err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	var datas v1alpha1.DataList
	if err := r.client.List(ctx, &datas, client.InNamespace(d.Namespace),
		client.MatchingFields{fieldindex.DataSet: d.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Data: %w", err)
	}
	history, err := r.revisions.listRevisions(ctx, d)
	if err != nil {
		return nil, err
	}
	o := newObservation(d, pods.Items, datas.Items, history)
	if len(o.uninjected) > 0 {
		o.namespaceLabels, err = r.namespaceLabels(ctx, d)
	}
	return o, err
}

func newObservation(d *v1alpha1.DataSet, pods []corev1.Pod, datas []v1alpha1.Data, history []*appsv1.ControllerRevision) *observation {
	o := &observation{history: history}
	selected := make(map[types.UID]bool, len(pods))
	byUID := make(map[types.UID]*v1alpha1.Data, len(datas))
	for i := range datas {
		o.data = append(o.data, &datas[i])
		byUID[assignment.PodUID(&datas[i])] = &datas[i]
	}
	for i := range pods {
		p := &pods[i]
		selected[p.UID] = podstate.Selects(d.Spec.WorkloadSelector, p)
		switch {
		case p.DeletionTimestamp != nil || !podstate.Selects(d.Spec.WorkloadSelector, p):
		case podstate.Finished(p):
			if data := byUID[p.UID]; data != nil && p.Status.Phase == corev1.PodSucceeded && assignment.Delivered(data) {
				done := &replica{pod: p}
				done.setData(data)
				o.completed = append(o.completed, done)
			}
		case !podstate.Injected(p):
			o.uninjected = append(o.uninjected, p)
		default:
			running := &replica{pod: p}
			if data := byUID[p.UID]; data != nil {
				running.setData(data)
			}
			o.live = append(o.live, running)
		}
	}
	for _, data := range o.data {
		if data.Spec.Withdraw && !selected[assignment.PodUID(data)] && !assignment.Withdrawn(data) {
			o.leaving = append(o.leaving, data.Spec.PodName)
		}
	}
	slices.Sort(o.leaving)
	byName := func(a, b *replica) int { return strings.Compare(a.pod.Name, b.pod.Name) }
	slices.SortFunc(o.live, byName)
	slices.SortFunc(o.completed, byName)
	slices.SortFunc(o.uninjected, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return o
}

// nodeGroups returns the label's value of each node that a live pod runs on, for
// DataSets that group by it.
func (r *Reconciler) nodeGroups(ctx context.Context, d *v1alpha1.DataSet, o *observation) (map[string]string, error) {
	rolling := d.Spec.UpdateStrategy.RollingUpdate
	if rolling == nil || rolling.TopologyKey == "" {
		return nil, nil
	}
	groups := make(map[string]string)
	for _, x := range o.live {
		name := x.pod.Spec.NodeName
		if _, known := groups[name]; known || name == "" {
			continue
		}
		var node corev1.Node
		if err := r.client.Get(ctx, types.NamespacedName{Name: name}, &node); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading node %s: %w", name, err)
		}
		groups[name] = node.Labels[rolling.TopologyKey]
	}
	return groups, nil
}

// namespaceLabels returns the labels of the DataSet's namespace that the cache
// keeps; nil when the namespace is not known.
func (r *Reconciler) namespaceLabels(ctx context.Context, d *v1alpha1.DataSet) (map[string]string, error) {
	n := &metav1.PartialObjectMetadata{}
	n.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.client.Get(ctx, types.NamespacedName{Name: d.Namespace}, n); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading namespace %s: %w", d.Namespace, err)
	}
	return n.Labels, nil
}
