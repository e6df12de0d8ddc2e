// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kuda-io/kuda/internal/gateway/door"
)

func TestAFloodOfRefusalsIsLoggedOnceAMinute(t *testing.T) {
	lines, now := 0, clocktesting.NewFakePassiveClock(time.Unix(1000, 0))
	s := newSparing(now, funcr.New(func(_, _ string) { lines++ }, funcr.Options{}))
	for range 1000 {
		s.logRefusal(door.Refusal{Reason: "token"})
		s.logRefusal(door.Refusal{Reason: "busy"})
	}
	now.SetTime(now.Now().Add(refusalInterval))
	s.logRefusal(door.Refusal{Reason: "token"})
	if lines != 3 {
		t.Errorf("%d lines, want one of each reason and one a minute later", lines)
	}
}
