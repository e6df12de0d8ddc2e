// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/revision"
	"github.com/kuda-io/kuda/internal/domain/rollout"
	"github.com/kuda-io/kuda/internal/fieldindex"
)

// maxCollisions bounds the search for a free name. Two are as good as impossible.
const maxCollisions = 16

// defaultHistoryLimit is what the schema's default says, for objects that did not see it.
const defaultHistoryLimit = 10

var errNoFreeName = errors.New("no free name")

// revisions keeps the ControllerRevisions of DataSets.
type revisions struct {
	client client.Client
	// live reads past the cache.
	live client.Reader
}

// listRevisions lists the DataSet's own revisions, copied.
func (r revisions) listRevisions(ctx context.Context, d *v1alpha1.DataSet) ([]*appsv1.ControllerRevision, error) {
	var revisions appsv1.ControllerRevisionList
	if err := r.client.List(ctx, &revisions, client.InNamespace(d.Namespace),
		client.MatchingFields{fieldindex.RevisionOf: d.Name}); err != nil {
		return nil, fmt.Errorf("listing ControllerRevisions: %w", err)
	}
	var own []*appsv1.ControllerRevision
	for i := range revisions.Items {
		if revision.IsOf(&revisions.Items[i], d) {
			own = append(own, &revisions.Items[i])
		}
	}
	return own, nil
}

// updateRevision returns the revision of the template as it is now, and makes
// it, or makes it the newest again, where that is needed.
func (r revisions) updateRevision(ctx context.Context, d *v1alpha1.DataSet, o *observation) (*appsv1.ControllerRevision, error) {
	if err := r.completeSelectors(ctx, d, o); err != nil {
		return nil, err
	}
	newest := revision.Newest(o.history)
	found := revision.Find(o.history, d.Spec.Template)
	if found == nil {
		created, err := r.createRevision(ctx, d, newest+1)
		if err != nil {
			return nil, err
		}
		o.history = append(o.history, created)
		return created, nil
	}
	before := found.DeepCopy()
	changed := false
	if found.Revision < newest {
		found.Revision, changed = newest+1, true
		revision.SetChangedBy(found, d)
	}
	if revision.SetChangeCause(found, d) {
		changed = true
	}
	if revision.SetSelector(found, d) {
		changed = true
	}
	if !changed {
		return found, nil
	}
	if err := r.client.Patch(ctx, found, client.MergeFrom(before)); err != nil {
		return nil, fmt.Errorf("updating ControllerRevision %s: %w", found.Name, err)
	}
	return found, nil
}

// completeSelectors writes down for the revisions of an older Kuda, which kept no
// selector with them, what is selected now.
func (r revisions) completeSelectors(ctx context.Context, d *v1alpha1.DataSet, o *observation) error {
	for _, old := range o.history {
		if _, ok := old.Annotations[revision.AnnotationSelector]; ok {
			continue
		}
		before := old.DeepCopy()
		revision.SetSelector(old, d)
		if err := r.client.Patch(ctx, old, client.MergeFrom(before)); err != nil {
			return fmt.Errorf("updating ControllerRevision %s: %w", old.Name, err)
		}
	}
	return nil
}

func (r revisions) createRevision(ctx context.Context, d *v1alpha1.DataSet, number int64) (*appsv1.ControllerRevision, error) {
	for collision := range maxCollisions {
		created, err := revision.New(d, number, collision)
		if err != nil {
			return nil, err
		}
		if err := controllerutil.SetControllerReference(d, created, r.client.Scheme(), controllerutil.WithBlockOwnerDeletion(false)); err != nil {
			return nil, fmt.Errorf("owning ControllerRevision %s: %w", created.Name, err)
		}
		err = r.client.Create(ctx, created)
		if err == nil {
			return created, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("creating ControllerRevision %s: %w", created.Name, err)
		}
		// The cache did not show it: it is ours and new, or has another owner.
		var taken appsv1.ControllerRevision
		if err := r.live.Get(ctx, client.ObjectKeyFromObject(created), &taken); err != nil {
			return nil, fmt.Errorf("reading ControllerRevision %s: %w", created.Name, err)
		}
		if revision.IsOf(&taken, d) && revision.Holds(&taken, d.Spec.Template) {
			return &taken, nil
		}
	}
	return nil, fmt.Errorf("%w for the ControllerRevision of DataSet %s after %d tries", errNoFreeName, d.Name, maxCollisions)
}

// recordReach writes down how far a revision came, so that it is still known when
// its pods are gone. It goes before the Data that it speaks of.
func (r revisions) recordReach(ctx context.Context, o *observation, name string, reached rollout.Reach) error {
	if reached == rollout.Untried {
		return nil
	}
	value := revision.ReachedAssigned
	if reached == rollout.Delivered {
		value = revision.ReachedDelivered
	}
	for _, rev := range o.history {
		if rev.Name != name || revision.Reached(rev) == value || revision.Reached(rev) == revision.ReachedDelivered {
			continue
		}
		before := rev.DeepCopy()
		metav1.SetMetaDataAnnotation(&rev.ObjectMeta, revision.AnnotationReached, value)
		if err := r.client.Patch(ctx, rev, client.MergeFrom(before)); err != nil {
			return fmt.Errorf("updating ControllerRevision %s: %w", name, err)
		}
	}
	return nil
}

// pruneRevisions deletes the revisions that the history has no room for.
func (r revisions) pruneRevisions(ctx context.Context, d *v1alpha1.DataSet, o *observation, status v1alpha1.DataSetStatus) error {
	used := map[string]bool{status.CurrentRevision: true, status.UpdateRevision: true}
	if status.Rollout != nil {
		used[status.Rollout.Revision] = true
	}
	for _, data := range o.data {
		used[data.Spec.Revision] = true
		used[data.Spec.PrefetchRevision] = true
		used[data.Status.CurrentRevision] = true
	}
	for _, x := range o.live {
		used[x.revision] = true
	}
	limit := defaultHistoryLimit
	if d.Spec.RevisionHistoryLimit != nil {
		limit = int(*d.Spec.RevisionHistoryLimit)
	}
	for _, old := range revision.Superfluous(o.history, func(name string) bool { return used[name] }, limit) {
		if err := r.client.Delete(ctx, old); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting ControllerRevision %s: %w", old.Name, err)
		}
	}
	return nil
}

// revisionReach returns how far a revision ever came: what it remembers, or more where
// the Data show more.
func revisionReach(o *observation, name string) rollout.Reach {
	reached := rollout.Untried
	for _, r := range o.history {
		if r.Name == name {
			switch revision.Reached(r) {
			case revision.ReachedAssigned:
				reached = rollout.Assigned
			case revision.ReachedDelivered:
				reached = rollout.Delivered
			}
		}
	}
	for _, d := range o.data {
		if d.Spec.Revision == name {
			reached = max(reached, rollout.Assigned)
			if assignment.Delivered(d) {
				reached = rollout.Delivered
			}
		}
	}
	return reached
}

// revisionTemplate returns what a revision holds. When it was deleted, a Data that
// has it still knows.
func revisionTemplate(o *observation, name string) (v1alpha1.DataTemplateSpec, bool) {
	for _, r := range o.history {
		if r.Name == name {
			if t, err := revision.Template(r); err == nil {
				return t, true
			}
		}
	}
	for _, d := range o.data {
		if d.Spec.Revision == name {
			return assignment.Template(d.Spec), true
		}
	}
	return v1alpha1.DataTemplateSpec{}, false
}
