// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package verdict

import (
	"time"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const (
	// grace is how long pods may stay blocked before that is final: what they lack may
	// be created after them.
	grace = 30 * time.Second
	// credentialsGrace is for failures that a Secret ends. The kubelet brings a new or
	// changed one into a running pod within a minute or two.
	credentialsGrace = 2 * time.Minute
)

// Grace returns how long the verdict may stay Blocked before it is final.
func (v Verdict) Grace() time.Duration {
	switch v.Reason {
	case v1alpha1.ReasonCredentialsMissing, v1alpha1.ReasonAccessDenied:
		return credentialsGrace
	}
	return grace
}

// Patience watches verdicts and makes those that stay Blocked for their grace final.
// The time starts anew when a pod got further, was added or went.
type Patience struct {
	since  time.Time
	counts [3]int32
}

// Weigh returns the verdict, or Failed in the place of one that stayed Blocked for too
// long. It is called with each verdict, in order.
func (p *Patience) Weigh(d *v1alpha1.DataSet, v Verdict, now time.Time) Verdict {
	if v.State != Blocked {
		p.since = time.Time{}
		return v
	}
	if counts := [3]int32{d.Status.Success, d.Status.Replicas, d.Status.UninjectedReplicas}; p.since.IsZero() || counts != p.counts {
		p.since, p.counts = now, counts
	}
	if now.Sub(p.since) >= v.Grace() {
		v.State = Failed
	}
	return v
}
