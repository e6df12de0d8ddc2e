// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
	"github.com/kuda-io/kuda/internal/domain/assignment"
	"github.com/kuda-io/kuda/internal/shorten"
)

// setCredentials sums up what pods say of the Secrets and ConfigMaps that are mounted
// into them. It is a condition of its own: where the bytes are on the nodes already,
// pods have their data without, and the next node does not.
func setCredentials(conditions *[]metav1.Condition, d *v1alpha1.DataSet, o *observation) {
	told, lacking, first := 0, 0, ""
	for _, x := range o.live {
		if x.data == nil || !assignment.Current(x.data) {
			continue
		}
		c := meta.FindStatusCondition(x.data.Status.Conditions, v1alpha1.ConditionCredentialsAvailable)
		if c == nil {
			continue
		}
		told++
		if c.Status != metav1.ConditionFalse {
			continue
		}
		if lacking++; lacking == 1 {
			first = fmt.Sprintf("pod %s: %s", x.pod.Name, c.Message)
		}
	}
	if told == 0 {
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionCredentialsAvailable)
		return
	}
	c := metav1.Condition{
		Type: v1alpha1.ConditionCredentialsAvailable, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCredentialsFound,
		ObservedGeneration: d.Generation, Message: "all Secrets and ConfigMaps that the sources name are mounted into the pods",
	}
	if lacking > 0 {
		c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonCredentialsMissing
		c.Message = shorten.Text(fmt.Sprintf("%d of %d pods lack what the sources name; %s", lacking, told, first), maxMessageLength)
	}
	meta.SetStatusCondition(conditions, c)
}

// credentialsDiffer reports whether two states of a Data say another thing of them.
func credentialsDiffer(before, after *v1alpha1.Data) bool {
	a := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionCredentialsAvailable)
	b := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionCredentialsAvailable)
	if a == nil || b == nil {
		return a != b
	}
	return a.Status != b.Status || a.Message != b.Message
}
