// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
	"github.com/kuda-io/kuda/internal/domain/rollout"
)

// parallelWrites bounds the writes of one pass that are under way together.
const parallelWrites = 16

// patchTries bounds the writes of one Data that lose against reports.
const patchTries = 4

var errRevisionGone = errors.New("the ControllerRevision is gone and no Data remembers it")

// applyPlan makes the Data be what the plan says. The moves are written under
// the version of the Data that the plan was made from: if that is no longer
// the newest, the pass fails and the next one plans again. One that fails does
// not hold up the others.
func (r *Reconciler) applyPlan(ctx context.Context, s *session) error {
	targets := make(map[types.UID]string, len(s.plan.Moves))
	for _, m := range s.plan.Moves {
		targets[m.UID] = m.Revision
	}
	templates := make(map[string]v1alpha1.DataTemplateSpec, 3)
	r.checked.keepLive(keyOf(s.set), s.observed.live)
	return r.writeAll(ctx, s, func(x *replica) (*v1alpha1.DataSpec, error) {
		target := cmp.Or(targets[x.pod.UID], x.revision, s.plan.New)
		prefetch, fill := planAhead(x, target, s.plan)
		if x.data != nil && x.data.Spec.FillCache == fill && r.checked.isUnchanged(keyOf(s.set), x, target, prefetch) {
			return nil, nil
		}
		wanted, ok := templates[target]
		if !ok {
			if wanted, ok = revisionTemplate(s.observed, target); !ok {
				return nil, fmt.Errorf("%w: %s", errRevisionGone, target)
			}
			templates[target] = wanted
		}
		assigned := assignedSpec(x, target, wanted)
		assigned.PrefetchRevision, assigned.FillCache = prefetch, fill
		return &assigned, nil
	})
}

// planAhead returns what a pod is to download ahead, and whether it fills the caches with it
// before. Whether it does is not changed while it is at it.
func planAhead(x *replica, target string, p rollout.Plan) (revision string, fill bool) {
	if p.Prefetch == target || p.Filler != "" && p.Filler != x.pod.UID {
		return "", false
	}
	before := x.data != nil && x.data.Spec.FillCache && x.data.Spec.PrefetchRevision == p.Prefetch
	return p.Prefetch, p.Prefetch != "" && (p.Filler != "" || before)
}

// assignedSpec is what a pod is told to have. What a pod was like before a move is
// kept for as long as it has the revision that it was moved to.
func assignedSpec(x *replica, target string, wanted v1alpha1.DataTemplateSpec) v1alpha1.DataSpec {
	spec := assignment.Spec(target, x.pod.Name, wanted)
	if x.data != nil {
		spec.RetryToken = x.data.Spec.RetryToken
	}
	switch {
	case x.data == nil:
	case x.revision == target:
		spec.Baseline = x.data.Spec.Baseline
	case !x.hasStarted():
		// It starts with the target revision, as a new pod does.
	default:
		health := podstate.Health(x.pod)
		spec.Baseline = &health
	}
	return spec
}

func (r *Reconciler) writeData(ctx context.Context, d *v1alpha1.DataSet, x *replica, spec v1alpha1.DataSpec) error {
	if x.data == nil {
		created, err := r.createData(ctx, d, x, spec)
		if err != nil {
			return err
		}
		x.setData(created)
		return nil
	}
	if equality.Semantic.DeepEqual(x.data.Spec, spec) {
		r.checked.record(keyOf(d), x.data)
		return nil
	}
	changed, err := r.patchSpec(ctx, x.data, spec)
	if err != nil {
		return fmt.Errorf("updating Data %s: %w", x.data.Name, err)
	}
	x.setData(changed)
	return nil
}

