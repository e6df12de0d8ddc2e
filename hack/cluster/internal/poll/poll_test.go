// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package poll

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTimeoutKeepsTheReason(t *testing.T) {
	reason := errors.New("the disk is full")
	err := Until(t.Context(), 250*time.Millisecond, func(ctx context.Context) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return reason
	})
	if !errors.Is(err, reason) || !strings.Contains(err.Error(), "waited") {
		t.Errorf("err = %v", err)
	}
}

func TestFatalErrorEndsTheWaitAtOnce(t *testing.T) {
	calls := 0
	reason := errors.New("the process ended")
	err := Until(t.Context(), time.Hour, func(context.Context) error {
		calls++
		return Fatal{reason}
	})
	if calls != 1 || !errors.Is(err, reason) {
		t.Errorf("%d calls, err = %v", calls, err)
	}
}

func TestSuccessEndsTheWait(t *testing.T) {
	calls := 0
	err := Until(t.Context(), time.Hour, func(context.Context) error {
		if calls++; calls < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil || calls != 3 {
		t.Errorf("%d calls, err = %v", calls, err)
	}
}
