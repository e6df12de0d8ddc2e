// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"testing"

	"github.com/kuda-io/kuda/internal/delivery/transfer"
)

func TestFailureIsShownUntilARetryGetsFurther(t *testing.T) {
	for name, c := range map[string]struct {
		reason   string
		progress transfer.Progress
		want     bool
	}{
		"resumed where it stopped":        {ReasonSourceUnreachable, transfer.Progress{Done: 6}, false},
		"came over the network again":     {ReasonSourceUnreachable, transfer.Progress{Done: 5, Received: 5}, false},
		"new bytes":                       {ReasonSourceUnreachable, transfer.Progress{Done: 6, Received: 1}, true},
		"bytes that may be wrong as ever": {ReasonDigestMismatch, transfer.Progress{Done: 6, Received: 6}, false},
	} {
		i := Item{Phase: PhaseFailed, Reason: c.reason, Bytes: 5, TotalBytes: 10}
		if got := i.HasAdvanced(c.progress); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
