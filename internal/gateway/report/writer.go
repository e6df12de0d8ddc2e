// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
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

// updateStatus makes the status be what the report says. It returns false when there
// was nothing to write: the status says so already, or the report is about another
// revision or an object that is gone, also where another has its name.
func (w *Writer) updateStatus(ctx context.Context, about Subject, r Report) (bool, error) {
	// The first look is at the cache; when that is too old, the rest is live.
	reader, live := w.Cached, false
	var last error
	for range maxAttempts {
		var d v1alpha1.Data
		if err := reader.Get(ctx, about.NamespacedName, &d); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		if d.UID != about.UID || d.Spec.Revision != r.Request.GetRevision() {
			if live {
				return false, nil
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
			return false, nil
		}
		before := d.DeepCopy()
		d.Status = after
		last = w.Status.Patch(ctx, &d, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		switch {
		case last == nil:
			return true, nil
		case apierrors.IsNotFound(last):
			return false, nil
		case !apierrors.IsConflict(last):
			return false, fmt.Errorf("writing the status of Data %s: %w", about.NamespacedName, last)
		}
		reader, live = w.Live, true
	}
	return false, fmt.Errorf("writing the status of Data %s: %w", about.NamespacedName, errors.Join(errBusy, last))
}

var errBusy = errors.New("others kept changing it")
