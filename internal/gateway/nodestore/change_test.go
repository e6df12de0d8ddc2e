// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
	"github.com/kuda-io/kuda/internal/placement/index"
)

func TestAReportIsGradedByWhatChanged(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*gatewayv1alpha1.ReportStoreRequest)
		want   change
	}{
		"nothing": {func(*gatewayv1alpha1.ReportStoreRequest) {}, nothing},
		"another order": {func(r *gatewayv1alpha1.ReportStoreRequest) {
			r.Snapshots[0], r.Snapshots[1] = r.Snapshots[1], r.Snapshots[0]
		}, nothing},
		"a log was written":  {func(r *gatewayv1alpha1.ReportStoreRequest) { r.FreeBytes -= 1 << 30; r.AvailableBytes -= 1 << 30 }, nothing},
		"the disk fills":     {func(r *gatewayv1alpha1.ReportStoreRequest) { r.FreeBytes /= 2 }, figures},
		"no room is left":    {func(r *gatewayv1alpha1.ReportStoreRequest) { r.AvailableBytes = 0 }, figures},
		"a disk was grown":   {func(r *gatewayv1alpha1.ReportStoreRequest) { r.CapacityBytes++ }, figures},
		"used":               {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots[0].LastUsed = timestamppb.New(now) }, figures},
		"a pod came":         {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots[0].Pods++ }, figures},
		"a download grew":    {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots[1].Bytes++ }, figures},
		"it is complete":     {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots[1].Phase = complete }, contents},
		"a new snapshot":     {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots = append(r.Snapshots, newSnapshot(9)) }, contents},
		"one went":           {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots = r.Snapshots[:1] }, contents},
		"one took its place": {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots[0].Id = snapshotID(9) }, contents},
		"a new mark":         {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots[0].Marks = nil }, contents},
		"it is preheated":    {func(r *gatewayv1alpha1.ReportStoreRequest) { r.Snapshots[0].Preheated = true }, contents},
		"another store":      {func(r *gatewayv1alpha1.ReportStoreRequest) { r.StoreId = "store-2" }, contents},
		"another quota":      {func(r *gatewayv1alpha1.ReportStoreRequest) { r.QuotaBytes = 1 }, contents},
	} {
		report := func() *gatewayv1alpha1.ReportStoreRequest {
			return newRequest(newSnapshot(1), newSnapshot(2, func(s *gatewayv1alpha1.StoredSnapshot) { s.Phase = downloading }))
		}
		after := report()
		c.change(after)
		a, b := newEntry(t, "shop", report()), newEntry(t, "shop", after)
		b.ObservedTime = metav1.NewTime(now.Add(time.Hour))
		if got := compareEntries(&a, &b); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestAStaleOrMissingEntryIsWrittenAgain(t *testing.T) {
	e := newEntry(t, "shop", newRequest(newSnapshot(1)))
	for name, c := range map[string]struct {
		stored bool
		node   index.Node
		want   change
	}{
		"as it was":                   {true, index.Node{BootID: "boot-1", ReadySince: now.Add(-time.Minute)}, nothing},
		"Ready in the same second":    {true, index.Node{BootID: "boot-1", ReadySince: now}, nothing},
		"the node came back":          {true, index.Node{BootID: "boot-1", ReadySince: now.Add(time.Minute)}, contents},
		"the machine started anew":    {true, index.Node{BootID: "boot-2", ReadySince: now.Add(-time.Minute)}, contents},
		"the node is not Ready":       {true, index.Node{BootID: "boot-1"}, nothing},
		"the controller took it out":  {false, index.Node{BootID: "boot-1", ReadySince: now.Add(-time.Minute)}, contents},
		"taken out, and away already": {false, index.Node{BootID: "boot-1"}, contents},
	} {
		s := &v1alpha1.NodeStore{}
		if c.stored {
			s.Status = Merge(&s.Status, e)
		}
		if got := gradeEntries(s, &c.node, e); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
