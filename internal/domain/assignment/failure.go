// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package assignment

import (
	"fmt"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// permanent reasons are those that another try does not resolve: the revision,
// the source or the pod must be changed. The others may pass by themselves.
var permanent = map[string]bool{
	v1alpha1.ReasonHookFailed:          true,
	v1alpha1.ReasonDigestMismatch:      true,
	v1alpha1.ReasonNotFound:            true,
	v1alpha1.ReasonAccessDenied:        true,
	v1alpha1.ReasonCredentialsMissing:  true,
	v1alpha1.ReasonSourceUnsupported:   true,
	v1alpha1.ReasonSourceMisconfigured: true,
	v1alpha1.ReasonInvalidPath:         true,
	v1alpha1.ReasonPathConflict:        true,
}

// Failure returns why the pod will not have its revision without help: an item
// failed for a reason that does not pass. It is empty when none did.
func Failure(d *v1alpha1.Data) string {
	item, forGood := FailedItem(d)
	if !forGood {
		return ""
	}
	return fmt.Sprintf("item %s/%s: %s: %s", item.Namespace, item.Name, item.Reason, item.Message)
}

// FailedItem is the first item that failed for a reason that does not pass, or
// else the first that failed; nil when none did.
func FailedItem(d *v1alpha1.Data) (item *v1alpha1.DataItemStatus, forGood bool) {
	if !Current(d) {
		return nil, false
	}
	for i := range d.Status.DataItemsStatus {
		s := &d.Status.DataItemsStatus[i]
		if s.Phase != v1alpha1.DataFailed {
			continue
		}
		if permanent[s.Reason] {
			return s, true
		}
		if item == nil {
			item = s
		}
	}
	return item, false
}

// Prefetched reports whether all of a revision is in the store for a later move.
func Prefetched(d *v1alpha1.Data, revision string) bool {
	p := d.Status.Prefetch
	return p != nil && p.Revision == revision && p.Phase == v1alpha1.DataSuccess
}

// PrefetchFailure is like Failure, of the download for a later move.
func PrefetchFailure(d *v1alpha1.Data, revision string) string {
	p := d.Status.Prefetch
	if p == nil || p.Revision != revision || p.Phase != v1alpha1.DataFailed || !permanent[p.Reason] {
		return ""
	}
	return fmt.Sprintf("%s: %s", p.Reason, p.Message)
}