// patchSpec writes a spec under the version that it was planned from. Where it moves no
// pod, a report that came meanwhile is not in its way: it is written under the version
// that there is now, if that is the same Data with the same spec. One that took its name
// is another pod's.
func (r *Reconciler) patchSpec(ctx context.Context, planned *v1alpha1.Data, spec v1alpha1.DataSpec) (*v1alpha1.Data, error) {
	base := planned
	for tries := 1; ; tries++ {
		changed := base.DeepCopy()
		changed.Spec = *spec.DeepCopy()
		err := r.client.Patch(ctx, changed, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
		if err == nil {
			return changed, nil
		}
		if !apierrors.IsConflict(err) || !movesNoPod(planned.Spec, spec) || tries == patchTries {
			return nil, err
		}
		fresh := &v1alpha1.Data{}
		if readErr := r.live.Get(ctx, client.ObjectKeyFromObject(planned), fresh); client.IgnoreNotFound(readErr) != nil {
			return nil, readErr
		}
		if fresh.UID != planned.UID || !equality.Semantic.DeepEqual(fresh.Spec, planned.Spec) {
			return nil, err
		}
		base = fresh
	}
}

// createData makes the Data of a pod, under the first name that is free.
func (r *Reconciler) createData(ctx context.Context, d *v1alpha1.DataSet, x *replica, spec v1alpha1.DataSpec) (*v1alpha1.Data, error) {
	created := assignment.New(d, x.pod, *spec.DeepCopy())
	for taken := range maxCollisions {
		created.Name = assignment.Name(d.Name, x.pod.Name, x.pod.UID, taken)
		err := r.client.Create(ctx, created)
		if err == nil {
			return created, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("creating Data %s: %w", created.Name, err)
		}
		// The cache did not show it: it is this pod's and new, or another's.
		var other v1alpha1.Data
		err = r.live.Get(ctx, client.ObjectKeyFromObject(created), &other)
		switch {
		case client.IgnoreNotFound(err) != nil:
			return nil, fmt.Errorf("reading Data %s: %w", created.Name, err)
		case err == nil && assignment.IsOf(&other, d, x.pod):
			return &other, nil
		}
	}
	return nil, fmt.Errorf("%w for the Data of pod %s after %d tries", errNoFreeName, x.pod.Name, maxCollisions)
}

// movesNoPod reports whether two specs differ only in what is to be downloaded ahead, or
// in that what failed is to be tried again.
func movesNoPod(before, after v1alpha1.DataSpec) bool {
	after.PrefetchRevision, after.FillCache, after.RetryToken = before.PrefetchRevision, before.FillCache, before.RetryToken
	return equality.Semantic.DeepEqual(before, after)
}

// clearBaselines drops what pods were like before an earlier move to the revision whose
// rollout begins now: it is nothing to judge them by in this one. It goes before
// the status which says that the rollout began.
func (r *Reconciler) clearBaselines(ctx context.Context, s *session) error {
	return r.writeAll(ctx, s, func(x *replica) (*v1alpha1.DataSpec, error) {
		if x.data == nil || x.revision != s.update.Name || x.data.Spec.Baseline == nil {
			return nil, nil
		}
		spec := x.data.Spec.DeepCopy()
		spec.Baseline = nil
		return spec, nil
	})
}

// writeAll writes what each pod is to have, side by side; nothing for a pod without
// a spec. It returns the failure of the first pod; one that is more than a
// conflict, if there is one.
func (r *Reconciler) writeAll(ctx context.Context, s *session, specOf func(*replica) (*v1alpha1.DataSpec, error)) error {
	errs := make([]error, len(s.observed.live))
	var group errgroup.Group
	group.SetLimit(parallelWrites)
	for i, x := range s.observed.live {
		spec, err := specOf(x)
		if spec == nil && err == nil {
			continue
		}
		group.Go(func() error {
			if err == nil {
				err = r.writeData(ctx, s.set, x, *spec)
			}
			if err != nil {
				errs[i] = fmt.Errorf("pod %s: %w", x.pod.Name, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var first error
	for _, err := range errs {
		if err != nil && !apierrors.IsConflict(err) {
			return err
		}
		first = cmp.Or(first, err)
	}
	return first
}
