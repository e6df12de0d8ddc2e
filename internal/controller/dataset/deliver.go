// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/controller/assignment"
	"github.com/kuda-io/kuda/internal/controller/rollout"
)

// parallelWrites bounds the writes of one pass that are under way together.
const parallelWrites = 16

// plan lets rollout decide for the pods that are observed.
func plan(d *v1alpha1.DataSet, o *observation, current, update string) rollout.Plan {
	in := rollout.Input{
		Strategy: d.Spec.UpdateStrategy,
		Paused:   d.Spec.Paused,
		Update:   rollout.Revision{Name: update, Reach: reach(o, update)},
	}
	if current != "" {
		in.Current = rollout.Revision{Name: current, Reach: reach(o, current)}
	}
	for _, x := range o.live {
		in.Pods = append(in.Pods, rollout.Pod{UID: x.pod.UID, Revision: x.revision, Delivered: x.delivered, Failed: x.failed()})
	}
	return rollout.Decide(in)
}

// deliver makes the Data be what the plan says. The moves are written under
// the version of the Data that the plan was made from: if that is no longer
// the newest, the pass fails and the next one plans again.
func (r *Reconciler) deliver(ctx context.Context, d *v1alpha1.DataSet, o *observation, p rollout.Plan) error {
	targets := make(map[types.UID]string, len(p.Moves))
	for _, m := range p.Moves {
		targets[m.UID] = m.Revision
	}
	templates := make(map[string]v1alpha1.DataTemplateSpec, 3)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelWrites)
	for _, x := range o.live {
		target := targets[x.pod.UID]
		switch {
		case target != "":
		case x.data == nil:
			target = p.New
		default:
			target = x.revision
		}
		wanted, ok := templates[target]
		if !ok {
			if wanted, ok = template(o, target); !ok {
				return fmt.Errorf("%w: %s", errRevisionGone, target)
			}
			templates[target] = wanted
		}
		group.Go(func() error { return r.write(ctx, d, x, assignment.Spec(target, x.pod.Name, wanted)) })
	}
	return group.Wait()
}

func (r *Reconciler) write(ctx context.Context, d *v1alpha1.DataSet, x *replica, spec v1alpha1.DataSpec) error {
	if x.data == nil {
		created := assignment.New(d, x.pod, *spec.DeepCopy())
		if err := r.client.Create(ctx, created); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating Data %s: %w", created.Name, err)
		}
		x.set(created)
		return nil
	}
	if equality.Semantic.DeepEqual(x.data.Spec, spec) {
		return nil
	}
	changed := x.data.DeepCopy()
	changed.Spec = *spec.DeepCopy()
	patch := client.MergeFromWithOptions(x.data, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, changed, patch); err != nil {
		return fmt.Errorf("updating Data %s: %w", changed.Name, err)
	}
	x.set(changed)
	return nil
}
