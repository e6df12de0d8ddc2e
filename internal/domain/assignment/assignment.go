// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package assignment

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

const (
	nameHashLength  = 8
	labelHashLength = 10
)

// Name of the Data of this DataSet and pod: both their names where these fit. taken is
// the number of names that turned out to be another's: that of a pod of the same name
// which is gone, or of another DataSet whose name and pod's name make the same. Then,
// and where the names are too long, a hash of what makes it unique is at its end, and
// the readable part is cut to what fits. A name is never parsed or computed to find a
// Data, which its labels are for: older ones have longer hashes.
func Name(dataset, podName string, podUID types.UID, taken int) string {
	if short := dataset + "-" + podName; taken == 0 && len(short) <= validation.DNS1123SubdomainMaxLength {
		return short
	}
	unique := dataset + "\n" + string(podUID)
	if taken > 1 {
		unique += fmt.Sprintf("\n%d", taken)
	}
	hash := hexDigest(unique)[:nameHashLength]
	room := validation.DNS1123SubdomainMaxLength - len(dataset) - len("-") - len("-") - len(hash)
	return dataset + "-" + truncateName(podName, room) + "-" + hash
}

// LabelValue is the pod's name as the value of a label.
func LabelValue(podName string) string {
	if len(podName) <= validation.LabelValueMaxLength {
		return podName
	}
	hash := hexDigest(podName)[:labelHashLength]
	return truncateName(podName, validation.LabelValueMaxLength-len("-")-len(hash)) + "-" + hash
}

// truncateName shortens a name so that it still ends in a letter or digit.
func truncateName(name string, length int) string {
	if len(name) <= length {
		return name
	}
	return strings.TrimRight(name[:length], "-.")
}

func hexDigest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// New builds the Data of a DataSet and a pod. It is owned by the pod, so that
// it goes with it.
func New(d *v1alpha1.DataSet, p *corev1.Pod, spec v1alpha1.DataSpec) *v1alpha1.Data {
	return newData(v1alpha1.LabelDataSet, d, p, spec)
}

// NewPreheat is New for a pod of the DataSet's preheat. The Data is found by
// another label, so that what asks for the DataSet's Data does not see it, and its name
// has a hash, so that it takes none of theirs.
func NewPreheat(d *v1alpha1.DataSet, p *corev1.Pod, spec v1alpha1.DataSpec) *v1alpha1.Data {
	data := newData(v1alpha1.LabelPreheat, d, p, spec)
	data.Name = Name(d.Name, p.Name, p.UID, 1)
	return data
}

// IsOf reports whether a Data is that of this DataSet and pod.
func IsOf(data *v1alpha1.Data, d *v1alpha1.DataSet, p *corev1.Pod) bool {
	return DataSet(data) == d.Name && PodUID(data) == p.UID && !Preheats(data)
}

func newData(label string, d *v1alpha1.DataSet, p *corev1.Pod, spec v1alpha1.DataSpec) *v1alpha1.Data {
	controller := true
	return &v1alpha1.Data{
		ObjectMeta: metav1.ObjectMeta{
			Name:      Name(d.Name, p.Name, p.UID, 0),
			Namespace: d.Namespace,
			Labels: map[string]string{
				label:                d.Name,
				v1alpha1.LabelPod:    LabelValue(p.Name),
				v1alpha1.LabelPodUID: string(p.UID),
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID, Controller: &controller,
			}},
		},
		Spec: spec,
	}
}

// Spec is what a pod is told to have of a revision.
func Spec(revision, podName string, template v1alpha1.DataTemplateSpec) v1alpha1.DataSpec {
	return v1alpha1.DataSpec{
		DataItems:   template.DataItems,
		DataSources: template.DataSources,
		Lifecycle:   template.Lifecycle,
		Revision:    revision,
		PodName:     podName,
	}
}

// Template is the part of the spec that comes from the revision.
func Template(spec v1alpha1.DataSpec) v1alpha1.DataTemplateSpec {
	return v1alpha1.DataTemplateSpec{
		DataItems:   spec.DataItems,
		DataSources: spec.DataSources,
		Lifecycle:   spec.Lifecycle,
	}
}

// DataSet names the DataSet that the Data belongs to, as a replica's or as its
// preheat's.
func DataSet(d *v1alpha1.Data) string {
	return cmp.Or(d.Labels[v1alpha1.LabelPreheat], d.Labels[v1alpha1.LabelDataSet])
}

// Preheats reports whether the Data is of a pod that preheats a node, and so of no
// replica.
func Preheats(d *v1alpha1.Data) bool { return d.Labels[v1alpha1.LabelPreheat] != "" }

// PodUID is the UID of the pod that the Data belongs to.
func PodUID(d *v1alpha1.Data) types.UID { return types.UID(d.Labels[v1alpha1.LabelPodUID]) }

// Reported reports whether a runtime has reported on the Data at all.
func Reported(d *v1alpha1.Data) bool { return d.Status.ObservedRevision != "" }

// Current reports whether the status speaks of the revision that the spec names.
func Current(d *v1alpha1.Data) bool { return d.Status.ObservedRevision == d.Spec.Revision }

// Delivered reports whether the pod has every item of the revision it is told to have.
func Delivered(d *v1alpha1.Data) bool {
	return Current(d) && !d.Spec.Withdraw &&
		int(d.Status.DataItems) == len(d.Spec.DataItems) && d.Status.Success == d.Status.DataItems
}

// DeliveredMessage says for people that a pod has all items of a revision.
func DeliveredMessage(items int32, revision string) string {
	if items == 1 {
		return "the pod has its item of revision " + revision
	}
	return fmt.Sprintf("the pod has all %d items of revision %s", items, revision)
}

// Withdrawn reports whether the items are out of the pod's view, as was asked.
func Withdrawn(d *v1alpha1.Data) bool {
	ready := Ready(d)
	return d.Spec.Withdraw && ready != nil && ready.Reason == v1alpha1.ReasonWithdrawn
}

// Ready is the Data's Ready condition, or nil.
func Ready(d *v1alpha1.Data) *metav1.Condition {
	return meta.FindStatusCondition(d.Status.Conditions, v1alpha1.ConditionReady)
}
