// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/delivery/hook"
	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/sourceconfig"
	"github.com/kuda-io/kuda/internal/delivery/store"
	"github.com/kuda-io/kuda/internal/delivery/transfer"
	"github.com/kuda-io/kuda/internal/delivery/view"
	"github.com/kuda-io/kuda/internal/source"
)

func TestReasonsAreThoseOfTheAPI(t *testing.T) {
	for ours, api := range map[string]string{
		ReasonWaiting: v1alpha1.ReasonWaiting, ReasonDownloading: v1alpha1.ReasonDownloading,
		ReasonSharedDownload: v1alpha1.ReasonSharedDownload, ReasonHookPending: v1alpha1.ReasonHookPending,
		ReasonNotFound: v1alpha1.ReasonNotFound, ReasonAccessDenied: v1alpha1.ReasonAccessDenied,
		ReasonCredentialsMissing: v1alpha1.ReasonCredentialsMissing, ReasonSourceUnreachable: v1alpha1.ReasonSourceUnreachable,
		ReasonThrottled: v1alpha1.ReasonThrottled, ReasonSourceChanged: v1alpha1.ReasonSourceChanged,
		ReasonSourceUnsupported: v1alpha1.ReasonSourceUnsupported, ReasonSourceMisconfigured: v1alpha1.ReasonSourceMisconfigured,
		ReasonDigestMismatch: v1alpha1.ReasonDigestMismatch, ReasonInsufficientSpace: v1alpha1.ReasonInsufficientSpace,
		ReasonInvalidPath: v1alpha1.ReasonInvalidPath, ReasonPathConflict: v1alpha1.ReasonPathConflict,
		ReasonHookFailed: v1alpha1.ReasonHookFailed, ReasonStoreFailed: v1alpha1.ReasonStoreFailed,
		PhaseWaiting: string(v1alpha1.DataWaiting), PhaseDownloading: string(v1alpha1.DataDownloading),
		PhaseSuccess: string(v1alpha1.DataSuccess), PhaseFailed: string(v1alpha1.DataFailed),
		OriginSource: string(v1alpha1.OriginSource), OriginNode: string(v1alpha1.OriginNode),
	} {
		if ours != api {
			t.Errorf("%q is %q in the API", ours, api)
		}
	}
}

func TestEachErrorHasItsReason(t *testing.T) {
	class := func(c error) error { return &source.Error{Op: "reading", Class: c} }
	for _, tt := range []struct {
		err  error
		want string
	}{
		{class(source.ErrNotFound), ReasonNotFound},
		{class(source.ErrDenied), ReasonAccessDenied},
		{class(source.ErrCredentials), ReasonCredentialsMissing},
		{class(source.ErrThrottled), ReasonThrottled},
		{class(source.ErrChanged), ReasonSourceChanged},
		{class(source.ErrMisconfigured), ReasonSourceMisconfigured},
		{class(source.ErrUnreachable), ReasonSourceUnreachable},
		{class(source.ErrTemporary), ReasonSourceUnreachable},
		{&sourceconfig.UnsupportedError{Source: "hdfs"}, ReasonSourceUnsupported},
		{&transfer.DigestMismatchError{}, ReasonDigestMismatch},
		{&store.InsufficientSpaceError{}, ReasonInsufficientSpace},
		{&source.InvalidPathError{}, ReasonInvalidPath},
		{&view.InvalidPathError{}, ReasonInvalidPath},
		{&view.PathConflictError{}, ReasonPathConflict},
		{&hook.FailedError{Err: errors.New("x")}, ReasonHookFailed},
		{snapshot.ErrDamaged, ReasonStoreFailed},
		{context.DeadlineExceeded, ReasonStoreFailed},
	} {
		if got := ReasonOf(fmt.Errorf("delivering: %w", tt.err)); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.err, got, tt.want)
		}
	}
}

func TestFailuresAreNeverTriedInAHotLoop(t *testing.T) {
	reasons := []string{ReasonNotFound, ReasonAccessDenied, ReasonCredentialsMissing, ReasonSourceUnreachable, ReasonThrottled,
		ReasonSourceChanged, ReasonSourceUnsupported, ReasonSourceMisconfigured, ReasonDigestMismatch, ReasonInsufficientSpace,
		ReasonInvalidPath, ReasonPathConflict, ReasonHookFailed, ReasonStoreFailed, "unknown"}
	slow := []string{ReasonNotFound, ReasonAccessDenied, ReasonDigestMismatch, ReasonSourceMisconfigured}
	for _, r := range reasons {
		for failures := range 50 {
			p := RetryPause(r, failures)
			if p < 500*time.Millisecond || p > 5*time.Minute {
				t.Errorf("%s after %d failures: %s", r, failures, p)
			}
			if slices.Contains(slow, r) && p < 15*time.Second {
				t.Errorf("%s, which only people can repair, is tried after %s", r, p)
			}
		}
	}
}
