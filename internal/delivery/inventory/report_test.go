// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// nthSnapshot is the n-th one, used n minutes after noon.
func nthSnapshot(n int) store.Snapshot {
	return store.Snapshot{ID: snapshot.ID(fmt.Sprintf("%040d", n)),
		Key:   snapshot.Key{Source: "s3://m/b", Path: "p", Version: fmt.Sprint("v", n)},
		Bytes: 10, Digest: "xxh3:00", Used: noon.Add(time.Duration(n) * time.Minute)}
}

func TestReportOfALargeStoreListsNeededSnapshotsFirst(t *testing.T) {
	k := &store.Stock{ID: "id", Used: 3000, Capacity: 1 << 40}
	for n := range 300 {
		k.Snapshots = append(k.Snapshots, nthSnapshot(n))
	}
	download := nthSnapshot(1000)
	download.Used = noon.Add(-time.Hour)
	k.Downloads = []store.Snapshot{download}
	users := map[snapshot.ID][]string{nthSnapshot(3).ID: {"a", "b"}, nthSnapshot(1).ID: {"a"}}
	wanted := map[snapshot.ID]bool{nthSnapshot(2).ID: true, nthSnapshot(3).ID: true}
	r := NewReport(k, users, wanted)
	var versions []string
	for _, s := range r.GetSnapshots() {
		versions = append(versions, s.GetVersion())
	}
	if len(versions) != maxSnapshots || !slices.Equal(versions[:6], []string{"v3", "v1", "v1000", "v2", "v299", "v298"}) {
		t.Errorf("%d are listed: %v", len(versions), versions)
	}
	if r.GetOmittedSnapshots() != 301-256 || r.GetOmittedBytes() != 10*(301-256) || r.GetUsedBytes() != 3000 {
		t.Errorf("%d with %d bytes are left out", r.GetOmittedSnapshots(), r.GetOmittedBytes())
	}
	if first := r.GetSnapshots()[0]; first.GetPods() != 2 || !first.GetPreheated() || first.GetPhase() != gatewayv1alpha1.Phase_PHASE_SUCCESS {
		t.Errorf("got %v", first)
	}
	if third := r.GetSnapshots()[2]; third.GetPhase() != gatewayv1alpha1.Phase_PHASE_DOWNLOADING {
		t.Errorf("got %v", third)
	}
}

func TestReportLimitsTheMarksOfASnapshot(t *testing.T) {
	s := nthSnapshot(1)
	for n := range 2 * maxMarks {
		s.Marks = append(s.Marks, fmt.Sprintf("%032d", n))
	}
	r := NewReport(&store.Stock{Snapshots: []store.Snapshot{s}}, nil, nil)
	if n := len(r.GetSnapshots()[0].GetMarks()); n != maxMarks {
		t.Errorf("%d marks", n)
	}
}

func TestOnlySignificantChangesAreReported(t *testing.T) {
	base := func() *gatewayv1alpha1.ReportStoreRequest {
		k := &store.Stock{ID: "id", Snapshots: []store.Snapshot{nthSnapshot(1), nthSnapshot(2)},
			Capacity: 1000, Free: 500, Available: 400, Quota: 900, Used: 20}
		return NewReport(k, nil, nil)
	}
	s := Remember(base(), noon, time.Hour)
	for name, c := range map[string]struct {
		change func(*gatewayv1alpha1.ReportStoreRequest)
		want   bool
	}{
		"nothing":       {func(*gatewayv1alpha1.ReportStoreRequest) {}, false},
		"a little less": {func(r *gatewayv1alpha1.ReportStoreRequest) { r.FreeBytes, r.AvailableBytes = 490, 390 }, false},
		"a little more": {func(r *gatewayv1alpha1.ReportStoreRequest) { r.FreeBytes, r.AvailableBytes = 510, 410 }, false},
		"free":          {func(r *gatewayv1alpha1.ReportStoreRequest) { r.FreeBytes = 489 }, true},
		"available":     {func(r *gatewayv1alpha1.ReportStoreRequest) { r.AvailableBytes = 411 }, true},
		"another order": {func(r *gatewayv1alpha1.ReportStoreRequest) { slices.Reverse(r.Snapshots) }, false},
		"used just now": {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots[0].LastUsed.Seconds += 60 }, false},
		"used again":    {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots[0].LastUsed.Seconds += 3600 }, true},
		"a pod":         {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots[0].Pods = 1 }, true},
		"preheated":     {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots[1].Preheated = true }, true},
		"a mark":        {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots[1].Marks = []string{"0a"} }, true},
		"a phase": {func(r *gatewayv1alpha1.ReportStoreRequest) {
			r.Snapshots[1].Phase = gatewayv1alpha1.Phase_PHASE_DOWNLOADING
		}, true},
		"one less":       {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots = r.Snapshots[:1] }, true},
		"one left out":   {func(r *gatewayv1alpha1.ReportStoreRequest) { r.OmittedSnapshots = 1 }, true},
		"another store":  {func(r *gatewayv1alpha1.ReportStoreRequest) { r.StoreId = "other" }, true},
		"another quota":  {func(r *gatewayv1alpha1.ReportStoreRequest) { r.QuotaBytes = 1 }, true},
		"another volume": {func(r *gatewayv1alpha1.ReportStoreRequest) { r.CapacityBytes, r.FreeBytes = 10000, 9000 }, true},
	} {
		r := proto.CloneOf(base())
		c.change(r)
		if got := s.IsDue(r, noon.Add(time.Second)); got != c.want {
			t.Errorf("%s: sent %t", name, got)
		}
	}
	if s.IsDue(base(), noon.Add(54*time.Minute-time.Second)) || !s.IsDue(base(), noon.Add(66*time.Minute+time.Second)) {
		t.Errorf("said again at %s", s.until)
	}
	if unsaid := (Said{}); !unsaid.HasChanged(base()) {
		t.Error("the first report is not sent")
	}
}
