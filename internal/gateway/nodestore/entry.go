// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"cmp"
	"errors"
	"math"
	"regexp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/item"
	"github.com/kuda-io/kuda/internal/domain/sanitize"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// The bounds of the CRD's schema.
const (
	maxSnapshots = 256
	maxMarks     = 16
	maxPlace     = 1024
	maxVersion   = 253
)

// maxEntryBytes bounds the list of one namespace, in the form in which it is stored:
// 256 snapshots with names of the usual length take three quarters of it. The last
// ones of a longer list are counted instead.
const maxEntryBytes = 160 << 10

var (
	storePattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	snapshotPattern = regexp.MustCompile(`^[a-f0-9]{8,64}$`)
)

// ErrNoStore is of a report that does not name the store it is about.
var ErrNoStore = errors.New("the report names no store: store_id must have 1 to 64 letters, digits, dots, dashes or underscores")

// Entry is a report as an entry of a NodeStore. It fails when the report does
// not say which store it is about; everything else that is wrong is left out.
func Entry(namespace string, r *gatewayv1alpha1.ReportStoreRequest, now time.Time) (v1alpha1.NamespaceStore, error) {
	if !storePattern.MatchString(r.GetStoreId()) {
		return v1alpha1.NamespaceStore{}, ErrNoStore
	}
	e := v1alpha1.NamespaceStore{
		Namespace:        namespace,
		StoreID:          r.GetStoreId(),
		ObservedTime:     metav1.Time{Time: now.Truncate(time.Second)},
		CapacityBytes:    sanitize.Count(r.GetCapacityBytes()),
		FreeBytes:        sanitize.Count(min(r.GetFreeBytes(), r.GetCapacityBytes())),
		QuotaBytes:       sanitize.Count(r.GetQuotaBytes()),
		UsedBytes:        sanitize.Count(r.GetUsedBytes()),
		AvailableBytes:   sanitize.Count(min(r.GetAvailableBytes(), r.GetCapacityBytes())),
		OmittedSnapshots: clampInt32(r.GetOmittedSnapshots()),
		OmittedBytes:     sanitize.Count(r.GetOmittedBytes()),
	}
	seen := make(map[string]bool, len(r.GetSnapshots()))
	for _, s := range r.GetSnapshots() {
		snapshot, ok := storedSnapshot(s, now)
		if !ok || seen[snapshot.ID] {
			continue
		}
		seen[snapshot.ID] = true
		e.Snapshots = append(e.Snapshots, snapshot)
	}
	slices.SortFunc(e.Snapshots, keepFirst)
	listed := 0
	for i := range e.Snapshots {
		listed += encodedSize(&e.Snapshots[i])
	}
	for len(e.Snapshots) > maxSnapshots || listed > maxEntryBytes {
		listed -= encodedSize(&e.Snapshots[len(e.Snapshots)-1])
		omitLast(&e)
	}
	return e, nil
}

// storedSnapshot returns false for what is not a snapshot of the form that the store
// gives, and for phases that say nothing about a disk.
func storedSnapshot(s *gatewayv1alpha1.StoredSnapshot, now time.Time) (v1alpha1.StoredSnapshot, bool) {
	out := v1alpha1.StoredSnapshot{
		ID:           s.GetId(),
		Source:       sanitize.Line(s.GetSource(), maxPlace),
		Path:         sanitize.Line(s.GetPath(), maxPlace),
		Version:      sanitize.Line(s.GetVersion(), maxVersion),
		Digest:       sanitize.Digest(s.GetDigest()),
		Bytes:        sanitize.Count(s.GetBytes()),
		LastUsedTime: sanitize.Moment(s.GetLastUsed(), time.Minute, now),
		Pods:         clampInt32(s.GetPods()),
		Preheated:    s.GetPreheated(),
	}
	switch s.GetPhase() {
	case gatewayv1alpha1.Phase_PHASE_SUCCESS:
		out.Phase = v1alpha1.SnapshotComplete
	case gatewayv1alpha1.Phase_PHASE_DOWNLOADING:
		out.Phase = v1alpha1.SnapshotDownloading
	default:
		return out, false
	}
	for _, mark := range s.GetMarks() {
		if item.Valid(mark) {
			out.Marks = append(out.Marks, mark)
		}
	}
	slices.Sort(out.Marks)
	out.Marks = slices.Compact(out.Marks)
	out.Marks = out.Marks[:min(len(out.Marks), maxMarks)]
	return out, snapshotPattern.MatchString(out.ID)
}

// keepFirst orders snapshots as runtimes do: those that pods need, those on their
// way, those that are preheated, then the most recently used. Room is made from
// the end.
func keepFirst(a, b v1alpha1.StoredSnapshot) int {
	return cmp.Or(
		-cmp.Compare(min(a.Pods, 1), min(b.Pods, 1)),
		-compareBool(a.Phase == v1alpha1.SnapshotDownloading, b.Phase == v1alpha1.SnapshotDownloading),
		-compareBool(a.Preheated, b.Preheated),
		-lastUsed(a).Compare(lastUsed(b)),
		cmp.Compare(a.ID, b.ID),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

func lastUsed(s v1alpha1.StoredSnapshot) time.Time {
	if s.LastUsedTime == nil {
		return time.Time{}
	}
	return s.LastUsedTime.Time
}

// omitLast takes the last snapshot out of the list; a complete one stays counted.
func omitLast(e *v1alpha1.NamespaceStore) {
	last := e.Snapshots[len(e.Snapshots)-1]
	e.Snapshots = e.Snapshots[:len(e.Snapshots)-1]
	if last.Phase == v1alpha1.SnapshotComplete {
		e.OmittedSnapshots = int32(min(int64(e.OmittedSnapshots)+1, math.MaxInt32))
		e.OmittedBytes += min(last.Bytes, math.MaxInt64-e.OmittedBytes)
	}
}

func clampInt32(n uint32) int32 { return int32(min(n, math.MaxInt32)) }
