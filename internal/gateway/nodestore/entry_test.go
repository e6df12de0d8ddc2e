// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

const (
	complete    = gatewayv1alpha1.Phase_PHASE_SUCCESS
	downloading = gatewayv1alpha1.Phase_PHASE_DOWNLOADING
	markA       = "0123456789abcdef0123456789abcdef"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// snapshotID is the n-th snapshot's.
func snapshotID(n int) string { return fmt.Sprintf("%040x", n) }

func newSnapshot(n int, change ...func(*gatewayv1alpha1.StoredSnapshot)) *gatewayv1alpha1.StoredSnapshot {
	s := &gatewayv1alpha1.StoredSnapshot{
		Id: snapshotID(n), Marks: []string{markA}, Source: "s3://minio:9000/models", Path: "bert/", Version: "v1",
		Digest: "xxh3:0123456789abcdef", Bytes: 1 << 30, Phase: complete, LastUsed: timestamppb.New(now.Add(-time.Hour)),
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func newRequest(snapshots ...*gatewayv1alpha1.StoredSnapshot) *gatewayv1alpha1.ReportStoreRequest {
	r := &gatewayv1alpha1.ReportStoreRequest{
		StoreId: "store-1", CapacityBytes: 100 << 30, FreeBytes: 50 << 30, AvailableBytes: 40 << 30, Snapshots: snapshots,
	}
	for _, s := range snapshots {
		r.UsedBytes += s.GetBytes()
	}
	return r
}

func newEntry(t *testing.T, namespace string, r *gatewayv1alpha1.ReportStoreRequest) v1alpha1.NamespaceStore {
	t.Helper()
	e, err := Entry(namespace, r, now)
	if err != nil {
		t.Fatal(err)
	}
	e.BootID = "boot-1"
	return e
}

func TestAReportIsConvertedCompletely(t *testing.T) {
	used := metav1.NewTime(now.Add(-time.Hour).Local())
	want := v1alpha1.NamespaceStore{
		Namespace: "shop", StoreID: "store-1", BootID: "boot-1", ObservedTime: metav1.NewTime(now),
		CapacityBytes: 100 << 30, FreeBytes: 50 << 30, AvailableBytes: 40 << 30, QuotaBytes: 60 << 30, UsedBytes: 2 << 30,
		OmittedSnapshots: 3, OmittedBytes: 9,
		Snapshots: []v1alpha1.StoredSnapshot{
			{
				ID: snapshotID(2), Marks: []string{markA}, Source: "s3://minio:9000/models", Path: "bert/", Version: "v1",
				Digest: "xxh3:0123456789abcdef", Bytes: 1 << 30, Phase: v1alpha1.SnapshotDownloading, LastUsedTime: &used, Pods: 2,
			},
			{
				ID: snapshotID(1), Marks: []string{markA}, Source: "s3://minio:9000/models", Path: "bert/", Version: "v1",
				Digest: "xxh3:0123456789abcdef", Bytes: 1 << 30, Phase: v1alpha1.SnapshotComplete, LastUsedTime: &used, Preheated: true,
			},
		},
	}
	r := newRequest(newSnapshot(1, func(s *gatewayv1alpha1.StoredSnapshot) { s.Preheated = true }),
		newSnapshot(2, func(s *gatewayv1alpha1.StoredSnapshot) { s.Phase, s.Pods = downloading, 2 }))
	r.QuotaBytes, r.OmittedSnapshots, r.OmittedBytes = 60<<30, 3, 9
	if diff := cmp.Diff(want, newEntry(t, "shop", r)); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
}

func TestAStoreWithoutAValidNameIsRefused(t *testing.T) {
	for _, name := range []string{"", "a b", "../x", strings.Repeat("a", 65), "a\n", "é"} {
		r := newRequest()
		r.StoreId = name
		if _, err := Entry("shop", r, now); !errors.Is(err, ErrNoStore) {
			t.Errorf("store %q: %v", name, err)
		}
	}
}

func TestAListOfUsualNamesIsKeptToItsBound(t *testing.T) {
	r := newRequest()
	for i := range 600 {
		r.Snapshots = append(r.Snapshots, newSnapshot(i, func(s *gatewayv1alpha1.StoredSnapshot) {
			s.Source, s.Path = "s3://"+strings.Repeat("h", 60), strings.Repeat("p", 80)
		}))
	}
	if e := newEntry(t, "shop", r); len(e.Snapshots) != maxSnapshots || e.OmittedSnapshots != 600-maxSnapshots {
		t.Errorf("%d snapshots are listed and %d counted", len(e.Snapshots), e.OmittedSnapshots)
	}
}

func TestAHostileReportIsBoundedAndSanitized(t *testing.T) {
	evil := strings.Repeat("\x00\x1b[2J\u202e\xff<a\n", 200)
	var marks []string
	for i := range 100 {
		marks = append(marks, fmt.Sprintf("%032x", i), "not a mark", strings.Repeat("A", 32), markA)
	}
	r := newRequest()
	r.CapacityBytes, r.FreeBytes, r.UsedBytes, r.AvailableBytes = 10, math.MaxUint64, math.MaxUint64, math.MaxUint64
	r.OmittedSnapshots, r.OmittedBytes = math.MaxUint32, math.MaxUint64
	for i := range 600 {
		r.Snapshots = append(r.Snapshots, newSnapshot(i, func(s *gatewayv1alpha1.StoredSnapshot) {
			s.Source, s.Path, s.Version, s.Digest, s.Marks = evil, evil, evil, evil, marks
			s.Bytes, s.Pods = math.MaxUint64, math.MaxUint32
			s.LastUsed = timestamppb.New(now.AddDate(100, 0, 0))
		}))
	}
	r.Snapshots = append(r.Snapshots, newSnapshot(1), nil,
		newSnapshot(3000, func(s *gatewayv1alpha1.StoredSnapshot) { s.Id = "../../etc/passwd" }),
		newSnapshot(3001, func(s *gatewayv1alpha1.StoredSnapshot) { s.Phase = 99 }),
		newSnapshot(3002, func(s *gatewayv1alpha1.StoredSnapshot) { s.Phase = gatewayv1alpha1.Phase_PHASE_FAILED }))
	e := newEntry(t, "shop", r)
	if e.FreeBytes != 10 || e.AvailableBytes != 10 || e.UsedBytes != math.MaxInt64 ||
		e.OmittedSnapshots != math.MaxInt32 || e.OmittedBytes != math.MaxInt64 {
		t.Errorf("figures: %+v", e)
	}
	text, err := json.Marshal(e.Snapshots)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Snapshots) == 0 || len(text) > maxEntryBytes+2 {
		t.Fatalf("%d snapshots of %d bytes, at most %d are to be stored", len(e.Snapshots), len(text), maxEntryBytes)
	}
	ids := map[string]bool{}
	for _, s := range e.Snapshots {
		ids[s.ID] = true
		if len(s.Marks) > maxMarks || len(s.Source) > 1024 || len(s.Path) > 1024 || len(s.Version) > 253 || s.Digest != "" ||
			s.Bytes < 0 || s.Pods < 0 || s.LastUsedTime != nil || slices.Contains(s.Marks, "not a mark") {
			t.Fatalf("snapshot: %+v", s)
		}
		for _, text := range []string{s.Source, s.Path, s.Version} {
			if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("text: %q", text)
			}
		}
	}
	if len(ids) != len(e.Snapshots) {
		t.Error("a snapshot is listed twice")
	}
	status := Merge(&v1alpha1.NodeStoreStatus{}, e)
	if status.Items < 0 || status.Bytes < 0 || status.Size == "" {
		t.Errorf("totals: %d items, %d bytes, %s", status.Items, status.Bytes, status.Size)
	}
}

func TestUnusedSnapshotsAreLeftOutFirst(t *testing.T) {
	r := newRequest()
	for i := range 300 {
		r.Snapshots = append(r.Snapshots, newSnapshot(i, func(s *gatewayv1alpha1.StoredSnapshot) {
			s.Bytes = 1
			s.LastUsed = timestamppb.New(now.Add(-time.Duration(i) * time.Minute))
			if i == 299 {
				s.Pods = 1
			}
			if i == 298 {
				s.Preheated = true
			}
		}))
	}
	e := newEntry(t, "shop", r)
	if e.Snapshots[0].ID != snapshotID(299) || e.Snapshots[1].ID != snapshotID(298) || e.Snapshots[2].ID != snapshotID(0) ||
		e.Snapshots[255].ID != snapshotID(253) {
		t.Error("not in the order: needed, preheated, last used")
	}
	if e.OmittedSnapshots != 44 || e.OmittedBytes != 44 {
		t.Errorf("omitted: %d of %d bytes, want 44 of 44", e.OmittedSnapshots, e.OmittedBytes)
	}
}
