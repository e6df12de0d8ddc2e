// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// maxAttempts bounds the writes that lose against others' writes.
const maxAttempts = 5

// Report is what one pod's runtime says about one of its Data.
type Report struct {
	Request *gatewayv1alpha1.ReportRequest
	Node    string
}

// Subject is the Data that a report is about. Once it is gone, its name may be that of
// another pod's Data, which the report says nothing about.
type Subject struct {
	types.NamespacedName
	UID types.UID
}

// SubjectOf returns the subject of reports about a Data.
func SubjectOf(d *v1alpha1.Data) Subject {
	return Subject{client.ObjectKeyFromObject(d), d.UID}
}

// Writer writes statuses. Cached may be behind, live may not.
type Writer struct {
	Cached client.Reader
	Live   client.Reader
	Status client.SubResourceWriter
	Clock  clock.PassiveClock
}

// gradeReport returns how grave the difference is that the report makes.
func (w *Writer) gradeReport(ctx context.Context, about Subject, r Report) (change, error) {
	var d v1alpha1.Data
	if err := w.Cached.Get(ctx, about.NamespacedName, &d); err != nil {
		if apierrors.IsNotFound(err) {
			return whole, nil
		}
		return nothing, fmt.Errorf("reading Data %s: %w", about.NamespacedName, err)
	}
	if d.UID != about.UID || d.Spec.Revision != r.Request.GetRevision() || prefetchDiffers(&d, r.Request) {
		return whole, nil
	}
	after := Status(&d, r.Request, r.Node, w.Clock.Now())
	return compareStatus(&d.Status, &after), nil
}

// updateStatus makes the status be what the report says, and returns the Data as it is
// then; nil when there was nothing to write: the status says so already, or the report is
// about another revision or an object that is gone, also where another has its name.
// Last is the Data as it was last written; nil: not known.
func (w *Writer) updateStatus(ctx context.Context, about Subject, r Report, last *v1alpha1.Data) (*v1alpha1.Data, error) {
	// The first look is at the cache and at what was written last; when both are too old,
	// the rest is live.
	reader, live := w.Cached, false
	var lost error
	for range maxAttempts {
		var d v1alpha1.Data
		if err := reader.Get(ctx, about.NamespacedName, &d); err != nil {
			return nil, client.IgnoreNotFound(err)
		}
		if !live && isNewer(last, &d) {
			last.DeepCopyInto(&d)
		}
		if d.UID != about.UID || d.Spec.Revision != r.Request.GetRevision() {
			if live {
				return nil, nil
			}
			reader, live = w.Live, true
			continue
		}
		if !live && prefetchDiffers(&d, r.Request) {
			reader, live = w.Live, true
			continue
		}
		after := Status(&d, r.Request, r.Node, w.Clock.Now())
		if compareStatus(&d.Status, &after) == nothing {
			return nil, nil
		}
		before := d.DeepCopy()
		d.Status = after
		lost = w.Status.Patch(ctx, &d, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		switch {
		case lost == nil:
			return &d, nil
		case apierrors.IsNotFound(lost):
			return nil, nil
		case !apierrors.IsConflict(lost):
			return nil, fmt.Errorf("writing the status of Data %s: %w", about.NamespacedName, lost)
		}
		reader, live = w.Live, true
	}
	return nil, fmt.Errorf("writing the status of Data %s: %w", about.NamespacedName, errors.Join(errBusy, lost))
}

// isNewer reports whether what was written last is known, and newer than what the cache has
// of the same Data.
func isNewer(last, cached *v1alpha1.Data) bool {
	if last == nil || last.UID != cached.UID {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(last.ResourceVersion, cached.ResourceVersion)
	return err == nil && order > 0
}

var errBusy = errors.New("others kept changing it")
