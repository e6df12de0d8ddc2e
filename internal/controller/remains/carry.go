// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package remains

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const (
	// maxPods bounds how many nodes are worked on at once; the others wait for a pause.
	maxPods = 20
	pause   = 5 * time.Second

	actionRemove = "Remove"
)

// startTask makes the pod of a task. It returns the time after which to look again.
func (r *Reconciler) startTask(ctx context.Context, s *v1alpha1.NodeStore, t task) (time.Duration, error) {
	var others corev1.PodList
	if err := r.client.List(ctx, &others, client.InNamespace(Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("listing the pods of namespace %s: %w", Namespace, err)
	}
	if len(others.Items) >= maxPods {
		return pause, nil
	}
	p := r.newPod(s, t)
	err := r.client.Create(ctx, p)
	switch {
	case apierrors.IsAlreadyExists(err):
		return 0, nil // and with it comes an event
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsNotFound(err):
		// The right or the namespace is missing, or a policy refuses the pod.
		r.recordFailure(ctx, s, t, "no pod can be made: "+err.Error())
		return r.failures.remainingWait(s.Name, t, r.clock.Now()), nil
	case err != nil:
		return 0, fmt.Errorf("creating pod %s: %w", p.Name, err)
	}
	ctrl.LoggerFrom(ctx).V(1).Info("created a pod to look after a node's stores", "pod", p.Name, "node", s.Name, "task", t.String())
	return 0, nil
}

// followPod looks how far the pod of a node is.
func (r *Reconciler) followPod(ctx context.Context, s *v1alpha1.NodeStore, p *corev1.Pod) (time.Duration, error) {
	if p.DeletionTimestamp != nil {
		return 0, nil // its end is an event
	}
	now := r.clock.Now()
	t, known := r.taskOf(s, p)
	how, why := podVerdict(p, now)
	switch {
	case !known, how == failed:
		if known {
			r.recordFailure(ctx, s, t, why)
		}
	case how == working:
		return patience - now.Sub(p.CreationTimestamp.Time) + time.Second, nil
	default:
		if err := r.recordSuccess(ctx, s, t); err != nil {
			return 0, err
		}
	}
	if err := r.client.Delete(ctx, p, client.Preconditions{UID: &p.UID}); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return 0, fmt.Errorf("deleting pod %s: %w", p.Name, err)
	}
	return 0, nil
}

// taskOf finds what a pod was made for, by its command: that is what it has done. It
// is false of a pod that is of no use to the NodeStore any more.
func (r *Reconciler) taskOf(s *v1alpha1.NodeStore, p *corev1.Pod) (task, bool) {
	candidates := []task{{}}
	for _, d := range s.Status.Directories {
		candidates = append(candidates, task{d.Namespace, d.UID, false}, task{d.Namespace, d.UID, true})
	}
	for _, t := range candidates {
		want := r.newPod(s, t).Spec.Containers[0].Command
		if len(p.Spec.Containers) == 1 && slices.Equal(p.Spec.Containers[0].Command, want) {
			return t, true
		}
	}
	return task{}, false
}

// recordSuccess writes down that a task is done, and tells of it.
func (r *Reconciler) recordSuccess(ctx context.Context, s *v1alpha1.NodeStore, t task) error {
	before := s.DeepCopy()
	s.Status = t.statusAfter(s.Status)
	err := r.client.Status().Patch(ctx, s, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err != nil {
		return fmt.Errorf("updating status: %w", err)
	}
	r.failures.clearFailure(s.Name, t)
	log := ctrl.LoggerFrom(ctx)
	if t.namespace == "" {
		log.V(1).Info("closed the directory of a node's stores", "node", s.Name)
		return nil
	}
	log.Info("removed what a namespace that is gone left on a node", "node", s.Name, "store", t.namespace, "uid", t.uid)
	r.recorder.Eventf(s, nil, corev1.EventTypeNormal, v1alpha1.EventStoreRemoved, actionRemove,
		"what namespace %s (UID %s) left on the node is removed", t.namespace, t.uid)
	return nil
}

// recordFailure remembers that a task failed, and tells of it.
func (r *Reconciler) recordFailure(ctx context.Context, s *v1alpha1.NodeStore, t task, why string) {
	wait := r.failures.recordFailure(s.Name, t, r.clock.Now())
	ctrl.LoggerFrom(ctx).Info("could not look after a node's stores", "node", s.Name, "task", t.String(), "because", why,
		"again", wait.String())
	r.recorder.Eventf(s, nil, corev1.EventTypeWarning, v1alpha1.EventStoreNotRemoved, actionRemove,
		"%q failed on the node and is tried again in %s: %s", "kuda-runtime node "+t.String(), wait, why)
}

// failures are those of each node's tasks since they last succeeded. Its zero value
// knows of none; a manager that has just become the leader tries everything at once.
type failures struct {
	mu    sync.Mutex
	nodes map[string]map[task]failure
}

type failure struct {
	times int
	until time.Time
}

func (f *failures) recordFailure(node string, t task, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.nodes == nil {
		f.nodes = map[string]map[task]failure{}
	}
	if f.nodes[node] == nil {
		f.nodes[node] = map[task]failure{}
	}
	times := f.nodes[node][t].times + 1
	f.nodes[node][t] = failure{times, now.Add(backoffAfter(times))}
	return backoffAfter(times)
}

func (f *failures) clearFailure(node string, t task) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.nodes[node], t)
}

func (f *failures) forgetNode(node string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.nodes, node)
}

// remainingWait is how long a task has to wait still.
func (f *failures) remainingWait(node string, t task, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(0, f.nodes[node][t].until.Sub(now))
}
