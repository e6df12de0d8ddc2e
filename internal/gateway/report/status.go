// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/domain/sanitize"
	gatewayv1alpha1 "github.com/kuda-io/kuda/internal/gen/kuda/gateway/v1alpha1"
)

// Status computes the status of a Data from a report about the revision of its
// spec. Node is where the pod runs; empty: not known, as before.
func Status(d *v1alpha1.Data, r *gatewayv1alpha1.ReportRequest, node string, now time.Time) v1alpha1.DataStatus {
	s := v1alpha1.DataStatus{
		DataItems:        int32(len(d.Spec.DataItems)),
		NodeName:         node,
		ObservedRevision: r.GetRevision(),
		CurrentRevision:  sanitize.ObjectName(r.GetCurrentRevision()),
		Prefetch:         prefetchStatus(d, r.GetPrefetch()),
		Conditions:       d.DeepCopy().Status.Conditions,
	}
	if node == "" {
		s.NodeName = d.Status.NodeName
	}
	longest := messageLength(len(d.Spec.DataItems))
	reported := make(map[[2]string]*gatewayv1alpha1.ItemStatus, len(r.GetItems()))
	for _, item := range r.GetItems() {
		reported[[2]string{item.GetNamespace(), item.GetName()}] = item
	}
	for i := range d.Spec.DataItems {
		spec := &d.Spec.DataItems[i]
		item := itemStatus(spec, reported[[2]string{spec.Namespace, spec.Name}], longest, now)
		s.DataItemsStatus = append(s.DataItemsStatus, item)
		switch item.Phase {
		case v1alpha1.DataSuccess:
			s.Success++
		case v1alpha1.DataFailed:
			s.Failed++
		case v1alpha1.DataDownloading:
			s.Downloading++
		default:
			s.Waiting++
		}
	}
	s.Ready = assignment.Counted(&s)
	s.Progress = assignment.Progress(&s)
	ready := assignment.ReadyOf(&s)
	if d.Spec.Withdraw && r.GetWithdrawn() {
		ready = withdrawn()
	}
	ready.ObservedGeneration = d.Generation
	if d.Status.ObservedRevision != r.GetRevision() {
		// A switch may be over before anything but success is reported. The
		// condition is of another revision now, so its time is a new one.
		meta.RemoveStatusCondition(&s.Conditions, v1alpha1.ConditionReady)
		ready.LastTransitionTime = metav1.NewTime(now)
	}
	meta.SetStatusCondition(&s.Conditions, ready)
	setCredentials(d, &s, r.GetMounts())
	setCacheDegraded(d, &s)
	return s
}

// messageLength is how long the message of an item may be when there are so many.
func messageLength(items int) int {
	return max(leastItemMessage, min(maxItemMessage, maxItemMessages/max(items, 1)))
}

// itemStatus is the state of one item; r is nil when the report leaves it out.
func itemStatus(spec *v1alpha1.DataItem, r *gatewayv1alpha1.ItemStatus, longest int, now time.Time) v1alpha1.DataItemStatus {
	s := v1alpha1.DataItemStatus{
		Name:       spec.Name,
		Namespace:  spec.Namespace,
		Version:    spec.Version,
		Phase:      phaseOf(r.GetPhase()),
		Reason:     sanitize.Word(r.GetReason()),
		Message:    sanitize.Text(r.GetMessage(), longest),
		StartTime:  sanitize.Moment(r.GetStartTime(), time.Second, now),
		Bytes:      sanitize.Count(r.GetBytes()),
		TotalBytes: sanitize.Count(r.GetTotalBytes()),
		Digest:     sanitize.Digest(r.GetDigest()),
		Origin:     originOf(r.GetOrigin()),
		Cache:      cacheUseOf(r.GetCache()),
		CacheFill:  cacheFillOf(r.GetCacheFill()),
	}
	if s.Phase == v1alpha1.DataSuccess {
		s.CompletionTime = sanitize.Moment(r.GetCompletionTime(), time.Second, now)
	}
	if s.Phase == v1alpha1.DataWaiting && s.Reason == "" {
		s.Reason = v1alpha1.ReasonWaiting
	}
	if s.TotalBytes > 0 {
		s.Bytes = min(s.Bytes, s.TotalBytes)
	}
	return s
}

const (
	// maxItemMessage has room for the 2 KiB of a hook's output.
	maxItemMessage = 3 << 10
	// maxItemMessages is for the messages of all items together: a runtime that
	// changes them all the time does not make the API server write more each time.
	maxItemMessages = 96 << 10
	// leastItemMessage is what each may have, however many items there are.
	leastItemMessage = 512
)

func withdrawn() metav1.Condition {
	return metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonWithdrawn,
		Message: "the items are out of the pod's view",
	}
}

func phaseOf(p gatewayv1alpha1.Phase) v1alpha1.DataPhase {
	switch p {
	case gatewayv1alpha1.Phase_PHASE_DOWNLOADING:
		return v1alpha1.DataDownloading
	case gatewayv1alpha1.Phase_PHASE_SUCCESS:
		return v1alpha1.DataSuccess
	case gatewayv1alpha1.Phase_PHASE_FAILED:
		return v1alpha1.DataFailed
	default:
		return v1alpha1.DataWaiting
	}
}

func originOf(o gatewayv1alpha1.Origin) v1alpha1.DataOrigin {
	switch o {
	case gatewayv1alpha1.Origin_ORIGIN_SOURCE:
		return v1alpha1.OriginSource
	case gatewayv1alpha1.Origin_ORIGIN_CACHE:
		return v1alpha1.OriginCache
	case gatewayv1alpha1.Origin_ORIGIN_NODE:
		return v1alpha1.OriginNode
	case gatewayv1alpha1.Origin_ORIGIN_PEER:
		return v1alpha1.OriginPeer
	default:
		return ""
	}
}
