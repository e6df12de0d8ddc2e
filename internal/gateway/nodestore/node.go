// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package nodestore

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/nodestore"
	"github.com/kuda-io/kuda/internal/domain/sanitize"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// The bounds of the CRD's schema.
const (
	maxKeeper = 64
	maxUID    = 64
)

// Shorter ones, of texts that all stores may have at once: an object has room for them beside
// the lists of snapshots.
const (
	maxUnreadable = 128
	maxDamage     = 256
)

// keeperRenewal is how old the word of a keeper may be before a report that says nothing
// new is written: well within v1alpha1.KeeperTrust.
const keeperRenewal = 4 * time.Minute

// NodeReport is what the keeper of a node said, but for the stores.
type NodeReport struct {
	Keeper v1alpha1.KeeperStatus
	// Directories are those of all stores: what is known of another one is void.
	Directories map[v1alpha1.StoreDirectory]bool
}

// Node is what is not of one store in a keeper's report. pod is the keeper's, as the gateway
// knows it.
func Node(pod string, r *gatewayv1alpha1.ReportNodeRequest, now time.Time) NodeReport {
	out := NodeReport{
		Keeper: v1alpha1.KeeperStatus{
			PodName: pod, Version: sanitize.Line(r.GetKeeperVersion(), maxKeeper), ObservedTime: metav1.Time{Time: now.Truncate(time.Second)},
			QuotaBytes: sanitize.Count(r.GetNodeQuotaBytes()), UsedBytes: sanitize.Count(r.GetNodeUsedBytes()),
		},
		Directories: make(map[v1alpha1.StoreDirectory]bool, len(r.GetDirectories())),
	}
	for _, d := range r.GetDirectories() {
		out.Directories[v1alpha1.StoreDirectory{Namespace: d.GetNamespace(), UID: d.GetUid()}] = true
	}
	return out
}

// NodeEntries are the entries of a keeper's report, with what it found damaged. A store that
// has no ID yet, because no runtime has opened it, has none.
func NodeEntries(r *gatewayv1alpha1.ReportNodeRequest, now time.Time) (entries []v1alpha1.NamespaceStore) {
	for _, c := range r.GetStores() {
		e, err := Entry(c.GetDirectory().GetNamespace(), c.GetContents(), now)
		if err != nil || sanitize.ObjectName(e.Namespace) == "" || len(c.GetDirectory().GetUid()) > maxUID {
			continue
		}
		e.NamespaceUID = c.GetDirectory().GetUid()
		e.Unreadable = sanitize.Line(c.GetUnreadable(), maxUnreadable)
		e.VerifiedTime = sanitize.Moment(c.GetVerifiedTime(), time.Second, now)
		for _, d := range r.GetDamages() {
			if d.GetDirectory().GetNamespace() == e.Namespace && d.GetDirectory().GetUid() == e.NamespaceUID {
				if one, ok := newDamage(d, now); ok {
					e.Damaged = append(e.Damaged, one)
				}
			}
		}
		slices.SortStableFunc(e.Damaged, func(a, b v1alpha1.SnapshotDamage) int { return b.FoundTime.Compare(a.FoundTime.Time) })
		e.Damaged = e.Damaged[:min(len(e.Damaged), maxDamaged)]
		entries = append(entries, e)
	}
	return entries
}

// newDamage returns false for what names no snapshot.
func newDamage(d *gatewayv1alpha1.Damage, now time.Time) (v1alpha1.SnapshotDamage, bool) {
	found := metav1.Time{Time: now.Truncate(time.Second)}
	if at := sanitize.Moment(d.GetFoundTime(), time.Second, now); at != nil {
		found = *at
	}
	message := d.GetMessage()
	if d.GetFile() != "" {
		message = d.GetFile() + ": " + message
	}
	valid := snapshotPattern.MatchString(d.GetSnapshot())
	return v1alpha1.SnapshotDamage{ID: d.GetSnapshot(), Path: sanitize.Line(d.GetPath(), maxDamage), FoundTime: found,
		Version: sanitize.Line(d.GetVersion(), maxVersion), Message: sanitize.Line(message, maxDamage)}, valid
}

// MergeNode is Merge that also takes what a keeper said of its node; nil: nothing.
func MergeNode(status *v1alpha1.NodeStoreStatus, report *NodeReport, entries ...v1alpha1.NamespaceStore) v1alpha1.NodeStoreStatus {
	out := Merge(status, entries...)
	if report == nil {
		return out
	}
	keeper := report.Keeper
	out.Keeper = &keeper
	out.Stores = slices.DeleteFunc(out.Stores, func(s v1alpha1.NamespaceStore) bool {
		return !report.Directories[v1alpha1.StoreDirectory{Namespace: s.Namespace, UID: s.NamespaceUID}]
	})
	nodestore.Sum(&out)
	return out
}

// gradeNode returns how grave the difference is that a keeper's report makes beside its
// entries.
func gradeNode(s *v1alpha1.NodeStoreStatus, report *NodeReport) change {
	if report == nil {
		return nothing
	}
	for i := range s.Stores {
		if !report.Directories[v1alpha1.StoreDirectory{Namespace: s.Stores[i].Namespace, UID: s.Stores[i].NamespaceUID}] {
			return contents
		}
	}
	before, after := s.Keeper, &report.Keeper
	switch {
	case before == nil || before.PodName != after.PodName || before.Version != after.Version || before.QuotaBytes != after.QuotaBytes:
		return contents
	case after.ObservedTime.Sub(before.ObservedTime.Time) >= keeperRenewal || before.UsedBytes != after.UsedBytes:
		return figures
	}
	return nothing
}
