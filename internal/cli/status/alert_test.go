// Copyright The Kuda Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kuda-io/kuda/api/v1alpha1"
)

func TestMissingCredentialsAreAnAlertWhereTheDataIsThere(t *testing.T) {
	for status, want := range map[metav1.ConditionStatus]int{metav1.ConditionTrue: 0, metav1.ConditionFalse: 1} {
		d := models(func(d *v1alpha1.DataSet) {
			d.Status.Conditions = []metav1.Condition{
				{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDelivered},
				{Type: v1alpha1.ConditionCredentialsAvailable, Status: status, Reason: v1alpha1.ReasonCredentialsMissing, Message: "no Secret"},
			}
		})
		if v := build(d, nil); len(v.Alerts) != want {
			t.Errorf("CredentialsAvailable %s: alerts %+v, want %d", status, v.Alerts, want)
		}
	}
}
