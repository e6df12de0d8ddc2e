// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/sanitize"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// prefetchStatus is how far the revision is that the Data is to prefetch; nil
// when none is, or when the report speaks of another.
func prefetchStatus(d *v1alpha1.Data, r *gatewayv1alpha1.PrefetchStatus) *v1alpha1.PrefetchStatus {
	if d.Spec.PrefetchRevision == "" || r.GetRevision() != d.Spec.PrefetchRevision {
		return nil
	}
	s := &v1alpha1.PrefetchStatus{
		Revision:   d.Spec.PrefetchRevision,
		Phase:      phaseOf(r.GetPhase()),
		Reason:     sanitize.Word(r.GetReason()),
		Message:    sanitize.Text(r.GetMessage(), maxItemMessage),
		Bytes:      sanitize.Count(r.GetBytes()),
		TotalBytes: sanitize.Count(r.GetTotalBytes()),
	}
	if s.TotalBytes > 0 {
		s.Bytes = min(s.Bytes, s.TotalBytes)
	}
	return s
}

// prefetchDiffers reports whether a report speaks of a prefetch that the Data, as it was
// read, does not ask for: the gateway that told the runtime may know a newer one.
func prefetchDiffers(d *v1alpha1.Data, r *gatewayv1alpha1.ReportRequest) bool {
	return r.GetPrefetch() != nil && r.GetPrefetch().GetRevision() != d.Spec.PrefetchRevision
}

// prefetchChanged reports whether a prefetch began, ended or went to another revision.
func prefetchChanged(before, after *v1alpha1.PrefetchStatus) bool {
	if before == nil || after == nil {
		return before != after
	}
	return before.Revision != after.Revision || before.Phase != after.Phase || before.Reason != after.Reason
}
