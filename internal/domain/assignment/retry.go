// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package assignment

import (
	"slices"
	"strings"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

// maxRequest is what spec.retryToken takes. A longer one was not made by the command.
const maxRequest = 1024

// RetryToken is spec.retryToken; "" for none.
func RetryToken(d *v1alpha1.Data) string {
	if d.Spec.RetryToken == nil {
		return ""
	}
	return *d.Spec.RetryToken
}

// RequestsRetry reports whether the value of the annotation kuda.io/rollout-request asks
// to try again what failed, while this is the update revision.
func RequestsRetry(request, revision string) bool {
	words := strings.Fields(request)
	return len(request) <= maxRequest && len(words) >= 2 && words[0] == v1alpha1.RequestRetry && words[1] == revision
}

// Failing reports whether something of the Data failed that another try may help: an
// item of its revision, or what is to be downloaded ahead.
func Failing(d *v1alpha1.Data) bool {
	if d.Spec.Withdraw {
		return false
	}
	return len(FailedItems(d)) > 0 || PrefetchFails(d)
}

// FailedItems are the items of the Data's revision that failed, by their names.
func FailedItems(d *v1alpha1.Data) []string {
	if !Current(d) {
		return nil
	}
	var names []string
	for i := range d.Status.DataItemsStatus {
		if s := &d.Status.DataItemsStatus[i]; s.Phase == v1alpha1.DataFailed {
			names = append(names, s.Namespace+"/"+s.Name)
		}
	}
	slices.Sort(names)
	return names
}

// PrefetchFails reports whether the download of the revision that is to be there for a
// later move failed.
func PrefetchFails(d *v1alpha1.Data) bool {
	p := d.Status.Prefetch
	return p != nil && d.Spec.PrefetchRevision != "" && p.Revision == d.Spec.PrefetchRevision && p.Phase == v1alpha1.DataFailed
}
