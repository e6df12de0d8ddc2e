// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package assignment

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/sanitize"
)

// maxConditionMessage keeps a condition readable where lists print it.
const maxConditionMessage = 1 << 10

// Counted is how many of the items the pod has, for people.
func Counted(s *v1alpha1.DataStatus) string { return fmt.Sprintf("%d/%d", s.Success, s.DataItems) }

// ReadyOf makes the condition Ready of what is known of the items. It repeats what the
// item says of itself that holds the pod back, which may change with every report.
func ReadyOf(s *v1alpha1.DataStatus) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	if s.Success == s.DataItems {
		c.Status = metav1.ConditionTrue
		c.Reason, c.Message = v1alpha1.ReasonDelivered, DeliveredMessage(s.DataItems, s.ObservedRevision)
		return c
	}
	item := holdsBack(s.DataItemsStatus)
	c.Reason = item.Reason
	if c.Reason == "" {
		c.Reason = fallbackReason(item.Phase)
	}
	c.Message = fmt.Sprintf("item %s/%s is %s", item.Namespace, item.Name, item.Phase)
	if item.Message != "" {
		subject := fmt.Sprintf("item %s/%s: ", item.Namespace, item.Name)
		if item.Phase == v1alpha1.DataFailed {
			subject = fmt.Sprintf("item %s/%s failed: ", item.Namespace, item.Name)
		}
		c.Message = subject + sanitize.Text(item.Message, maxConditionMessage-len(subject))
	}
	return c
}

// holdsBack returns the item that is to be shown: a failed one before others.
func holdsBack(items []v1alpha1.DataItemStatus) v1alpha1.DataItemStatus {
	first := &v1alpha1.DataItemStatus{Phase: v1alpha1.DataWaiting}
	found := false
	for i := range items {
		switch items[i].Phase {
		case v1alpha1.DataFailed:
			return items[i]
		case v1alpha1.DataSuccess:
		default:
			if !found || first.Phase == v1alpha1.DataWaiting && items[i].Phase == v1alpha1.DataDownloading {
				first, found = &items[i], true
			}
		}
	}
	return *first
}

func fallbackReason(p v1alpha1.DataPhase) string {
	switch p {
	case v1alpha1.DataFailed:
		return v1alpha1.ReasonDeliveryFailed
	case v1alpha1.DataDownloading:
		return v1alpha1.ReasonDownloading
	default:
		return v1alpha1.ReasonWaiting
	}
}

// Progress is how much of the items the pod has, for people; empty: it is not known.
func Progress(s *v1alpha1.DataStatus) string {
	if s.Success == s.DataItems {
		return "100%"
	}
	var have, total float64
	for i := range s.DataItemsStatus {
		have += float64(s.DataItemsStatus[i].Bytes)
		total += float64(s.DataItemsStatus[i].TotalBytes)
	}
	if total == 0 {
		return ""
	}
	return fmt.Sprintf("%d%%", min(99, int(have*100/total)))
}
