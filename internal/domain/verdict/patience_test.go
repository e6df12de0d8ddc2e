// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"testing"
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestABlockedDeliveryIsFinalAfterItsGrace(t *testing.T) {
	start := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	// look is a verdict at a second, with so many pods that have their data.
	type look struct {
		second  int
		state   State
		reason  string
		success int32
		want    State
	}
	for name, looks := range map[string][]look{
		"a wrong path": {{0, Blocked, v1alpha1.ReasonNotFound, 0, Blocked}, {29, Blocked, v1alpha1.ReasonNotFound, 0, Blocked},
			{30, Blocked, v1alpha1.ReasonNotFound, 0, Failed}},
		"a wrong Secret": {{0, Blocked, v1alpha1.ReasonAccessDenied, 0, Blocked}, {119, Blocked, v1alpha1.ReasonAccessDenied, 0, Blocked},
			{120, Blocked, v1alpha1.ReasonAccessDenied, 0, Failed}},
		"a missing Secret": {{0, Blocked, v1alpha1.ReasonCredentialsMissing, 0, Blocked},
			{60, Blocked, v1alpha1.ReasonCredentialsMissing, 0, Blocked}, {120, Blocked, v1alpha1.ReasonCredentialsMissing, 0, Failed}},
		"another pod gets further": {{0, Blocked, v1alpha1.ReasonNotFound, 0, Blocked}, {29, Blocked, v1alpha1.ReasonNotFound, 1, Blocked},
			{58, Blocked, v1alpha1.ReasonNotFound, 1, Blocked}, {59, Blocked, v1alpha1.ReasonNotFound, 1, Failed}},
		"it passed meanwhile": {{0, Blocked, v1alpha1.ReasonNotFound, 0, Blocked}, {20, Running, "", 0, Running},
			{40, Blocked, v1alpha1.ReasonNotFound, 0, Blocked}, {70, Blocked, v1alpha1.ReasonNotFound, 0, Failed}},
		"it took a while to fail": {{0, Running, "", 0, Running}, {300, Blocked, v1alpha1.ReasonNotFound, 0, Blocked}},
		"running for long":        {{0, Running, "", 0, Running}, {3600, Running, "", 0, Running}},
	} {
		t.Run(name, func(t *testing.T) {
			var p Patience
			for _, l := range looks {
				d := &v1alpha1.DataSet{Status: v1alpha1.DataSetStatus{Replicas: 3, Success: l.success}}
				got := p.Weigh(d, Verdict{State: l.state, Reason: l.reason}, start.Add(time.Duration(l.second)*time.Second))
				if got.State != l.want || got.Reason != l.reason {
					t.Errorf("after %d s: %+v, want %s", l.second, got, l.want)
				}
			}
		})
	}
}
