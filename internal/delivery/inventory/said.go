// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// Said is what is remembered of the last report: enough to know whether another
// one matters. The zero value is that nothing was said.
type Said struct {
	// contents is a hash of everything but the room there is.
	contents        [sha256.Size]byte
	free, available uint64
	// until is when the same is said again.
	until time.Time
}

// Remember remembers a report that was just taken; about repeat later, not at the same
// time as those of other nodes, it is due again.
func Remember(r *gatewayv1alpha1.ReportStoreRequest, now time.Time, repeat time.Duration) Said {
	until := now.Add(repeat - repeat/10 + rand.N(repeat/5+1))
	return Said{contents: hashContents(r), free: r.GetFreeBytes(), available: r.GetAvailableBytes(), until: until}
}

// IsDue reports whether a report is to be sent: it says something new, or its time
// has come.
func (s *Said) IsDue(r *gatewayv1alpha1.ReportStoreRequest, now time.Time) bool {
	return !now.Before(s.until) || s.HasChanged(r)
}

// HasChanged reports whether a report says what matters and was not said. Room matters
// from a hundredth of the file system on.
func (s *Said) HasChanged(r *gatewayv1alpha1.ReportStoreRequest) bool {
	return s.until.IsZero() || s.contents != hashContents(r) ||
		absDifference(s.free, r.GetFreeBytes()) > r.GetCapacityBytes()/100 ||
		absDifference(s.available, r.GetAvailableBytes()) > r.GetCapacityBytes()/100
}

// Until is when the same is to be said again.
func (s *Said) Until() time.Time { return s.until }

func absDifference(a, b uint64) uint64 { return max(a, b) - min(a, b) }

// hashContents is the same for reports that differ in nothing but room, in the order
// of snapshots, or in uses of them within an hour.
func hashContents(r *gatewayv1alpha1.ReportStoreRequest) [sha256.Size]byte {
	lines := make([]string, 0, len(r.GetSnapshots()))
	for _, s := range r.GetSnapshots() {
		lines = append(lines, fmt.Sprintln(s.GetId(), s.GetVersion(), s.GetPhase(), s.GetBytes(), s.GetPods(), s.GetPreheated(),
			s.GetLastUsed().GetSeconds()/3600, s.GetMarks()))
	}
	slices.Sort(lines)
	head := fmt.Sprintln(r.GetStoreId(), r.GetQuotaBytes(), r.GetOmittedSnapshots(), r.GetOmittedBytes())
	return sha256.Sum256([]byte(head + strings.Join(lines, "")))
}
