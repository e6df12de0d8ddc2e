// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package assignment

import (
	"slices"
	"strings"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

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
	return len(words) >= 2 && words[0] == v1alpha1.RequestRetry && words[1] == revision
}

// RequestToken names a request in the spec of a Data. It has one length, however long the
// request is: that is text of the DataSet's users.
func RequestToken(request string) string {
	if request == "" {
		return ""
	}
	return hexDigest(request)[:retryTokenLength]
}

const retryTokenLength = 32

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
