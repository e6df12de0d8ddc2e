// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package assignment

import (
	"strings"
	"testing"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestARequestIsARetryOfTheRevisionThatItNames(t *testing.T) {
	for request, want := range map[string]bool{
		"retry r2 token": true, "retry r2": true, "retry r1 token": false, "retry": false, "": false, "promote r2 token": false,
		"retry r2 " + strings.Repeat("t", maxRequest): false,
	} {
		if got := RequestsRetry(request, "r2"); got != want {
			t.Errorf("%q: %t", request, got)
		}
	}
}

func TestOnlyWhatFailedNowIsTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.Data)
		want   bool
	}{
		"delivered":           {func(d *v1alpha1.Data) { d.Status.DataItemsStatus[0].Phase = v1alpha1.DataSuccess }, false},
		"failed":              {func(*v1alpha1.Data) {}, true},
		"of another revision": {func(d *v1alpha1.Data) { d.Spec.Revision = "r2" }, false},
		"withdrawn":           {func(d *v1alpha1.Data) { d.Spec.Withdraw = true }, false},
		"a prefetch failed": {func(d *v1alpha1.Data) {
			d.Status.DataItemsStatus[0].Phase = v1alpha1.DataSuccess
			d.Spec.PrefetchRevision = "r2"
			d.Status.Prefetch = &v1alpha1.PrefetchStatus{Revision: "r2", Phase: v1alpha1.DataFailed}
		}, true},
		"one that is no longer wanted": {func(d *v1alpha1.Data) {
			d.Status.DataItemsStatus[0].Phase = v1alpha1.DataSuccess
			d.Status.Prefetch = &v1alpha1.PrefetchStatus{Revision: "r2", Phase: v1alpha1.DataFailed}
		}, false},
	} {
		d := &v1alpha1.Data{Spec: v1alpha1.DataSpec{Revision: "r1"}, Status: v1alpha1.DataStatus{ObservedRevision: "r1",
			DataItemsStatus: []v1alpha1.DataItemStatus{{Namespace: "default", Name: "m", Phase: v1alpha1.DataFailed}}}}
		c.change(d)
		if got := Failing(d); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
