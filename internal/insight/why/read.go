// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/insight/nodes"
	"github.com/kuda-io/kuda/internal/placement"
	"github.com/kuda-io/kuda/internal/placement/index"
)

// Input is what a View is computed from.
type Input struct {
	pod  *corev1.Pod
	sets []set
	// peers is how many other pods of the same DataSets each node has.
	peers map[string]int
	// cluster is nil where the user may not read it.
	cluster *nodes.Cluster
	// unread says what could not be read, and so is left out.
	unread []string
	// events of the pod, the newest first.
	events []corev1.Event
	// Weights that scores are computed by.
	Weights index.Weights
	// Rack is the label that names racks, or empty.
	Rack string
	Now  time.Time
	// Program is how the user calls the command line.
	Program string
}

// set is a DataSet that selects the pod, and what a new pod gets of it.
type set struct {
	dataSet *v1alpha1.DataSet
	wants   []index.Want
	// delivered is what the pod says of its items.
	delivered []v1alpha1.DataItemStatus
}

// isIgnored reports whether the DataSet's data has no part in where pods run.
func (s *set) isIgnored() bool { return s.dataSet.Spec.Placement == v1alpha1.PlacementIgnore }

// maxEvents is how many events are shown beside the pod's condition.
const maxEvents = 3

// ReadInput reads what a View of the pod is computed from, without weights, time and
// program. What the user may not read is named in the View.
func ReadInput(ctx context.Context, c client.Client, key types.NamespacedName) (*Input, error) {
	in := &Input{pod: &corev1.Pod{}}
	switch err := c.Get(ctx, key, in.pod); {
	case err != nil:
		return nil, fmt.Errorf("reading pod %s: %w", key.Name, err)
	}
	if err := in.readSets(ctx, c); err != nil {
		return nil, err
	}
	if len(in.sets) == 0 && len(in.unread) == 0 {
		return nil, fmt.Errorf("no DataSet of namespace %s selects pod %s, so data has no part in where it runs; kubectl describe pod %s "+
			"-n %s has the rest",
			key.Namespace, key.Name, key.Name, key.Namespace)
	}
	if err := in.readData(ctx, c); err != nil {
		return nil, err
	}
	if err := in.readPeers(ctx, c); err != nil {
		return nil, err
	}
	cluster, err := nodes.ReadCluster(ctx, c)
	if err := in.leaveOut(err, "the nodes, what they hold and their scores: you may not list nodes and nodestores, which are of the whole "+
		"cluster (ClusterRole "+nodes.ViewRole+")"); err != nil {
		return nil, err
	}
	in.cluster = cluster
	if in.pod.Spec.NodeName == "" || in.cluster == nil {
		return in, in.readEvents(ctx, c)
	}
	return in, nil
}

// leaveOut notes what the user may not read; another error stays one.
func (in *Input) leaveOut(err error, what string) error {
	if _, nodes := errors.AsType[*nodes.ForbiddenError](err); !nodes && !apierrors.IsForbidden(err) {
		return err
	}
	in.unread = append(in.unread, what)
	return nil
}

// readSets finds the DataSets that the pod gets data of. One that Kuda made for
// spec.preheat belongs to the DataSet that its label names.
func (in *Input) readSets(ctx context.Context, c client.Client) error {
	var list v1alpha1.DataSetList
	if err := c.List(ctx, &list, client.InNamespace(in.pod.Namespace)); err != nil {
		return in.leaveOut(fmt.Errorf("reading the DataSets: %w", err), "what data the pod wants: you may not list datasets")
	}
	preheat, preheats := in.pod.Labels[v1alpha1.LabelPreheat]
	for i := range list.Items {
		d := &list.Items[i]
		selects := d.DeletionTimestamp == nil && podstate.Selects(d.Spec.WorkloadSelector, in.pod)
		if preheats {
			selects = d.Name == preheat
		}
		if !selects {
			continue
		}
		template, err := placement.Template(ctx, c, d)
		if apierrors.IsForbidden(err) {
			template = d.Spec.Template
		}
		if err := in.leaveOut(err, "the stable revision of DataSet "+d.Name+", which new pods get while another is rolled out: you may not "+
			"read controllerrevisions; its items are those of the spec"); err != nil {
			return err
		}
		in.sets = append(in.sets, set{dataSet: d, wants: placement.Wants(d, template)})
	}
	slices.SortFunc(in.sets, func(a, b set) int { return strings.Compare(a.dataSet.Name, b.dataSet.Name) })
	return nil
}

// readData reads what the pod says of its items.
func (in *Input) readData(ctx context.Context, c client.Client) error {
	var list v1alpha1.DataList
	err := c.List(ctx, &list, client.InNamespace(in.pod.Namespace), client.MatchingLabels{v1alpha1.LabelPodUID: string(in.pod.UID)})
	if err != nil {
		return in.leaveOut(fmt.Errorf("reading the Data of pod %s: %w", in.pod.Name, err),
			"what the pod says of its items: you may not list datas")
	}
	for i := range in.sets {
		for j := range list.Items {
			if assignment.DataSet(&list.Items[j]) == in.sets[i].dataSet.Name {
				in.sets[i].delivered = list.Items[j].Status.DataItemsStatus
			}
		}
	}
	return nil
}

// readPeers counts the other pods of the same DataSets.
func (in *Input) readPeers(ctx context.Context, c client.Client) error {
	var list corev1.PodList
	in.peers = map[string]int{}
	if err := c.List(ctx, &list, client.InNamespace(in.pod.Namespace)); err != nil {
		return in.leaveOut(fmt.Errorf("listing pods: %w", err), "the other pods of its DataSets, which spread counts: you may not list pods")
	}
	for i := range list.Items {
		p := &list.Items[i]
		_, preheats := p.Labels[v1alpha1.LabelPreheat]
		if p.Name == in.pod.Name || p.Spec.NodeName == "" || preheats || !podstate.Live(p) {
			continue
		}
		if slices.ContainsFunc(in.sets, func(s set) bool { return podstate.Selects(s.dataSet.Spec.WorkloadSelector, p) }) {
			in.peers[p.Spec.NodeName]++
		}
	}
	return nil
}

// readEvents reads the pod's events.
func (in *Input) readEvents(ctx context.Context, c client.Client) error {
	var list corev1.EventList
	err := c.List(ctx, &list, client.InNamespace(in.pod.Namespace), client.MatchingFields{"involvedObject.name": in.pod.Name})
	if err != nil {
		return in.leaveOut(fmt.Errorf("reading the events of pod %s: %w", in.pod.Name, err), "its events: you may not list events")
	}
	in.events = slices.DeleteFunc(list.Items, func(e corev1.Event) bool {
		return e.InvolvedObject.Kind != "Pod" || e.InvolvedObject.UID != "" && e.InvolvedObject.UID != in.pod.UID
	})
	slices.SortStableFunc(in.events, func(a, b corev1.Event) int {
		return cmp.Or(lastSeen(&b).Compare(lastSeen(&a)), strings.Compare(a.Name, b.Name))
	})
	return nil
}

// lastSeen returns when an event was last seen; current schedulers write no
// lastTimestamp.
func lastSeen(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil && !e.Series.LastObservedTime.IsZero():
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}
