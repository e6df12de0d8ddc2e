// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package preheat

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
)

// carryOut makes the pods and their Data be what the plan says.
func (r *Reconciler) carryOut(ctx context.Context, s *session, plan Plan) error {
	for _, name := range plan.Delete {
		p := s.pods[name]
		delete(s.pods, name)
		if err := r.deletePod(ctx, p); err != nil {
			return err
		}
	}
	if err := r.createPods(ctx, s, plan); err != nil {
		return err
	}
	for _, p := range s.pods {
		if s.datas[string(p.UID)] != nil || !podstate.Live(p) || !podstate.Injected(p) {
			continue
		}
		spec := assignment.Spec(plan.State.Revision, p.Name, withoutHooks(s.template))
		spec.FillCache = p.Name == FillerName(s.set.Name, s.set.UID, plan.State.Cache.Node, plan.State.Revision)
		data := assignment.NewPreheat(s.set, p, spec)
		if err := r.client.Create(ctx, data); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating Data %s: %w", data.Name, err)
		}
	}
	return nil
}

// createPods makes pods. Whether the webhook does to them what is needed is asked
// with a pod that is not kept, so that no pod is made in vain.
func (r *Reconciler) createPods(ctx context.Context, s *session, plan Plan) error {
	pods := newPods(s.set, plan)
	for i, p := range pods {
		if i == 0 {
			stop, err := r.createPod(ctx, s, p.DeepCopy(), client.DryRunAll, client.DisableReadYourWritesConsistency)
			if stop || err != nil {
				return err
			}
		}
		stop, err := r.createPod(ctx, s, p)
		if stop || err != nil {
			return err
		}
		ctrl.LoggerFrom(ctx).V(1).Info("created a pod to preheat", "pod", p.Name)
		s.pods[p.Name] = p
	}
	if len(pods) > 0 {
		s.trouble = nil
		r.memory.put(s.set, plan.State, nil)
	}
	return nil
}

// createPod makes a pod, and stops where none can be made to any purpose.
func (r *Reconciler) createPod(ctx context.Context, s *session, p *corev1.Pod, options ...client.CreateOption) (stop bool, err error) {
	err = r.client.Create(ctx, p, options...)
	var o *obstacle
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return true, err
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		// The right is missing, a quota is used up, or a policy refuses the pod.
		o = &obstacle{v1alpha1.ReasonForbidden, "no pod can be made: " + err.Error()}
	case err != nil:
		return true, fmt.Errorf("creating pod %s: %w", p.Name, err)
	default:
		o = findObstacle(p)
		if o != nil && len(options) == 0 {
			if err := r.deletePod(ctx, p); err != nil {
				return true, err
			}
		}
	}
	if o == nil {
		return false, nil
	}
	state, _ := r.memory.get(s.set)
	s.trouble = s.trouble.afterRetry(*o, s.set.Generation, s.input.Now)
	r.memory.put(s.set, state, s.trouble)
	return true, nil
}

// findObstacle says why a pod, as the webhook left it, would preheat nothing.
func findObstacle(p *corev1.Pod) *obstacle {
	switch {
	case !podstate.Injected(p):
		return &obstacle{v1alpha1.ReasonPodsNotInjected,
			"the webhook puts no runtime into pods of this namespace; see whether kuda-webhook runs, and whether the namespace is opted out"}
	case p.Annotations[v1alpha1.AnnotationStore] != v1alpha1.StoreNode:
		return &obstacle{v1alpha1.ReasonNoNodeStore,
			"pods of this namespace have stores of their own, because its Pod Security level forbids hostPath and kuda-node is not installed, " +
				"because of its label kuda.io/store, or because storeMode is Pod, so nothing can be put onto a node for later; take " +
				"spec.preheat out"}
	}
	return nil
}

func (r *Reconciler) deletePod(ctx context.Context, p *corev1.Pod) error {
	if p.DeletionTimestamp != nil {
		return nil
	}
	gone := &corev1.Pod{}
	gone.Name, gone.Namespace, gone.UID = p.Name, p.Namespace, p.UID
	if err := r.client.Delete(ctx, gone, client.Preconditions{UID: &p.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting pod %s: %w", p.Name, err)
	}
	ctrl.LoggerFrom(ctx).V(1).Info("deleted a preheat's pod", "pod", p.Name)
	return nil
}
