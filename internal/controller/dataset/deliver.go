// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/podstate"
)

// parallelWrites bounds the writes of one pass that are under way together.
const parallelWrites = 16

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
	var failed failures
	var group errgroup.Group
	group.SetLimit(parallelWrites)
	for i, x := range s.observed.live {
		target := cmp.Or(targets[x.pod.UID], x.revision, s.plan.New)
		wanted, ok := templates[target]
		if !ok {
			if wanted, ok = revisionTemplate(s.observed, target); !ok {
				failed.add(i, x, fmt.Errorf("%w: %s", errRevisionGone, target))
				continue
			}
			templates[target] = wanted
		}
		spec := assignedSpec(x, target, wanted, s.plan.Prefetch)
		group.Go(func() error {
			failed.add(i, x, r.writeData(ctx, s.set, x, spec))
			return nil
		})
	}
	return failed.waitForWrites(&group)
}

// assignedSpec is what a pod is told to have. What a pod was like before a move is
// kept for as long as it has the revision that it was moved to.
func assignedSpec(x *replica, target string, wanted v1alpha1.DataTemplateSpec, prefetch string) v1alpha1.DataSpec {
	spec := assignment.Spec(target, x.pod.Name, wanted)
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
	if prefetch != target {
		spec.PrefetchRevision = prefetch
	}
	return spec
}

func (r *Reconciler) writeData(ctx context.Context, d *v1alpha1.DataSet, x *replica, spec v1alpha1.DataSpec) error {
	if x.data == nil {
		created := assignment.New(d, x.pod, *spec.DeepCopy())
		if err := r.client.Create(ctx, created); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating Data %s: %w", created.Name, err)
		}
		x.setData(created)
		return nil
	}
	if equality.Semantic.DeepEqual(x.data.Spec, spec) {
		return nil
	}
	changed := x.data.DeepCopy()
	changed.Spec = *spec.DeepCopy()
	if err := r.client.Patch(ctx, changed, specPatch(x.data, spec)); err != nil {
		return fmt.Errorf("updating Data %s: %w", changed.Name, err)
	}
	x.setData(changed)
	return nil
}

// specPatch holds for the version that was planned from, except where only what is
// to be downloaded ahead changes: that moves no pod, and a runtime's reports on
// its downloads are not to be in its way.
func specPatch(before *v1alpha1.Data, spec v1alpha1.DataSpec) client.Patch {
	spec.PrefetchRevision = before.Spec.PrefetchRevision
	if equality.Semantic.DeepEqual(before.Spec, spec) {
		return client.MergeFrom(before)
	}
	return client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
}

// clearBaselines drops what pods were like before an earlier move to the revision whose
// rollout begins now: it is nothing to judge them by in this one. It goes before
// the status which says that the rollout began.
func (r *Reconciler) clearBaselines(ctx context.Context, s *session) error {
	var failed failures
	var group errgroup.Group
	group.SetLimit(parallelWrites)
	for i, x := range s.observed.live {
		if x.data == nil || x.revision != s.update.Name || x.data.Spec.Baseline == nil {
			continue
		}
		spec := *x.data.Spec.DeepCopy()
		spec.Baseline = nil
		group.Go(func() error {
			failed.add(i, x, r.writeData(ctx, s.set, x, spec))
			return nil
		})
	}
	return failed.waitForWrites(&group)
}

// failures of writes that are made side by side.
type failures struct {
	mu   sync.Mutex
	errs []failure
}

// failure is what became of the write for the pod at this place.
type failure struct {
	at  int
	err error
}

func (f *failures) add(at int, x *replica, err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs = append(f.errs, failure{at, fmt.Errorf("pod %s: %w", x.pod.Name, err)})
}

// waitForWrites waits for the writes and returns the failure of the first pod; one that is
// more than a conflict, if there is one.
func (f *failures) waitForWrites(writes *errgroup.Group) error {
	if err := writes.Wait(); err != nil {
		return err
	}
	if len(f.errs) == 0 {
		return nil
	}
	slices.SortFunc(f.errs, func(a, b failure) int { return cmp.Compare(a.at, b.at) })
	for _, failed := range f.errs {
		if !apierrors.IsConflict(failed.err) {
			return failed.err
		}
	}
	return f.errs[0].err
}
