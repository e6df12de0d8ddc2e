// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/kuda-io/kuda/internal/delivery/snapshot"
	"github.com/kuda-io/kuda/internal/delivery/store"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

const (
	// maxSnapshots is how many are listed in one report; the others are counted.
	maxSnapshots = 256
	// maxMarks is how many names of the same bytes are listed.
	maxMarks = 16
)

// entry is a snapshot with what decides whether it is listed.
type entry struct {
	store.Snapshot
	downloading bool
	pods        int
	preheated   bool
}

// listRank is 0 for what is listed first.
func (e *entry) listRank() int {
	switch {
	case e.pods > 0:
		return 0
	case e.downloading:
		return 1
	case e.preheated:
		return 2
	default:
		return 3
	}
}

// NewReport returns what there is in a store as a report: its stock, the pods that need each
// snapshot, and what is preheated.
func NewReport(k *store.Stock, users map[snapshot.ID][]string, wanted map[snapshot.ID]bool) *gatewayv1alpha1.ReportStoreRequest {
	entries := make([]entry, 0, len(k.Snapshots)+len(k.Downloads))
	for i, s := range slices.Concat(k.Snapshots, k.Downloads) {
		entries = append(entries, entry{Snapshot: s, downloading: i >= len(k.Snapshots), pods: len(users[s.ID]), preheated: wanted[s.ID]})
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.listRank(), b.listRank()), b.Used.Compare(a.Used), cmp.Compare(a.ID, b.ID))
	})
	r := &gatewayv1alpha1.ReportStoreRequest{StoreId: k.ID,
		CapacityBytes: toUint64(k.Capacity), FreeBytes: toUint64(k.Free), QuotaBytes: toUint64(k.Quota),
		UsedBytes: toUint64(k.Used), AvailableBytes: toUint64(k.Available)}
	listed := min(len(entries), maxSnapshots)
	for _, e := range entries[:listed] {
		r.Snapshots = append(r.Snapshots, e.toMessage())
	}
	for _, e := range entries[listed:] {
		if !e.downloading {
			r.OmittedSnapshots++
			r.OmittedBytes += toUint64(e.Bytes)
		}
	}
	return r
}

func (e *entry) toMessage() *gatewayv1alpha1.StoredSnapshot {
	m := &gatewayv1alpha1.StoredSnapshot{Id: string(e.ID), Marks: e.Marks[:min(len(e.Marks), maxMarks)],
		Source: e.Key.Source, Path: e.Key.Path, Version: e.Key.Version, Digest: e.Digest, Bytes: toUint64(e.Bytes),
		Phase: gatewayv1alpha1.Phase_PHASE_SUCCESS, Pods: uint32(e.pods), Preheated: e.preheated}
	if e.downloading {
		m.Phase = gatewayv1alpha1.Phase_PHASE_DOWNLOADING
	}
	if !e.Used.IsZero() {
		m.LastUsed = timestamppb.New(e.Used)
	}
	return m
}

func toUint64(n int64) uint64 { return uint64(max(n, 0)) }
