// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package attendance

import (
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	// label tells the Leases of replicas from others.
	label      = "kuda.io/attendance"
	labelValue = "gateway"
	// annotation has the list.
	annotation = "kuda.io/attendance"
	namePrefix = "kuda-gateway-"

	// freshness is how long a list counts that is not renewed: longer than runtimes take
	// to leave a replica that is gone without a word. renewal is when it is renewed.
	freshness = 45 * time.Second
	renewal   = 15 * time.Second
)

// Selector selects the Leases of replicas.
func Selector() labels.Selector { return labels.SelectorFromSet(labels.Set{label: labelValue}) }

// leaseName is that of a replica's Lease; the replica's name is its pod's.
func leaseName(replica string) string { return namePrefix + replica }

// fillLease makes a Lease say what a replica hears.
func fillLease(l *coordinationv1.Lease, replica string, list List, now time.Time) {
	seconds := int32(freshness / time.Second)
	renewed := metav1.NewMicroTime(now)
	if l.Labels == nil {
		l.Labels = make(map[string]string, 1)
	}
	if l.Annotations == nil {
		l.Annotations = make(map[string]string, 1)
	}
	l.Labels[label], l.Annotations[annotation] = labelValue, list.encodeMarks()
	l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = &replica, &seconds, &renewed
}
