// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package assignment

import (
	"testing"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestOnlyPermanentFailuresCount(t *testing.T) {
	for reason, want := range map[string]bool{
		v1alpha1.ReasonHookFailed: true, v1alpha1.ReasonDigestMismatch: true, v1alpha1.ReasonNotFound: true,
		v1alpha1.ReasonAccessDenied: true, v1alpha1.ReasonCredentialsMissing: true, v1alpha1.ReasonSourceUnsupported: true,
		v1alpha1.ReasonSourceMisconfigured: true, v1alpha1.ReasonInvalidPath: true, v1alpha1.ReasonPathConflict: true,
		v1alpha1.ReasonSourceUnreachable: false, v1alpha1.ReasonThrottled: false, v1alpha1.ReasonSourceChanged: false,
		v1alpha1.ReasonStoreFailed: false, v1alpha1.ReasonInsufficientSpace: false, "": false,
	} {
		d := &v1alpha1.Data{Spec: v1alpha1.DataSpec{Revision: "r2"}}
		d.Status.ObservedRevision = "r2"
		d.Status.DataItemsStatus = []v1alpha1.DataItemStatus{
			{Name: "a", Namespace: "default", Phase: v1alpha1.DataSuccess, Reason: reason},
			{Name: "b", Namespace: "default", Phase: v1alpha1.DataFailed, Reason: reason, Message: "why"},
		}
		d.Status.Prefetch = &v1alpha1.PrefetchStatus{Revision: "r3", Phase: v1alpha1.DataFailed, Reason: reason, Message: "why"}
		wanted, wantedPrefetch := "", ""
		if want {
			wanted, wantedPrefetch = "item default/b: "+reason+": why", reason+": why"
		}
		if got := Failure(d); got != wanted {
			t.Errorf("%s: Failure = %q, want %q", reason, got, wanted)
		}
		if got := PrefetchFailure(d, "r3"); got != wantedPrefetch {
			t.Errorf("%s: PrefetchFailure = %q, want %q", reason, got, wantedPrefetch)
		}
		if got := PrefetchFailure(d, "r2"); got != "" {
			t.Errorf("%s: the failure is another revision's: %q", reason, got)
		}
		d.Status.ObservedRevision = "r1"
		if got := Failure(d); got != "" {
			t.Errorf("%s: a report on the revision before fails this one: %q", reason, got)
		}
	}
}

func TestPrefetchedHoldsOnlyForTheReportedRevision(t *testing.T) {
	d := &v1alpha1.Data{}
	if Prefetched(d, "r2") {
		t.Error("nothing was reported")
	}
	d.Status.Prefetch = &v1alpha1.PrefetchStatus{Revision: "r2", Phase: v1alpha1.DataDownloading}
	if Prefetched(d, "r2") {
		t.Error("it is on its way")
	}
	d.Status.Prefetch.Phase = v1alpha1.DataSuccess
	if !Prefetched(d, "r2") || Prefetched(d, "r3") {
		t.Error("the revision is not looked at")
	}
}
