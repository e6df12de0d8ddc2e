// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

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
		reasonWaiting: v1alpha1.ReasonWaiting, reasonDownloading: v1alpha1.ReasonDownloading,
		reasonSharedDownload: v1alpha1.ReasonSharedDownload, reasonHookPending: v1alpha1.ReasonHookPending,
		reasonNotFound: v1alpha1.ReasonNotFound, reasonAccessDenied: v1alpha1.ReasonAccessDenied,
		reasonCredentialsMissing: v1alpha1.ReasonCredentialsMissing, reasonSourceUnreachable: v1alpha1.ReasonSourceUnreachable,
		reasonThrottled: v1alpha1.ReasonThrottled, reasonSourceChanged: v1alpha1.ReasonSourceChanged,
		reasonSourceUnsupported: v1alpha1.ReasonSourceUnsupported, reasonSourceMisconfigured: v1alpha1.ReasonSourceMisconfigured,
		reasonDigestMismatch: v1alpha1.ReasonDigestMismatch, reasonInsufficientSpace: v1alpha1.ReasonInsufficientSpace,
		reasonInvalidPath: v1alpha1.ReasonInvalidPath, reasonPathConflict: v1alpha1.ReasonPathConflict,
		reasonHookFailed: v1alpha1.ReasonHookFailed, reasonStoreFailed: v1alpha1.ReasonStoreFailed,
		phaseWaiting: string(v1alpha1.DataWaiting), phaseDownloading: string(v1alpha1.DataDownloading),
		phaseSuccess: string(v1alpha1.DataSuccess), phaseFailed: string(v1alpha1.DataFailed),
		originSource: string(v1alpha1.OriginSource), originNode: string(v1alpha1.OriginNode),
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
		{class(source.ErrNotFound), reasonNotFound},
		{class(source.ErrDenied), reasonAccessDenied},
		{class(source.ErrCredentials), reasonCredentialsMissing},
		{class(source.ErrThrottled), reasonThrottled},
		{class(source.ErrChanged), reasonSourceChanged},
		{class(source.ErrMisconfigured), reasonSourceMisconfigured},
		{class(source.ErrUnreachable), reasonSourceUnreachable},
		{class(source.ErrTemporary), reasonSourceUnreachable},
		{&sourceconfig.UnsupportedError{Source: "hdfs"}, reasonSourceUnsupported},
		{&transfer.DigestMismatchError{}, reasonDigestMismatch},
		{&store.InsufficientSpaceError{}, reasonInsufficientSpace},
		{&source.InvalidPathError{}, reasonInvalidPath},
		{&view.InvalidPathError{}, reasonInvalidPath},
		{&view.PathConflictError{}, reasonPathConflict},
		{&hook.FailedError{Err: errors.New("x")}, reasonHookFailed},
		{snapshot.ErrDamaged, reasonStoreFailed},
		{context.DeadlineExceeded, reasonStoreFailed},
	} {
		if got := reasonOf(fmt.Errorf("delivering: %w", tt.err)); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.err, got, tt.want)
		}
	}
}

func TestFailuresAreNeverTriedInAHotLoop(t *testing.T) {
	reasons := []string{reasonNotFound, reasonAccessDenied, reasonCredentialsMissing, reasonSourceUnreachable, reasonThrottled,
		reasonSourceChanged, reasonSourceUnsupported, reasonSourceMisconfigured, reasonDigestMismatch, reasonInsufficientSpace,
		reasonInvalidPath, reasonPathConflict, reasonHookFailed, reasonStoreFailed, "unknown"}
	slow := []string{reasonNotFound, reasonAccessDenied, reasonDigestMismatch, reasonSourceMisconfigured}
	for _, r := range reasons {
		for failures := range 50 {
			p := retryPause(r, failures)
			if p < 500*time.Millisecond || p > 5*time.Minute {
				t.Errorf("%s after %d failures: %s", r, failures, p)
			}
			if slices.Contains(slow, r) && p < 15*time.Second {
				t.Errorf("%s, which only people can repair, is tried after %s", r, p)
			}
		}
	}
}
