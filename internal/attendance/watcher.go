// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package attendance

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
)

// abandoned is after what time the leader deletes a Lease that is not renewed.
const abandoned = 10 * time.Minute

// replicaLabels are those of the pods that serve the gateway.
var replicaLabels = client.MatchingLabels{"app.kubernetes.io/name": "kuda-manager"}

// Watcher keeps the leader's Roll, and tells of the Data whose pods are heard again or
// no longer. It is a runnable of a manager. All fields are needed.
type Watcher struct {
	Roll *Roll
	// Cached has Leases, pods and Data.
	Cached client.Reader
	// Client deletes Leases.
	Client client.Client
	// Namespace is where the replicas and their Leases are.
	Namespace string
	Clock     clock.WithTicker
	Log       logr.Logger
	// Changed receives the Data.
	Changed chan<- event.GenericEvent

	last map[types.UID]bool
}

// NeedLeaderElection reports whether only the leader calls the roll: it does.
func (w *Watcher) NeedLeaderElection() bool { return true }

// Start works until the context ends.
func (w *Watcher) Start(ctx context.Context) error {
	tick := w.Clock.NewTicker(look)
	defer tick.Stop()
	for {
		if err := w.readLeases(ctx); err != nil && ctx.Err() == nil {
			w.Log.V(1).Info("did not read which runtimes are heard", "error", err.Error())
		}
		select {
		case <-tick.C():
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *Watcher) readLeases(ctx context.Context) error {
	var leases coordinationv1.LeaseList
	in := client.InNamespace(w.Namespace)
	if err := w.Cached.List(ctx, &leases, in, client.MatchingLabelsSelector{Selector: Selector()}, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	var pods corev1.PodList
	if err := w.Cached.List(ctx, &pods, in, replicaLabels, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	now := w.Clock.Now()
	if w.Roll.Update(leases.Items, listReadyReplicas(pods.Items), now) || w.last == nil {
		if err := w.announceChanges(ctx); err != nil {
			return err
		}
	}
	for _, name := range w.Roll.Abandoned(abandoned, now) {
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
		if err := client.IgnoreNotFound(w.Client.Delete(ctx, l)); err != nil {
			return err
		}
	}
	return nil
}

// listReadyReplicas are the names of the replicas that are ready: each of them has a list, but
// for those of a release that has no lists yet.
func listReadyReplicas(pods []corev1.Pod) []string {
	var names []string
	for i := range pods {
		for _, c := range pods[i].Status.Conditions {
			if pods[i].DeletionTimestamp == nil && c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				names = append(names, pods[i].Name)
			}
		}
	}
	return names
}

// announceChanges tells of the Data of which the roll says another thing than before.
func (w *Watcher) announceChanges(ctx context.Context) error {
	var datas v1alpha1.DataList
	if err := w.Cached.List(ctx, &datas, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	heardNow := make(map[types.UID]bool, len(datas.Items))
	pods := make(map[Mark]struct{}, len(datas.Items))
	for i := range datas.Items {
		d := &datas.Items[i]
		uid := assignment.PodUID(d)
		heard, since := w.Roll.Look(uid)
		pods[MarkOf(uid)] = struct{}{}
		// What is not known is no news; the controller looks again by itself.
		if !heard && since.IsZero() {
			if before, ok := w.last[uid]; ok {
				heardNow[uid] = before
			}
			continue
		}
		heardNow[uid] = heard
		if before, ok := w.last[uid]; ok && before == heard {
			continue
		}
		select {
		case w.Changed <- event.GenericEvent{Object: &v1alpha1.Data{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name}}}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.last = heardNow
	w.Roll.Keep(pods)
	return nil
}
